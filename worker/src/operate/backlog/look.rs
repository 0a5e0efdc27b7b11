//! Looking into a queue without taking a lock: a few messages at its head, or a bounded census.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use servicebus::{Error, Message, Peek, Peeked, PeekedState, Walk};

use crate::envelope::{DeliveryHistory, HeldAside};

/// The property with a dead letter's reason.
const REASON: &str = "DeadLetterReason";

/// What was seen of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSample {
    /// Waiting, or under a lock.
    pub active: u64,
    /// To appear later.
    pub scheduled: u64,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// Since when the oldest change waits.
    pub oldest: Option<Timestamp>,
    /// When the queue took in the oldest message that a consumer could get.
    pub oldest_active: Option<Timestamp>,
    /// How many carry each reason of a dead letter.
    pub reasons: BTreeMap<Box<str>, u64>,
}

/// Looks at up to `limit` messages from the head on.
pub async fn census(queue: &dyn Peek, limit: u32) -> Result<QueueSample, Error> {
    let (mut census, mut walk) = (QueueSample::default(), Walk::default());
    loop {
        let left = limit.saturating_sub(u32::try_from(walk.seen).unwrap_or(u32::MAX));
        if left == 0 {
            census.more = !walk.look(queue, 1).await?.is_empty();
            return Ok(census);
        }
        let page = walk.look(queue, left).await?;
        if page.is_empty() {
            return Ok(census);
        }
        for peeked in &page {
            census.add(peeked);
        }
    }
}

impl QueueSample {
    fn add(&mut self, peeked: &Peeked) {
        let message = &peeked.message;
        let past = DeliveryHistory::of(message);
        match peeked.state {
            PeekedState::Active => {
                self.active += 1;
                self.oldest = earlier(self.oldest, past.first_seen);
                self.oldest_active = earlier(self.oldest_active, message.enqueued);
            }
            PeekedState::Scheduled => {
                self.scheduled += 1;
                // What somebody else has put off has not waited yet; a change that we tried before has. What is held aside
                // waits for a person, and is told elsewhere.
                if past.attempt > 0 && HeldAside::of(message).is_none() {
                    self.oldest = earlier(self.oldest, past.first_seen);
                }
            }
            // Set aside by somebody else for a purpose of theirs.
            PeekedState::Deferred => {}
        }
        *self.reasons.entry(reason(message)).or_default() += 1;
    }

    /// Whether a message was there at a time, long enough before `asked` that no clock explains it away.
    pub(super) fn was_there(&self, asked: Timestamp) -> bool {
        /// More than two clocks that are kept by the network differ, and a message needs to be counted.
        const DOUBT: SignedDuration = SignedDuration::from_secs(5);
        self.oldest_active.is_some_and(|since| asked.duration_since(since) > DOUBT)
    }
}

fn reason(message: &Message) -> Box<str> {
    let Some(reason) = message.properties.text(REASON) else { return "none given".into() };
    // It becomes a name on a page, where nobody expects a text: ours and those of the service are all of this form.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=64).contains(&reason.len()) && reason.bytes().all(is_name) {
        reason.into()
    } else {
        "other".into()
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use servicebus::ApplicationValue;
    use shared::ids::SequenceNumber;

    use super::*;

    struct Shelf(Vec<Peeked>);

    #[async_trait]
    impl Peek for Shelf {
        async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
            // As the service does, fewer than were asked for.
            let few = usize::try_from(max.min(3)).unwrap_or_default();
            let from_there = self.0.iter().filter(|peeked| peeked.message.sequence >= from);
            Ok(from_there.take(few).cloned().collect())
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn message(sequence: i64, state: PeekedState) -> Peeked {
        let message = Message {
            sequence: SequenceNumber(sequence),
            enqueued: Some(at(1_000 + sequence)),
            ..Message::default()
        };
        Peeked { message, state, scheduled_for: None }
    }

    async fn look(messages: Vec<Peeked>, limit: u32) -> QueueSample {
        census(&Shelf(messages), limit).await.expect("a census")
    }

    #[tokio::test]
    async fn all_are_counted_page_by_page() {
        let messages = (1..=10).map(|number| message(number * 2, PeekedState::Active)).collect();
        let census = look(messages, 100).await;
        assert_eq!((census.active, census.more, census.oldest), (10, false, Some(at(1_002))));
    }

    #[tokio::test]
    async fn the_bound_is_kept_and_told() {
        let messages: Vec<_> = (1..=10).map(|number| message(number, PeekedState::Active)).collect();
        for (limit, more) in [(4, true), (9, true), (10, false), (11, false)] {
            let census = look(messages.clone(), limit).await;
            assert_eq!((census.active, census.more), (u64::from(limit.min(10)), more), "{limit}");
        }
    }

    #[tokio::test]
    async fn a_change_that_waits_for_its_next_try_is_as_old_as_its_original() {
        let mut copy = message(9, PeekedState::Scheduled);
        copy.message.properties.set("contactsync-attempt", ApplicationValue::I64(2));
        copy.message.properties.set("contactsync-first-seen", ApplicationValue::I64(400_000));
        let others = [
            message(1, PeekedState::Deferred),
            message(2, PeekedState::Scheduled),
            message(3, PeekedState::Active),
        ];
        let census = look(others.into_iter().chain([copy]).collect(), 100).await;
        assert_eq!((census.active, census.scheduled, census.oldest), (1, 2, Some(at(400))));
        assert_eq!(census.oldest_active, Some(at(1_003)));
    }

    #[tokio::test]
    async fn only_a_message_that_has_been_there_for_a_while_contradicts_a_zero() {
        let census = look(vec![message(1, PeekedState::Deferred), message(2, PeekedState::Active)], 9).await;
        assert!(!census.was_there(at(1_003)));
        assert!(census.was_there(at(1_010)));
        assert!(!look(vec![message(1, PeekedState::Scheduled)], 9).await.was_there(at(9_999)));
    }

    #[tokio::test]
    async fn dead_letters_are_grouped_by_reason() {
        let told = |sequence| {
            let mut letter = message(sequence, PeekedState::Active);
            letter.message.properties.set(REASON, "WrongEntity".into());
            letter
        };
        let mut strange = told(4);
        strange.message.properties.set(REASON, "ada@example.com\n".into());
        let census = look(vec![told(1), message(2, PeekedState::Active), told(3), strange], 9).await;
        let seen: Vec<_> = census.reasons.iter().map(|(reason, count)| (&**reason, *count)).collect();
        assert_eq!(seen, [("WrongEntity", 2), ("none given", 1), ("other", 1)]);
    }
}
