//! A link that is attached on first use and anew after it was lost.

use std::{sync::Arc, time::Duration};

use shared::{
    class::Class,
    retry::{Again, Ladder},
};
use tokio::{sync::Mutex, time::timeout};

use super::{
    connection::{Connection, Namespace},
    recovery::{Failure, Recovery},
};
use crate::{error::Error, retry::retry};

/// Attempts of one call, and the waits between them.
const CALL: Ladder = Ladder::fixed(Duration::from_millis(200), Duration::from_secs(5)).with_tries(4);

/// The kinds of link that can be attached again.
pub(super) trait Attach: Sized + Send + Sync {
    /// Attaches the link on a connection that may use the address already.
    fn attach(connection: &Connection, address: &str) -> impl Future<Output = Result<Self, Failure>> + Send;
}

/// The place of one link to one address.
pub(super) struct ReconnectingLink<L> {
    namespace: Arc<Namespace>,
    address: Box<str>,
    current: Mutex<Option<Used<L>>>,
}

/// A link and the connection it is on.
pub(super) struct Used<L> {
    link: Arc<L>,
    connection: Arc<Connection>,
}

impl<L> Clone for Used<L> {
    fn clone(&self) -> Self {
        Self { link: Arc::clone(&self.link), connection: Arc::clone(&self.connection) }
    }
}

impl<L: Attach> ReconnectingLink<L> {
    pub(super) fn new(namespace: Arc<Namespace>, address: Box<str>) -> Self {
        Self { namespace, address, current: Mutex::new(None) }
    }

    /// Does `work` on the link, and again on a new one if it failed for a reason that passes.
    pub(super) async fn with<T, F>(&self, work: impl Fn(Arc<L>) -> F + Send + Sync) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        let mut fresh = true;
        let again = |failure: &Failure| {
            let first = std::mem::take(&mut fresh);
            match failure.error.class() {
                Class::Transient if !matches!(failure.error, Error::Closed) => Again::Later,
                // A token that lapsed is refused once; the second attempt goes under a fresh one.
                Class::Installation if first && failure.recovery == Recovery::Link => Again::Later,
                _ => Again::Never,
            }
        };
        retry(CALL, again, || self.once(&work)).await
    }

    /// One attempt.
    pub(super) async fn once<T, F>(&self, work: impl Fn(Arc<L>) -> F + Send + Sync) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        let used = self.attached().await?;
        let result = work(Arc::clone(&used.link)).await;
        if let Err(failure) = &result {
            self.mend(&used, failure).await;
        }
        result
    }

    async fn attached(&self) -> Result<Used<L>, Failure> {
        let connection = self.namespace.connection().await?;
        let mut current = self.current.lock().await;
        if let Some(used) = &*current
            && Arc::ptr_eq(&used.connection, &connection)
        {
            return Ok(used.clone());
        }
        *current = None;
        let limit = self.namespace.timing.connect;
        let attached = timeout(limit, async {
            connection.authorize(&self.address).await?;
            L::attach(&connection, &self.address).await
        });
        let timed_out = || Failure::connection(Error::Timeout { doing: "attaching a link", after: limit });
        match attached.await.unwrap_or_else(|_| Err(timed_out())) {
            Ok(link) => {
                let used = Used { link: Arc::new(link), connection };
                *current = Some(used.clone());
                Ok(used)
            }
            Err(failure) => {
                drop(current);
                recover(&self.namespace, &connection, &self.address, &failure).await;
                Err(failure)
            }
        }
    }

    /// Takes away what the failure made useless.
    async fn mend(&self, used: &Used<L>, failure: &Failure) {
        if failure.recovery == Recovery::None {
            return;
        }
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.link, &used.link)) {
            *current = None;
        }
        drop(current);
        recover(&self.namespace, &used.connection, &self.address, failure).await;
    }
}

/// What is due beyond the link itself: a doubtful token, a dead connection.
pub(super) async fn recover(
    namespace: &Namespace,
    connection: &Arc<Connection>,
    address: &str,
    failure: &Failure,
) {
    match failure.recovery {
        Recovery::None | Recovery::Fatal => {}
        Recovery::Link => {
            if failure.error.class() == Class::Installation {
                connection.invalidate(address).await;
            }
        }
        Recovery::Connection => namespace.discard(connection).await,
    }
}
