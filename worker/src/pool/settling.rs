//! verdict → settle: carries settlements out beside the pipeline, in the order in which they were decided.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use servicebus::{
    Confirmations, Confirmed, DeadLettering, Error, Message, Queue, SettleError, Settlement, Settling,
    Unsettled, clock,
};
use shared::{
    backoff::Backoff,
    class::Class,
    engine::{Ending, Lineage},
    ids::{IdMap, LockToken},
    reason::{DeadLetter, DeadLetterReason, chain},
    shown::id,
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{Instant, sleep},
};

use crate::{
    envelope::{self, CODE, DeliveryHistory, TARGET},
    telemetry::{Observer, observer::Settlement as Settled, trace::MessageTrace},
};

/// How long a message that no copy could be made of is kept before it is given back: at once, it would come again
/// at once.
const REST: Duration = Duration::from_secs(1);

/// A message that is held until it is settled.
pub struct Held {
    /// The duty to settle it.
    pub unsettled: Unsettled,
    /// The message.
    pub message: Message,
    /// When its original reached the queue.
    pub enqueued: Timestamp,
    /// When it was received.
    pub received: Instant,
    /// Its trace, if it has one.
    pub trace: Option<Box<MessageTrace>>,
}

/// Settlements under way.
///
/// Nearly all messages end plainly: completed, or given back untouched. Those settlements are only begun here, and the
/// queue tells later of each that it is done; a task for each would cost more than all the rest of a settlement. What
/// has to be waited for (a copy, a dead letter, a link that is gone) has a task of its own.
pub struct Settler<Q> {
    queue: Arc<Q>,
    returns: Backoff,
    observer: Arc<Observer>,
    begun: IdMap<LockToken, Begun>,
    confirmations: Confirmations,
    under_way: JoinSet<LockToken>,
    /// Told at once: a message may come again before its settlement ends. Never more than settlements are under way.
    copies: (mpsc::UnboundedSender<Copy>, mpsc::UnboundedReceiver<Copy>),
}

/// What the queue has confirmed of a copy for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// It was sent for this message.
    Sent(Lineage),
    /// The message whose place it takes is gone.
    OriginalGone(Lineage),
}

/// The end of a settlement.
pub enum End {
    /// Of one that was only begun.
    Begun(Confirmed),
    /// Of one with a task.
    WaitedFor(Result<LockToken, JoinError>),
}

/// A plain settlement under way.
struct Begun {
    settling: Settling,
    ending: Ending,
    account: Account,
}

/// What is told of a settlement when it has ended.
struct Account {
    message: Message,
    enqueued: Timestamp,
    received: Instant,
    begun: Instant,
    trace: Option<(Box<MessageTrace>, Timestamp)>,
}

impl<Q: Queue> Settler<Q> {
    /// None under way.
    pub fn new(queue: Arc<Q>, returns: Backoff, observer: Arc<Observer>) -> Self {
        let (begun, confirmations) = (IdMap::default(), Confirmations::default());
        let (under_way, copies) = (JoinSet::new(), mpsc::unbounded_channel());
        Self { queue, returns, observer, begun, confirmations, under_way, copies }
    }

    /// What the queue has confirmed of a copy for later.
    pub fn try_copy(&mut self) -> Option<Copy> {
        self.copies.1.try_recv().ok()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.begun.is_empty() && self.under_way.is_empty()
    }

    /// Waits for the next settlement to end, for [`Settler::ended`]; `None` if there is none to wait for.
    pub async fn next(&mut self) -> Option<End> {
        tokio::select! {
            Some(confirmed) = self.confirmations.next(), if !self.begun.is_empty() => Some(End::Begun(confirmed)),
            Some(done) = self.under_way.join_next() => Some(End::WaitedFor(done)),
            else => None,
        }
    }

    /// A settlement that has ended already.
    pub fn try_next(&mut self) -> Option<End> {
        let begun = self.confirmations.try_next().map(End::Begun);
        begun.or_else(|| self.under_way.try_join_next().map(End::WaitedFor))
    }

    /// Takes the end of a settlement in. Tells the lock that nobody needs any more, unless it goes on in another way.
    pub fn ended(&mut self, end: End, now: Instant, wall: Timestamp) -> Option<LockToken> {
        match end {
            End::Begun(confirmed) => self.confirmed(&confirmed, now, wall),
            // A settlement that panicked leaves its lock to lapse; there is nothing to tell of it.
            End::WaitedFor(done) => done.ok(),
        }
    }

    /// Settles a message as this ending asks.
    pub fn settle(&mut self, held: Held, ending: Ending, letter: Option<DeadLetter>, begun: Instant) {
        let Held { unsettled, message, enqueued, received, trace } = held;
        log(&self.observer, &message, ending, letter.as_ref(), begun);
        let trace = trace.map(|trace| (trace, clock::now()));
        let account = Account { message, enqueued, received, begun, trace };
        match plain(ending) {
            Some(settlement) => {
                let lock = unsettled.lock;
                let settling = unsettled.begin(&settlement, &self.confirmations);
                self.begun.insert(lock, Begun { settling, ending, account });
            }
            None => self.wait_for(unsettled, account, ending, letter),
        }
    }

    /// A settlement that was begun has ended. `None` if it goes on in another way.
    fn confirmed(&mut self, confirmed: &Confirmed, now: Instant, wall: Timestamp) -> Option<LockToken> {
        let Begun { settling, ending, account } = self.begun.remove(&confirmed.lock)?;
        match settling.ended(confirmed) {
            Ok(_) => {
                account.settled(&self.observer, ending, None, now, wall);
                Some(confirmed.lock)
            }
            Err(unsettled) => {
                self.wait_for(unsettled, account, ending, None);
                None
            }
        }
    }

    /// Settles on a task of its own.
    fn wait_for(
        &mut self,
        unsettled: Unsettled,
        account: Account,
        ending: Ending,
        letter: Option<DeadLetter>,
    ) {
        let (queue, observer) = (Arc::clone(&self.queue), Arc::clone(&self.observer));
        let (delay, copies) = (self.returns, self.copies.0.clone());
        self.under_way.spawn(async move {
            let lock = unsettled.lock;
            let traced = account.trace.as_ref().and(letter.clone());
            let lineage = DeliveryHistory::of(&account.message).lineage(&account.message);
            let settling = async {
                if ending == Ending::Returned && !renewed(&*queue, lock, &account.message).await {
                    return Ending::Unsettled;
                }
                let (settlement, ended) = settlement(&*queue, &account.message, ending, letter, delay).await;
                if ending == Ending::Returned {
                    observer.sent(ended == Ending::Returned);
                }
                if ended == Ending::Returned {
                    // Nobody listens once the pipeline has ended.
                    let _told = copies.send(Copy::Sent(lineage));
                }
                match unsettled.settle(settlement).await {
                    Ok(_) => {
                        if matches!(ended, Ending::Returned | Ending::Copied) {
                            let _told = copies.send(Copy::OriginalGone(lineage));
                        }
                        ended
                    }
                    Err(error) => {
                        report(&account.message, &error);
                        Ending::Unsettled
                    }
                }
            };
            // Whatever happens, the pipeline must hear of it, or the lock would be renewed for ever.
            let ending = AssertUnwindSafe(settling).catch_unwind().await.unwrap_or(Ending::Unsettled);
            account.settled(&observer, ending, traced.as_ref(), Instant::now(), clock::now());
            lock
        });
    }
}

impl Account {
    /// Tells how it ended.
    fn settled(
        self,
        observer: &Observer,
        ending: Ending,
        letter: Option<&DeadLetter>,
        now: Instant,
        wall: Timestamp,
    ) {
        observer.settled(Settled {
            ending,
            age: Duration::try_from(wall.duration_since(self.enqueued)).unwrap_or_default(),
            held: now.saturating_duration_since(self.received),
            took: now.saturating_duration_since(self.begun),
        });
        if let Some((trace, asked)) = self.trace {
            let destination = &observer.metrics.constants().destination;
            trace.settled(&self.message, destination, asked, ending, letter);
        }
    }
}

/// Whether a message is surely held, so that it can be removed once its copy is confirmed. Without that it comes again,
/// and a copy beside it would make two of one.
async fn renewed<Q: Queue>(queue: &Q, lock: LockToken, message: &Message) -> bool {
    let error = match queue.renew(&[lock]).await.pop() {
        Some(Ok(())) => return true,
        Some(Err(error)) => chain(&error),
        None => "no answer".to_owned(),
    };
    tracing::info!(
        message.sequence = %message.sequence, error,
        "the lock could not be renewed before a copy for later; the message will come again",
    );
    false
}

/// What settles a message that has nothing to wait for.
fn plain(ending: Ending) -> Option<Settlement> {
    match ending {
        Ending::Applied | Ending::Stale | Ending::Unchanged(_) => Some(Settlement::Complete),
        Ending::Released => Some(Settlement::Release),
        Ending::DeadLettered(_) | Ending::Returned | Ending::Copied | Ending::Unsettled => None,
    }
}

/// What settles a message as its ending asks, and how it ends for that: a message that is to come back later is
/// completed once its copy is confirmed.
async fn settlement<Q: Queue>(
    queue: &Q,
    message: &Message,
    ending: Ending,
    letter: Option<DeadLetter>,
    delays: Backoff,
) -> (Settlement, Ending) {
    match (plain(ending), ending, letter) {
        (Some(settlement), ..) => (settlement, ending),
        (None, Ending::DeadLettered(_), Some(letter)) => {
            (Settlement::DeadLetter(dead_lettering(letter, message)), ending)
        }
        (None, Ending::Returned, letter) => match schedule(queue, message, delays).await {
            Ok(()) => (Settlement::Remove, ending),
            Err(error) => without_copy(message, &error, letter).await,
        },
        (None, Ending::Copied, _) => (Settlement::Remove, ending),
        (None, ..) => (Settlement::Release, ending),
    }
}

/// What stands on a dead letter about its failure is ours: where we have nothing to say, what the sender has put there
/// is emptied. Service Bus sets properties of a message that is dead-lettered, and takes none away.
fn dead_lettering(letter: DeadLetter, message: &Message) -> DeadLettering {
    let claimed = |name| message.properties.get(name).is_some();
    let properties = [(CODE, letter.code), (TARGET, letter.target)];
    DeadLettering {
        reason: letter.reason.as_str().into(),
        description: letter.description.as_str().into(),
        properties: properties
            .into_iter()
            .filter_map(|(name, ours)| Some((name, ours.or_else(|| claimed(name).then(Box::default))?)))
            .collect(),
    }
}

/// Without a confirmed copy the original must stay. It is given back untouched, because what keeps copies away
/// (no right to send, a full queue, a broken connection) is not its fault and must not use up its delivery
/// count. Only a message that the queue refuses for itself is dead-lettered, or it would turn in circles.
async fn without_copy(message: &Message, error: &Error, letter: Option<DeadLetter>) -> (Settlement, Ending) {
    let (sequence, cause) = (message.sequence, chain(error));
    if let (Class::Permanent, Some(letter)) = (error.class(), letter) {
        let reason = DeadLetterReason::CopyRefused;
        let text = format!(
            "the queue refuses the copy for a later try: {cause}; see to the maximum message size and the state of the \
             queue, then replay; why it should come back later: {}",
            letter.description.as_str()
        );
        tracing::warn!(message.sequence = %sequence, cause, "no copy for later could be sent; the message is dead-lettered");
        let letter =
            DeadLetter { code: letter.code, target: letter.target, ..DeadLetter::new(reason, &text) };
        return (Settlement::DeadLetter(dead_lettering(letter, message)), Ending::DeadLettered(reason));
    }
    tracing::warn!(
        message.sequence = %sequence, cause,
        "no copy for later could be sent; the message is given back; the worker needs the right Send on the queue",
    );
    sleep(REST).await;
    (Settlement::Release, Ending::Released)
}

/// Sends the copy that comes back later; returns when the service has confirmed it.
async fn schedule<Q: Queue>(queue: &Q, message: &Message, delays: Backoff) -> Result<(), Error> {
    let now = clock::now();
    let attempt = DeliveryHistory::of(message).attempt.saturating_add(1);
    // Between half and all of the ceiling: a message that comes back at once would only fail again.
    let delay: Duration = delays.delay(attempt, 0.5 + rand::random::<f64>() / 2.0);
    let Some(copy) = envelope::copy(message, now) else {
        return Err(Error::Protocol { doing: "copying a message", what: "its body cannot be read".into() });
    };
    let at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    queue.schedule(envelope::due(copy, at), at).await
}

fn log(observer: &Observer, message: &Message, ending: Ending, letter: Option<&DeadLetter>, now: Instant) {
    let (sequence, count) = (message.sequence, message.delivery_count);
    // The sender writes into it what it likes; Dataverse writes the id of the operation.
    let correlation = &*id(message.correlation_id.as_deref().unwrap_or_default());
    let outcome = ending.outcome();
    if let Some(letter) = letter {
        tracing::warn!(
            message.sequence = %sequence, message.correlation_id = correlation, delivery.count = %count,
            outcome, reason = letter.reason.as_str(), cause = letter.description.as_str(), "message {outcome}",
        );
    } else if observer.may_log(now) {
        tracing::info!(
            message.sequence = %sequence, message.correlation_id = correlation, delivery.count = %count,
            outcome, reason = ending.reason(), "message {outcome}",
        );
    }
}

fn report(message: &Message, error: &SettleError) {
    tracing::info!(
        message.sequence = %message.sequence, error = %chain(error),
        "a settlement did not reach the queue; the message will come again",
    );
}
