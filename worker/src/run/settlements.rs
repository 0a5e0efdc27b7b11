//! outcome → settle: carries settlements out beside the pipeline, in the order in which they were decided.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use servicebus::{
    Confirmations, Confirmed, DeadLettering, Message, Queue, SettleError, Settlement, Settling, Unsettled,
    clock,
};
use shared::{
    engine::Lineage,
    ids::{IdMap, LockToken},
    outcome::Outcome,
    reason::{DeadLetter, chain},
    shown::id,
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::delayed_retry::{Returns, hand_back, hold_aside};
use crate::{
    envelope::{CODE, CONTACT, DeliveryHistory, FOR_TARGET, JOB, TARGET, USER},
    journal::{Entry, EntryMark},
    preview::Subjects,
    telemetry::{Observer, labels::Ended, observer::SettlementReport, trace::MessageTrace},
};

/// A message that is held under its lock until it is settled.
pub(super) struct LockedDelivery {
    /// The duty to settle it.
    pub(super) unsettled: Unsettled,
    /// The message.
    pub(super) message: Message,
    /// Whom it is about.
    pub(super) subjects: Subjects,
    /// When its original reached the queue.
    pub(super) enqueued: Timestamp,
    /// When it was received.
    pub(super) received: Instant,
    /// Its trace, if it has one.
    pub(super) trace: Option<Box<MessageTrace>>,
}

/// Settlements under way.
///
/// Nearly all messages end plainly: completed, or given back untouched. Those settlements are only begun here, and the
/// queue tells later of each that it is done; a task for each would cost more than all the rest of a settlement. What
/// has to be waited for (a copy, a dead letter, a link that is gone) has a task of its own. Each is told to the journal first,
/// and is begun when the journal has it.
pub(super) struct Settlements<Q: ?Sized> {
    queue: Arc<Q>,
    returns: Returns,
    observer: Arc<Observer>,
    foretold: VecDeque<(EntryMark, Plain)>,
    begun: IdMap<LockToken, Begun>,
    /// Those that have ended and are not told yet.
    ended: Vec<i64>,
    confirmations: Confirmations,
    under_way: JoinSet<LockToken>,
    /// Told at once: a message may come again before its settlement ends. Never more than settlements are under way.
    copies: (mpsc::UnboundedSender<Copy>, mpsc::UnboundedReceiver<Copy>),
}

/// What the queue has confirmed of a copy for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// It was sent for this message.
    Sent(Lineage),
    /// The message whose place it takes is gone.
    OriginalGone(Lineage),
}

/// The end of a settlement.
pub(super) enum End {
    /// Of one that was only begun.
    Begun(Confirmed),
    /// Of one with a task.
    WaitedFor(Result<LockToken, JoinError>),
}

/// A plain settlement that is to be begun.
struct Plain {
    unsettled: Unsettled,
    settlement: Settlement,
    outcome: Outcome,
    account: Account,
}

/// A plain settlement under way.
struct Begun {
    settling: Settling,
    outcome: Outcome,
    account: Account,
}

/// What is told of a settlement when it has ended.
struct Account {
    message: Message,
    subjects: Subjects,
    enqueued: Timestamp,
    received: Instant,
    begun: Instant,
    trace: Option<(Box<MessageTrace>, Timestamp)>,
}

impl<Q: Queue + ?Sized> Settlements<Q> {
    /// None under way.
    pub(super) fn new(queue: Arc<Q>, returns: Returns, observer: Arc<Observer>) -> Self {
        let (foretold, begun, ended) = (VecDeque::new(), IdMap::default(), Vec::new());
        let (confirmations, under_way) = (Confirmations::default(), JoinSet::new());
        let copies = mpsc::unbounded_channel();
        Self { queue, returns, observer, foretold, begun, ended, confirmations, under_way, copies }
    }

    /// What the queue has confirmed of a copy for later.
    pub(super) fn try_copy(&mut self) -> Option<Copy> {
        self.copies.1.try_recv().ok()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.foretold.is_empty() && self.begun.is_empty() && self.under_way.is_empty()
    }

    /// Waits for the next settlement to end, for [`Settlements::ended`]; `None` if there is none to wait for.
    pub(super) async fn next(&mut self) -> Option<End> {
        loop {
            let first = self.foretold.front().map(|(mark, _)| *mark);
            tokio::select! {
                () = self.observer.kept(first), if first.is_some() => self.begin_kept(),
                Some(confirmed) = self.confirmations.next(), if !self.begun.is_empty() => {
                    return Some(End::Begun(confirmed));
                }
                Some(done) = self.under_way.join_next() => return Some(End::WaitedFor(done)),
                else => return None,
            }
        }
    }

    /// A settlement that has ended already.
    pub(super) fn try_next(&mut self) -> Option<End> {
        self.begin_kept();
        let begun = self.confirmations.try_next().map(End::Begun);
        begun.or_else(|| self.under_way.try_join_next().map(End::WaitedFor))
    }

    /// Begins what the journal has.
    fn begin_kept(&mut self) {
        while self.foretold.front().is_some_and(|(mark, _)| self.observer.is_kept(*mark)) {
            if let Some((_, plain)) = self.foretold.pop_front() {
                self.begin(plain);
            }
        }
    }

    fn begin(&mut self, Plain { unsettled, settlement, outcome, account }: Plain) {
        let lock = unsettled.lock;
        let settling = unsettled.begin(&settlement, &self.confirmations);
        self.begun.insert(lock, Begun { settling, outcome, account });
    }

    /// Tells the journal what has ended since it was told last: once a turn, for all of them together.
    pub(super) fn tell_settled(&mut self) {
        if !self.ended.is_empty() {
            let messages = std::mem::take(&mut self.ended);
            self.observer.note(|| Entry::Settled { messages });
        }
    }

    /// Takes the end of a settlement in. Tells the lock that nobody needs any more, unless it goes on in another way.
    pub(super) fn ended(&mut self, end: End, now: Instant, wall: Timestamp) -> Option<LockToken> {
        match end {
            End::Begun(confirmed) => self.confirmed(&confirmed, now, wall),
            // A settlement that panicked leaves its lock to lapse; there is nothing to tell of it.
            End::WaitedFor(done) => done.ok(),
        }
    }

    /// Settles a message.
    pub(super) fn settle(&mut self, delivery: LockedDelivery, outcome: Outcome, begun: Instant) {
        let LockedDelivery { unsettled, message, subjects, enqueued, received, trace } = delivery;
        log(&self.observer, &message, &subjects, &outcome, begun);
        let trace = trace.map(|trace| (trace, clock::now()));
        let account = Account { message, subjects, enqueued, received, begun, trace };
        let Some(settlement) = plain(&outcome) else {
            return self.wait_for(unsettled, account, outcome);
        };
        let foretold = self.observer.foretell(|| Entry::settling(account.message.sequence, &outcome, None));
        let plain = Plain { unsettled, settlement, outcome, account };
        match foretold {
            Some(mark) => self.foretold.push_back((mark, plain)),
            None => self.begin(plain),
        }
    }

    /// A settlement that was begun has ended. `None` if it goes on in another way.
    fn confirmed(&mut self, confirmed: &Confirmed, now: Instant, wall: Timestamp) -> Option<LockToken> {
        let Begun { settling, outcome, account } = self.begun.remove(&confirmed.lock)?;
        match settling.ended(confirmed) {
            Ok(_) => {
                self.ended.push(account.message.sequence.0);
                account.settled(&self.observer, Some(&outcome), now, wall);
                Some(confirmed.lock)
            }
            Err(unsettled) => {
                self.wait_for(unsettled, account, outcome);
                None
            }
        }
    }

    /// Settles on a task of its own.
    fn wait_for(&mut self, unsettled: Unsettled, account: Account, wanted: Outcome) {
        let (queue, observer) = (Arc::clone(&self.queue), Arc::clone(&self.observer));
        let (returns, copies) = (self.returns.clone(), self.copies.0.clone());
        self.under_way.spawn(async move {
            let (lock, message, subjects) = (unsettled.lock, &account.message, &account.subjects);
            let lineage = DeliveryHistory::of(message).lineage(message);
            let settling = async {
                let (told, sends_copy) = ((message, subjects), wanted.sends_copy());
                let (outcome, due) = match wanted {
                    Outcome::Returned(cause) => {
                        hand_back(&*queue, &observer, lock, told, cause, &returns).await?
                    }
                    Outcome::HeldAside(streams) => {
                        hold_aside(&*queue, &observer, lock, told, account.received, streams).await?
                    }
                    wanted => (wanted, None),
                };
                if sends_copy {
                    observer.sent(due.is_some());
                }
                if due.is_some() {
                    // Nobody listens once the pipeline has ended.
                    let _told = copies.send(Copy::Sent(lineage));
                } else {
                    // Of one whose copy was sent it was told before.
                    let foretold = observer.foretell(|| Entry::settling(message.sequence, &outcome, None));
                    observer.kept(foretold).await;
                }
                if let Err(error) =
                    unsettled.settle(settlement(&outcome, (message, subjects), &returns)).await
                {
                    report(message, subjects, &error);
                    return None;
                }
                if outcome.sends_copy() || outcome == Outcome::Copied {
                    let _told = copies.send(Copy::OriginalGone(lineage));
                }
                Some(outcome)
            };
            // Whatever happens, the pipeline must hear of it, or the lock would be renewed for ever.
            let outcome = AssertUnwindSafe(settling).catch_unwind().await.unwrap_or(None);
            observer.note(|| match &outcome {
                Some(_) => Entry::Settled { messages: vec![message.sequence.0] },
                None => Entry::Unsettled { message: message.sequence.0 },
            });
            account.settled(&observer, outcome.as_ref(), Instant::now(), clock::now());
            lock
        });
    }
}

impl Account {
    /// Tells how it ended; `None` if the settlement did not reach the queue.
    fn settled(self, observer: &Observer, outcome: Option<&Outcome>, now: Instant, wall: Timestamp) {
        observer.settled(SettlementReport {
            outcome,
            age: Duration::try_from(wall.duration_since(self.enqueued)).unwrap_or_default(),
            held: now.saturating_duration_since(self.received),
            took: now.saturating_duration_since(self.begun),
        });
        if let Some((trace, asked)) = self.trace {
            let destination = &observer.metrics.constants().destination;
            trace.settled(&self.message, self.subjects.attributes(), destination, asked, outcome);
        }
    }
}

/// What settles a message that has nothing to wait for.
fn plain(outcome: &Outcome) -> Option<Settlement> {
    match outcome {
        Outcome::Applied | Outcome::Stale | Outcome::Unchanged(_) => Some(Settlement::Complete),
        Outcome::Released => Some(Settlement::Release),
        Outcome::DeadLettered(_) | Outcome::Returned(_) | Outcome::HeldAside(_) | Outcome::Copied => None,
    }
}

/// What settles a message. One that comes back later is removed, once its copy is confirmed.
fn settlement(outcome: &Outcome, told: (&Message, &Subjects), returns: &Returns) -> Settlement {
    match outcome {
        Outcome::Applied | Outcome::Stale | Outcome::Unchanged(_) => Settlement::Complete,
        Outcome::Released => Settlement::Release,
        Outcome::DeadLettered(letter) => Settlement::DeadLetter(dead_lettering(letter, told, returns)),
        Outcome::Returned(_) | Outcome::HeldAside(_) | Outcome::Copied => Settlement::Remove,
    }
}

/// What stands on a dead letter about its failure is ours: where we have nothing to say, what the sender has put there
/// is emptied. Service Bus sets properties of a message that is dead-lettered, and takes none away.
fn dead_lettering(
    letter: &DeadLetter,
    (message, subjects): (&Message, &Subjects),
    returns: &Returns,
) -> DeadLettering {
    let claimed = |name| message.properties.get(name).is_some();
    let text = |text: Option<String>| text.map(Box::<str>::from);
    let properties = [
        (CODE, letter.code.clone()),
        (TARGET, letter.target.clone()),
        (CONTACT, text(subjects.contact_text())),
        (USER, text(subjects.user_text())),
        (JOB, text(subjects.job_text())),
    ];
    // Whoever sends it again by hand sends it to all targets, unless it says which one failed.
    let own = returns.target.as_ref().map(|target| (FOR_TARGET, target.as_str().into()));
    DeadLettering {
        reason: letter.reason.as_str().into(),
        description: letter.description.as_str().into(),
        properties: properties
            .into_iter()
            .filter_map(|(name, ours)| Some((name, ours.or_else(|| claimed(name).then(Box::default))?)))
            .chain(own)
            .collect(),
    }
}

fn log(observer: &Observer, message: &Message, subjects: &Subjects, outcome: &Outcome, now: Instant) {
    let (sequence, count) = (message.sequence, message.delivery_count);
    // The sender writes into it what it likes; Dataverse writes the id of the operation.
    let correlation = message.correlation_id.as_deref().filter(|text| !text.is_empty()).map(id);
    let correlation = correlation.as_deref();
    let (letter, Ended { outcome, reason, .. }) = (outcome.letter(), Ended::from(outcome));
    // Formed only for lines that are logged.
    let ids = || (subjects.contact_text(), subjects.user_text(), subjects.job_text());
    if let Some(letter) = letter {
        let (contact, user, job) = ids();
        tracing::warn!(
            message.sequence = sequence.0,
            message.correlation_id = correlation,
            delivery.count = count.0,
            contact.id = contact,
            user.id = user,
            job.id = job,
            outcome,
            reason = letter.reason.as_str(),
            cause = letter.description.as_str(),
            "message {outcome}",
        );
    } else if observer.may_log(now) {
        let (contact, user, job) = ids();
        tracing::info!(
            message.sequence = sequence.0,
            message.correlation_id = correlation,
            delivery.count = count.0,
            contact.id = contact,
            user.id = user,
            job.id = job,
            outcome,
            reason = (!reason.is_empty()).then_some(reason),
            "message {outcome}",
        );
    }
}

fn report(message: &Message, subjects: &Subjects, error: &SettleError) {
    tracing::info!(
        message.sequence = message.sequence.0, contact.id = subjects.contact_text(),
        user.id = subjects.user_text(), job.id = subjects.job_text(), error = %chain(error),
        "a settlement did not reach the queue; the message will come again",
    );
}
