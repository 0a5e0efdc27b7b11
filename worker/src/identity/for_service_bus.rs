//! Entra tokens as tokens for Service Bus.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use servicebus::{Error, Token, TokenKind, TokenSource};

use super::{Bearer, TokenProvider};

/// The token of one Entra identity, good for every entity that the identity has a role on.
pub struct EntraSource(Arc<dyn TokenProvider>);

impl EntraSource {
    /// Takes tokens from `provider`, whose resource must be Service Bus.
    #[must_use]
    pub fn new(provider: Arc<dyn TokenProvider>) -> Self {
        Self(provider)
    }
}

#[async_trait]
impl TokenSource for EntraSource {
    async fn token(&self, resource: &str, _: Timestamp) -> Result<Token, Error> {
        let bearer = self.0.token().await.map_err(|cause| Error::Token {
            audience: resource.into(),
            class: cause.class(),
            cause: cause.into(),
        })?;
        let secret = SecretString::from(bearer.text());
        Ok(Token { kind: TokenKind::Bearer, secret, expires: bearer.expires() })
    }

    async fn refused(&self, token: &Token) {
        if let Some(bearer) = Bearer::new(token.secret.expose_secret(), token.expires) {
            self.0.forget(&bearer).await;
        }
    }
}
