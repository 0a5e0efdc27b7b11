//! Tokens, with how each request for one ended told to the observer.

use std::sync::Arc;

use async_trait::async_trait;
use servicebus::{clock, retry::retry};
use shared::{
    reason::chain,
    retry::{Again, Ladder},
};

use super::{Observer, beginning::Gatekeeper, labels::Dependency};
use crate::identity::{Bearer, Error, Identity, TokenProvider};

/// The check of tokens.
const CHECK: &str = "token";

/// A source of tokens whose failures show in readiness.
pub(crate) struct ObservedTokens {
    tokens: Arc<dyn TokenProvider>,
    observer: Arc<Observer>,
}

impl ObservedTokens {
    /// Around another source.
    #[must_use]
    pub(crate) fn new(tokens: Arc<dyn TokenProvider>, observer: Arc<Observer>) -> Self {
        Self { tokens, observer }
    }

    /// Asks for a first token until there is one, so that a bad secret shows at once and not with the first
    /// message.
    pub(crate) async fn warm_up(&self, ladder: Ladder, identity: &Identity) {
        let (mut told, mut waits) = (false, ladder.waits(rand::random));
        // Drawn here, so that it can be told.
        let mut later = || {
            let wait = waits.next().unwrap_or_default();
            self.observer.health.tries.set(CHECK, clock::now().checked_add(wait).ok());
            Again::After(wait)
        };
        let beginning = &self.observer.beginning;
        let again = |error: &Error| {
            if error.needs_other_settings(&identity.credential) {
                if beginning
                    .refused(Gatekeeper::Login, &format!("there is no token for graph: {}", chain(error)))
                {
                    return later();
                }
            } else {
                beginning.failed(Gatekeeper::Login);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(error = %chain(error), "there is no token for graph yet; trying again");
            }
            later()
        };
        if retry(ladder, again, || self.token()).await.is_ok() {
            beginning.let_in(Gatekeeper::Login);
        }
    }

    fn tell(&self, asked: Result<Bearer, Error>) -> Result<Bearer, Error> {
        match &asked {
            Ok(_) => {
                self.observer.metrics.successes.note(Dependency::Token);
                self.observer.health.token(None);
            }
            Err(error) => self.observer.health.token(Some(&chain(error))),
        }
        asked
    }
}

#[async_trait]
impl TokenProvider for ObservedTokens {
    async fn token(&self) -> Result<Bearer, Error> {
        let asked = self.tokens.token().await;
        self.tell(asked)
    }

    async fn renew(&self, refused: &Bearer) -> Result<Bearer, Error> {
        let asked = self.tokens.renew(refused).await;
        self.tell(asked)
    }

    async fn forget(&self, refused: &Bearer) {
        self.tokens.forget(refused).await;
    }
}
