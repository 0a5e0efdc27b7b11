//! A session that is held, until its link ends.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use fe2o3_amqp_types::primitives::SimpleValue;
use futures_util::FutureExt;
use jiff::Timestamp;
use serde_amqp::Value;
use tokio::{
    sync::{Mutex, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    answer::{expiration, is_lost, refusal, state},
    attach::SessionLink,
};
use crate::{
    amqp::{
        connection::{Connection, Namespace},
        management::{map, operation},
        reconnecting_link::recover,
        recovery::{Condition, Failure, Recovery},
        rpc::{Reply, Request, Rpc},
    },
    error::{Cause, Error, SessionError},
};

/// The longest wait for an answer. Whoever holds a lock that lasts for half a minute can try again then.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest wait for the service to confirm that the session is given back.
const GOODBYE: Duration = Duration::from_secs(2);

/// A session that this process holds, as long as its link lives and its lock is renewed. Dropping it gives the session back
/// without waiting for a confirmation.
///
/// Every question is bounded by three seconds. None is asked over another connection than that of the link: the service
/// knows by it who asks.
pub struct HeldSession {
    namespace: Arc<Namespace>,
    connection: Arc<Connection>,
    entity: Box<str>,
    session_id: Box<str>,
    link_name: String,
    locked_until: Option<Timestamp>,
    /// Where questions are asked. Attached on first use, and anew when it ended, unlike the link that holds the session.
    node: Mutex<Option<Arc<Rpc>>>,
    ended: watch::Receiver<Option<Arc<Error>>>,
    /// Taken when the link is to be closed in good form.
    goodbye: Option<oneshot::Sender<()>>,
    link: JoinHandle<()>,
}

impl HeldSession {
    pub(super) fn new(
        namespace: Arc<Namespace>,
        connection: Arc<Connection>,
        entity: Box<str>,
        session_id: &str,
        link: SessionLink,
    ) -> Self {
        let (end, ended) = watch::channel(None);
        let (goodbye, leaving) = oneshot::channel();
        let (link_name, locked_until) = (link.name.clone(), link.locked_until);
        let link = tokio::spawn(hold(link, connection.host().into(), leaving, end));
        Self {
            namespace,
            connection,
            entity,
            session_id: session_id.into(),
            link_name,
            locked_until,
            node: Mutex::default(),
            ended,
            goodbye: Some(goodbye),
            link,
        }
    }

    /// Until when the lock held when it was granted, by the clock of the service; `None` if that did not say so.
    #[must_use]
    pub fn locked_until(&self) -> Option<Timestamp> {
        self.locked_until
    }

    /// The bytes that are kept with the session; `None` if there are none. They outlive whoever wrote them.
    pub async fn state(&self) -> Result<Option<Bytes>, SessionError> {
        const DOING: &str = "reading the state of a session";
        let reply = self.ask(DOING, "get-session-state", None).await?;
        state(DOING, &reply).map_err(|failure| refusal(&self.entity, failure))
    }

    /// Keeps bytes with the session, at most 256 KB in the Standard tier, or removes what was kept.
    pub async fn set_state(&self, state: Option<&[u8]>) -> Result<(), SessionError> {
        let value = state.map_or(Value::Null, |state| Value::Binary(state.to_vec().into()));
        let state = Some(("session-state", value));
        self.ask("setting the state of a session", "set-session-state", state).await.map(drop)
    }

    /// Renews the lock for its full length. Returns until when it holds now, by the clock of the service.
    pub async fn renew(&self) -> Result<Timestamp, SessionError> {
        const DOING: &str = "renewing the lock of a session";
        let reply = self.ask(DOING, "renew-session-lock", None).await?;
        expiration(DOING, &reply).map_err(|failure| refusal(&self.entity, failure))
    }

    /// Waits until the link or its connection has ended, whoever ended it, and tells why. From then on somebody else may
    /// hold the session. Cancel-safe.
    pub async fn ended(&self) -> Arc<Error> {
        let mut ended = self.ended.clone();
        let error = ended.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        error.unwrap_or_else(|| Arc::new(Error::Closed))
    }

    /// Gives the session back and waits at most two seconds for the confirmation. Somebody else may have it at once.
    pub async fn close(mut self) {
        if let Some(goodbye) = self.goodbye.take() {
            // An error means that the link has ended already.
            goodbye.send(()).ok();
        }
        let limit = self.namespace.timing.close.min(GOODBYE);
        if timeout(limit, &mut self.link).await.is_err() {
            tracing::debug!(queue.name = %self.entity, "service bus did not confirm the end of a session");
        }
    }

    async fn ask(
        &self,
        doing: &'static str,
        name: &'static str,
        more: Option<(&'static str, Value)>,
    ) -> Result<Reply, SessionError> {
        let limit = self.namespace.timing.request.min(ANSWER);
        let session_id = ("session-id", Value::String(self.session_id.as_ref().into()));
        let body = map(std::iter::once(session_id).chain(more));
        let request = || {
            let mut request = operation(doing, name, body.clone(), limit);
            let link = SimpleValue::String(self.link_name.clone());
            // So the service knows who asks, and that the link is in use.
            request.properties.push(("associated-link-name", link));
            request
        };
        let silent = |_| Failure::link(Error::Timeout { doing, after: limit });
        let answer = tokio::select! {
            biased;
            // What is answered to somebody who holds the session no more is of no use.
            _ = self.ended() => return Err(SessionError::Lost),
            answer = timeout(limit, self.exchange(request, limit)) => answer.map_err(silent).flatten(),
        };
        let failure = match answer {
            Ok(reply) => return Ok(reply),
            Err(failure) if is_lost(&failure) => return Err(SessionError::Lost),
            Err(failure) => failure,
        };
        if failure.recovery != Recovery::None {
            self.node.lock().await.take();
        }
        recover(&self.namespace, &self.connection, &self.entity, &failure).await;
        Err(refusal(&self.entity, failure))
    }

    /// Asks over the links there are, and over new ones if those turn out to have ended.
    async fn exchange(&self, request: impl Fn() -> Request, limit: Duration) -> Result<Reply, Failure> {
        let kept = self.node.lock().await.clone();
        if let Some(rpc) = kept {
            match rpc.ask(request(), limit).await {
                Err(failure) if has_ended(&failure) => {}
                answer => return answer,
            }
        }
        self.connection.authorize(&self.entity).await?;
        let node = format!("{}/$management", self.entity);
        let rpc = Arc::new(Rpc::attach(self.connection.sessions(), &node).await?);
        *self.node.lock().await = Some(Arc::clone(&rpc));
        rpc.ask(request(), limit).await
    }
}

impl Drop for HeldSession {
    fn drop(&mut self) {
        // With the task goes the link.
        self.link.abort();
    }
}

/// Whether a question was not asked because its links had ended.
fn has_ended(failure: &Failure) -> bool {
    let ended = matches!(failure.condition, None | Some(Condition::DetachForced));
    ended
        && failure.recovery == Recovery::Link
        && matches!(failure.error, Error::Connection { .. } | Error::Refused { .. })
}

/// Keeps the link until it ends or is to be closed.
async fn hold(
    mut link: SessionLink,
    host: Box<str>,
    leaving: oneshot::Receiver<()>,
    end: watch::Sender<Option<Arc<Error>>>,
) {
    let ended = tokio::select! {
        // A panic of the library is the end of the link, not that of whoever holds the session.
        ended = AssertUnwindSafe(link.end(&host)).catch_unwind() => ended,
        _ = leaving => return link.close().await,
    };
    let broken = || {
        let cause = Cause::new("the protocol library failed");
        Error::Connection { doing: "holding a session", host, cause }
    };
    let error = ended.map_or_else(|_| broken(), |failure| failure.error);
    end.send_replace(Some(Arc::new(error)));
}
