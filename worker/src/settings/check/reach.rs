//! What stands in the way to a host, told from the error of a call.

use std::{error::Error, io};

use super::{Probe, Severity};

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// The name is not known.
    Name,
    /// Nobody listens.
    Refused,
    /// Nobody answers.
    Silent,
    /// The certificate is not trusted.
    Untrusted,
    /// The proxy does not let us through.
    Proxy,
    /// Something else.
    Other,
}

impl NetworkFault {
    /// Reads it off an error and its causes.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = Self::in_one(error) {
                return found;
            }
            // An I/O error that wraps another shows the cause of that, not itself.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        }
        Self::Other
    }

    fn in_one(error: &(dyn Error + 'static)) -> Option<Self> {
        if error.is::<rustls::Error>() {
            return Some(Self::Untrusted);
        }
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return Some(Self::Refused),
            Some(
                io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable,
            ) => {
                return Some(Self::Silent);
            }
            _ => {}
        }
        // The HTTP client and the resolver have no types for these.
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["dns error", "failed to lookup address"]) {
            Some(Self::Name)
        } else if says(&["tunnel error", "proxy auth", "the proxy ", "socks connect"]) {
            Some(Self::Proxy)
        } else if says(&["timed out", "no answer within"]) {
            Some(Self::Silent)
        } else {
            None
        }
    }

    /// The probe that failed for it; `detail` is what the layers below said.
    #[must_use]
    pub fn probe(self, check: &'static str, host: &str, detail: &str) -> Probe {
        let (what, remedy) = self.words(host);
        Probe::found(Severity::Error, check, format!("{what} ({detail})"), remedy)
    }

    /// What is the case, and what to do.
    #[must_use]
    pub fn words(self, host: &str) -> (String, &'static str) {
        match self {
            Self::Name => (
                format!("the name of {host} cannot be resolved"),
                "check how it is written, and the DNS of this network",
            ),
            Self::Refused => (
                format!("{host} refuses the connection"),
                "check host and port; a firewall may refuse it, or the proxy in HTTPS_PROXY is not there",
            ),
            Self::Silent => (
                format!("{host} does not answer"),
                "a firewall may swallow it; let it through, or set HTTPS_PROXY",
            ),
            Self::Untrusted => (
                format!("the certificate of {host} is not trusted"),
                "if a proxy opens TLS, name its certificate in connection.ca_file; else check the host name",
            ),
            Self::Proxy => (
                format!("the proxy does not let us through to {host}"),
                "check HTTPS_PROXY with its name and password, or exempt the host in NO_PROXY",
            ),
            Self::Other => {
                (format!("{host} cannot be reached"), "see what the layers below say, in brackets")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[track_caller]
    fn check(cause: io::Error, expected: NetworkFault) {
        assert_eq!(NetworkFault::of(&Outer(cause)), expected);
    }

    #[test]
    fn the_obstacle_is_found_however_deep_it_is_wrapped() {
        check(io::ErrorKind::ConnectionRefused.into(), NetworkFault::Refused);
        check(io::ErrorKind::TimedOut.into(), NetworkFault::Silent);
        check(
            io::Error::new(
                io::ErrorKind::InvalidData,
                rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer),
            ),
            NetworkFault::Untrusted,
        );
        check(io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused)), NetworkFault::Refused);
        check(io::Error::other("the proxy p:1 answered with status 407"), NetworkFault::Proxy);
        check(
            io::Error::other("failed to lookup address information: Name or service not known"),
            NetworkFault::Name,
        );
        check(io::Error::other("odd"), NetworkFault::Other);
    }
}
