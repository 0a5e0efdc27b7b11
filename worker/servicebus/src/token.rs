//! Where tokens for Service Bus come from.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::error::Error;

/// How a token proves who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Signed with a shared key.
    Sas,
    /// Issued by Entra.
    Bearer,
}

/// A token and how long it lasts.
#[derive(Clone, Debug)]
pub struct Token {
    /// Which kind it is.
    pub kind: TokenKind,
    /// The token itself.
    pub secret: SecretString,
    /// When it stops being accepted.
    pub expires: Timestamp,
}

/// Makes or fetches tokens.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// A token that lets us use `resource`, the URL of an entity such as `sb://namespace/queue`.
    async fn token(&self, resource: &str, now: Timestamp) -> Result<Token, Error>;

    /// Hears that the service did not accept a token, so that it is not offered again. Sources that make a new
    /// one for each call need not care.
    async fn refused(&self, _token: &Token) {}
}

/// A signature that somebody else made, which cannot be renewed.
#[derive(Clone, Debug)]
pub struct FixedToken {
    secret: SecretString,
    expires: Timestamp,
}

impl FixedToken {
    /// Takes a signature as it stands in a connection string. Its own `se` tells when it ends; one without is
    /// treated as endless, and the service will say otherwise.
    #[must_use]
    pub fn new(signature: SecretString) -> Self {
        let expires = expiry(&signature).unwrap_or(Timestamp::MAX);
        Self { secret: signature, expires }
    }
}

/// When a signature says it ends.
pub(crate) fn expiry(signature: &SecretString) -> Option<Timestamp> {
    let text = signature.expose_secret();
    let parameters = text.strip_prefix("SharedAccessSignature ")?;
    let (_, seconds) =
        parameters.split('&').filter_map(|part| part.split_once('=')).find(|(name, _)| *name == "se")?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

#[async_trait]
impl TokenSource for FixedToken {
    async fn token(&self, resource: &str, now: Timestamp) -> Result<Token, Error> {
        if self.expires <= now {
            return Err(Error::Settings {
                what: format!(
                    "the SharedAccessSignature for {resource} ended at {}; put a new one into the connection string",
                    self.expires
                )
                .into(),
                cause: None,
            });
        }
        Ok(Token { kind: TokenKind::Sas, secret: self.secret.clone(), expires: self.expires })
    }
}
