//! A world: what is in it, and what is planned to happen.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use shared::{
    ids::OrganizationId,
    monotonic_time::MonotonicTime,
    property::Property,
    reconcile::ReadPolicy,
    version::{Realm, RowVersion, Version},
};
use uuid::Uuid;

use super::{
    directory::{Directory, Writer},
    event::{Event, Scheduled},
    model::Change,
    queue::Queue,
    replica::Replica,
    session::Session,
    shape::{Remedy, Report, Shape},
    table::TableWorld,
};

/// How long messages are posted and things go wrong.
pub(super) const TROUBLE: Duration = Duration::from_mins(2);
/// After so long everything must be settled.
pub(super) const PATIENCE: Duration = Duration::from_hours(4);
/// Second in which the database has been restored, in worlds where it is.
const RESTORED: u32 = 50;
/// How long that takes: nothing else happens meanwhile.
const RESTORE: SignedDuration = SignedDuration::from_hours(1);
/// Changes that are made later, every five minutes, in worlds with guilty users.
const LATE: u32 = 30;
pub(super) const LOCK: Duration = Duration::from_secs(30);
/// Longer than any look and write take together.
pub(super) const VERIFY_AFTER: Duration = Duration::from_secs(4);

pub(super) struct World {
    pub(super) shape: Shape,
    pub(super) rng: StdRng,
    pub(super) now: MonotonicTime,
    pub(super) order: u64,
    pub(super) events: BinaryHeap<Reverse<Scheduled>>,
    pub(super) changes: Vec<Change>,
    pub(super) queue: Queue,
    pub(super) directory: Directory,
    pub(super) reading: ReadPolicy,
    pub(super) replicas: Vec<Option<Replica>>,
    pub(super) lives: u32,
    /// When the installation is at fault, and when Graph is away.
    pub(super) at_fault: (MonotonicTime, MonotonicTime),
    pub(super) away: (MonotonicTime, MonotonicTime),
    /// The session by which replicas agree on who writes, and how many requests concerned it.
    pub(super) session: Session,
    pub(super) requests: u64,
    /// The term of the write that was started last, and who started it.
    pub(super) started: Option<(u64, Writer)>,
    /// When a replica that could not write left the lease to others.
    pub(super) yielded: MonotonicTime,
    pub(super) report: Report,
    /// The contacts of which messages are, in worlds that have them.
    pub(super) table: Option<Box<TableWorld>>,
}

impl World {
    pub(super) fn new(shape: Shape, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let window = |rng: &mut StdRng, jitter: f64, longest: u64| {
            if !rng.random_bool(jitter) {
                return (MonotonicTime::START, MonotonicTime::START);
            }
            let start = MonotonicTime::after_start(Duration::from_secs(rng.random_range(0..90)));
            (start, start + Duration::from_secs(rng.random_range(1..longest)))
        };
        let (at_fault, away) = (window(&mut rng, 0.4, 40), window(&mut rng, 0.3, 60));
        let guard = shape.guard.then(|| Property::named("extensionAttribute15")).flatten();
        let mut world = Self {
            shape,
            rng,
            now: MonotonicTime::START,
            order: 0,
            events: BinaryHeap::new(),
            changes: Vec::new(),
            queue: Queue::new(LOCK),
            directory: Directory::default(),
            reading: ReadPolicy { guard, ..ReadPolicy::default() },
            replicas: (0..shape.replicas).map(|_| None).collect(),
            lives: 0,
            at_fault,
            away,
            session: Session::new(shape.without == Some(Remedy::Session)),
            requests: 0,
            started: None,
            yielded: MonotonicTime::START,
            report: Report::default(),
            table: None,
        };
        match shape.table {
            Some(kind) => {
                world.lay_table(kind);
                world.start_all();
            }
            None => world.populate(),
        }
        world
    }

    /// Posts everything that will be posted, some of it twice, and plans the life of the replicas.
    fn populate(&mut self) {
        let (mut together, mut second) = (Vec::new(), 0);
        for number in 0..self.shape.changes {
            let user = self.rng.random_range(0..self.shape.users);
            let property = self.rng.random_range(0..3);
            let poison = self.rng.random_bool(0.03);
            // What a message carries was made together.
            if together.is_empty() {
                second = self.rng.random_range(0..100);
            }
            let version = self.version(number, second);
            self.changes.push(Change::new(number, user, version, property, poison));
            together.push(number);
            // Some messages carry two changes, as a merge of contacts does.
            if together.len() < 2 && number + 1 < self.shape.changes && self.rng.random_bool(0.1) {
                continue;
            }
            let changes: Box<[usize]> = std::mem::take(&mut together).into();
            let delay = Duration::from_millis(self.rng.random_range(0..5_000));
            let at = MonotonicTime::after_start(Duration::from_secs(u64::from(second)) + delay);
            self.queue.post(changes.clone(), at, 0, None, at);
            if self.rng.random_bool(0.05) {
                let again = at + Duration::from_millis(self.rng.random_range(0..60_000));
                self.queue.post(changes, again, 0, None, again);
            }
        }
        self.go_on(if self.shape.guilty > 0 { LATE } else { 4 });
        self.start_all();
    }

    fn start_all(&mut self) {
        for replica in 0..self.shape.replicas {
            self.start(replica);
            if self.shape.crashes {
                let at = MonotonicTime::after_start(Duration::from_millis(self.rng.random_range(0..100_000)));
                self.plan(at, Event::End(replica));
            }
            if self.shape.leased {
                self.plan_mishaps(replica);
            }
        }
        if self.shape.leased {
            self.aim();
        }
    }

    /// Users have changes now and then also later: they show whose fault it is, where some are refused for themselves, and
    /// that a fault of the installation is over.
    fn go_on(&mut self, changes: u32) {
        for late in 0..changes {
            let number = self.changes.len();
            let second = 200 + late * 300;
            let version = self.version(number, second);
            self.changes.push(Change::new(number, self.shape.users - 1, version, number, false));
            let at = MonotonicTime::after_start(Duration::from_secs(u64::from(second)));
            self.queue.post([number].into(), at, 0, None, at);
        }
    }

    /// Where a change stands that is made in this second. After a restore the row versions start lower; it takes longer
    /// than anything else does.
    fn version(&mut self, number: usize, second: u32) -> Version {
        let restored = self.shape.restored && second >= RESTORED;
        let later =
            if restored && self.shape.without != Some(Remedy::Time) { RESTORE } else { SignedDuration::ZERO };
        let millis = i64::from(second) * 1000 + i64::try_from(number).expect("few changes");
        let at = Timestamp::from_millisecond(millis).expect("a time") + later;
        let number = u64::try_from(millis).expect("a positive time") + if restored { 0 } else { 1_000_000 };
        let row = RowVersion { number, realm: Realm::of(OrganizationId(Uuid::from_u128(1))) };
        Version { row: self.shape.restored.then_some(row), at }
    }

    /// The time of day when a message reached the queue.
    pub(super) fn wall(&self, at: MonotonicTime) -> Timestamp {
        let after =
            self.shape.restored && at >= MonotonicTime::after_start(Duration::from_secs(u64::from(RESTORED)));
        let later = if after { RESTORE } else { SignedDuration::ZERO };
        let since_start = SignedDuration::try_from(at.since_start()).expect("hours");
        Timestamp::UNIX_EPOCH + since_start + later
    }

    pub(super) fn plan(&mut self, at: MonotonicTime, event: Event) {
        self.order += 1;
        self.events.push(Reverse(Scheduled { at, order: self.order, event: Box::new(event) }));
    }

    pub(super) fn soon(&mut self, longest: u64) -> MonotonicTime {
        self.now + Duration::from_millis(self.rng.random_range(0..longest))
    }

    pub(super) fn alive(&mut self, (replica, life): Writer) -> Option<&mut Replica> {
        self.replicas[replica].as_mut().filter(|replica| replica.life == life)
    }
}
