//! The way to Graph: straight, by a tunnel of a proxy, or by a proxy that forwards; with TLS at its end.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Uri, header::USER_AGENT, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use crate::http_client;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Opening<S> = Pin<Box<dyn Future<Output = Result<S, BoxError>> + Send>>;

/// Opens connections. It is cloned for every call, so there is one pointer to clone.
#[derive(Clone)]
pub(super) struct Connector(Arc<Opener>);

struct Opener {
    https: HttpsConnector<Route>,
    /// For the whole way: name, connection, tunnel and TLS.
    limit: Duration,
}

/// The way up to the TLS of Graph itself.
#[derive(Clone)]
enum Route {
    Straight(HttpConnector),
    Tunnel(Tunnel<HttpsConnector<HttpConnector>>),
    /// Without TLS there is nothing to tunnel: the proxy reads the requests, as it does for everybody.
    Forward(Uri, HttpsConnector<HttpConnector>),
}

impl Connector {
    /// The way to this root.
    pub(super) fn new(
        root: &Uri,
        proxy: Option<&Intercept>,
        tls: rustls::ClientConfig,
        limit: Duration,
    ) -> Self {
        let tcp = tcp(limit);
        let route = match proxy {
            None => Route::Straight(tcp),
            Some(proxy) => {
                let mut tls = tls.clone();
                // What is spoken to a proxy is not for TLS to negotiate.
                tls.alpn_protocols.clear();
                let to_proxy = HttpsConnector::from((tcp, tls));
                if root.scheme() == Some(&Scheme::HTTPS) {
                    Route::Tunnel(tunnel(proxy, to_proxy))
                } else {
                    Route::Forward(proxy.uri().clone(), to_proxy)
                }
            }
        };
        Self(Arc::new(Opener { https: HttpsConnector::from((route, tls)), limit }))
    }
}

/// The proxy that the environment names for this root, if any, by the rules of the other client.
pub(super) fn proxy_of(root: &Uri) -> Option<Intercept> {
    by(&Matcher::from_system(), root)
}

/// The same by these rules. What is on this machine is none of a proxy's business: it may be in plain text.
pub(super) fn by(rules: &Matcher, root: &Uri) -> Option<Intercept> {
    rules.intercept(root).filter(|_| !root.host().is_some_and(http_client::is_on_this_machine))
}

fn tunnel(
    proxy: &Intercept,
    to_proxy: HttpsConnector<HttpConnector>,
) -> Tunnel<HttpsConnector<HttpConnector>> {
    let agent = HeaderValue::from_static(http_client::USER_AGENT);
    let tunnel =
        Tunnel::new(proxy.uri().clone(), to_proxy).with_headers(HeaderMap::from_iter([(USER_AGENT, agent)]));
    match proxy.basic_auth() {
        Some(credential) => tunnel.with_auth(credential.clone()),
        None => tunnel,
    }
}

fn tcp(limit: Duration) -> HttpConnector {
    /// A dead peer is noticed between requests too, as early as by the other client.
    const KEEP_ALIVE: Duration = Duration::from_secs(15);
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(limit));
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(KEEP_ALIVE * 2));
    tcp
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Hop>;
    type Error = BoxError;
    type Future = Opening<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let opener = Arc::clone(&self.0);
        Box::pin(async move {
            let opening = opener.https.clone().call(target);
            timeout(opener.limit, opening).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within graph.connect_timeout")
                    .into())
            })
        })
    }
}

impl Service<Uri> for Route {
    type Response = Hop;
    type Error = BoxError;
    type Future = Opening<Hop>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let mut route = self.clone();
        Box::pin(async move {
            let (stream, forwarded) = match &mut route {
                Self::Straight(tcp) => (tcp.call(target).await?.into(), false),
                Self::Tunnel(tunnel) => (tunnel.call(target).await?, false),
                Self::Forward(proxy, tcp) => (tcp.call(proxy.clone()).await?, true),
            };
            Ok(Hop { stream, forwarded })
        })
    }
}

/// A connection to Graph or to a proxy before it. Another one than the library's, because that one's puts
/// its addresses into every answer.
pub(super) struct Hop {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    forwarded: bool,
}

impl Connection for Hop {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarded)
    }
}

impl Read for Hop {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Hop {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}
