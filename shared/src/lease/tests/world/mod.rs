//! Some replicas and one session, in a time that a seed decides.

mod faults;
mod shell;

use std::collections::{BinaryHeap, VecDeque};

use super::{
    broker::Broker,
    machine::{Chance, Machine, Real},
    *,
};

pub(super) const SECOND: u64 = 1_000_000;
/// When the last fault ends.
const CALM: Real = 120 * SECOND;
/// How long somebody may take then to write.
const AIM: Real = 45 * SECOND;
const END: Real = CALM + AIM + 20 * SECOND;

/// What is different from the world as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    None,
    /// No faults; replicas are only stopped and started.
    Peace,
    /// Writes are started as long as nobody says otherwise.
    NoFence,
    NoQuiet,
    BrokerRenewsForAnybody,
}

#[derive(Clone, Debug)]
enum Answer {
    Accepted(Accepted),
    Read(LeaseAnswer<Option<Vec<u8>>>),
    Written(LeaseAnswer<()>),
    Renewed(LeaseAnswer<()>),
    Closed,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    WallJump,
    Freeze,
    Cut,
    LinkEnd,
    FreeEarly,
    Kill,
    Stop,
    Stuck,
    LaterVersion,
}

#[derive(Clone, Debug)]
enum Happening {
    Wake {
        poll: u64,
    },
    Arrives {
        request: u64,
        link: u64,
        action: LeaseAction,
    },
    /// The shell gave up an attach: if it is granted, that link goes.
    Abandoned {
        link: u64,
    },
    Answered {
        request: u64,
        answer: Answer,
    },
    TimedOut {
        request: u64,
        action: LeaseAction,
    },
    LinkEnded {
        link: u64,
    },
    Alive,
    GivenBack,
    Start,
    Thaw,
    Heal {
        reset: bool,
    },
    Unstuck,
    Fault(Fault),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Replica {
    /// Nothing while it does not run.
    lease: Option<Lease>,
    machine: Machine,
    stops_in_sleep: bool,
    /// How many processes there were.
    process: u64,
    link: u64,
    request: u64,
    poll: u64,
    frozen: bool,
    /// What came while it was frozen.
    inbox: VecDeque<Happening>,
    cut: bool,
    stuck: bool,
    told_to_write: bool,
}

/// The heap wants the greatest; `order` keeps what happens at the same time in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: std::cmp::Reverse<(Real, u64)>,
}

pub(super) struct World {
    twist: Twist,
    chance: Chance,
    now: Real,
    replicas: Vec<Replica>,
    broker: Broker,
    due: BinaryHeap<Due>,
    happenings: std::collections::HashMap<u64, (usize, u64, Happening)>,
    count: u64,
    noise: u64,
    /// The term of the last write, and whose it was.
    written: Option<(u64, (usize, u64))>,
    last_write: Real,
    first_write_in_calm: Option<Real>,
    pub(super) trace: Option<Vec<String>>,
    pub(super) unclean: usize,
    pub(super) resumed: usize,
    pub(super) lost: usize,
    pub(super) terms: u64,
}

type Verdict = Result<(), String>;

impl World {
    pub(super) fn new(seed: u64, twist: Twist, traced: bool) -> Self {
        let mut chance = Chance(seed);
        let replicas = 2 + chance.below(3) as usize;
        let mut broker = Broker::default();
        broker.renews_for_anybody = twist == Twist::BrokerRenewsForAnybody;
        let mut world = Self {
            twist,
            now: 0,
            replicas: Vec::new(),
            broker,
            due: BinaryHeap::new(),
            happenings: std::collections::HashMap::new(),
            count: 0,
            noise: if twist == Twist::Peace { 0 } else { chance.below(12) },
            written: None,
            last_write: 0,
            first_write_in_calm: None,
            trace: traced.then(Vec::new),
            unclean: 0,
            resumed: 0,
            lost: 0,
            terms: 0,
            chance,
        };
        for which in 0..replicas {
            // Often the extremes, which is where the arithmetic is tight.
            let rate = match world.chance.below(3) {
                0 => 0.99,
                1 => 1.01,
                _ => 0.99 + world.chance.part() * 0.02,
            };
            let machine = Machine::new(rate, world.chance.below(2 * SECOND) as i64);
            world.replicas.push(Replica {
                lease: None,
                machine,
                stops_in_sleep: world.chance.one_in(2),
                process: 0,
                link: 0,
                request: 0,
                poll: 0,
                frozen: false,
                inbox: VecDeque::new(),
                cut: false,
                stuck: false,
                told_to_write: false,
            });
            let at = world.chance.below(3 * SECOND);
            world.plan(at, which, Happening::Start);
            world.plan(at, which, Happening::Alive);
            for _ in 0..world.chance.below(5) {
                let fault = world.fault();
                let at = world.chance.within(5 * SECOND, CALM - 1);
                world.plan(at, which, Happening::Fault(fault));
            }
        }
        world
    }

    fn fault(&mut self) -> Fault {
        if self.twist == Twist::Peace {
            return Fault::Stop;
        }
        match self.chance.below(11) {
            0 => Fault::WallJump,
            1 | 2 => Fault::Freeze,
            3 | 4 => Fault::Cut,
            5 => Fault::LinkEnd,
            6 | 7 => Fault::FreeEarly,
            8 => Fault::Kill,
            9 => Fault::Stop,
            _ => [Fault::Stuck, Fault::LaterVersion][self.chance.below(2) as usize],
        }
    }

    fn plan(&mut self, at: Real, which: usize, happening: Happening) {
        self.count += 1;
        let process = self.replicas[which].process;
        self.due.push(Due { at: std::cmp::Reverse((at, self.count)) });
        self.happenings.insert(self.count, (which, process, happening));
    }

    fn note(&mut self, which: usize, what: impl FnOnce() -> String) {
        let now = self.now as f64 / SECOND as f64;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:10.6} r{which} {}", what()));
        }
    }

    /// How long something travels, if it arrives.
    fn travels(&mut self, which: usize) -> Option<u64> {
        let calm = self.now >= CALM || self.twist == Twist::Peace;
        if self.replicas[which].cut || (!calm && self.chance.below(100) < self.noise) {
            return None;
        }
        let late = !calm && self.chance.below(100) < self.noise;
        Some(if late { self.chance.within(1, 4 * SECOND) } else { self.chance.within(500, 30_000) })
    }

    pub(super) fn run(&mut self) -> Verdict {
        while let Some(Due { at: std::cmp::Reverse((at, number)) }) = self.due.pop() {
            if at > END {
                break;
            }
            self.writes_until(at)?;
            self.now = at;
            let (which, process, happening) = self.happenings.remove(&number).expect("planned once");
            self.happens(which, process, happening)?;
        }
        let first = self.first_write_in_calm.ok_or("nobody writes")?;
        if first > CALM + AIM || self.last_write + 5 * SECOND < END {
            return Err(format!("written from {first} to {}", self.last_write));
        }
        let holder = self.broker.holder(self.now).ok_or("nobody has the session")?;
        match &self.replicas[holder.replica] {
            Replica { lease: Some(_), link, .. } if *link == holder.link => Ok(()),
            _ => Err(format!("{holder:?} is not the link of anybody alive")),
        }
    }

    /// Nothing happens from now until then, so each replica can start writes in one part of that time.
    fn writes_until(&mut self, then: Real) -> Verdict {
        let mut parts = Vec::new();
        for (which, replica) in self.replicas.iter().enumerate() {
            let Some(lease) = replica.lease.as_ref().filter(|_| !replica.frozen) else { continue };
            let part = if self.twist == Twist::NoFence {
                lease.term().filter(|_| replica.told_to_write).map(|term| (term, self.now, then))
            } else {
                replica.machine.open(lease.fence(), self.now, then)
            };
            parts.extend(part.map(|(term, from, until)| (from, until, term, (which, replica.process))));
        }
        parts.sort_unstable();
        for (from, until, term, who) in parts {
            if from < self.last_write && self.written.is_some_and(|(_, other)| other != who) {
                return Err(format!(
                    "{who:?} writes from {from}, {:?} until {}",
                    self.written, self.last_write
                ));
            }
            if self.written.is_some_and(|(last, other)| last > term || (last == term && other != who)) {
                return Err(format!("{who:?} writes in term {term} after {:?}", self.written));
            }
            self.written = Some((term, who));
            self.last_write = until;
            self.terms = self.terms.max(term);
            if until > CALM {
                self.first_write_in_calm.get_or_insert(from.max(CALM));
            }
        }
        Ok(())
    }
}
