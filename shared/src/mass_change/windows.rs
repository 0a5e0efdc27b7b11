//! How many users each stream has changed within any window, in memory that is bounded.
//!
//! Time is cut into steps of a quarter of the window, and the users of each step are a set. A window of that length, wherever
//! it begins, lies within five steps in a row, so a bound on those is one on every window. The counts of five steps are kept up
//! to date with each user who joins one, so that nothing is ever counted through.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroUsize,
    time::Duration,
};

use jiff::Timestamp;
use lru::LruCache;

use super::stream::Stream;
use crate::ids::{IdState, UserId};

/// Steps in a window. It covers a part of one more, unless it begins with one.
const STEPS: u8 = 4;
const STEPS_AFTER: i64 = STEPS as i64;
const STEPS_COVERED: usize = STEPS as usize + 1;
/// The place of a step among those that are in one window with it.
const MIDDLE: usize = STEPS as usize;
const AROUND: usize = 2 * MIDDLE + 1;
/// Steps of one stream that are kept: what comes late, from an outage or from the dead letters, is counted in its own.
const KEPT: usize = 64;
/// Streams that are kept; the one that was counted in longest ago is forgotten first.
const STREAMS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// Users in all steps of all streams. A few ten megabytes at most.
const USERS: usize = 400_000;

/// The counts of all streams.
#[derive(Debug)]
pub(super) struct Windows {
    step: i64,
    streams: LruCache<Stream, Counts>,
    /// Users in all steps of all streams.
    users: usize,
    most_users: usize,
    /// Rises with each count, so that the step used longest ago is known.
    clock: u64,
    peak: usize,
}

/// The counts of one stream.
#[derive(Debug, Default)]
struct Counts {
    steps: BTreeMap<i64, Step>,
    /// By the first of its steps, the users of a window.
    windows: BTreeMap<i64, usize>,
}

#[derive(Debug, Default)]
struct Step {
    users: HashSet<UserId, IdState>,
    used: u64,
}

impl Windows {
    /// Windows of this length.
    pub(super) fn new(window: Duration) -> Self {
        Self::bounded(window, USERS)
    }

    /// The same with another bound for the users.
    pub(super) fn bounded(window: Duration, most_users: usize) -> Self {
        let step = i64::try_from(window.as_millis()).unwrap_or(i64::MAX) / STEPS_AFTER;
        Self { step: step.max(1), streams: LruCache::new(STREAMS), users: 0, most_users, clock: 0, peak: 0 }
    }

    /// How many users the fullest window would have if these were counted now; 0 if all of them are counted already.
    pub(super) fn with(&self, stream: &Stream, users: &[UserId], at: Timestamp) -> usize {
        let step = self.step_of(at);
        match self.streams.peek(stream) {
            Some(counts) => counts.with(users, step),
            None => users.len(),
        }
    }

    /// Counts users. Returns how many the fullest window around that time has now.
    pub(super) fn count(&mut self, stream: Stream, users: &[UserId], at: Timestamp) -> usize {
        let step = self.step_of(at);
        self.clock += 1;
        let counts = self.streams.get_or_insert_mut(stream, Counts::default);
        for user in users {
            self.users += usize::from(counts.add(*user, step));
        }
        if let Some(used) = counts.steps.get_mut(&step) {
            used.used = self.clock;
        }
        let fullest = counts.fullest(step);
        self.peak = self.peak.max(fullest);
        while counts.steps.len() > KEPT {
            self.users -= counts.forget_oldest();
        }
        self.keep_within_bounds();
        fullest
    }

    /// The fullest window there was.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// Users in all steps of all streams.
    #[cfg(test)]
    pub(super) fn users(&self) -> usize {
        let counted = self.streams.iter().map(|(_, counts)| counts.users()).sum();
        assert_eq!(self.users, counted);
        counted
    }

    fn step_of(&self, at: Timestamp) -> i64 {
        at.as_millisecond().div_euclid(self.step)
    }

    fn keep_within_bounds(&mut self) {
        while self.users > self.most_users && self.streams.len() > 1 {
            let Some((_, counts)) = self.streams.pop_lru() else { return };
            self.users -= counts.users();
        }
        // One stream with more users than may be remembered of all.
        while self.users > self.most_users {
            let Some((_, counts)) = self.streams.iter_mut().next() else { return };
            self.users -= counts.forget_oldest();
        }
    }
}

impl Counts {
    /// In which of the steps around one a user is counted, the first of them first.
    fn presence(&self, user: UserId, step: i64) -> [bool; AROUND] {
        let mut presence = [false; AROUND];
        for (at, presence) in (step - STEPS_AFTER..=step + STEPS_AFTER).zip(&mut presence) {
            *presence = self.steps.get(&at).is_some_and(|step| step.users.contains(&user));
        }
        presence
    }

    /// How many users the fullest window around a step would have with these.
    fn with(&self, users: &[UserId], step: i64) -> usize {
        let mut joining = [0; STEPS_COVERED];
        let mut nobody = true;
        for user in users {
            let presence = self.presence(*user, step);
            if presence[MIDDLE] {
                continue;
            }
            nobody = false;
            for (window, joining) in presence.windows(STEPS_COVERED).zip(&mut joining) {
                *joining += usize::from(!window.contains(&true));
            }
        }
        if nobody {
            return 0;
        }
        let starts = step - STEPS_AFTER..=step;
        let counts = starts.zip(joining).map(|(start, joining)| self.window(start) + joining);
        counts.max().unwrap_or_default()
    }

    /// Counts a user. Returns whether he is one more in his step.
    fn add(&mut self, user: UserId, step: i64) -> bool {
        let presence = self.presence(user, step);
        if presence[MIDDLE] {
            return false;
        }
        self.steps.entry(step).or_default().users.insert(user);
        for (start, window) in (step - STEPS_AFTER..=step).zip(presence.windows(STEPS_COVERED)) {
            let count = self.windows.entry(start).or_default();
            *count += usize::from(!window.contains(&true));
        }
        true
    }

    /// Users of the fullest window around a step.
    fn fullest(&self, step: i64) -> usize {
        (step - STEPS_AFTER..=step).map(|start| self.window(start)).max().unwrap_or_default()
    }

    fn window(&self, start: i64) -> usize {
        self.windows.get(&start).copied().unwrap_or_default()
    }

    fn users(&self) -> usize {
        self.steps.values().map(|step| step.users.len()).sum()
    }

    /// Forgets the step that was counted in longest ago. Returns how many users it had.
    fn forget_oldest(&mut self) -> usize {
        let oldest = self.steps.iter().min_by_key(|(_, step)| step.used).map(|(at, _)| *at);
        let forgotten = oldest.and_then(|at| self.steps.remove(&at));
        // Windows that cover a step which is kept go on with what they have: too much rather than too little.
        let steps = &self.steps;
        self.windows.retain(|start, _| steps.range(*start..=*start + STEPS_AFTER).next().is_some());
        forgotten.map_or(0, |step| step.users.len())
    }
}
