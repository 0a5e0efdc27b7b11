//! The connections to Graph. It is called for every write, so the client stands directly on hyper's pool.

use std::{error::Error as _, io, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Uri,
    header::{ACCEPT, HOST, PROXY_AUTHORIZATION, USER_AGENT},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::{
        legacy::{Client, Error},
        proxy::matcher::Intercept,
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::route::{self, Connector};
use crate::http_client::{self, Timeouts};

/// Why no answer came, or not the whole of it. It never holds the path of the call, which names a user.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// It is no request in the sense of HTTP.
    #[error("the request cannot be made")]
    Request(#[source] http::Error),
    /// There is no connection, or it broke.
    #[error("error sending the request")]
    Connection(#[source] Error),
    /// The connection broke within the answer.
    #[error("error reading the answer")]
    Body(#[source] hyper::Error),
    /// The time was over.
    #[error("no answer within graph.request_timeout")]
    TimedOut,
}

impl Cause {
    /// Whether waiting was in vain, for a connection or for an answer.
    pub(super) fn is_timeout(&self) -> bool {
        let Self::Connection(error) = self else { return matches!(self, Self::TimedOut) };
        let mut cause = error.source();
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A request as it is sent.
pub(super) type Request = http::Request<Full<Bytes>>;

/// Connections to one root, which are kept for the next call.
pub(super) struct Connections {
    client: Client<Connector, Full<Bytes>>,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// For a proxy that forwards.
    credential: Option<HeaderValue>,
    limit: Duration,
}

impl Connections {
    /// To this root, by the way that the environment tells of.
    pub(super) fn to(root: &Url, timeouts: Timeouts, tls: rustls::ClientConfig) -> Result<Self, http::Error> {
        Self::by(route::proxy_of, root, timeouts, tls)
    }

    fn by(
        proxy_of: impl Fn(&Uri) -> Option<Intercept>,
        root: &Url,
        timeouts: Timeouts,
        tls: rustls::ClientConfig,
    ) -> Result<Self, http::Error> {
        let host = root.host_str().unwrap_or_default();
        let host = root.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let (scheme, authority) = (Scheme::try_from(root.scheme())?, Authority::try_from(&*host)?);
        let root = uri(scheme.clone(), authority.clone(), PathAndQuery::from_static("/"));
        let proxy = proxy_of(&root);
        let connector = Connector::new(&root, proxy.as_ref(), tls, timeouts.connect);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(http_client::IDLE)
            .build(connector);
        // A proxy that opens a tunnel is shown it once, by the connector.
        let credential =
            proxy.filter(|_| scheme == Scheme::HTTP).and_then(|proxy| proxy.basic_auth().cloned());
        let (host, limit) = (HeaderValue::try_from(host)?, timeouts.request);
        Ok(Self { client, scheme, authority, host, credential, limit })
    }

    /// A request with the headers that every one has.
    pub(super) fn request(&self, method: Method, target: PathAndQuery, body: Bytes) -> Request {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(HOST, self.host.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(http_client::USER_AGENT));
        if let Some(credential) = &self.credential {
            headers.insert(PROXY_AUTHORIZATION, credential.clone());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri(self.scheme.clone(), self.authority.clone(), target);
        *request.headers_mut() = headers;
        request
    }

    /// Sends it. A request that a kept connection did not take, because it was closed meanwhile, is sent on
    /// another one; nothing else is sent twice, and no redirect is followed.
    pub(super) async fn send(&self, request: Request) -> Result<Answered, Cause> {
        let deadline = Instant::now() + self.limit;
        let sent = timeout_at(deadline, self.client.request(request)).await.map_err(|_| Cause::TimedOut)?;
        Ok(Answered { response: sent.map_err(Cause::Connection)?, deadline })
    }

    /// The name of the server.
    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }
}

fn uri(scheme: Scheme, authority: Authority, target: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(target);
    // With all three parts given it is whole.
    Uri::from_parts(parts).unwrap_or_default()
}

/// An answer whose body is still to be read, within what is left of the time.
pub(super) struct Answered {
    response: Response<Incoming>,
    deadline: Instant,
}

impl Answered {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The body, and not much more than `longest` of it.
    pub(super) async fn body(self, longest: usize) -> Result<Vec<u8>, Cause> {
        let mut incoming = self.response.into_body();
        let reading = async {
            let mut body = Vec::new();
            while body.len() < longest
                && let Some(frame) = incoming.frame().await
            {
                // Anything but data are trailers, which say nothing to us.
                body.extend_from_slice(frame?.data_ref().map_or(&[], |data| data));
            }
            Ok(body)
        };
        timeout_at(self.deadline, reading).await.map_err(|_| Cause::TimedOut)?.map_err(Cause::Body)
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
