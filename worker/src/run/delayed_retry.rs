//! Handing a message back for later, or setting it aside until somebody has decided about it: a copy that the queue shows at
//! that time is sent and confirmed; only then may the original be removed.

use std::time::Duration;

use jiff::Timestamp;
use servicebus::{Error, Message, Outgoing, Queue, clock};
use shared::{
    class::Class,
    ids::LockToken,
    mass_change::Stream,
    outcome::Outcome,
    reason::{DeadLetter, DeadLetterReason, chain},
    retry::Ladder,
    target::TargetName,
};
use tokio::time::{Instant, sleep};

use crate::{
    envelope::{self, DeliveryHistory, HeldAside},
    journal::Entry,
    preview::Subjects,
    telemetry::Observer,
};

/// How long a message that no copy could be made of is kept before it is given back: at once, it would come again
/// at once.
const REST: Duration = Duration::from_secs(1);

/// How long a message is held aside before it comes again by itself, only to be held aside anew: what nobody decides about
/// must not depend on one schedule. The time to live of the queue counts from then on, so none expires while it is held.
const HELD_ASIDE_FOR: Duration = Duration::from_hours(14 * 24);
/// What part of its lock a message may have used up to count as surely held without asking.
const FRESH: u32 = 4;

/// How messages come back.
#[derive(Clone, Debug)]
pub(super) struct Returns {
    /// Waits before one comes again.
    pub(super) delays: Ladder,
    /// Who it comes back to, where several take what is sent.
    pub(super) target: Option<TargetName>,
}

/// Sends the copy, and returns how the original ends for that, and when the copy comes if it was sent. `None` if its lock may be lost: then it comes again, and
/// a copy beside it would make two of one.
pub(super) async fn hand_back<Q: Queue + ?Sized>(
    queue: &Q,
    observer: &Observer,
    lock: LockToken,
    (message, subjects): (&Message, &Subjects),
    cause: DeadLetter,
    returns: &Returns,
) -> Option<(Outcome, Option<Timestamp>)> {
    if !is_held(queue, lock, message, subjects).await {
        return None;
    }
    let now = clock::now();
    let attempt = DeliveryHistory::of(message).attempt.saturating_add(1);
    let delay = returns.delays.wait(attempt, rand::random());
    let copy = envelope::copy(message, now, returns.target.as_ref());
    let due = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    let outcome = Outcome::Returned(cause.clone());
    foretell(observer, message, &outcome, due).await;
    Some(match schedule(queue, copy, due).await {
        Ok(()) => (outcome, Some(due)),
        Err(error) => (without_copy((message, subjects), &error, cause).await, None),
    })
}

/// The same for a message that is held aside for these streams, received at this time. There can be thousands of them at once,
/// so a lock that is fresh is not asked about; if it is lost all the same, its message comes again and is recognized.
pub(super) async fn hold_aside<Q: Queue + ?Sized>(
    queue: &Q,
    observer: &Observer,
    lock: LockToken,
    (message, subjects): (&Message, &Subjects),
    received: Instant,
    streams: Box<[Stream]>,
) -> Option<(Outcome, Option<Timestamp>)> {
    let fresh = received.elapsed() < queue.lock_length() / FRESH;
    if !fresh && !is_held(queue, lock, message, subjects).await {
        return None;
    }
    let now = clock::now();
    let held = HeldAside::now(message, &streams, now);
    let copy = envelope::held_aside(message, &held, now);
    let due = now.saturating_add(HELD_ASIDE_FOR).unwrap_or(Timestamp::MAX);
    let outcome = Outcome::HeldAside(streams);
    foretell(observer, message, &outcome, due).await;
    Some(match schedule(queue, copy, due).await {
        Ok(()) => (outcome, Some(due)),
        Err(error) => {
            let text =
                format!("it was to be held aside, because too many users are changed by {}", held.author);
            let cause = DeadLetter::new(DeadLetterReason::CopyRefused, &text);
            (without_copy((message, subjects), &error, cause).await, None)
        }
    })
}

/// Whether a message is surely held, so that it can be removed once its copy is confirmed.
async fn is_held<Q: Queue + ?Sized>(
    queue: &Q,
    lock: LockToken,
    message: &Message,
    subjects: &Subjects,
) -> bool {
    let error = match queue.renew(&[lock]).await.pop() {
        Some(Ok(())) => return true,
        Some(Err(error)) => chain(&error),
        None => "no answer".to_owned(),
    };
    tracing::info!(
        message.sequence = %message.sequence, contact.id = subjects.contact_text(),
        user.id = subjects.user_text(), job.id = subjects.job_text(), error,
        "the lock could not be renewed before a copy for later; the message will come again",
    );
    false
}

/// Without a confirmed copy the original must stay. It is given back untouched, because what keeps copies away
/// (no right to send, a full queue, a broken connection) is not its fault and must not use up its delivery
/// count. Only a message that the queue refuses for itself is dead-lettered, or it would turn in circles.
async fn without_copy(
    (message, subjects): (&Message, &Subjects),
    error: &Error,
    letter: DeadLetter,
) -> Outcome {
    let (sequence, cause) = (message.sequence, chain(error));
    if error.class() == Class::Permanent {
        let reason = DeadLetterReason::CopyRefused;
        let text = format!(
            "the queue refuses the copy for a later try: {cause}; see to the maximum message size and the state of the \
             queue, then replay; why it should come back later: {}",
            letter.description.as_str()
        );
        tracing::warn!(
            message.sequence = %sequence, contact.id = subjects.contact_text(), user.id = subjects.user_text(),
            job.id = subjects.job_text(), cause, "no copy for later could be sent; the message is dead-lettered",
        );
        let letter =
            DeadLetter { code: letter.code, target: letter.target, ..DeadLetter::new(reason, &text) };
        return Outcome::DeadLettered(letter);
    }
    tracing::warn!(
        message.sequence = %sequence, contact.id = subjects.contact_text(), user.id = subjects.user_text(),
        job.id = subjects.job_text(), cause,
        "no copy for later could be sent; the message is given back; the worker needs the right Send on the queue",
    );
    sleep(REST).await;
    Outcome::Released
}

/// Tells the journal that the copy of a message is going to be sent, and waits until it is kept.
async fn foretell(observer: &Observer, message: &Message, outcome: &Outcome, due: Timestamp) {
    let foretold = observer.foretell(|| Entry::settling(message.sequence, outcome, Some(due)));
    observer.kept(foretold).await;
}

/// Sends the copy that comes back at that time; returns when the service has confirmed it.
async fn schedule<Q: Queue + ?Sized>(queue: &Q, copy: Option<Outgoing>, due: Timestamp) -> Result<(), Error> {
    let Some(copy) = copy else {
        return Err(Error::Protocol { doing: "copying a message", what: "its body cannot be read".into() });
    };
    queue.schedule(envelope::due(copy, due), due).await?;
    Ok(())
}
