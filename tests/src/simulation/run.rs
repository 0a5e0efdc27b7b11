//! A world from its first message to its rest.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use shared::{
    class::Class,
    engine::{Arrival, Effect, Ending, Intake, Planned, WriteResult},
    ids::LockToken,
    lanes::Failure,
    moment::Moment,
    patch::UserWrite,
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
    reconcile::Reading,
    urgency::Urgency,
};

use super::{
    directory::{self, Directory, Flight, Writer},
    model::{self, Broken, Change},
    queue::{Queue, State},
    replica::Replica,
};

/// What kind of world it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Replicas on the queue.
    pub replicas: usize,
    /// Whether they die and come back.
    pub crashes: bool,
    /// Whether the guard is on.
    pub guard: bool,
    /// Whether writes are looked at again.
    pub verify: bool,
    /// Changes posted.
    pub changes: usize,
    /// Users they are spread over.
    pub users: u8,
}

impl Shape {
    /// The shape that goes with a seed: alone and undisturbed, alone with crashes, or several with crashes. Where
    /// memory can be lost, the guard is on, as the documentation asks for.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let (replicas, crashes, guard) = match seed % 4 {
            0 => (1, false, false),
            1 => (1, false, true),
            2 => (1, true, true),
            _ => (3, true, true),
        };
        Self { replicas, crashes, guard, verify: guard, changes: 60, users: 6 }
    }
}

/// What happened in a world that kept its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Writes that took effect.
    pub writes: u64,
    /// Crashes.
    pub crashes: u64,
    /// Times a message was handed out.
    pub deliveries: u64,
    /// Users for whom two replicas crossed each other; the newest value stands for them all the same.
    pub crossed: u64,
}

#[derive(Debug)]
enum Event {
    /// A replica has a turn.
    Turn(Writer),
    /// A write takes effect, or not, in the directory.
    Effect(Box<Flight>),
    /// A replica hears how a write ended.
    Answer(Writer, Box<UserWrite>, WriteResult),
    /// A settlement reaches the queue.
    Settle(Writer, LockToken, Ending),
    /// A replica renews its locks.
    Renew(Writer),
    /// A replica hears what its second look at a user showed.
    Verified(Writer, Box<UserWrite>, WriteResult),
    /// A replica hears how its probe ended.
    Probed(Writer, bool),
    /// A replica dies.
    Crash(usize),
    /// A replica is started.
    Start(usize),
}

/// How long messages are posted and things go wrong.
const TROUBLE: Duration = Duration::from_mins(2);
/// After so long everything must be settled.
const PATIENCE: Duration = Duration::from_hours(200);
const LOCK: Duration = Duration::from_secs(30);
/// Longer than any look and write take together.
const VERIFY_AFTER: Duration = Duration::from_secs(4);

/// Runs the world of this seed.
pub fn simulate(shape: Shape, seed: u64) -> Result<Report, Broken> {
    let mut world = World::new(shape, seed);
    while let Some(Reverse(next)) = world.events.pop() {
        world.now = next.at;
        if world.now > Moment::after_start(PATIENCE) {
            break;
        }
        world.happen(next.event)?;
        if world.queue.open().next().is_none() && world.now > Moment::after_start(TROUBLE) {
            break;
        }
    }
    world.check()
}

/// An event in its place: earlier first, and in the order of planning at the same time.
struct Scheduled {
    at: Moment,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

struct World {
    shape: Shape,
    rng: StdRng,
    now: Moment,
    order: u64,
    events: BinaryHeap<Reverse<Scheduled>>,
    changes: Vec<Change>,
    queue: Queue,
    directory: Directory,
    reading: Reading,
    replicas: Vec<Option<Replica>>,
    lives: u32,
    /// When the installation is at fault, and when Graph is away.
    denied: (Moment, Moment),
    away: (Moment, Moment),
    report: Report,
}

impl World {
    fn new(shape: Shape, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let window = |rng: &mut StdRng, share: f64, longest: u64| {
            if !rng.random_bool(share) {
                return (Moment::START, Moment::START);
            }
            let start = Moment::after_start(Duration::from_secs(rng.random_range(0..90)));
            (start, start + Duration::from_secs(rng.random_range(1..longest)))
        };
        let (denied, away) = (window(&mut rng, 0.3, 40), window(&mut rng, 0.3, 60));
        let guard = shape.guard.then(|| Property::named("extensionAttribute15")).flatten();
        let mut world = Self {
            shape,
            rng,
            now: Moment::START,
            order: 0,
            events: BinaryHeap::new(),
            changes: Vec::new(),
            queue: Queue { messages: Vec::new(), lock: LOCK },
            directory: Directory::default(),
            reading: Reading { guard, diff: false },
            replicas: (0..shape.replicas).map(|_| None).collect(),
            lives: 0,
            denied,
            away,
            report: Report::default(),
        };
        world.populate();
        world
    }

    /// Posts everything that will be posted, some of it twice, and plans the life of the replicas.
    fn populate(&mut self) {
        for number in 0..self.shape.changes {
            let user = self.rng.random_range(0..self.shape.users);
            let property = self.rng.random_range(0..3);
            let poison = self.rng.random_bool(0.03);
            let second = self.rng.random_range(0..100);
            self.changes.push(Change::new(number, user, second, property, poison));
            let delay = Duration::from_millis(self.rng.random_range(0..5_000));
            let at = Moment::after_start(Duration::from_secs(u64::from(second)) + delay);
            self.queue.post(number, at, 0, None, at);
            if self.rng.random_bool(0.05) {
                let again = at + Duration::from_millis(self.rng.random_range(0..60_000));
                self.queue.post(number, again, 0, None, again);
            }
        }
        for replica in 0..self.shape.replicas {
            self.start(replica);
            if self.shape.crashes {
                let at = Moment::after_start(Duration::from_millis(self.rng.random_range(0..100_000)));
                self.plan(at, Event::Crash(replica));
            }
        }
    }

    fn plan(&mut self, at: Moment, event: Event) {
        self.order += 1;
        self.events.push(Reverse(Scheduled { at, order: self.order, event }));
    }

    fn soon(&mut self, longest: u64) -> Moment {
        self.now + Duration::from_millis(self.rng.random_range(0..longest))
    }

    fn alive(&mut self, (replica, life): Writer) -> Option<&mut Replica> {
        self.replicas[replica].as_mut().filter(|replica| replica.life == life)
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Turn(writer) => return self.turn(writer),
            Event::Effect(flight) => self.take_effect(&flight),
            Event::Answer(writer, write, result) => self.answer(writer, &write, result),
            Event::Settle(writer, lock, ending) => self.settle(writer, lock, ending),
            Event::Renew(writer) => self.renew(writer),
            Event::Verified(writer, write, result) => self.verified(writer, &write, result),
            Event::Probed(writer, well) => self.probed(writer, well),
            Event::Crash(replica) => self.crash(replica),
            Event::Start(replica) => self.start(replica),
        }
        Ok(())
    }

    fn start(&mut self, replica: usize) {
        self.lives += 1;
        let verify_after = self.shape.verify.then_some(VERIFY_AFTER);
        self.replicas[replica] = Some(Replica::new(self.lives, self.now, verify_after));
        let writer = (replica, self.lives);
        self.turn_at(writer, self.now);
        self.plan(self.now + LOCK / 3, Event::Renew(writer));
    }

    fn crash(&mut self, replica: usize) {
        self.report.crashes += 1;
        self.replicas[replica] = None;
        let back = self.soon(20_000);
        self.plan(back, Event::Start(replica));
        if self.now < Moment::after_start(TROUBLE) {
            let again = self.now + Duration::from_millis(self.rng.random_range(20_000..60_000));
            self.plan(again, Event::Crash(replica));
        }
    }

    /// Plans a turn, unless an earlier one is planned already.
    fn turn_at(&mut self, writer: Writer, at: Moment) {
        let Some(replica) = self.alive(writer) else { return };
        if replica.next_turn.is_none_or(|planned| at < planned) {
            replica.next_turn = Some(at);
            self.plan(at, Event::Turn(writer));
        }
    }

    /// Does what the engine asks for, takes messages for its credit, and plans the next turn.
    fn turn(&mut self, writer: Writer) -> Result<(), Broken> {
        let now = self.now;
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        if replica.next_turn.is_some_and(|planned| planned <= now) {
            replica.next_turn = None;
        }
        self.carry_out(writer)?;
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        let credit = replica.engine.credit(replica.time(now)).min(10);
        for (index, lock) in self.queue.receive(credit, now, &mut self.rng) {
            self.hand_over(writer, index, lock);
        }
        self.carry_out(writer)?;
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        let (time, born) = (replica.time(now), replica.born);
        let wake = replica.engine.wake_at(time).map(|at| born + at.since_start());
        // The queue is asked now and then, as a receiving link would be told.
        let poll = now + Duration::from_millis(500);
        self.turn_at(writer, wake.map_or(poll, |wake| wake.min(poll)).max(now + Duration::from_millis(1)));
        Ok(())
    }

    fn hand_over(&mut self, writer: Writer, index: usize, lock: LockToken) {
        self.report.deliveries += 1;
        let message = self.queue.messages[index].clone();
        let change = &self.changes[message.change];
        let planned = Planned { user: change.user, version: Some(change.version), patch: change.patch() };
        let arrival = Arrival {
            lock,
            locked_for: LOCK,
            bytes: 100,
            enqueued: Timestamp::UNIX_EPOCH,
            age: self.now - message.first_seen,
            arrival: message.arrival,
            urgency: Urgency::Live,
            intake: Intake::Work(vec![planned]),
        };
        let now = self.now;
        if let Some(replica) = self.alive(writer) {
            replica.locks.insert(lock);
            let time = replica.time(now);
            replica.engine.arrived(arrival, time);
        }
    }

    fn carry_out(&mut self, writer: Writer) -> Result<(), Broken> {
        let now = self.now;
        loop {
            let Some(replica) = self.alive(writer) else { return Ok(()) };
            let time = replica.time(now);
            match replica.engine.next(time) {
                None => return Ok(()),
                Some(Effect::Write { write, .. }) => {
                    if !replica.writing.insert(write.user) {
                        return Err(Broken::TwoWrites(write.user));
                    }
                    self.write(writer, write);
                }
                Some(Effect::Settle { lock, ending, .. }) => {
                    replica.locks.remove(&lock);
                    let at = self.soon(50);
                    self.plan(at, Event::Settle(writer, lock, ending));
                }
                Some(Effect::Verify(write)) => self.verify(writer, write),
                Some(Effect::Probe) => {
                    let at = self.now + Duration::from_millis(self.rng.random_range(5..2_000));
                    let well = !within(self.denied, at) && !within(self.away, at);
                    self.plan(at, Event::Probed(writer, well));
                }
            }
        }
    }

    /// Sends a write and decides how it goes: in time order, the look, the effect, the answer.
    fn write(&mut self, writer: Writer, write: UserWrite) {
        let flight = self.directory.look(write.clone(), writer, self.now);
        let effect = self.now + Duration::from_millis(self.rng.random_range(2..1_500));
        let answer = effect + Duration::from_millis(self.rng.random_range(1..1_500));
        let trouble = effect < Moment::after_start(TROUBLE);
        let poison = write.entries.iter().any(|entry| model::is_poison(&entry.value));
        let fate = self.rng.random_range(0..100);
        let result = if within(self.denied, effect) {
            Err(failure(Class::Installation))
        } else if within(self.away, effect) || (trouble && fate < 8) {
            Err(failure(Class::Transient))
        } else if trouble && fate < 12 {
            let wait = Duration::from_millis(self.rng.random_range(0..10_000));
            Err(failure(Class::Throttled { retry_after: (fate < 10).then_some(wait) }))
        } else if poison {
            Err(failure(Class::Permanent))
        } else if trouble && fate < 18 {
            // It worked, but the answer is lost.
            self.plan(effect, Event::Effect(Box::new(flight)));
            Err(failure(Class::Transient))
        } else {
            self.plan(effect, Event::Effect(Box::new(flight.clone())));
            // What the mark keeps out is known when the user is looked at, and nothing changes it later.
            Ok(directory::kept_out(&flight, &self.reading))
        };
        self.plan(answer, Event::Answer(writer, Box::new(write), result));
    }

    fn take_effect(&mut self, flight: &Flight) {
        self.report.writes += 1;
        self.directory.apply(flight, &self.reading, self.now);
    }

    fn answer(&mut self, writer: Writer, write: &UserWrite, result: WriteResult) {
        let (now, share) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        replica.writing.remove(&write.user);
        let time = replica.time(now);
        replica.engine.write_ended(write.user, result, time, share);
        self.turn_at(writer, now);
    }

    fn verify(&mut self, writer: Writer, write: UserWrite) {
        let answer = self.now + Duration::from_millis(self.rng.random_range(2..2_000));
        let trouble = answer < Moment::after_start(TROUBLE);
        let result = if within(self.denied, answer) {
            Err(failure(Class::Installation))
        } else if within(self.away, answer) || (trouble && self.rng.random_bool(0.05)) {
            Err(failure(Class::Transient))
        } else {
            Ok(self.directory.undone(&write))
        };
        self.plan(answer, Event::Verified(writer, Box::new(write), result));
    }

    fn verified(&mut self, writer: Writer, write: &UserWrite, result: WriteResult) {
        let (now, share) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        let time = replica.time(now);
        replica.engine.verified(write.user, result, time, share);
        self.turn_at(writer, now);
    }

    fn probed(&mut self, writer: Writer, well: bool) {
        let (now, share) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        let time = replica.time(now);
        replica.engine.probed(well, time, share);
        self.turn_at(writer, now);
    }

    fn renew(&mut self, writer: Writer) {
        let now = self.now;
        let lost_request = self.rng.random_bool(0.05) && now < Moment::after_start(TROUBLE);
        let Some(replica) = self.alive(writer) else { return };
        let locks: Vec<_> = replica.locks.iter().copied().collect();
        for lock in locks {
            if !lost_request
                && !self.queue.renew(lock, now)
                && let Some(replica) = self.alive(writer)
            {
                replica.locks.remove(&lock);
                replica.engine.lock_lost(lock);
            }
        }
        self.turn_at(writer, now);
        self.plan(now + LOCK / 3, Event::Renew(writer));
    }

    /// A settlement reaches the queue, unless it is lost or too late; then the message comes again.
    fn settle(&mut self, writer: Writer, lock: LockToken, ending: Ending) {
        let now = self.now;
        let lost = self.rng.random_bool(0.02) && now < Moment::after_start(TROUBLE);
        // What a replica had sent before it died may still arrive, or not.
        let dead = self.alive(writer).is_none() && self.rng.random_bool(0.5);
        let crash_between = self.rng.random_bool(0.02);
        let delay = Duration::from_millis(self.rng.random_range(1_000..60_000));
        let Some(message) = self.queue.locked(lock, now).filter(|_| !lost && !dead) else { return };
        match ending {
            Ending::Applied | Ending::Stale | Ending::Unchanged(_) => message.state = State::Completed,
            Ending::DeadLettered(reason) => message.state = State::Dead(reason),
            Ending::Released | Ending::Unsettled => message.state = State::Visible(now),
            Ending::Returned => {
                if !crash_between {
                    message.state = State::Completed;
                }
                let (change, first, arrival) = (message.change, message.first_seen, message.arrival);
                let attempt = message.attempt + 1;
                self.queue.post(change, first, attempt, Some(arrival), now + delay);
            }
        }
    }

    /// Whether every promise was kept.
    fn check(mut self) -> Result<Report, Broken> {
        if let Some(message) = self.queue.open().next() {
            return Err(Broken::Stuck(format!("{message:?}")));
        }
        for message in &self.queue.messages {
            let healthy = !self.changes[message.change].poison;
            if let (State::Dead(reason), true) = (message.state, healthy) {
                return Err(Broken::DeadLettered(format!("{reason} for {message:?}")));
            }
        }
        for ((user, property), expected) in model::expected(&self.changes) {
            let found = self.directory.values.get(&(user, property.clone())).cloned();
            if found.as_ref() != Some(&expected) {
                return Err(Broken::Value { user, property, expected, found });
            }
        }
        self.report.crossed = self.directory.crossed.len() as u64;
        Ok(self.report)
    }
}

fn within(window: (Moment, Moment), at: Moment) -> bool {
    window.0 <= at && at < window.1
}

fn failure(class: Class) -> Failure {
    let dead_letter = DeadLetter::new(DeadLetterReason::GraphRefused, "in a simulation");
    Failure { class, dead_letter, grace: None }
}
