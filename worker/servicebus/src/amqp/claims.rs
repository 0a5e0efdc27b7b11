//! Proof of who we are: tokens put to `$cbs`, renewed before they lapse.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_amqp::Value;
use shared::class::Class;
use tokio::{sync::Mutex, time::Instant};

use super::{
    recovery::{Failure, Recovery},
    rpc::{Request, Rpc},
    sessions::Sessions,
};
use crate::{
    error::{Error, RefusalKind},
    times::{self, ClockReading, Times},
    token::{TokenKind, TokenSource},
};

/// Longest pause between two looks at what is due, so that a token put in the meantime is not overlooked.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so long even a token that lasts longer is put anew.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// Pause after a renewal that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// What failures of a token say was being done.
const DOING: &str = "putting a token";

/// Where tokens come from, and the clocks that they are judged by.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) tokens: Arc<dyn TokenSource>,
    pub(super) clock: fn() -> Timestamp,
    pub(super) times: Arc<Times>,
    /// For the answer to a token that is put.
    pub(super) limit: Duration,
}

/// The tokens of one connection.
pub(super) struct Claims {
    sessions: Arc<Sessions>,
    issuer: Issuer,
    /// For each resource, when its token is to be renewed. The lock is held over the exchange, so that two
    /// links of one entity do not fetch two tokens.
    due: Mutex<HashMap<Box<str>, Instant>>,
    /// The links to `$cbs`. Between two tokens they are idle for so long that the service may close them.
    node: Mutex<Option<Rpc>>,
}

impl Claims {
    pub(super) fn new(sessions: Arc<Sessions>, issuer: Issuer) -> Self {
        Self { sessions, issuer, due: Mutex::default(), node: Mutex::default() }
    }

    /// Makes sure that a token for `resource` is in force; a token that is already is left alone.
    pub(super) async fn ensure(&self, resource: &str) -> Result<(), Failure> {
        let mut due = self.due.lock().await;
        if due.get(resource).is_some_and(|due| *due > Instant::now()) {
            return Ok(());
        }
        let renewal = self.put(resource).await?;
        due.insert(resource.into(), renewal);
        Ok(())
    }

    /// Forgets that a token is in force, because the service thinks otherwise.
    pub(super) async fn invalidate(&self, resource: &str) {
        self.due.lock().await.remove(resource);
    }

    /// Renews what is due. Returns how long to wait before the next call.
    pub(super) async fn renew(&self) -> Duration {
        let now = Instant::now();
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
            pause = pause.min(at.saturating_duration_since(now));
        }
        // Never zero: a token that is born lapsed must not keep us spinning.
        pause.max(Duration::from_millis(100))
    }

    /// Puts a fresh token. Returns when to renew it: after three quarters of its life.
    async fn put(&self, resource: &str) -> Result<Instant, Failure> {
        let reading = ClockReading::by(self.issuer.clock);
        // Signatures are judged by the clock of the service. Entra tells for how long its tokens last from now on,
        // and the end that was made of it is by our own.
        let there = self.issuer.times.at_service_bus(reading);
        let token = self.issuer.tokens.token(resource, there).await.map_err(Failure::link)?;
        let now = if token.kind == TokenKind::Sas { there } else { reading.wall };
        let life = Duration::try_from(token.expires.duration_since(now)).unwrap_or_default();
        let kind = match token.kind {
            TokenKind::Sas => "servicebus.windows.net:sastoken",
            TokenKind::Bearer => "jwt",
        };
        let secret = token.secret.expose_secret();
        let request = || Request {
            doing: DOING,
            properties: vec![
                ("operation", SimpleValue::String("put-token".into())),
                ("type", SimpleValue::String(kind.into())),
                ("name", SimpleValue::String(resource.into())),
            ],
            body: Value::String(secret.to_owned()),
        };
        if let Err(mut failure) = self.ask(request).await {
            if let Error::Refused { doing: DOING, kind, .. } = &mut failure.error {
                *kind = RefusalKind::Token;
            }
            if failure.error.class() == Class::Installation {
                self.issuer.tokens.refused(&token).await;
            }
            return Err(Failure::at_attach(self.with_clock(failure, life)));
        }
        tracing::debug!(%resource, expires = %token.expires, "service bus took the token");
        // A signature that has no end is looked at again all the same.
        Ok(reading.instant + (life / 4 * 3).min(LONGEST_LIFE))
    }

    /// Names the clock where it is the likelier cause of a refusal.
    fn with_clock(&self, mut failure: Failure, life: Duration) -> Failure {
        if let Error::Refused { description, class: Class::Installation, .. } = &mut failure.error {
            let ahead = self.issuer.times.ahead_of_service_bus(ClockReading::by(self.issuer.clock));
            let expired = description.to_ascii_lowercase().contains("expired") && !life.is_zero();
            let guess = || {
                let left = jiff::SignedDuration::from_secs(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
                format!(
                    "by the clock of this machine the token was still to last for {left:#}, so that clock is \
                     behind, most likely; let the system set it by NTP"
                )
            };
            if let Some(hint) = times::blame(ahead, "service bus").or_else(|| expired.then(guess)) {
                *description = format!("{}; {hint}", description.trim_end_matches('.')).into();
            }
        }
        failure
    }

    /// Asks over the links there are, and over new ones if those turn out to be gone.
    async fn ask(&self, request: impl Fn() -> Request) -> Result<(), Failure> {
        let mut node = self.node.lock().await;
        if let Some(rpc) = node.take() {
            match rpc.ask(request(), self.issuer.limit).await {
                Ok(_) => {
                    *node = Some(rpc);
                    return Ok(());
                }
                // The links had ended in the meantime.
                Err(failure) if failure.condition.is_none() && failure.recovery == Recovery::Link => {}
                Err(failure) => return Err(failure),
            }
        }
        let rpc = Rpc::attach(&self.sessions, "$cbs").await?;
        rpc.ask(request(), self.issuer.limit).await?;
        *node = Some(rpc);
        Ok(())
    }
}
