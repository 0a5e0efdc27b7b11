//! The tokens of one resource, shared by everybody who calls it.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Bearer, Clients, Error, Identity, TokenProvider, ask,
    cache::{Cache, Look},
};

/// A source of tokens for one scope.
pub struct EntraTokens {
    identity: Identity,
    clients: Clients,
    scope: String,
    clock: fn() -> Timestamp,
    /// The lock is held over the request, so that many callers cause one request.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cache: Cache,
    /// The latest request, if it failed. Those who waited for its end share its failure, in place of asking
    /// one after the other what was just refused.
    failed: Option<(Instant, Error)>,
}

impl EntraTokens {
    /// Tokens for `{resource}/.default`. A resource that ends with a slash keeps it, as that of Service Bus
    /// must; for Graph, give the root without one.
    #[must_use]
    pub fn new(identity: Identity, clients: Clients, resource: &str, clock: fn() -> Timestamp) -> Self {
        let scope = format!("{resource}/.default");
        Self { identity, clients, scope, clock, state: Mutex::default() }
    }

    async fn current(&self, refused: Option<&Bearer>) -> Result<Bearer, Error> {
        let called = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(refused) = refused {
            state.cache.forget(refused);
        }
        let fallback = match state.cache.look((self.clock)()) {
            Look::Use(bearer) => return Ok(bearer),
            Look::Ask { fallback } => fallback,
        };
        if let Some((at, error)) = &state.failed
            && *at >= called
        {
            return fallback.ok_or_else(|| error.clone());
        }
        match ask::ask(&self.identity, &self.clients, &self.scope).await {
            Ok(bearer) => {
                tracing::debug!(scope = self.scope, expires = %bearer.expires(), "a token was issued");
                state.cache.put(bearer.clone(), (self.clock)());
                state.failed = None;
                Ok(bearer)
            }
            Err(error) => {
                state.cache.failed((self.clock)());
                state.failed = Some((Instant::now(), error.clone()));
                let Some(fallback) = fallback else { return Err(error) };
                tracing::warn!(
                    scope = self.scope,
                    error = %shared::reason::chain(&error),
                    expires = %fallback.expires(),
                    "the token could not be renewed; the old one serves until it ends"
                );
                Ok(fallback)
            }
        }
    }
}

#[async_trait]
impl TokenProvider for EntraTokens {
    async fn token(&self) -> Result<Bearer, Error> {
        self.current(None).await
    }

    async fn renew(&self, refused: &Bearer) -> Result<Bearer, Error> {
        self.current(Some(refused)).await
    }

    async fn forget(&self, refused: &Bearer) {
        self.state.lock().await.cache.forget(refused);
    }
}

impl fmt::Debug for EntraTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraTokens").field("scope", &self.scope).finish_non_exhaustive()
    }
}
