//! Entra tokens: who the worker is, and one provider per resource with a cache that can be told that a token
//! was refused.
//!
//! [`Identity`] says by what the worker proves itself. [`EntraTokens`] holds the token of one resource and asks
//! for the next; every request reads secret, certificate or outside token anew, so that a rotation needs no
//! restart. The protocol is that of Microsoft's library, over our own HTTP client (`transport`).

mod ask;
mod cache;
mod certificate;
mod clients;
mod credential;
mod entra;
mod error;
mod for_good;
mod for_service_bus;
#[doc(hidden)]
pub mod fuzz;
mod transport;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::HeaderValue;

pub use self::{
    certificate::{CertificateError, CertificateFiles},
    clients::Clients,
    credential::{App, Credential, Identity, ManagedIdentity, SecretSource},
    entra::EntraTokens,
    error::{Error, TokenEndpoint, TokenRefusal},
    for_service_bus::EntraSource,
};

const SCHEME: &str = "Bearer ";

/// A bearer token, ready to be sent. Its text appears nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer {
    value: HeaderValue,
    expires: Timestamp,
}

impl Bearer {
    /// A token from its text and its end; `None` if it could not travel in a header.
    #[must_use]
    pub fn new(token: &str, expires: Timestamp) -> Option<Self> {
        let mut value = HeaderValue::try_from(format!("{SCHEME}{token}")).ok()?;
        value.to_str().ok()?;
        value.set_sensitive(true);
        Some(Self { value, expires })
    }

    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.value.clone()
    }

    /// The token itself, for protocols other than HTTP.
    #[must_use]
    pub fn text(&self) -> &str {
        // The constructor has let printable text only pass.
        let value = self.value.to_str().unwrap_or_default();
        value.strip_prefix(SCHEME).unwrap_or_default()
    }

    /// When it stops being accepted.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(hidden)")
    }
}

/// Where tokens for one resource come from.
#[async_trait]
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that is still valid, for some minutes as a rule.
    async fn token(&self) -> Result<Bearer, Error>;

    /// A token other than `refused`, which the resource did not accept. Callers that were refused with the
    /// same token get the same fresh one.
    async fn renew(&self, refused: &Bearer) -> Result<Bearer, Error>;

    /// Notes that the resource did not accept a token; the next call of [`TokenProvider::token`] gets another.
    async fn forget(&self, refused: &Bearer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_its_text_only_to_those_who_ask_for_it() {
        let bearer = Bearer::new("a.b-c_d", Timestamp::MAX).expect("a token");
        assert_eq!(bearer.text(), "a.b-c_d");
        assert_eq!(bearer.authorization().to_str().ok(), Some("Bearer a.b-c_d"));
        assert!(!format!("{bearer:?} {:?}", bearer.authorization()).contains("a.b-c_d"));
        assert_eq!(Bearer::new("a\nb", Timestamp::MAX), None);
    }
}
