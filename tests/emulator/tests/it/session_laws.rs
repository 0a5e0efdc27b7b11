//! The laws of the lock of a session, against a model of it: one holder at a time, and nothing for anybody else.

use std::time::Duration;

use emulator::broker::{Broker, EntityOptions, Error, Holder, Standing, Target, Time};
use proptest::prelude::*;

const LOCK: Duration = Duration::from_secs(30);
const SESSION: &str = "lease";

/// What a link does, or what befalls it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Accept,
    Renew,
    Set(Option<u8>),
    Get,
    Release,
    /// Whoever holds the session loses it and is not told.
    Free,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        4 => Just(Step::Accept),
        4 => Just(Step::Renew),
        2 => any::<Option<u8>>().prop_map(Step::Set),
        2 => Just(Step::Get),
        1 => Just(Step::Release),
        1 => Just(Step::Free),
        3 => (0..40_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec((0..3_u64, step), 1..80)
}

/// The session as it should be.
#[derive(Debug, Default)]
struct Model {
    held: Option<(u64, Time)>,
    state: Option<u8>,
}

impl Model {
    fn is_held_by(&self, id: u64) -> bool {
        self.held.is_some_and(|(holder, _)| holder == id)
    }

    /// Does a step, and tells how it should end.
    fn step(&mut self, id: u64, step: Step, now: Time) -> String {
        let mine = self.is_held_by(id);
        let until = now + LOCK;
        match step {
            Step::Accept if self.held.is_some() => "refused".to_owned(),
            Step::Renew | Step::Set(_) | Step::Get if !mine => "lost".to_owned(),
            Step::Accept | Step::Renew => {
                self.held = Some((id, until));
                format!("until {}", until.millis())
            }
            Step::Set(state) => {
                self.state = state;
                "set".to_owned()
            }
            Step::Get => format!("{:?}", self.state),
            Step::Release => {
                self.held = self.held.filter(|_| !mine);
                "released".to_owned()
            }
            Step::Free => format!("{:?}", self.held.take().map(|(id, _)| id)),
            Step::Wait(_) => "waited".to_owned(),
        }
    }
}

/// The same on the broker.
fn step(broker: &mut Broker, queue: Target, id: u64, step: Step, now: Time) -> Result<String, Error> {
    let holder = Holder { id, ..Holder::default() };
    let said = match step {
        Step::Accept => broker
            .accept_session(queue, Some(SESSION), &holder, now)
            .map(|taken| format!("until {}", taken.map_or(0, |(_, until)| until.millis()))),
        Step::Renew => broker
            .renew_session(queue, SESSION, &holder, now)
            .map(|until| format!("until {}", until.millis())),
        Step::Set(state) => {
            let state = state.map(|byte| vec![byte].into());
            broker.set_session_state(queue, SESSION, &holder, state, now).map(|()| "set".to_owned())
        }
        Step::Get => {
            let state = broker.session_state(queue, SESSION, &holder, now);
            state.map(|state| format!("{:?}", state.map(|bytes| bytes[0])))
        }
        Step::Release => broker.release_session(queue, SESSION, &holder, now).map(|()| "released".to_owned()),
        Step::Free => broker
            .free_session(queue, SESSION, now)
            .map(|holder| format!("{:?}", holder.map(|holder| holder.id))),
        Step::Wait(_) => Ok("waited".to_owned()),
    };
    match said {
        Err(Error::SessionLockLost) => Ok("lost".to_owned()),
        Err(Error::SessionCannotBeLocked(_)) => Ok("refused".to_owned()),
        said => said,
    }
}

proptest! {
    #[test]
    fn a_session_belongs_to_one_link_until_it_lapses_or_is_taken_away(steps in steps()) {
        let fail = |error: Error| TestCaseError::fail(error.to_string());
        let mut broker = Broker::new(1);
        let mut now = Time::default();
        let options =
            EntityOptions { requires_session: true, lock_duration: LOCK, ..EntityOptions::default() };
        broker.add_queue("q", options, now).map_err(fail)?;
        let queue = broker.resolve("q").map_err(fail)?;
        let mut model = Model::default();
        for (id, what) in steps {
            if let Step::Wait(seconds) = what {
                now = now + Duration::from_secs(seconds);
            }
            model.held = model.held.filter(|(_, until)| *until > now);
            let expected = model.step(id, what, now);
            prop_assert_eq!(step(&mut broker, queue, id, what, now).map_err(fail)?, expected, "{:?}", what);
            for id in 0..3 {
                let holder = Holder { id, ..Holder::default() };
                let standing = broker.session_standing(queue, SESSION, &holder, now).map_err(fail)?;
                prop_assert_eq!(standing == Standing::Holds, model.is_held_by(id));
            }
            prop_assert_eq!(broker.session_locked_until(queue, SESSION), model.held.map(|(_, until)| until));
            let stored = broker.stored_session_state(queue, SESSION);
            prop_assert_eq!(stored.map(|bytes| bytes[0]), model.state);
        }
    }
}
