//! When the pool as a whole may write to Graph: one gate for every lane, so that they do not discover a
//! throttled or broken service one by one.
//!
//! Five things can hold writes back, each with a life of its own: the **throttle** (Graph asked everyone to
//! wait), the **pace** (the write budget), the **breaker** (many users failed in a row), the **pause**
//! (the installation is at fault and a person has to mend it) and the **lease** (another replica writes, or may).

use std::{collections::HashSet, time::Duration};

use crate::{ids::UserId, monotonic_time::MonotonicTime, rate_limiter::RateLimiter, retry::Ladder};

/// When the breaker opens and how probing backs off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Different users that must fail in a row before the breaker opens.
    pub breaker_users: usize,
    /// Delays between probes, while the breaker is open or intake is paused.
    pub probe: Ladder,
    /// Wait after a 429 without a `Retry-After`.
    pub throttle: Ladder,
    /// Longest wait that a `Retry-After` may ask for; a mistaken header must not stop the worker for a day.
    pub longest_wait: Duration,
}

impl Default for GateLimits {
    /// What the file of default settings says.
    fn default() -> Self {
        // Hammering while throttled postpones recovery, so half of each wait is certain.
        const PROBES: Ladder =
            Ladder::fixed(Duration::from_secs(1), Duration::from_mins(1)).with_equal_jitter();
        Self { breaker_users: 10, probe: PROBES, throttle: PROBES, longest_wait: Duration::from_mins(10) }
    }
}

/// Writes of the budget that only changes which people wait for may take: what the usual quota saves up in a fifth of a second.
const KEPT: f64 = 4.0;

/// What holds writes back now, for readiness and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing does.
    Open,
    /// Graph asked for time until then.
    Throttled(MonotonicTime),
    /// Many users failed in a row; one probe at a time.
    BreakerOpen,
    /// The installation is at fault; nothing is written until a probe succeeds.
    Paused,
    /// A probe succeeded after a pause; one write at a time until one of them succeeds, too.
    Trial,
    /// This replica is not the writer, or cannot be sure that it is.
    NotWriter,
}

/// The gate.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: GateLimits,
    pace: RateLimiter,
    closed_until: MonotonicTime,
    /// What holds back writes of replayed changes, which Graph throttles before others.
    replayed: Option<Replayed>,
    throttles_in_a_row: u32,
    failed_users: HashSet<UserId>,
    breaker: Option<Probing>,
    pause: Option<Probing>,
    /// Whether a probe has succeeded since the pause began.
    trial: bool,
    /// Whether this replica is the writer. One that has no lease to ask for always is.
    writer: bool,
}

/// Graph asked a write of a replayed change to wait.
#[derive(Clone, Copy, Debug)]
struct Replayed {
    closed_until: MonotonicTime,
    /// Whose write shows whether there is room for them again. All that wait would find out at once otherwise, and each
    /// that is refused counts against the quota.
    trying: Option<UserId>,
}

#[derive(Clone, Copy, Debug)]
struct Probing {
    failures: u32,
    next: MonotonicTime,
    under_way: bool,
}

/// Whether a write may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Start it now.
    Now,
    /// Ask again then.
    At(MonotonicTime),
    /// Ask again when something has happened: a write that is under way has ended, or this replica became the writer.
    AfterProbe,
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new(limits: GateLimits, pace: RateLimiter) -> Self {
        Self {
            limits,
            pace,
            closed_until: MonotonicTime::START,
            replayed: None,
            throttles_in_a_row: 0,
            failed_users: HashSet::new(),
            breaker: None,
            pause: None,
            trial: false,
            writer: true,
        }
    }

    /// Whether this replica is the writer from now on. What holds writes back otherwise is kept.
    pub fn set_writer(&mut self, writer: bool) {
        self.writer = writer;
    }

    /// The same gate after all calls were given up: none of them tells any more what it was to show.
    #[must_use]
    pub fn without_calls(mut self) -> Self {
        for probing in [&mut self.pause, &mut self.breaker].into_iter().flatten() {
            probing.under_way = false;
        }
        if let Some(replayed) = &mut self.replayed {
            replayed.trying = None;
        }
        self
    }

    /// The write budget.
    pub fn pace(&mut self) -> &mut RateLimiter {
        &mut self.pace
    }

    /// What holds writes back at this moment.
    #[must_use]
    pub fn state(&self, now: MonotonicTime) -> State {
        if !self.writer {
            State::NotWriter
        } else if self.pause.is_some() {
            if self.trial { State::Trial } else { State::Paused }
        } else if self.breaker.is_some() {
            State::BreakerOpen
        } else if self.closed_until > now {
            State::Throttled(self.closed_until)
        } else {
            State::Open
        }
    }

    /// When to probe whether the installation works again; `None` unless it is at fault.
    #[must_use]
    pub fn probe_due(&self) -> Option<MonotonicTime> {
        self.pause.as_ref().filter(|_| !self.trial).map(|probing| probing.next)
    }

    /// When it is found out next whether writes work again, while something other than Graph's wish holds them back: the next
    /// probe, or the next write that is let through. `None` if it is being found out, and if nothing does. A time that has
    /// passed, as on trial before anything was tried, means the next write there is.
    #[must_use]
    pub fn next_try(&self) -> Option<MonotonicTime> {
        let probing = self.pause.as_ref().or(self.breaker.as_ref())?;
        (!probing.under_way).then(|| probing.next.max(self.closed_until))
    }

    /// Users whose writes failed in a row.
    #[must_use]
    pub fn failed_users(&self) -> usize {
        self.failed_users.len()
    }

    /// Writes per second that the pace allows now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.pace.rate()
    }

    /// When the budget has so many writes at hand; `None` if it never has.
    #[must_use]
    pub fn enough_at(&self, writes: usize, now: MonotonicTime) -> Option<MonotonicTime> {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        self.pace.holds_at(writes as f64, now)
    }

    /// When the budget has a write at hand besides what is kept for changes that people wait for; they find it there whatever
    /// else is written.
    #[must_use]
    pub fn spare_at(&self, now: MonotonicTime) -> MonotonicTime {
        self.pace.holds_at(1.0 + KEPT, now).unwrap_or_else(|| self.pace.ready_at(now))
    }

    /// When a look, which costs nothing of the write budget, may be made; `None` while the installation is at fault, or another
    /// replica may undo what it shows. An open breaker does not hold it back: its success is as good as that of a write.
    #[must_use]
    pub fn may_look_at(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        (self.writer && (self.pause.is_none() || self.trial)).then(|| self.closed_until.max(now))
    }

    /// Asks to start a write, and takes one from the budget if the answer is [`Permit::Now`].
    pub fn ask(&mut self, now: MonotonicTime) -> Permit {
        // Becoming the writer is something that happens, as the end of a probe is.
        if !self.writer || (self.pause.is_some() && !self.trial) {
            return Permit::AfterProbe;
        }
        let probing = self.pause.as_mut().or(self.breaker.as_mut());
        if probing.as_ref().is_some_and(|probing| probing.under_way) {
            return Permit::AfterProbe;
        }
        let probe = probing.as_ref().map_or(MonotonicTime::START, |probing| probing.next);
        let opens = self.closed_until.max(probe);
        if opens > now {
            return Permit::At(opens.max(self.pace.ready_at(now)));
        }
        if let Some(later) = self.pace.take(now) {
            return Permit::At(later);
        }
        if let Some(probing) = probing {
            probing.under_way = true;
        }
        Permit::Now
    }

    /// A write was accepted: nothing holds writes back any more.
    pub fn written(&mut self, now: MonotonicTime) {
        self.seen_well(now);
        self.pause = None;
        self.trial = false;
        self.pace.succeeded(now);
    }

    /// A write was refused for a fault of its own. Graph is well, but whether it accepts writes is not shown.
    pub fn answered(&mut self, now: MonotonicTime) {
        self.seen_well(now);
        self.pace.succeeded(now);
    }

    /// Something that costs nothing of the write budget was answered well. It tells nothing about that budget, and
    /// nothing about a fault of the installation.
    pub fn seen_well(&mut self, now: MonotonicTime) {
        self.throttles_in_a_row = 0;
        self.failed_users.clear();
        self.breaker = None;
        self.undecided(now);
    }

    /// What was to show whether Graph or the installation is well has shown neither; the next may be tried at once.
    pub fn undecided(&mut self, now: MonotonicTime) {
        if let Some(probing) = self.pause.as_mut().or(self.breaker.as_mut())
            && probing.under_way
        {
            probing.under_way = false;
            probing.next = now;
        }
    }

    /// A look at the user showed that the write that had been permitted was not needed.
    pub fn spared(&mut self, now: MonotonicTime) {
        self.seen_well(now);
        self.pace.give_back();
    }

    /// Graph hints that a limit is near.
    pub fn near_limit(&mut self, now: MonotonicTime) {
        self.pace.near_limit(now);
    }

    /// Graph asked everyone to wait.
    pub fn throttled(&mut self, retry_after: Option<Duration>, now: MonotonicTime, jitter: f64) {
        let until = now + self.asked_to_wait(retry_after, jitter);
        self.closed_until = self.closed_until.max(until);
        self.pace.throttled(now, self.closed_until);
        self.end_probe(now, jitter, false);
    }

    /// Graph asked a write of low priority to wait, as those of replayed changes are. It refuses them while there is still
    /// room for others, so others go on; if there is none, the next of them will be asked to wait as well.
    pub fn replayed_throttled(&mut self, retry_after: Option<Duration>, now: MonotonicTime, jitter: f64) {
        let until = now + self.asked_to_wait(retry_after, jitter);
        let before = self.replayed.map_or(MonotonicTime::START, |replayed| replayed.closed_until);
        self.replayed = Some(Replayed { closed_until: before.max(until), trying: None });
        self.pace.near_limit(now);
        self.end_probe(now, jitter, false);
    }

    /// Whether a write of replayed changes may start. After one was asked to wait, they go one at a time until one of them
    /// has succeeded.
    #[must_use]
    pub fn may_replay(&self, now: MonotonicTime) -> Permit {
        match self.replayed {
            Some(Replayed { closed_until, .. }) if closed_until > now => Permit::At(closed_until),
            Some(Replayed { trying: Some(_), .. }) => Permit::AfterProbe,
            _ => Permit::Now,
        }
    }

    /// A write of replayed changes of this user starts.
    pub fn replays(&mut self, user: UserId) {
        if let Some(replayed) = &mut self.replayed {
            replayed.trying = Some(user);
        }
    }

    /// A write of this user ended without being asked to wait; `written` tells whether Graph took it. Only the one that was
    /// started to find out shows that there is room: others were under way before.
    pub fn replay_ended(&mut self, user: UserId, written: bool) {
        if let Some(replayed) = &mut self.replayed
            && replayed.trying == Some(user)
        {
            replayed.trying = None;
            if written {
                self.replayed = None;
            }
        }
    }

    fn asked_to_wait(&mut self, retry_after: Option<Duration>, jitter: f64) -> Duration {
        self.throttles_in_a_row += 1;
        retry_after.map_or_else(
            || self.limits.throttle.wait(self.throttles_in_a_row, jitter),
            |asked| asked.min(self.limits.longest_wait),
        )
    }

    /// A write of this user failed in a way that may pass.
    pub fn failed(&mut self, user: UserId, now: MonotonicTime, jitter: f64) {
        self.failed_users.insert(user);
        if self.breaker.is_none() && self.failed_users.len() >= self.limits.breaker_users {
            self.breaker = Some(Probing { failures: 0, next: now, under_way: true });
        }
        self.end_probe(now, jitter, true);
    }

    /// The installation is at fault: nothing goes out until a probe says that it works again.
    pub fn pause(&mut self, now: MonotonicTime, jitter: f64) {
        let pause = self.pause.get_or_insert(Probing { failures: 0, next: now, under_way: true });
        // Writes that were under way when the pause began fail too; they are not probes that failed.
        pause.under_way |= self.trial || pause.next <= now;
        self.trial = false;
        self.end_probe(now, jitter, true);
    }

    /// The same where only a write can show whether it is over: it is tried often, because those who are tried first
    /// may be the very ones that are refused for themselves.
    pub fn pause_briefly(&mut self, now: MonotonicTime, jitter: f64) {
        self.pause(now, jitter);
        let longest = now + self.limits.probe.ceiling(2);
        if let Some(pause) = &mut self.pause {
            pause.next = pause.next.min(longest);
        }
    }

    /// A probe succeeded: one write at a time may show whether that is all it takes.
    pub fn begin_trial(&mut self, now: MonotonicTime) {
        if let Some(pause) = &mut self.pause {
            pause.next = now;
            pause.under_way = false;
            self.trial = true;
        }
    }

    /// A write that had been permitted was not needed after all; gives it back.
    pub fn unused(&mut self) {
        self.pace.give_back();
        if let Some(probing) = self.pause.as_mut().or(self.breaker.as_mut()) {
            probing.under_way = false;
        }
    }

    fn end_probe(&mut self, now: MonotonicTime, jitter: f64, failed: bool) {
        let Some(probing) = self.pause.as_mut().or(self.breaker.as_mut()) else { return };
        if !probing.under_way {
            return;
        }
        probing.under_way = false;
        if failed {
            probing.failures += 1;
            probing.next = now + self.limits.probe.wait(probing.failures, jitter);
        }
    }
}

#[cfg(test)]
mod tests {
    mod quota;
    mod replayed;

    use uuid::Uuid;

    use super::*;

    fn gate() -> Gate {
        let longest_wait = Duration::from_mins(5);
        Gate::new(
            GateLimits { breaker_users: 3, longest_wait, ..GateLimits::default() },
            RateLimiter::unlimited(),
        )
    }

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::after_start(Duration::from_secs(seconds))
    }

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    #[test]
    fn a_throttled_gate_opens_when_the_time_asked_for_is_over() {
        let mut gate = gate();
        gate.throttled(Some(Duration::from_secs(7)), at(0), 0.0);
        assert_eq!(gate.ask(at(6)), Permit::At(at(7)));
        assert_eq!(gate.ask(at(7)), Permit::Now);
    }

    #[test]
    fn a_shorter_wait_never_opens_a_gate_early() {
        let mut gate = gate();
        gate.throttled(Some(Duration::from_secs(9)), at(0), 0.0);
        gate.throttled(Some(Duration::from_secs(1)), at(1), 0.0);
        assert_eq!(gate.ask(at(5)), Permit::At(at(9)));
    }

    #[test]
    fn an_absurd_wait_is_bounded() {
        let mut gate = gate();
        gate.throttled(Some(Duration::from_hours(24)), at(0), 0.0);
        assert_eq!(gate.ask(at(1)), Permit::At(at(300)));
    }

    #[test]
    fn one_user_failing_again_and_again_does_not_open_the_breaker() {
        let mut gate = gate();
        for second in 0..20 {
            gate.failed(user(1), at(second), 1.0);
        }
        assert_eq!(gate.state(at(20)), State::Open);
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through_at_a_time_and_closes_on_success() {
        let mut gate = gate();
        for n in 0..3 {
            gate.failed(user(n), at(0), 1.0);
        }
        assert_eq!(gate.state(at(0)), State::BreakerOpen);
        assert_eq!(gate.ask(at(0)), Permit::At(at(1)));
        assert_eq!(gate.ask(at(1)), Permit::Now);
        assert_eq!(gate.ask(at(1)), Permit::AfterProbe);
        gate.failed(user(9), at(1), 1.0);
        assert_eq!(gate.ask(at(2)), Permit::At(at(3)), "the second wait is twice the first");
        assert_eq!(gate.ask(at(3)), Permit::Now);
        gate.written(at(3));
        assert_eq!(gate.state(at(3)), State::Open);
    }

    #[test]
    fn a_pause_ends_by_a_probe_and_a_write_that_succeed() {
        let mut gate = gate();
        gate.pause(at(0), 1.0);
        assert_eq!((gate.state(at(0)), gate.probe_due()), (State::Paused, Some(at(1))));
        gate.pause(at(0), 1.0);
        assert_eq!(gate.probe_due(), Some(at(1)), "a write that was under way is no failed probe");
        assert_eq!(gate.ask(at(1)), Permit::AfterProbe);
        gate.pause(at(1), 1.0);
        assert_eq!(gate.probe_due(), Some(at(3)), "the second wait is twice the first");
        gate.begin_trial(at(3));
        assert_eq!((gate.state(at(3)), gate.probe_due()), (State::Trial, None));
        assert_eq!((gate.ask(at(3)), gate.ask(at(3))), (Permit::Now, Permit::AfterProbe));
        gate.pause(at(4), 1.0);
        assert_eq!((gate.state(at(4)), gate.probe_due()), (State::Paused, Some(at(8))));
        gate.begin_trial(at(8));
        assert_eq!(gate.ask(at(8)), Permit::Now);
        gate.written(at(9));
        assert_eq!(gate.state(at(9)), State::Open);
    }

    #[test]
    fn the_next_try_is_known_unless_one_is_under_way() {
        let mut gate = gate();
        assert_eq!(gate.next_try(), None);
        gate.pause(at(0), 1.0);
        assert_eq!(gate.next_try(), Some(at(1)));
        gate.begin_trial(at(1));
        assert_eq!(gate.next_try(), Some(at(1)), "with the next message");
        assert_eq!(gate.ask(at(5)), Permit::Now);
        assert_eq!(gate.next_try(), None, "it is being found out");
        gate.failed(user(1), at(6), 1.0);
        assert_eq!((gate.state(at(6)), gate.next_try()), (State::Trial, Some(at(8))));
        gate.throttled(Some(Duration::from_secs(9)), at(6), 1.0);
        assert_eq!((gate.ask(at(8)), gate.next_try()), (Permit::At(at(15)), Some(at(15))));
        assert_eq!(gate.ask(at(15)), Permit::Now);
        gate.written(at(15));
        assert_eq!(gate.next_try(), None);
    }
}
