//! One replica: the product's engine with the settings of a small installation.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    num::NonZeroU32,
    time::Duration,
};

use shared::{
    engine::{Effect, Engine, EnginePolicy},
    gate,
    ids::{LockToken, UserId},
    lanes,
    lease::Budget,
    mass_change::MassChangePolicy,
    monotonic_time::MonotonicTime,
    retry::Ladder,
    step::Step,
};

use super::{clock::MachineClock, event::Event, model::Broken, seat::Seat};

/// After so long a message that still fails is dead-lettered; far longer than anything lasts that passes.
const MAX_AGE: Duration = Duration::from_mins(20);

/// Shorter than anything that is waited for, and longer than what sums of fractions are off.
const TICK: Duration = Duration::from_millis(1);

/// Until when the engine said it would ask for nothing.
#[derive(Clone, Copy, Debug)]
struct Announced(Option<MonotonicTime>);

/// A replica in one of its lives.
#[derive(Debug)]
pub(super) struct Replica {
    engine: Engine<LockToken>,
    /// What it announced last, if nothing has been told to it since.
    announced: Option<Announced>,
    /// Which life it is; what an earlier life began does not concern this one.
    pub(super) life: u32,
    /// By which its engine and its lease measure time, from the beginning of this life.
    pub(super) clock: MachineClock,
    /// Whether its monotonic clock stands still while the process is frozen.
    pub(super) stops_in_sleep: bool,
    /// What came while it was frozen, if it is.
    pub(super) inbox: Option<Vec<Event>>,
    pub(super) was_frozen: bool,
    /// Its lease, if there are several that agree on who writes.
    pub(super) seat: Option<Seat>,
    /// Locks it holds.
    pub(super) locks: BTreeSet<LockToken>,
    /// How often the renewal of each of them failed, of those of which it did.
    pub(super) failed_renewals: HashMap<LockToken, u32>,
    /// Users with a write under way, to catch a second one.
    pub(super) writing: HashSet<UserId>,
    /// Settlements on their way.
    pub(super) settling: usize,
    /// Whether it was asked to stop.
    pub(super) stopping: bool,
    /// Earliest turn that is planned already.
    pub(super) next_turn: Option<MonotonicTime>,
}

/// Tries of a write, and probes of Graph.
const RETRIES: Ladder = Ladder::fixed(Duration::from_millis(200), Duration::from_secs(10)).with_tries(4);
const PROBES: Ladder = Ladder::fixed(Duration::from_secs(1), Duration::from_secs(20)).with_equal_jitter();

impl Replica {
    /// `judges` tells whether refusals are judged by what becomes of others, `most_alike` how many users one author may
    /// change alike, `read_back` whether rows are read.
    pub(super) fn new(
        life: u32,
        clock: MachineClock,
        verify_after: Option<Duration>,
        judges: bool,
        most_alike: Option<NonZeroU32>,
        read_back: bool,
    ) -> Self {
        let lanes = lanes::LaneLimits {
            concurrency: 4,
            messages: 40,
            retries: RETRIES,
            many_users: if judges { 3 } else { usize::MAX },
            // Users here have changes a few times a minute, so evidence takes longer to come than in a busy portal.
            refusal_patience: if judges { Duration::from_mins(1) } else { Duration::ZERO },
            verify_after,
            ..lanes::LaneLimits::default()
        };
        let gate = gate::GateLimits {
            breaker_users: 3,
            probe: PROBES,
            throttle: PROBES,
            ..gate::GateLimits::default()
        };
        let max_lock_hold = Duration::from_mins(2);
        let mass_change = MassChangePolicy { users: most_alike, ..MassChangePolicy::default() };
        let usual = EnginePolicy::default();
        let policy =
            EnginePolicy { lanes, gate, max_age: MAX_AGE, max_lock_hold, mass_change, read_back, ..usual };
        Self {
            engine: Engine::new(policy),
            announced: None,
            life,
            clock,
            stops_in_sleep: false,
            inbox: None,
            was_frozen: false,
            seat: None,
            locks: BTreeSet::new(),
            failed_renewals: HashMap::new(),
            writing: HashSet::new(),
            settling: 0,
            stopping: false,
            next_turn: None,
        }
    }

    /// The engine, to look at.
    pub(super) fn engine(&self) -> &Engine<LockToken> {
        &self.engine
    }

    /// What it knows of the budget for writes.
    pub(super) fn budget(&mut self, now: MonotonicTime) -> Budget {
        let (rate, tokens) = self.engine.budget(self.time(now));
        Budget { rate, tokens }
    }

    /// How many messages it may take.
    pub(super) fn credit(&mut self, now: MonotonicTime) -> usize {
        let time = self.time(now);
        self.engine.credit(time)
    }

    /// Tells the engine something that happened.
    pub(super) fn tell<R>(
        &mut self,
        now: MonotonicTime,
        event: impl FnOnce(&mut Engine<LockToken>, MonotonicTime) -> R,
    ) -> R {
        self.announced = None;
        let time = self.time(now);
        event(&mut self.engine, time)
    }

    /// What the engine asks for. While nothing happens it asks for nothing before the time that it has announced,
    /// and it announces none that has come already.
    pub(super) fn next(&mut self, now: MonotonicTime) -> Result<Step<Effect<LockToken>>, Broken> {
        let time = self.time(now);
        let step = self.engine.next(time);
        let (announced, again) = match &step {
            Step::Do(_) => (None, Some(time)),
            Step::Wait(until) => (Some(Announced(*until)), *until),
        };
        let early = |then: MonotonicTime| again.is_some_and(|again| again + TICK < then);
        let too_early = match self.announced {
            // Before anything at all.
            Some(Announced(None)) => again.is_some(),
            Some(Announced(Some(then))) if time + TICK < then => early(then),
            Some(Announced(Some(_))) | None => false,
        };
        let late = announced.is_some_and(|Announced(until)| until.is_some_and(|until| until <= time));
        if too_early || late {
            return Err(Broken::Announced(format!("{:?}, then {step:?} at {time:?}", self.announced)));
        }
        self.announced = announced;
        Ok(match step {
            Step::Do(effect) => Step::Do(effect),
            Step::Wait(until) => Step::Wait(until.map(|until| self.clock.real(until))),
        })
    }

    /// The engine's own time.
    fn time(&self, now: MonotonicTime) -> MonotonicTime {
        self.clock.monotonic(now)
    }
}
