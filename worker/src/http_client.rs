//! The HTTP client of every call: keep-alive, time-outs, no redirects, an extra CA if one is given.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::Path,
    time::Duration,
};

use reqwest::Url;
pub use servicebus::http::body;
use servicebus::tls;

/// The client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trusted certificates cannot be used.
    #[error("graph.ca_file cannot be used")]
    Tls(#[source] tls::Error),
    /// The library refused.
    #[error("the http client cannot be made")]
    Build(#[source] reqwest::Error),
}

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To establish a connection.
    pub connect: Duration,
    /// For a whole call.
    pub request: Duration,
}

/// How we call ourselves.
const USER_AGENT: &str = concat!("contactsync/", env!("CARGO_PKG_VERSION"));
/// How long a connection is kept without a call. Graph closes idle connections after a few minutes; a connection
/// that is never older than this does not meet its close.
const IDLE: Duration = Duration::from_secs(90);

/// Calls whom it is told to, each by the way that leads there: through the proxy of the environment, if there is one, but
/// straight to whatever is on this machine. What is meant for this machine may be secret and in plain text.
#[derive(Clone, Debug)]
pub struct Client {
    outside: reqwest::Client,
    direct: reqwest::Client,
}

impl Client {
    /// A client with these time-outs, which trusts the system's certificates and those of `ca_file`.
    pub fn new(timeouts: Timeouts, ca_file: Option<&Path>) -> Result<Self, Error> {
        let (outside, direct) = (builder(timeouts, ca_file)?, builder(timeouts, ca_file)?.no_proxy());
        let build = |builder: reqwest::ClientBuilder| builder.build().map_err(Error::Build);
        Ok(Self { outside: build(outside)?, direct: build(direct)? })
    }

    /// A client that goes by this proxy, whatever the environment says.
    #[cfg(test)]
    pub(crate) fn by_proxy(timeouts: Timeouts, proxy: reqwest::Proxy) -> Result<Self, Error> {
        let outside = builder(timeouts, None)?.proxy(proxy).build().map_err(Error::Build)?;
        Ok(Self { outside, ..Self::new(timeouts, None)? })
    }

    /// The client that goes by no proxy whatever the address: for neighbours, and for the endpoint of managed
    /// identities, whose address is none of this machine although it answers there.
    #[must_use]
    pub fn direct(&self) -> &reqwest::Client {
        &self.direct
    }

    /// The client for calls to an address.
    #[must_use]
    pub fn to(&self, url: &Url) -> &reqwest::Client {
        let here = url.host_str().is_some_and(is_on_this_machine);
        if here { &self.direct } else { &self.outside }
    }

    /// Begins a call.
    pub fn request(&self, method: reqwest::Method, url: &Url) -> reqwest::RequestBuilder {
        self.to(url).request(method, url.clone())
    }
}

/// Whether a host, a name or an address with or without brackets, is this machine by the way it is written.
#[must_use]
pub fn is_on_this_machine(host: &str) -> bool {
    let is_here = |address: IpAddr| {
        let address = address.to_canonical();
        // To call the address that means all addresses is to call this machine.
        address.is_loopback() || address.is_unspecified()
    };
    let unbracketed = host.trim_matches(['[', ']']);
    if let Ok(address) = unbracketed.parse::<Ipv6Addr>() {
        return is_here(address.into());
    }
    // The parser of addresses knows the other ways in which one can be written.
    match url::Host::parse(unbracketed.trim_end_matches('.')) {
        Ok(url::Host::Ipv4(address)) => is_here(address.into()),
        Ok(url::Host::Ipv6(address)) => is_here(address.into()),
        Ok(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Err(_) => false,
    }
}

fn builder(timeouts: Timeouts, ca_file: Option<&Path>) -> Result<reqwest::ClientBuilder, Error> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(ca_file)?)
        .user_agent(USER_AGENT)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        // Nothing that we call redirects; following one would send the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // What it would retry only HTTP/2 knows, and it copies every request for that; a bound of zero spares the copy.
        // A request that a kept connection did not take, because it was closed meanwhile, is sent again all the same.
        .retry(reqwest::retry::never().max_retries_per_request(0));
    Ok(builder)
}

/// TLS with the certificates that the operating system trusts, and those of `ca_file` (PEM).
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, Error> {
    let mut config = tls::trusting(ca_file).map_err(Error::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_however_it_is_written() {
        for host in [
            "localhost",
            "LocalHost.",
            "db.localhost",
            "127.0.0.1",
            "127.1",
            "127.255.0.9",
            "2130706433",
            "0.0.0.0",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "[::]",
        ] {
            assert!(is_on_this_machine(host), "{host}");
        }
        for host in
            ["", "localhost.example", "notlocalhost", "128.0.0.1", "169.254.169.254", "[fe80::1]", "a b"]
        {
            assert!(!is_on_this_machine(host), "{host}");
        }
    }
}
