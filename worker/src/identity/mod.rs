//! Entra tokens: one provider per resource, with a cache that can be told that a token was refused.

mod entra;
mod error;
mod transport;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::HeaderValue;

pub use entra::{ClientSecret, EntraTokens};
pub use error::{Error, TokenRefusal};

/// A bearer token, ready to be sent. Its text appears nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(HeaderValue);

impl Bearer {
    /// A token from its text; `None` if it could not travel in a header.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.0.clone()
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
    /// A token that is still valid for some minutes.
    async fn token(&self) -> Result<Bearer, Error>;

    /// A token other than `refused`, which the resource did not accept. Callers that were refused with the
    /// same token get the same fresh one.
    async fn renew(&self, refused: &Bearer) -> Result<Bearer, Error>;
}
