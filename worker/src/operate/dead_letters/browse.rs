//! Walking through a queue by peek, page by page, whatever its length.

use std::{ops::ControlFlow, time::Duration};

use servicebus::{Error, Peek, Peeked, retry::retry};
use shared::{
    ids::SequenceNumber,
    retry::{Again, Ladder},
};

/// Messages in one look; the service gives fewer when they are long.
const PAGE: u32 = 250;
/// Looks that may fail one after another, and the waits between them.
const LOOKS: Ladder = Ladder::fixed(Duration::from_millis(200), Duration::from_secs(10)).with_tries(6);

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

    /// The next messages in order; empty at the end of the queue.
    pub async fn page<Q: Peek + ?Sized>(&mut self, queue: &Q) -> Result<Vec<Peeked>, Error> {
        let mut page = look(queue, self.next, PAGE).await?;
        page.retain(|peeked| peeked.message.sequence >= self.next);
        if let Some(last) = page.last().map(|peeked| peeked.message.sequence) {
            self.next = SequenceNumber(last.0.saturating_add(1));
            self.seen += page.len() as u64;
            self.last = Some(last);
        }
        Ok(page)
    }
}

/// Shows every message from a number up, in order, until there are no more or `each` has seen enough.
pub async fn browse<Q: Peek + ?Sized>(
    queue: &Q,
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
pub async fn last<Q: Peek + ?Sized>(queue: &Q) -> Result<Option<SequenceNumber>, Error> {
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

async fn first_from<Q: Peek + ?Sized>(
    queue: &Q,
    from: SequenceNumber,
) -> Result<Option<SequenceNumber>, Error> {
    let page = look(queue, from, 1).await?;
    Ok(page.first().map(|peeked| peeked.message.sequence).filter(|found| *found >= from))
}

/// One look, again and again over failures that pass.
async fn look<Q: Peek + ?Sized>(queue: &Q, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
    let again = |error: &Error| match error {
        Error::Closed => Again::Never,
        error => error.class().into(),
    };
    retry(LOOKS, again, || queue.peek(from, max)).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use self::fake::Shelf;
    use super::*;

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
            prop_assert!(shelf.looks() < 250, "{} looks", shelf.looks());
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

    mod fake {
        //! A queue that can only be looked at.

        use std::{
            collections::BTreeSet,
            sync::atomic::{AtomicUsize, Ordering},
        };

        use async_trait::async_trait;
        use servicebus::{Message, PeekedState};

        use super::*;

        pub(super) struct Shelf(BTreeSet<i64>, AtomicUsize);

        impl Shelf {
            pub(super) fn of(numbers: impl IntoIterator<Item = i64>) -> Self {
                Self(numbers.into_iter().collect(), AtomicUsize::new(0))
            }

            pub(super) fn looks(&self) -> usize {
                self.1.load(Ordering::Relaxed)
            }
        }

        #[async_trait]
        impl Peek for Shelf {
            async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
                self.1.fetch_add(1, Ordering::Relaxed);
                let page = self.0.range(from.0..).take(usize::try_from(max).expect("small"));
                Ok(page
                    .map(|number| Peeked {
                        message: Message { sequence: SequenceNumber(*number), ..Message::default() },
                        state: PeekedState::Active,
                        scheduled_for: None,
                    })
                    .collect())
            }
        }
    }
}
