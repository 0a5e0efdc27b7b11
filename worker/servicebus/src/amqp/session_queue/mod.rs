//! A queue with sessions, of which a named session is a lock: whoever holds it is the only one. Messages are not received.
//!
//! Service Bus gives a session to one link at a time, whether it has messages or not, and takes it back when the link or
//! its connection ends or when the lock is not renewed in time. So [`attach`] asks for the session by its name and
//! never grants credit; [`held`] renews the lock, reads and writes the state that the service keeps with the session, and
//! notices when the link is gone. [`answer`] reads what the service answers. Nothing here is attached again quietly, as
//! Microsoft's clients do: between two links somebody else may have held the session.

mod answer;
mod attach;
mod held;

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

pub(super) use self::answer::{expiration, state};
pub use self::held::HeldSession;
use self::{
    answer::refusal,
    attach::{ATTACHING, SessionLink},
};
use super::{
    connection::{Connection, Namespace},
    reconnecting_link::recover,
    recovery::{Condition, Failure},
    settings::Settings,
};
use crate::error::{Error, SessionError};

/// The longest wait for the answer to an attach: twice as long as the service is asked to wait for the session at most.
const ATTACH: Duration = Duration::from_secs(10);

/// A queue with sessions whose named sessions are used as locks.
#[derive(Clone)]
pub struct SessionQueue {
    namespace: Arc<Namespace>,
    entity: Box<str>,
}

impl SessionQueue {
    /// The queue that the settings call `entity`, over a connection of its own that is made when it is needed. See
    /// [`AmqpQueue::session_queue`](super::AmqpQueue::session_queue) for one that shares the connection of another queue.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        Ok(Self::over(Arc::new(Namespace::new(settings)?), &settings.entity))
    }

    pub(super) fn over(namespace: Arc<Namespace>, entity: &str) -> Self {
        Self { namespace, entity: entity.into() }
    }

    /// Takes a session by its name, at most 128 characters; `None` if another receiver holds it. The session need not
    /// exist. An error is never [`SessionError::Lost`].
    ///
    /// Waits no longer than `Timing::connect` for the connection and again for the right to use the queue, and than ten
    /// seconds for the session. Cancel-safe: a session that was granted to a call that nobody waits for is given back.
    pub async fn accept(&self, session_id: &str) -> Result<Option<HeldSession>, SessionError> {
        self.attach(session_id).await.map_err(|failure| refusal(&self.entity, failure))
    }

    async fn attach(&self, session_id: &str) -> Result<Option<HeldSession>, Failure> {
        let connection = self.namespace.connection().await?;
        match self.attach_on(&connection, session_id).await {
            Ok(None) => Ok(None),
            Ok(Some(link)) => {
                let (namespace, entity) = (Arc::clone(&self.namespace), self.entity.clone());
                Ok(Some(HeldSession::new(namespace, connection, entity, session_id, link)))
            }
            Err(failure) => {
                recover(&self.namespace, &connection, &self.entity, &failure).await;
                Err(failure)
            }
        }
    }

    async fn attach_on(
        &self,
        connection: &Connection,
        session_id: &str,
    ) -> Result<Option<SessionLink>, Failure> {
        let limit = self.namespace.timing.connect;
        within(limit, connection.authorize(&self.entity)).await?;
        let attached =
            within(limit.min(ATTACH), SessionLink::attach(connection, &self.entity, session_id)).await;
        match attached {
            Ok(link) => Ok(Some(link)),
            Err(failure) => match failure.condition {
                Some(Condition::SessionCannotBeLocked | Condition::Timeout) => Ok(None),
                _ => Err(failure),
            },
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // A service that does not say whether there is a session, although it was told how long to wait, is not there.
    let silent = |_| Failure::connection(Error::Timeout { doing: ATTACHING, after: limit });
    timeout(limit, work).await.map_err(silent)?
}
