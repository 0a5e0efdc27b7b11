//! Laws that hold whatever is done to a queue, in whatever order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use emulator::broker::{
    Broker, Delivery, EntityOptions, Error, Holder, Message, Mode, Side, Target, Time, Verb,
};
use proptest::prelude::*;
use uuid::Uuid;

const LOCK: Duration = Duration::from_secs(10);
const MOST_DELIVERIES: u32 = 3;

/// One thing that somebody does. Indexes pick among what there is.
#[derive(Clone, Debug)]
enum Step {
    Send { scheduled: bool },
    Receive { max: usize, delete: bool, dead: bool },
    Settle { which: usize, verb: usize },
    SettleAgain { which: usize },
    Renew { which: usize },
    ReceiveDeferred { which: usize },
    Lapse,
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|scheduled| Step::Send { scheduled }),
        4 => (1..4_usize, prop::bool::weighted(0.1), prop::bool::weighted(0.2))
            .prop_map(|(max, delete, dead)| Step::Receive { max, delete, dead }),
        6 => (0..8_usize, 0..5_usize).prop_map(|(which, verb)| Step::Settle { which, verb }),
        1 => (0..8_usize).prop_map(|which| Step::SettleAgain { which }),
        1 => (0..8_usize).prop_map(|which| Step::Renew { which }),
        1 => (0..8_usize).prop_map(|which| Step::ReceiveDeferred { which }),
        1 => Just(Step::Lapse),
        2 => (0..15_u64).prop_map(|seconds| Step::Wait { seconds }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What should be so.
struct Model {
    broker: Broker,
    queue: Target,
    now: Time,
    sent: u32,
    /// Ids that were removed for good.
    gone: BTreeSet<String>,
    /// Locks that hold: whose, of which store, until when.
    locks: BTreeMap<Uuid, (String, Side, Time)>,
    settled: Vec<(Uuid, Side)>,
    deferred: BTreeSet<i64>,
    highest: HashMap<Side, i64>,
}

impl Model {
    fn new() -> Result<Self, Error> {
        let mut broker = Broker::new(7);
        let now = Time::from_millis(1_000_000);
        let options = EntityOptions {
            lock_duration: LOCK,
            max_delivery_count: MOST_DELIVERIES,
            ..EntityOptions::default()
        };
        broker.add_queue("q", options, now)?;
        let queue = broker.resolve("q")?;
        Ok(Self {
            broker,
            queue,
            now,
            sent: 0,
            gone: BTreeSet::new(),
            locks: BTreeMap::new(),
            settled: Vec::new(),
            deferred: BTreeSet::new(),
            highest: HashMap::new(),
        })
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Send { scheduled } => self.send(scheduled)?,
            Step::Receive { max, delete, dead } => {
                let mode = if delete { Mode::ReceiveAndDelete } else { Mode::PeekLock };
                let target = self.queue.on(if dead { Side::DeadLetter } else { Side::Main });
                let taken = self.broker.receive(target, mode, max, self.now).map_err(fail)?;
                self.took(target.side, mode, &taken)?;
            }
            Step::Settle { which, verb } => self.settle(which, verb)?,
            Step::SettleAgain { which } => {
                if let Some((token, side)) = pick(&self.settled, which).copied() {
                    let again = self.broker.settle(self.queue.on(side), token, Verb::Complete, self.now);
                    prop_assert_eq!(again, Err(Error::MessageLockLost));
                }
            }
            Step::Renew { which } => self.renew(which)?,
            Step::ReceiveDeferred { which } => self.fetch(which)?,
            Step::Lapse => {
                self.broker.lapse(self.queue, None, self.now).map_err(fail)?;
                self.locks.retain(|_, (_, side, _)| *side != Side::Main);
            }
            Step::Wait { seconds } => {
                self.now = self.now + Duration::from_secs(seconds);
                self.broker.advance(self.now);
                let now = self.now;
                self.locks.retain(|_, (_, _, until)| *until > now);
            }
        }
        self.check()
    }

    fn send(&mut self, scheduled: bool) -> Result<(), TestCaseError> {
        self.sent += 1;
        let mut message = Message::default();
        message.properties.set_message_id(format!("m{}", self.sent).into());
        message.scheduled = scheduled.then(|| self.now + Duration::from_secs(5));
        let numbers = self.broker.send(self.queue, vec![message], self.now).map_err(fail)?;
        let before = self.highest.insert(Side::Main, numbers[0]).unwrap_or(0);
        prop_assert!(numbers[0] > before, "{} came after {before}", numbers[0]);
        Ok(())
    }

    fn took(&mut self, side: Side, mode: Mode, taken: &[Delivery]) -> Result<(), TestCaseError> {
        let numbers: Vec<i64> = taken.iter().map(|delivery| delivery.view.sequence).collect();
        prop_assert!(numbers.is_sorted(), "handed out of order: {numbers:?}");
        for delivery in taken {
            let id = delivery.view.message.message_id().unwrap_or_default();
            let held = self.locks.values().any(|(locked, ..)| *locked == id);
            prop_assert!(!held, "{id} was handed out while it was locked");
            prop_assert!(!self.gone.contains(&id), "{id} came back after it was removed");
            prop_assert!(delivery.view.delivery_count < MOST_DELIVERIES || side == Side::DeadLetter);
            if mode == Mode::ReceiveAndDelete {
                self.gone.insert(id);
            } else {
                self.locks.insert(delivery.token, (id, side, self.now + LOCK));
            }
        }
        Ok(())
    }

    fn settle(&mut self, which: usize, verb: usize) -> Result<(), TestCaseError> {
        let Some((token, (id, side, _))) = nth(&self.locks, which) else { return Ok(()) };
        let verb = match verb {
            0 => Verb::Complete,
            1 => Verb::Abandon { properties: Vec::new() },
            2 => Verb::Release,
            3 => Verb::Defer { properties: Vec::new() },
            _ => Verb::DeadLetter { reason: Some("Why".into()), description: None, properties: Vec::new() },
        };
        let completes = verb == Verb::Complete;
        let defers = matches!(verb, Verb::Defer { .. });
        let number = self.broker.settle(self.queue.on(side), token, verb, self.now).map_err(fail)?;
        self.locks.remove(&token);
        self.settled.push((token, side));
        if side == Side::Main && defers {
            self.deferred.insert(number);
        }
        if completes {
            self.gone.insert(id);
        }
        Ok(())
    }

    fn renew(&mut self, which: usize) -> Result<(), TestCaseError> {
        let Some((token, (_, side, _))) = nth(&self.locks, which) else { return Ok(()) };
        let until = self.broker.renew(self.queue.on(side), token, self.now).map_err(fail)?;
        prop_assert_eq!(until, self.now + LOCK);
        if let Some(lock) = self.locks.get_mut(&token) {
            lock.2 = until;
        }
        Ok(())
    }

    fn fetch(&mut self, which: usize) -> Result<(), TestCaseError> {
        let deferred: Vec<i64> = self.deferred.iter().copied().collect();
        let Some(number) = pick(&deferred, which).copied() else { return Ok(()) };
        // It may be locked, dead or gone by now; if it is handed out, the usual laws hold.
        if let Ok(taken) = self.broker.receive_deferred(self.queue, &[number], None, Mode::PeekLock, self.now)
        {
            self.took(Side::Main, Mode::PeekLock, &taken)?;
        }
        Ok(())
    }

    /// Every message is in exactly one place, and exactly the locks that should hold do.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let mut seen = self.gone.clone();
        let mut locked = 0;
        for side in [Side::Main, Side::DeadLetter] {
            for view in self.broker.contents(self.queue.on(side)).map_err(fail)? {
                let id = view.message.message_id().unwrap_or_default();
                prop_assert!(seen.insert(id.clone()), "{id} is there twice");
                locked += usize::from(view.locked);
            }
            let highest = self.broker.contents(self.queue.on(side)).map_err(fail)?;
            if let Some(last) = highest.last() {
                let known = self.highest.entry(side).or_insert(0);
                *known = (*known).max(last.sequence);
            }
        }
        prop_assert_eq!(seen.len(), self.sent as usize, "a message was lost");
        prop_assert_eq!(locked, self.locks.len());
        for (token, (_, side, _)) in &self.locks {
            prop_assert!(self.broker.locked_sequence(self.queue.on(*side), *token).is_some());
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for map_err")]
fn fail(error: Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn pick<T>(items: &[T], which: usize) -> Option<&T> {
    if items.is_empty() { None } else { items.get(which % items.len()) }
}

fn nth<K: Copy, V: Clone>(map: &BTreeMap<K, V>, which: usize) -> Option<(K, V)> {
    if map.is_empty() {
        return None;
    }
    map.iter().nth(which % map.len()).map(|(key, value)| (*key, value.clone()))
}

proptest! {
    #[test]
    fn nothing_is_lost_locked_twice_or_settled_twice(steps in steps()) {
        let mut model = Model::new().map_err(fail)?;
        for step in &steps {
            model.step(step)?;
        }
    }

    #[test]
    fn a_session_has_one_holder_and_keeps_its_order(
        sends in prop::collection::vec(0..3_u8, 1..40),
        rounds in prop::collection::vec((0..3_u8, any::<bool>(), 0..20_u64), 1..60),
    ) {
        let mut broker = Broker::new(1);
        let mut now = Time::from_millis(0);
        let options = EntityOptions { requires_session: true, lock_duration: LOCK, max_delivery_count: 1_000,
            ..EntityOptions::default() };
        broker.add_queue("q", options, now).map_err(fail)?;
        let queue = broker.resolve("q").map_err(fail)?;
        for session in &sends {
            let mut message = Message::default();
            message.properties.set_named("sessionid", format!("s{session}").into());
            broker.send(queue, vec![message], now).map_err(fail)?;
        }
        let mut last: HashMap<String, i64> = HashMap::new();
        for (id, (session, complete, seconds)) in (1_u64..).zip(rounds) {
            let [holder, other] = [id, id + 1_000].map(|id| Holder { id, ..Holder::default() });
            now = now + Duration::from_secs(seconds);
            let id = format!("s{session}");
            let free = broker.session_locked_until(queue, &id).is_none_or(|until| until <= now);
            let accepted = broker.accept_session(queue, Some(&id), &holder, now);
            prop_assert_eq!(accepted.is_ok(), free);
            if accepted.is_err() {
                continue;
            }
            prop_assert!(broker.accept_session(queue, Some(&id), &other, now).is_err());
            for delivery in broker.receive_session(queue, &id, &holder, Mode::PeekLock, 1, now).map_err(fail)? {
                let number = delivery.view.sequence;
                prop_assert!(number > last.get(&id).copied().unwrap_or(0), "session out of order");
                if complete {
                    broker.settle(queue, delivery.token, Verb::Complete, now).map_err(fail)?;
                    last.insert(id.clone(), number);
                    broker.release_session(queue, &id, &holder, now).map_err(fail)?;
                }
            }
        }
    }
}
