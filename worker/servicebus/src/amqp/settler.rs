//! The way of a settlement: over the link the message came on if it still stands, else by lock token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use shared::{
    class::Class,
    ids::{IdMap, LockToken},
    retry::{Again, Ladder},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{connection::Namespace, management::Management, recovery::Failure};
use crate::{
    confirm::Confirmation,
    delivery::{Settle, SettleError, Settlement},
    error::Error,
    retry::retry,
};

/// How long to try at least, whatever is known of the length of locks.
const LEAST_PATIENCE: Duration = Duration::from_mins(1);
/// Waits between attempts by lock token; the lock ends them.
const BY_TOKEN: Ladder = Ladder::fixed(Duration::from_millis(100), Duration::from_secs(5));
/// Wait where the service throttles and does not say for how long.
const THROTTLED: Duration = Duration::from_secs(4);

/// What the task that owns the link is asked to do.
pub(super) enum Command {
    /// Settle over the link, or say that this cannot be done there.
    Settle { lock: LockToken, outcome: LinkOutcome, reply: Reply },
    /// The message was settled in another way or dropped; nothing more will come for it.
    Forget { lock: LockToken, how: Forgotten },
    /// The lock was extended, no earlier than at this moment.
    Renewed { lock: LockToken, at: Instant },
    /// End everything.
    Close { reply: oneshot::Sender<()> },
}

/// The outcomes that go over the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkOutcome {
    Complete,
    Abandon,
    Release,
}

/// Whether the link could do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnLink {
    /// The disposition is on its way under a lock that holds.
    Done,
    /// The link is gone, or the lock may have lapsed.
    Elsewhere,
}

/// Who is told whether the link could do it.
pub(super) enum Reply {
    /// One who waits, and goes another way if it could not.
    Waiting(oneshot::Sender<OnLink>),
    /// One who does not wait.
    Told(Confirmation),
}

impl Reply {
    pub(super) fn answer(self, on_link: OnLink) {
        match (self, on_link) {
            (Self::Waiting(reply), _) => answer(reply, on_link),
            (Self::Told(confirmation), OnLink::Done) => confirmation.done(),
            (Self::Told(confirmation), OnLink::Elsewhere) => drop(confirmation),
        }
    }
}

/// Answers one who may have given up waiting.
pub(super) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    reply.send(value).ok();
}

/// Why a delivery is out of the engine's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgotten {
    /// The service confirmed a settlement by lock token.
    Settled,
    /// It was dropped, or it could not be settled: the lock is left to lapse.
    LeftToLapse,
}

/// A delivery under lock, as the task that owns the link remembers it.
pub(super) struct Held {
    /// Which link it came on.
    pub(super) epoch: u64,
    /// How the link names it.
    pub(super) info: DeliveryInfo,
    /// When its lock was taken or extended.
    pub(super) since: Instant,
}

/// All deliveries under lock.
pub(super) type Locks = IdMap<LockToken, Held>;

/// What every delivery of this client settles with.
pub(super) struct AmqpSettler {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) management: Arc<Management>,
    pub(super) namespace: Arc<Namespace>,
    /// Deliveries that were dropped unsettled.
    pub(super) dropped: AtomicU64,
}

#[async_trait]
impl Settle for AmqpSettler {
    async fn settle(&self, lock: LockToken, settlement: Settlement) -> Result<(), SettleError> {
        if let Some(outcome) = LinkOutcome::of(&settlement)
            && self.over_link(lock, outcome).await == OnLink::Done
        {
            return Ok(());
        }
        let result = self.by_token(lock, &settlement).await;
        // The link still holds the delivery as unsettled, here and at the service, until told otherwise.
        let how = match result {
            Ok(()) | Err(SettleError::LockLost) => Forgotten::Settled,
            Err(SettleError::Failed(_)) => Forgotten::LeftToLapse,
        };
        drop(self.commands.send(Command::Forget { lock, how }));
        result
    }

    fn begin(&self, lock: LockToken, settlement: &Settlement, confirmation: Confirmation) {
        if let Some(outcome) = LinkOutcome::of(settlement) {
            // A command that nobody takes any more drops the confirmation with it.
            drop(self.commands.send(Command::Settle { lock, outcome, reply: Reply::Told(confirmation) }));
        }
    }

    fn dropped(&self, lock: LockToken) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        drop(self.commands.send(Command::Forget { lock, how: Forgotten::LeftToLapse }));
    }
}

impl LinkOutcome {
    fn of(settlement: &Settlement) -> Option<Self> {
        match settlement {
            Settlement::Complete => Some(Self::Complete),
            Settlement::Abandon => Some(Self::Abandon),
            Settlement::Release => Some(Self::Release),
            // The library does not tell what the service answered to a disposition. A dead letter must be certain, because
            // its reason is what a person acts on; so must the removal of what has been copied.
            Settlement::DeadLetter(_) | Settlement::Remove => None,
        }
    }
}

impl AmqpSettler {
    async fn over_link(&self, lock: LockToken, outcome: LinkOutcome) -> OnLink {
        let (reply, answer) = oneshot::channel();
        let reply = Reply::Waiting(reply);
        if self.commands.send(Command::Settle { lock, outcome, reply }).is_err() {
            return OnLink::Elsewhere;
        }
        answer.await.unwrap_or(OnLink::Elsewhere)
    }

    /// Tries until it works, the service says no, or the lock has lapsed for certain.
    async fn by_token(&self, lock: LockToken, settlement: &Settlement) -> Result<(), SettleError> {
        // The service has the last word about the lock, so it is asked for longer than a lock can hold.
        let last = Instant::now() + self.namespace.lock_length().max(LEAST_PATIENCE);
        let again = |failure: &Failure| match failure.error.class() {
            _ if failure.is_lock_lost() || matches!(failure.error, Error::Closed) => Again::Never,
            _ if Instant::now() >= last => Again::Never,
            Class::Throttled { retry_after: None } => Again::After(THROTTLED),
            class => class.into(),
        };
        let settled = retry(BY_TOKEN, again, || self.management.settle(lock, settlement)).await;
        settled.map_err(|failure| match failure {
            failure if failure.is_lock_lost() => SettleError::LockLost,
            failure => SettleError::Failed(failure.error),
        })
    }
}
