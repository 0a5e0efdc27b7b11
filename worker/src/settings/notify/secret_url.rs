//! Addresses that are secrets: whoever has one can post there.

use std::fmt;

use reqwest::Url;

use crate::settings::reader::is_loopback;

/// An address of which only scheme and host are ever told.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Reads one: https, or http on this machine only. The error repeats nothing of it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Ok(url) = Url::parse(text) else { return Err("must be an address that starts with https://") };
        match url.scheme() {
            _ if !url.has_host() => Err("must be an address that starts with https://"),
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err("must start with https://; plain http is accepted for this machine only"),
            _ => Err("must be an address that starts with https://"),
        }
    }

    /// The whole address, for the call and nothing else.
    #[must_use]
    pub const fn expose(&self) -> &Url {
        &self.0
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}
