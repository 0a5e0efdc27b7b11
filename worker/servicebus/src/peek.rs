//! Looking into a queue without taking anything: one look, and walks page by page, whatever the queue's length.

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use shared::{
    ids::SequenceNumber,
    retry::{Again, Ladder},
};

use crate::{Error, Peeked, retry::retry};

/// Messages in one look; the service gives no more, and fewer when they are long.
const PAGE: u32 = 250;
/// Looks that may fail one after another, and the waits between them.
const LOOKS: Ladder = Ladder::fixed(Duration::from_millis(200), Duration::from_secs(10)).with_tries(6);

/// A queue or sub-queue that can be looked into.
#[async_trait]
pub trait Peek: Send + Sync + 'static {
    /// Peeks at up to `max` messages from a sequence number on, without locking them. Locked, deferred and scheduled
    /// messages are included. An empty result means that there are none at or above the number.
    async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error>;
}

/// A walk through a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    next: SequenceNumber,
    /// Messages seen.
    pub seen: u64,
    /// The highest number among them.
    pub last: Option<SequenceNumber>,
}

impl Walk {
    /// One that begins at a number.
    #[must_use]
    pub fn from(next: SequenceNumber) -> Self {
        Self { next, ..Self::default() }
    }

    /// The next messages in order, `most` of them; empty at the end of the queue. Fails at the first failure.
    pub async fn look<P: Peek + ?Sized>(&mut self, queue: &P, most: u32) -> Result<Vec<Peeked>, Error> {
        let page = queue.peek(self.next, most.min(PAGE)).await?;
        Ok(self.passed(page))
    }

    /// The next page, looked for again and again over failures that pass.
    pub async fn page<P: Peek + ?Sized>(&mut self, queue: &P) -> Result<Vec<Peeked>, Error> {
        let page = patiently(queue, self.next, PAGE).await?;
        Ok(self.passed(page))
    }

    /// Steps behind a page. What a service shows again does not count, or a walk might never end.
    fn passed(&mut self, mut page: Vec<Peeked>) -> Vec<Peeked> {
        page.retain(|peeked| peeked.message.sequence >= self.next);
        if let Some(last) = page.iter().map(|peeked| peeked.message.sequence).max() {
            self.next = SequenceNumber(last.0.saturating_add(1));
            self.seen += page.len() as u64;
            self.last = Some(last);
        }
        page
    }
}

/// Shows every message from a number up, in order, until there are no more or `each` has seen enough.
pub async fn browse<P: Peek + ?Sized>(
    queue: &P,
    from: SequenceNumber,
    mut each: impl FnMut(Peeked) -> ControlFlow<()>,
) -> Result<Walk, Error> {
    let mut walk = Walk::from(from);
    loop {
        let page = walk.page(queue).await?;
        if page.is_empty() || page.into_iter().any(|peeked| each(peeked).is_break()) {
            return Ok(walk);
        }
    }
}

/// The highest number in a queue, found by halving: a look answers whether there is any message from there up.
pub async fn last<P: Peek + ?Sized>(queue: &P) -> Result<Option<SequenceNumber>, Error> {
    let Some(mut known) = first_from(queue, SequenceNumber(0)).await? else { return Ok(None) };
    let mut step = 1_i64;
    // Upwards in growing steps as long as there is something, then back by halves.
    while let Some(found) = first_from(queue, SequenceNumber(known.0.saturating_add(step))).await? {
        known = found;
        step = step.saturating_mul(2);
    }
    while step > 1 {
        step /= 2;
        if let Some(found) = first_from(queue, SequenceNumber(known.0.saturating_add(step))).await? {
            known = found;
        }
    }
    Ok(Some(known))
}

async fn first_from<P: Peek + ?Sized>(
    queue: &P,
    from: SequenceNumber,
) -> Result<Option<SequenceNumber>, Error> {
    let page = patiently(queue, from, 1).await?;
    Ok(page.first().map(|peeked| peeked.message.sequence).filter(|found| *found >= from))
}

/// One look, again and again over failures that pass.
async fn patiently<P: Peek + ?Sized>(
    queue: &P,
    from: SequenceNumber,
    max: u32,
) -> Result<Vec<Peeked>, Error> {
    let again = |error: &Error| match error {
        Error::Closed => Again::Never,
        error => error.class().into(),
    };
    retry(LOOKS, again, || queue.peek(from, max)).await
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::{Message, PeekedState};

    /// Numbers, and how often they were looked at.
    struct Shelf(BTreeSet<i64>, AtomicUsize);

    impl Shelf {
        fn of(numbers: impl IntoIterator<Item = i64>) -> Self {
            Self(numbers.into_iter().collect(), AtomicUsize::new(0))
        }
    }

    #[async_trait]
    impl Peek for Shelf {
        async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let page = self.0.range(from.0..).take(usize::try_from(max).expect("small"));
            let peeked = |number: &i64| Peeked {
                message: Message { sequence: SequenceNumber(*number), ..Message::default() },
                state: PeekedState::Active,
                scheduled_for: None,
            };
            Ok(page.map(peeked).collect())
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    proptest! {
        #[test]
        fn the_last_of_any_queue_is_found(numbers in prop::collection::btree_set(0_i64..1 << 50, 0..20)) {
            let shelf = Shelf::of(numbers.iter().copied());
            let found = run(last(&shelf)).expect("the shelf answers").map(|sequence| sequence.0);
            prop_assert_eq!(found, numbers.last().copied());
            let looks = shelf.1.load(Ordering::Relaxed);
            prop_assert!(looks < 250, "{looks} looks");
        }
    }

    #[test]
    fn every_message_is_shown_once_and_in_order() {
        let shelf = Shelf::of((0..1_000).map(|number| number * 3));
        let mut seen = Vec::new();
        let walk = run(browse(&shelf, SequenceNumber(300), |peeked| {
            seen.push(peeked.message.sequence.0);
            ControlFlow::Continue(())
        }));
        assert_eq!(seen, (100..1_000).map(|number| number * 3).collect::<Vec<_>>());
        assert_eq!(
            walk.expect("the shelf answers"),
            Walk { next: SequenceNumber(2_998), seen: 900, last: Some(SequenceNumber(2_997)) }
        );
    }
}
