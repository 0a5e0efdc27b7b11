//! Floods in virtual time, with what an installation has by default: how many writes they cost, how long they take,
//! how long people wait beside them, and how much is held.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet, VecDeque},
    fmt,
};

use super::*;

/// Graph's real quota.
const RATE: f64 = 20.0;
/// How long Graph takes for a write.
const LATENCY: Duration = Duration::from_millis(200);
/// Length of a body.
const BODY: usize = 4_500;
/// How long locks hold.
const LOCK: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(1);

/// A message in the queue.
#[derive(Clone, Copy, Debug)]
struct Post {
    /// When it is there.
    at: Duration,
    user: u128,
    urgency: Priority,
    author: Author,
}

/// Who changes thousands alike.
const IMPORTER: Author = Author::User(Uuid::from_u128(7));

impl Post {
    /// A change of somebody who is not named.
    fn live(at: Duration, user: u128) -> Self {
        Self { at, user, urgency: Priority::Live, author: Author::Unknown }
    }

    /// Whether somebody waits for it.
    fn is_waited_for(&self) -> bool {
        self.urgency == Priority::Live && self.author != IMPORTER
    }
}

/// What live changes waited, each from its post to its end.
#[derive(Default)]
struct Waits(Vec<Duration>);

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of them, at most {:?}", self.0.len(), self.0.iter().max())
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Figures {
    writes: u32,
    refused: u32,
    took: Duration,
    waits: Waits,
    most_held: usize,
    most_bytes: usize,
}

impl Figures {
    /// What all but one in a hundred of the live changes waited at most.
    fn p99(&mut self) -> Duration {
        let waits = &mut self.waits.0;
        waits.sort_unstable();
        waits[waits.len() * 99 / 100]
    }
}

/// A fixed sequence in place of chance.
struct Chance(u64);

impl Chance {
    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let upper = u32::try_from(self.0 >> 32).expect("half of the bits");
        f64::from(upper) / f64::from(u32::MAX)
    }
}

/// One of so many users by Zipf.
fn zipf(users: u32, chance: &mut Chance) -> u128 {
    let weights = || (1..=users).map(|rank| 1.0 / f64::from(rank));
    let mut left = chance.draw() * weights().sum::<f64>();
    let rank = weights().take_while(|weight| {
        left -= weight;
        left > 0.0
    });
    rank.count() as u128
}

/// A backlog of so many changes.
fn backlog(changes: usize, users: u32, chance: &mut Chance) -> Vec<Post> {
    let post = |_| Post::live(Duration::ZERO, zipf(users, chance));
    (0..changes).map(post).collect()
}

/// Users among them.
fn ideal(posts: &[Post]) -> u32 {
    let users: HashSet<_> = posts.iter().map(|post| post.user).collect();
    u32::try_from(users.len()).expect("few")
}

/// What the quota takes for so many writes with so many saved up.
fn least_time(writes: u32, saved: f64) -> Duration {
    Duration::from_secs_f64((f64::from(writes) - saved) / RATE)
}

/// Graph, its quota, and a queue of which so many messages a second are read at most.
struct World {
    engine: Engine<LockToken>,
    posts: VecDeque<Post>,
    saved: f64,
    reads: f64,
}

impl World {
    fn new(posts: Vec<Post>, saved: f64, reads: f64) -> Self {
        Self { engine: Engine::new(EnginePolicy::default()), posts: posts.into(), saved, reads }
    }

    /// Until everything is settled, or so long.
    fn run(mut self, limit: Duration) -> Figures {
        let (mut figures, mut answers) = (Figures::default(), BinaryHeap::new());
        let (mut readable, mut posted) = (0.0_f64, Vec::new());
        let mut now = Duration::ZERO;
        while !(self.posts.is_empty() && self.engine.is_idle()) {
            assert!(now < limit, "{figures:?}, and {} are held", self.engine.held());
            let moment = MonotonicTime::after_start(now);
            self.saved = (self.saved + RATE * TICK.as_secs_f64()).min(self.saved.max(3_000.0));
            readable = (readable + self.reads * TICK.as_secs_f64()).min(100.0);
            let mut credit = self.engine.credit(moment);
            while credit > 0 && readable >= 1.0 && self.posts.front().is_some_and(|post| post.at <= now) {
                let post = self.posts.pop_front().expect("it was seen");
                posted.push(post);
                let number = posted.len() as u128;
                let message = Arrival {
                    taken: moment,
                    locked_for: LOCK,
                    bytes: BODY,
                    urgency: post.urgency,
                    provenance: Provenance::of(post.author),
                    enqueued: Timestamp::from_duration(post.at.try_into().expect("small")).expect("small"),
                    ..arrival(number, &[post.user])
                };
                self.engine.arrived(message, moment);
                (credit, readable) = (credit - 1, readable - 1.0);
            }
            while let Some(&Reverse((at, user, refused))) = answers.peek()
                && at <= now
            {
                answers.pop();
                let throttled = Class::Throttled { retry_after: Some(Duration::from_secs(1)) };
                let result = if refused { failure(throttled) } else { Ok(written()) };
                self.engine.write_ended(user, result, moment, 0.5);
            }
            while let Step::Do(effect) = self.engine.next(moment) {
                match effect {
                    Effect::Write { write, .. } => {
                        let refused = self.saved < 1.0;
                        self.saved -= if refused { 0.0 } else { 1.0 };
                        figures.writes += u32::from(!refused);
                        figures.refused += u32::from(refused);
                        answers.push(Reverse((now + LATENCY, write.user, refused)));
                    }
                    Effect::Settle { message, outcome } => {
                        assert!(matches!(outcome, Outcome::Applied | Outcome::Stale), "{outcome:?}");
                        let post = posted[usize::try_from(message.0.as_u128()).expect("small") - 1];
                        if post.is_waited_for() {
                            figures.waits.0.push(now.saturating_sub(post.at));
                        }
                        self.engine.settled(message);
                    }
                    Effect::Renew(locks) => {
                        self.engine.renewed(locks.into_iter().map(|lock| (lock, Renewal::Renewed)), moment);
                    }
                    Effect::Verify(_) | Effect::Probe | Effect::Find { .. } | Effect::Read { .. } => {
                        panic!("nothing is looked at, and nothing is at fault")
                    }
                }
            }
            figures.most_held = figures.most_held.max(self.engine.held());
            figures.most_bytes = figures.most_bytes.max(self.engine.held.bytes());
            now += TICK;
        }
        figures.took = now;
        figures
    }
}

#[test]
fn a_flood_costs_hardly_more_writes_and_time_than_its_users_need() {
    for (changes, users, saved) in [(12_000, 1_100, 30.0), (12_000, 1_100, 20.0), (3_000, 150, 20.0)] {
        for (seed, author) in [(1, Author::Unknown), (2, Author::Unknown), (1, IMPORTER)] {
            let posts = backlog(changes, users, &mut Chance(seed));
            let posts: Vec<_> = posts.into_iter().map(|post| Post { author, ..post }).collect();
            let ideal = ideal(&posts);
            let figures = World::new(posts, saved, 1_000.0).run(Duration::from_mins(5));
            let told = format!("{changes} changes of {ideal} users, {saved} saved up: {figures:?}");
            assert!(f64::from(figures.writes) <= 1.05 * f64::from(ideal), "{told}");
            // The answer to the last write is waited for, too.
            assert!(figures.took <= least_time(ideal, saved).mul_f64(1.15) + LATENCY, "{told}");
            assert_eq!(figures.refused, 0, "{told}");
        }
    }
}

#[test]
fn no_more_is_held_than_fits_into_memory_while_writes_are_scarce_and_a_few_hundred_while_they_are_not() {
    let EnginePolicy { bytes, .. } = EnginePolicy::default();
    let posts = backlog(20_000, 1_100, &mut Chance(1));
    let scarce = World::new(posts.clone(), 30.0, 1_000.0).run(Duration::from_mins(5));
    assert!(scarce.most_bytes <= bytes + BODY, "{scarce:?}");
    assert!(scarce.most_bytes >= bytes * 9 / 10, "what there is is used: {scarce:?}");
    let mut plenty = World::new(posts, 3_000.0, 1_000.0);
    let pace = RateLimiter::new(100_000.0, 100_000.0);
    plenty.engine = Engine::new(EnginePolicy { pace, ..EnginePolicy::default() });
    plenty.saved = f64::INFINITY;
    let plenty = plenty.run(Duration::from_mins(5));
    assert!(plenty.most_held <= 500, "{plenty:?}");
}

#[test]
fn a_trickle_waits_for_nothing_but_graph() {
    for rate in [1, 5, 15] {
        let post = |number: u32| Post::live(Duration::from_secs(1) * number / rate, number.into());
        let posts = (0..60 * rate).map(post).collect();
        let mut figures = World::new(posts, 30.0, 1_000.0).run(Duration::from_mins(5));
        assert!(figures.p99() <= LATENCY + Duration::from_millis(10), "{rate} a second: {figures:?}");
    }
}

#[test]
fn what_people_change_beside_a_replay_or_an_import_of_thousands_is_written_within_a_second() {
    for (urgency, author) in [(Priority::Replayed, Author::Unknown), (Priority::Live, IMPORTER)] {
        let many = (0..5_000_u32).map(|number| Post {
            urgency,
            author,
            ..Post::live(Duration::from_millis(2) * number, number.into())
        });
        // Every second one is of a user who is among the many.
        let live = (0..600_u32).map(|number| {
            let user = number * 17 + number % 2 * 10_000;
            let clerk = Author::User(Uuid::from_u128(u128::from(100 + number % 50)));
            Post { author: clerk, ..Post::live(Duration::from_millis(333) * number, user.into()) }
        });
        let mut posts: Vec<_> = many.chain(live).collect();
        posts.sort_by_key(|post| post.at);
        let mut figures = World::new(posts, 30.0, 1_000.0).run(Duration::from_mins(10));
        assert_eq!(figures.waits.0.len(), 600);
        assert!(figures.p99() < Duration::from_secs(1), "{urgency:?} {:?} {figures:?}", figures.p99());
        // And the many have what is left.
        assert!(figures.took < least_time(5_300, 30.0).mul_f64(1.15), "{urgency:?} {:?}", figures.took);
    }
}
