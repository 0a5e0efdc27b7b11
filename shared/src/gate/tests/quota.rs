//! Replicas that share Graph's quota without knowing of each other, in virtual time: how much of it they use,
//! and how often they bump into it.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use crate::{
    gate::{Gate, GateLimits, Permit},
    monotonic_time::MonotonicTime,
    rate_limiter::RateLimiter,
};

/// Graph's bucket for the writes of one app in one tenant: 3,000 in 150 seconds, empty at first, as in a
/// backlog. Calls made while throttled are charged, down to a tenth of the bucket below zero.
struct Bucket {
    left: f64,
    filled: Duration,
}

const RATE: f64 = 20.0;
const SIZE: f64 = 3_000.0;
const OVERDRAFT: f64 = 300.0;

impl Bucket {
    /// Charges one write; otherwise says how long to wait, in whole seconds as Graph does.
    fn write(&mut self, now: Duration) -> Result<(), Duration> {
        self.left = (self.left + now.saturating_sub(self.filled).as_secs_f64() * RATE).min(SIZE);
        self.filled = now;
        let enough = self.left >= 1.0;
        self.left = (self.left - 1.0).max(-OVERDRAFT);
        let missing = (1.0 - self.left) / RATE;
        if enough { Ok(()) } else { Err(Duration::from_secs_f64(missing.ceil())) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A replica may ask its gate again.
    Ask(usize),
    /// A call of a replica reaches Graph.
    Arrive(usize),
    /// The answer reaches the replica, with the wait that it asks for.
    Answer(usize, Option<Duration>),
}

struct World {
    gates: Vec<Gate>,
    in_flight: Vec<usize>,
    /// When each replica asks its gate again.
    next_ask: Vec<Option<Duration>>,
    bucket: Bucket,
    agenda: BinaryHeap<Reverse<(Duration, Event)>>,
    way: Duration,
    /// A fixed sequence in place of chance.
    jitter: f64,
    accepted: u32,
    refused: u32,
}

const CONCURRENCY: usize = 16;

impl World {
    fn new(replicas: usize, latency: Duration) -> Self {
        // What an installation has by default: each replica believes that the quota is its own.
        let gates =
            (0..replicas).map(|_| Gate::new(GateLimits::default(), RateLimiter::new(RATE, RATE))).collect();
        let asks = (0..replicas).map(|replica| Reverse((Duration::ZERO, Event::Ask(replica))));
        let next_ask = vec![Some(Duration::ZERO); replicas];
        Self {
            gates,
            in_flight: vec![0; replicas],
            next_ask,
            bucket: Bucket { left: 0.0, filled: Duration::ZERO },
            agenda: asks.collect(),
            way: latency / 2,
            jitter: 0.5,
            accepted: 0,
            refused: 0,
        }
    }

    fn run(&mut self, until: Duration) {
        while let Some(Reverse((now, event))) = self.agenda.pop() {
            if now > until {
                return;
            }
            match event {
                // A later answer may have brought another time.
                Event::Ask(replica) if self.next_ask[replica] != Some(now) => {}
                Event::Ask(replica) => self.ask(replica, now),
                Event::Arrive(replica) => {
                    let refusal = self.bucket.write(now).err();
                    self.agenda.push(Reverse((now + self.way, Event::Answer(replica, refusal))));
                }
                Event::Answer(replica, refusal) => self.answer(replica, refusal, now),
            }
        }
    }

    /// Starts what may start; there is always something to write.
    fn ask(&mut self, replica: usize, now: Duration) {
        self.next_ask[replica] = None;
        while self.in_flight[replica] < CONCURRENCY {
            match self.gates[replica].ask(MonotonicTime::after_start(now)) {
                Permit::Now => {
                    self.in_flight[replica] += 1;
                    self.agenda.push(Reverse((now + self.way, Event::Arrive(replica))));
                }
                Permit::At(moment) => {
                    let then = moment.since_start();
                    self.next_ask[replica] = Some(then);
                    self.agenda.push(Reverse((then, Event::Ask(replica))));
                    return;
                }
                Permit::AfterProbe => return,
            }
        }
    }

    fn answer(&mut self, replica: usize, refusal: Option<Duration>, now: Duration) {
        self.in_flight[replica] -= 1;
        let moment = MonotonicTime::after_start(now);
        self.jitter = (self.jitter + 0.618).fract();
        match refusal {
            None => {
                self.accepted += 1;
                self.gates[replica].written(moment);
            }
            Some(wait) => {
                self.refused += 1;
                self.gates[replica].throttled(Some(wait), moment, self.jitter);
            }
        }
        self.ask(replica, now);
    }
}

/// Share of the quota used, and share of the calls refused, over half an hour of backlog.
fn figures(replicas: usize, latency_ms: u64) -> (f64, f64) {
    const TIME: Duration = Duration::from_mins(30);
    let mut world = World::new(replicas, Duration::from_millis(latency_ms));
    world.run(TIME);
    let (accepted, refused) = (f64::from(world.accepted), f64::from(world.refused));
    (accepted / (RATE * TIME.as_secs_f64()), refused / (accepted + refused))
}

#[test]
fn replicas_use_up_the_quota_and_hardly_ever_exceed_it() {
    for replicas in 1..=4 {
        for latency in [20, 100, 200] {
            let (used, refused) = figures(replicas, latency);
            assert!(used > 1.0 / 1.15, "{replicas} replicas at {latency} ms use {used:.3} of the quota");
            // One alone exceeds it only where others use it, too.
            let most = if replicas == 1 { 0.005 } else { 0.02 };
            assert!(refused < most, "{replicas} replicas at {latency} ms have {refused:.4} refused");
        }
    }
}
