//! The sockets of an HTTP server: listeners with and without TLS, one task for each connection.
//!
//! The accept loop is our own because a fault may demand that a connection ends in a reset, which only the owner of
//! the socket can bring about.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode, body::Incoming, http::request::Parts, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use tokio_rustls::TlsAcceptor;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is answered.
    Response(Response<Full<Bytes>>),
    /// The connection ends with a reset.
    Reset,
    /// There is no answer, ever.
    Hang,
}

/// Who answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// No request that makes sense is larger; one that is gets 413.
    const LARGEST_BODY: usize;

    /// Answers a request that was read in full.
    fn respond(&self, head: Parts, body: Bytes, secure: bool) -> impl Future<Output = Outcome> + Send;
}

/// Listens at an address, and tells which port it became.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Takes connections until `stop` changes.
pub(crate) async fn listen<V: Service>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<V>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let task = connection(stream, tls.clone(), Arc::clone(&service), stop.clone());
                tokio::spawn(task);
            }
            // Out of file handles, most likely; other connections must end before the next one can begin.
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn connection<V: Service>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Arc<V>,
    mut stop: watch::Receiver<bool>,
) {
    // Small answers must not wait for Nagle's algorithm; failing to say so only costs time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let cut = Arc::new(Cut::default());
    let socket = Socket { stream, cut: Arc::clone(&cut) };
    let served = async {
        match tls {
            None => serve(socket, false, &service, &cut).await,
            Some(tls) => match tls.accept(socket).await {
                Ok(socket) => serve(socket, true, &service, &cut).await,
                Err(error) => tracing::debug!(%error, "a client gave up the TLS handshake"),
            },
        }
    };
    tokio::select! {
        // First, so that nothing is answered any more once the server has been stopped.
        biased;
        _ = stop.changed() => {}
        () = served => {}
    }
}

async fn serve<S, V>(socket: S, secure: bool, service: &Arc<V>, cut: &Arc<Cut>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    V: Service,
{
    let answer = service_fn(|request| {
        let (service, cut) = (Arc::clone(service), Arc::clone(cut));
        async move { Ok::<_, Infallible>(respond(request, secure, &*service, &cut).await) }
    });
    let connection =
        http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(socket), answer);
    tokio::select! {
        // Whatever ends a connection early is the client's doing and no concern of ours.
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        },
        () = cut.wanted.notified() => {}
    }
}

async fn respond<V: Service>(
    request: Request<Incoming>,
    secure: bool,
    service: &V,
    cut: &Cut,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, V::LARGEST_BODY).collect().await else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    match service.respond(head, body.to_bytes(), secure).await {
        Outcome::Response(response) => response,
        Outcome::Reset => {
            cut.now();
            std::future::pending().await
        }
        Outcome::Hang => std::future::pending().await,
    }
}

/// The order to end a connection with a reset.
#[derive(Debug, Default)]
struct Cut {
    ordered: AtomicBool,
    wanted: Notify,
}

impl Cut {
    fn now(&self) {
        self.ordered.store(true, Ordering::Release);
        self.wanted.notify_one();
    }
}

/// A socket that, when so ordered, is closed by a reset instead of a farewell.
struct Socket {
    stream: TcpStream,
    cut: Arc<Cut>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.cut.ordered.load(Ordering::Acquire)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::warn!(%error, "cannot reset a connection; it is closed instead");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
