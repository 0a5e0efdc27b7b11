//! The messages under lock. A message may hold several changes, of several users; it is settled once, when
//! the last of them has its verdict.

use std::collections::HashMap;

use shared::{
    ids::{LockToken, UserId},
    lanes::Verdict,
};

use crate::bus::{Delivery, Message, Unsettled};

/// A message whose changes are on their way.
#[derive(Debug)]
struct Held {
    unsettled: Unsettled,
    message: Message,
    /// Changes without a verdict.
    open: usize,
    /// The gravest verdict so far.
    verdict: Verdict,
    users: Vec<UserId>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct HeldMessages(HashMap<LockToken, Held>);

/// A message all of whose changes have their verdicts.
#[derive(Debug)]
pub struct Finished {
    /// The duty to settle it.
    pub unsettled: Unsettled,
    /// The message.
    pub message: Message,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl HeldMessages {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a message, one entry of `users` for each of its changes.
    pub fn hold(&mut self, delivery: Delivery, users: Vec<UserId>) {
        let lock = delivery.lock;
        let (unsettled, message) = delivery.split();
        self.0.insert(lock, Held { unsettled, message, open: users.len(), verdict: Verdict::Stale, users });
    }

    /// One change of a message has its verdict. Returns the message if it was the last.
    ///
    /// The gravest verdict decides: applying a change twice is harmless, and losing one is not.
    pub fn close(&mut self, lock: LockToken, verdict: Verdict) -> Option<Finished> {
        let held = self.0.get_mut(&lock)?;
        held.open = held.open.saturating_sub(1);
        if gravity(&verdict) > gravity(&held.verdict) {
            held.verdict = verdict;
        }
        if held.open > 0 {
            return None;
        }
        let Held { unsettled, message, verdict, .. } = self.0.remove(&lock)?;
        Some(Finished { unsettled, message, verdict })
    }

    /// The users that a message concerns.
    #[must_use]
    pub fn users(&self, lock: LockToken) -> &[UserId] {
        self.0.get(&lock).map_or(&[], |held| &held.users)
    }
}

fn gravity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Stale => 0,
        Verdict::Applied => 1,
        Verdict::DeadLetter(_) => 2,
        Verdict::RetryLater(_) => 3,
        Verdict::Release => 4,
    }
}
