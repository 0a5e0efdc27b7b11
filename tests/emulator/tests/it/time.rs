//! What time does by itself: it has happened before any operation, and does not depend on which one comes next.

use std::time::Duration;

use emulator::broker::{
    Broker, Delivery, EntityOptions, Error, Hold, Holder, Message, Mode, Side, Target, Time, Verb, View,
};
use proptest::prelude::*;
use uuid::Uuid;

const SIDES: [Side; 3] = [Side::Main, Side::DeadLetter, Side::TransferDeadLetter];
const SESSION: &str = "s";

/// Everything that can be done to an entity or one of its sub-queues. Indexes pick among what there is.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Send { later: u64, ttl: u64 },
    Receive { delete: bool },
    Peek,
    Delete,
    Settle { which: usize, dead: bool },
    Renew { which: usize },
    Deferred { which: i64 },
    Cancel { which: i64 },
    Lapse,
    Sessions,
    Accept,
    Release,
    RenewSession,
    State,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    wait: u64,
    side: usize,
    operation: Operation,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let operation = prop_oneof![
        6 => (0..20_u64, 0..30_u64).prop_map(|(later, ttl)| Operation::Send { later, ttl }),
        4 => any::<bool>().prop_map(|delete| Operation::Receive { delete }),
        3 => Just(Operation::Peek),
        1 => Just(Operation::Delete),
        4 => (0..8_usize, any::<bool>()).prop_map(|(which, dead)| Operation::Settle { which, dead }),
        2 => (0..8_usize).prop_map(|which| Operation::Renew { which }),
        1 => (1..20_i64).prop_map(|which| Operation::Deferred { which }),
        1 => (1..20_i64).prop_map(|which| Operation::Cancel { which }),
        1 => Just(Operation::Lapse),
        1 => Just(Operation::Sessions),
        1 => Just(Operation::Accept),
        1 => Just(Operation::Release),
        1 => Just(Operation::RenewSession),
        1 => Just(Operation::State),
    ];
    let step = (0..12_u64, 0..SIDES.len(), operation);
    prop::collection::vec(step.prop_map(|(wait, side, operation)| Step { wait, side, operation }), 1..60)
}

/// A queue with short locks and little patience, so that much happens by itself.
struct World {
    broker: Broker,
    queue: Target,
    sent: u32,
    tokens: Vec<(Side, Uuid)>,
}

impl World {
    fn new(requires_session: bool) -> Result<Self, Error> {
        let mut broker = Broker::new(3);
        let options = EntityOptions {
            lock_duration: Duration::from_secs(10),
            max_delivery_count: 2,
            dead_letter_on_expiry: true,
            requires_session,
            ..EntityOptions::default()
        };
        broker.add_queue("q", options, Time::default())?;
        let queue = broker.resolve("q")?;
        Ok(Self { broker, queue, sent: 0, tokens: Vec::new() })
    }

    /// Does it, and tells what came of it.
    fn operate(&mut self, step: Step, now: Time) -> String {
        let side = SIDES[step.side];
        let target = self.queue.on(side);
        let held = |which: usize| match self.tokens.len() {
            0 => (side, Uuid::nil()),
            held => self.tokens[which % held],
        };
        match step.operation {
            Operation::Send { later, ttl } => {
                self.sent += 1;
                let mut message = Message::default();
                message.properties.set_message_id(format!("m{}", self.sent).into());
                message.properties.set_named("sessionid", SESSION.into());
                message.scheduled = Some(now + Duration::from_secs(later));
                message.ttl = (ttl > 0).then(|| Duration::from_secs(ttl));
                format!("{:?}", self.broker.send(target, vec![message], now))
            }
            Operation::Receive { delete } => {
                let mode = if delete { Mode::ReceiveAndDelete } else { Mode::PeekLock };
                let taken = match self.broker.check_receiver(target, false) {
                    Ok(()) => self.broker.receive(target, mode, 2, now),
                    Err(_) => self.broker.receive_session(target, SESSION, &holder(), mode, 2, now),
                };
                self.took(side, taken)
            }
            Operation::Peek => format!("{:?}", self.broker.peek(target, 0, 100, None, now)),
            Operation::Delete => format!("{:?}", self.broker.delete(target, 1, now, None, now)),
            Operation::Settle { which, dead } => {
                let (side, token) = held(which);
                format!("{:?}", self.broker.settle(self.queue.on(side), token, verb(which, dead), now))
            }
            Operation::Renew { which } => {
                let (side, token) = held(which);
                format!("{:?}", self.broker.renew(self.queue.on(side), token, now))
            }
            Operation::Deferred { which } => {
                let taken = self.broker.receive_deferred(target, &[which], None, Mode::PeekLock, now);
                self.took(side, taken)
            }
            Operation::Cancel { which } => {
                format!("{:?}", self.broker.cancel_scheduled(target, &[which], now))
            }
            Operation::Lapse => format!("{:?}", self.broker.lapse(target, None, now)),
            Operation::Sessions => format!("{:?}", self.broker.sessions(target, Time::default(), now)),
            Operation::Accept => {
                format!("{:?}", self.broker.accept_session(target, Some(SESSION), &holder(), now))
            }
            Operation::Release => {
                format!("{:?}", self.broker.release_session(target, SESSION, &holder(), now))
            }
            Operation::RenewSession => {
                format!("{:?}", self.broker.renew_session(target, SESSION, &holder(), now))
            }
            Operation::State => format!("{:?}", self.broker.session_state(target, SESSION, &holder(), now)),
        }
    }

    fn took(&mut self, side: Side, taken: Result<Vec<Delivery>, Error>) -> String {
        let said = format!("{taken:?}");
        self.tokens.extend(taken.into_iter().flatten().map(|delivery| (side, delivery.token)));
        said
    }

    fn contents(&self) -> Result<[Vec<View>; 3], Error> {
        let [main, dead, transfer] = SIDES.map(|side| self.broker.contents(self.queue.on(side)));
        Ok([main?, dead?, transfer?])
    }
}

fn holder() -> Holder {
    Holder { id: 1, ..Holder::default() }
}

fn verb(which: usize, dead: bool) -> Verb {
    let properties = Vec::new();
    match (dead, which % 3) {
        (true, _) => Verb::DeadLetter { reason: Some("Why".to_owned()), description: None, properties },
        (false, 0) => Verb::Complete,
        (false, 1) => Verb::Defer { properties },
        (false, _) => Verb::Abandon { properties },
    }
}

proptest! {
    #[test]
    fn what_is_due_has_happened_whatever_is_asked_next(steps in steps(), sessions in any::<bool>()) {
        let fail = |error: Error| TestCaseError::fail(error.to_string());
        let mut told = World::new(sessions).map_err(fail)?;
        let mut untold = World::new(sessions).map_err(fail)?;
        let mut now = Time::default();
        for step in steps {
            now = now + Duration::from_secs(step.wait);
            told.broker.advance(now);
            prop_assert_eq!(told.operate(step, now), untold.operate(step, now), "{:?}", step);
            let [main, dead, transfer] = untold.contents().map_err(fail)?;
            let known = told.contents().map_err(fail)?;
            prop_assert_eq!(format!("{known:?}"), format!("{:?}", [&main, &dead, &transfer]), "{:?}", step);
            for view in &main {
                let waits = matches!(view.hold, Hold::Scheduled(at) if at <= now);
                prop_assert!(!waits, "{:?} is due and has not appeared after {:?}", view.sequence, step);
            }
            for view in dead.iter().chain(&transfer) {
                prop_assert!(view.message.property("DeadLetterReason").is_some(), "{:?} strayed", view);
                prop_assert!(!matches!(view.hold, Hold::Scheduled(_)), "{:?} strayed", view);
            }
        }
    }
}
