//! Deliveries on their way from the link to the engine, and the count of how many the engine can take.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::{delivery::Delivery, error::Error};

/// The place between the task that owns the link and the engine.
#[derive(Default)]
pub(super) struct DeliveryBuffer {
    state: Mutex<State>,
    /// Wakes the engine.
    arrived: Notify,
    /// Wakes the task that owns the link.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Delivery>,
    /// What the engine can take beyond what it was handed: set by it, lowered by each hand-over.
    capacity: usize,
    failure: Option<Error>,
    closed: bool,
}

/// What the link should do about credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// So many further messages.
    More(usize),
    /// So many messages too many are buffered.
    Surplus(usize),
}

impl DeliveryBuffer {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for deliveries and hands them over, as many as the engine can take.
    pub(super) async fn take(&self) -> Result<Vec<Delivery>, Error> {
        loop {
            let taken = self.with(|state| {
                let count = state.ready.len().min(state.capacity);
                if count > 0 {
                    state.capacity -= count;
                    return Some(Ok(state.ready.drain(..count).collect()));
                }
                if state.closed {
                    return Some(Err(Error::Closed));
                }
                state.failure.take().map(Err)
            });
            if let Some(taken) = taken {
                return taken;
            }
            // A permit that came since the look above is kept, so nothing is missed.
            self.arrived.notified().await;
        }
    }

    /// Sets what the engine can take.
    pub(super) fn set_capacity(&self, messages: u32) {
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        let changed = self.with(|state| {
            let messages = if state.closed { 0 } else { messages };
            std::mem::replace(&mut state.capacity, messages) != messages
        });
        if changed {
            self.changed.notify_one();
            // Deliveries that had to wait for capacity may go now.
            self.arrived.notify_one();
        }
    }

    /// Adds a delivery.
    pub(super) fn push(&self, delivery: Delivery) {
        self.with(|state| state.ready.push_back(delivery));
        self.arrived.notify_one();
    }

    /// Tells the engine why nothing comes. Only the latest reason is kept.
    pub(super) fn fail(&self, error: Error) {
        self.with(|state| state.failure = Some(error));
        self.arrived.notify_one();
    }

    /// Takes a reason back that has passed before the engine saw it.
    pub(super) fn recovered(&self) {
        self.with(|state| state.failure = None);
    }

    /// What the link should aim for.
    pub(super) fn wanted(&self) -> Wanted {
        self.with(|state| match state.ready.len().checked_sub(state.capacity) {
            None | Some(0) => Wanted::More(state.capacity - state.ready.len()),
            Some(surplus) => Wanted::Surplus(surplus),
        })
    }

    /// Takes the youngest deliveries back.
    pub(super) fn take_back(&self, count: usize) -> Vec<Delivery> {
        self.with(|state| {
            let keep = state.ready.len().saturating_sub(count);
            state.ready.split_off(keep).into()
        })
    }

    /// Ends intake and takes back what was not handed over.
    pub(super) fn close(&self) -> Vec<Delivery> {
        let left = self.with(|state| {
            state.closed = true;
            state.capacity = 0;
            state.ready.drain(..).collect()
        });
        self.arrived.notify_one();
        left
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures_util::FutureExt;
    use shared::ids::{LockToken, SequenceNumber};
    use tokio::time::Instant;

    use super::*;
    use crate::{
        delivery::{Settle, SettleError, Settlement},
        message::Message,
    };

    struct Nobody;

    #[async_trait]
    impl Settle for Nobody {
        async fn settle(&self, _: LockToken, _: Settlement) -> Result<(), SettleError> {
            Ok(())
        }

        fn dropped(&self, _: LockToken) {}
    }

    fn delivery(number: i64) -> Delivery {
        let message = Message { sequence: SequenceNumber(number), ..Message::default() };
        Delivery::new(message, LockToken(uuid::Uuid::nil()), Instant::now(), Arc::new(Nobody))
    }

    fn take(intake: &DeliveryBuffer) -> Option<Vec<i64>> {
        let taken = intake.take().now_or_never()?.expect("no failure");
        Some(taken.iter().map(|delivery| delivery.message.sequence.0).collect())
    }

    #[test]
    fn nothing_is_handed_over_beyond_the_capacity() {
        let intake = DeliveryBuffer::default();
        intake.set_capacity(3);
        for number in 1..=5 {
            intake.push(delivery(number));
        }
        assert_eq!(intake.wanted(), Wanted::Surplus(2));
        assert_eq!(take(&intake), Some(vec![1, 2, 3]));
        assert_eq!(take(&intake), None);
        intake.set_capacity(1);
        assert_eq!(take(&intake), Some(vec![4]));
    }

    #[test]
    fn handing_over_does_not_change_what_is_wanted() {
        let intake = DeliveryBuffer::default();
        intake.set_capacity(10);
        assert_eq!(intake.wanted(), Wanted::More(10));
        intake.push(delivery(1));
        intake.push(delivery(2));
        assert_eq!(intake.wanted(), Wanted::More(8));
        take(&intake).expect("two are there");
        assert_eq!(intake.wanted(), Wanted::More(8));
    }

    #[test]
    fn the_youngest_are_taken_back() {
        let intake = DeliveryBuffer::default();
        intake.set_capacity(5);
        for number in 1..=5 {
            intake.push(delivery(number));
        }
        intake.set_capacity(2);
        let back: Vec<_> = intake.take_back(3).iter().map(|delivery| delivery.message.sequence.0).collect();
        assert_eq!(back, [3, 4, 5]);
        assert_eq!(take(&intake), Some(vec![1, 2]));
    }

    #[test]
    fn deliveries_come_before_failures_and_failures_are_told_once() {
        let intake = DeliveryBuffer::default();
        intake.set_capacity(1);
        intake.fail(Error::Protocol { doing: "testing", what: "no sense".into() });
        intake.push(delivery(1));
        assert_eq!(take(&intake), Some(vec![1]));
        let failure = intake.take().now_or_never().expect("ready");
        assert!(matches!(failure, Err(Error::Protocol { .. })));
        assert!(intake.take().now_or_never().is_none());
    }

    #[test]
    fn closing_returns_what_was_not_handed_over_and_ends_the_waiting() {
        let intake = DeliveryBuffer::default();
        intake.set_capacity(5);
        intake.push(delivery(1));
        assert_eq!(intake.close().len(), 1);
        intake.set_capacity(5);
        assert_eq!(intake.wanted(), Wanted::More(0));
        assert!(matches!(intake.take().now_or_never(), Some(Err(Error::Closed))));
    }
}
