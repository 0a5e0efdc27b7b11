//! Whom a denial is about: everybody, because the app lost its permission, or one user who may not be written.
//!
//! Graph answers both alike. What tells them apart is what happens to others: if others are written meanwhile, it
//! is this user; if others are denied too, or nobody has ever been written, it is the installation. As long as
//! nothing tells, the write is tried again, so that a permission withdrawn while the worker runs costs no message.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use shared::ids::UserId;

/// Whom a denial is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Nobody has been written yet, or several users are denied in a row.
    Everybody,
    /// This user; others have been written since he was denied before.
    ThisUser,
    /// Nothing tells yet.
    Unclear,
}

/// Denied users that are remembered; enough for the administrators of any portal.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// What writes and denials have shown so far.
pub(super) struct Standing(Mutex<Shown>);

struct Shown {
    writes: u64,
    /// How many writes there had been when a user was denied last.
    denied: LruCache<UserId, u64>,
    /// The user who was denied since the last write, and whether there was another one.
    last: Option<UserId>,
    several: bool,
}

impl Standing {
    /// Nothing is known.
    pub(super) fn unproven() -> Self {
        let denied = LruCache::new(REMEMBERED);
        Self(Mutex::new(Shown { writes: 0, denied, last: None, several: false }))
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user was written.
    pub(super) fn written(&self) {
        let mut shown = self.shown();
        shown.writes += 1;
        shown.last = None;
        shown.several = false;
    }

    /// A user was denied.
    pub(super) fn denied(&self, user: UserId) -> Denial {
        let mut shown = self.shown();
        let writes = shown.writes;
        if shown.denied.put(user, writes).is_some_and(|then| then < writes) {
            return Denial::ThisUser;
        }
        shown.several |= shown.last.replace(user).is_some_and(|last| last != user);
        shown.doubt()
    }

    /// What is to be thought of a refusal that names no user.
    pub(super) fn doubt(&self) -> Denial {
        self.shown().doubt()
    }
}

impl Shown {
    fn doubt(&self) -> Denial {
        if self.writes == 0 || self.several { Denial::Everybody } else { Denial::Unclear }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// What is thought of each denial in a row of events; `w` is a write, a digit a user who is denied.
    #[track_caller]
    fn check(events: &str, expected: &[Denial]) {
        let standing = Standing::unproven();
        let denials = events.chars().filter_map(|event| {
            let user = event.to_digit(10);
            if user.is_none() {
                standing.written();
            }
            user.map(|user| standing.denied(UserId(Uuid::from_u128(u128::from(user)))))
        });
        assert_eq!(denials.collect::<Vec<_>>(), expected, "{events}");
    }

    #[test]
    fn a_denial_is_about_whom_the_others_show() {
        use Denial::{Everybody, ThisUser, Unclear};
        check("1", &[Everybody]);
        check("w1", &[Unclear]);
        check("w11", &[Unclear, Unclear]);
        check("w1w1", &[Unclear, ThisUser]);
        check("w12", &[Unclear, Everybody]);
        check("w121", &[Unclear, Everybody, Everybody]);
        check("w12w3", &[Unclear, Everybody, Unclear]);
        check("1w1", &[Everybody, ThisUser]);
        check("w12w12", &[Unclear, Everybody, ThisUser, ThisUser]);
    }
}
