//! The proxy of the environment, for the way to Service Bus over a WebSocket.
//!
//! The HTTP client finds it by itself; this applies the same rules with the same code, so that both go the
//! same way.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use secrecy::SecretString;
use servicebus::{NamespaceEndpoint, Proxy};

use super::{reader::Reader, source::Surroundings};
use crate::http_client::is_on_this_machine;

/// The proxy to go through, if any.
#[expect(clippy::option_option, reason = "the outer one says that all is well, as everywhere here")]
pub(super) fn proxy(
    r: &Reader<'_>,
    endpoint: &NamespaceEndpoint,
    around: &Surroundings,
) -> Option<Option<Proxy>> {
    let first =
        |names: [&str; 2]| names.iter().find_map(|name| around.get(name)).unwrap_or_default().to_owned();
    let matcher = Matcher::builder()
        .all(first(["ALL_PROXY", "all_proxy"]))
        .https(first(["HTTPS_PROXY", "https_proxy"]))
        .no(first(["NO_PROXY", "no_proxy"]))
        .build();
    // What is on this machine needs no proxy, and without TLS the way never leaves it.
    let outside = endpoint.tls && !is_on_this_machine(&endpoint.host);
    let target = format!("https://{}/", endpoint.authority()).parse::<Uri>().ok().filter(|_| outside);
    let Some(found) = target.and_then(|target| matcher.intercept(&target)) else { return Some(None) };
    let uri = found.uri();
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) => Some(Some(Proxy {
            host: host.trim_matches(['[', ']']).into(),
            port: uri.port_u16().unwrap_or(80),
            authorization: found
                .basic_auth()
                .and_then(|value| value.to_str().ok())
                .map(|value| SecretString::from(value.to_owned())),
        })),
        _ => r.wrong(
            "HTTPS_PROXY",
            "must start with http:// to carry Service Bus over a WebSocket; or exempt the namespace in NO_PROXY",
        ),
    }
}
