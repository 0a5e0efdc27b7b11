//! Proof of who we are: tokens put to `$cbs`, renewed before they lapse.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_amqp::Value;
use shared::class::Class;
use tokio::sync::Mutex;

use super::connection::Sessions;
use super::recovery::{Failure, Recovery};
use super::rpc::{Request, Rpc};
use crate::bus::token::{TokenKind, TokenSource};

/// Longest pause between two looks at what is due, so that a token put in the meantime is not overlooked.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pause after a renewal that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// The tokens of one connection.
pub(super) struct Claims {
    sessions: Arc<Sessions>,
    source: Arc<dyn TokenSource>,
    clock: fn() -> Timestamp,
    limit: Duration,
    /// For each resource, when its token is to be renewed. The lock is held over the exchange, so that two
    /// links of one entity do not fetch two tokens.
    due: Mutex<HashMap<Box<str>, Timestamp>>,
    /// The links to `$cbs`. Between two tokens they are idle for so long that the service may close them.
    node: Mutex<Option<Rpc>>,
}

impl Claims {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        source: Arc<dyn TokenSource>,
        clock: fn() -> Timestamp,
        limit: Duration,
    ) -> Self {
        Self { sessions, source, clock, limit, due: Mutex::default(), node: Mutex::default() }
    }

    /// Makes sure that a token for `resource` is in force; a token that is already is left alone.
    pub(super) async fn ensure(&self, resource: &str) -> Result<(), Failure> {
        let mut due = self.due.lock().await;
        if due.get(resource).is_some_and(|due| *due > (self.clock)()) {
            return Ok(());
        }
        let renewal = self.put(resource).await?;
        due.insert(resource.into(), renewal);
        Ok(())
    }

    /// Forgets that a token is in force, because the service thinks otherwise.
    pub(super) async fn doubt(&self, resource: &str) {
        self.due.lock().await.remove(resource);
    }

    /// Renews what is due. Returns how long to wait before the next call.
    pub(super) async fn renew(&self) -> Duration {
        let now = (self.clock)();
        let mut due = self.due.lock().await;
        let mut pause = LONGEST_PAUSE;
        for (resource, at) in due.iter_mut() {
            if *at <= now {
                match self.put(resource).await {
                    Ok(renewal) => *at = renewal,
                    Err(failure) => {
                        let error = shared::reason::chain(&failure.error);
                        tracing::warn!(%resource, %error, "the token for service bus could not be renewed");
                        pause = pause.min(RETRY_PAUSE);
                        continue;
                    }
                }
            }
            let left = at.duration_since(now);
            pause = pause.min(left.try_into().unwrap_or_default());
        }
        // Never zero: a token that is born lapsed must not keep us spinning.
        pause.max(Duration::from_millis(100))
    }

    /// Puts a fresh token. Returns when to renew it: after three quarters of its life.
    async fn put(&self, resource: &str) -> Result<Timestamp, Failure> {
        let now = (self.clock)();
        let token = self.source.token(resource, now).await.map_err(Failure::link)?;
        let kind = match token.kind {
            TokenKind::Sas => "servicebus.windows.net:sastoken",
            TokenKind::Bearer => "jwt",
        };
        let secret = token.secret.expose_secret();
        let request = || Request {
            doing: "putting a token",
            properties: vec![
                ("operation", SimpleValue::String("put-token".into())),
                ("type", SimpleValue::String(kind.into())),
                ("name", SimpleValue::String(resource.into())),
            ],
            body: Value::String(secret.to_owned()),
        };
        if let Err(failure) = self.ask(request).await {
            if failure.error.class() == Class::Installation {
                self.source.refused(&token).await;
            }
            return Err(Failure::at_attach(failure));
        }
        tracing::debug!(%resource, expires = %token.expires, "service bus took the token");
        let life = token.expires.duration_since(now);
        Ok(now.checked_add(life * 3 / 4).unwrap_or(token.expires))
    }

    /// Asks over the links there are, and over new ones if those turn out to be gone.
    async fn ask(&self, request: impl Fn() -> Request) -> Result<(), Failure> {
        let mut node = self.node.lock().await;
        if let Some(rpc) = node.take() {
            match rpc.ask(request(), self.limit).await {
                Ok(_) => {
                    *node = Some(rpc);
                    return Ok(());
                }
                // The links had ended in the meantime.
                Err(failure) if failure.condition.is_none() && failure.recovery == Recovery::Link => {}
                Err(failure) => return Err(failure),
            }
        }
        let rpc = Rpc::attach_in(self.sessions.begin().await?, self.sessions.host(), "$cbs").await?;
        rpc.ask(request(), self.limit).await?;
        *node = Some(rpc);
        Ok(())
    }
}
