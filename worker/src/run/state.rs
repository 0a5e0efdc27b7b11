//! What is told about the pipeline's state, in the log and in the metrics.

use std::{sync::Arc, time::Duration};

use servicebus::clock;
use shared::{engine::Engine, gate::State, lanes::About, monotonic_time::MonotonicTime};

use super::now::Now;
use crate::{
    journal::Entry,
    telemetry::{
        Observer,
        health::{HealthFault, Phase},
        labels::{PauseCause, Warning},
        observer::Load,
    },
};

/// What was told last.
pub(super) struct StateLog {
    observer: Arc<Observer>,
    state: Option<State>,
    /// Since when writes are held back, while they are.
    held_back_since: Option<MonotonicTime>,
    /// What the pause was last told to be for, while there is one.
    paused_for: Option<PauseCause>,
    /// What was last told of properties that are refused for everybody.
    refused: String,
    /// What was last told of rows that cannot be read.
    unread: Option<Box<str>>,
}

impl StateLog {
    /// Nothing was told yet.
    pub(super) fn new(observer: Arc<Observer>) -> Self {
        Self {
            observer,
            state: None,
            held_back_since: None,
            paused_for: None,
            refused: String::new(),
            unread: None,
        }
    }

    /// A sign of life, with what is held; and a line in the log when the state has changed.
    pub(super) fn turn<M>(&mut self, engine: &Engine<M>, phase: Phase, now: Now) {
        if phase == Phase::Running {
            self.change(engine, now.moment);
        }
        self.refused_properties(engine);
        self.unread_rows(engine, now.moment);
        self.observer.turn(phase, &load(engine, now.moment), now.instant);
    }

    /// One line per change of state, with its figures and what an operator should do.
    fn change<M>(&mut self, engine: &Engine<M>, now: MonotonicTime) {
        let state = engine.state(now);
        let kind = std::mem::discriminant(&state);
        if self.state.as_ref().map(std::mem::discriminant) == Some(kind) {
            return;
        }
        let first = self.state.replace(state).is_none();
        let since = *self.held_back_since.get_or_insert(now);
        if state == State::Open {
            self.held_back_since = None;
        }
        if state != State::Paused {
            self.paused_for = None;
        }
        if !(first && state == State::Open) {
            self.observer.note(|| Entry::State { state: name_of(state).to_owned() });
        }
        let (paused, waiting, rate) = (now - since, engine.waiting_lanes(), engine.rate());
        let paused_for_ms = millis(paused);
        match state {
            State::Open if first => {}
            State::Open => tracing::info!(
                paused_for_ms,
                writes_waiting = waiting,
                rate,
                "writes to graph resumed after {}; {waiting} writes waiting, rate {rate:.1}/s",
                seconds(paused),
            ),
            State::Throttled(until) => tracing::info!(
                retry_after_ms = millis(until - now),
                writes_waiting = waiting,
                rate,
                "throttled by graph for {}; {waiting} writes waiting, rate {rate:.1}/s",
                seconds(until - now),
            ),
            State::BreakerOpen => tracing::warn!(
                failed_users = engine.failed_users(),
                writes_waiting = waiting,
                "writes of {} users failed in a row; one at a time is tried until graph is well again; {waiting} \
                 writes waiting",
                engine.failed_users(),
            ),
            State::Paused => tracing::error!(
                writes_waiting = waiting,
                "intake is paused because the installation is at fault; messages stay in the queue; mend the \
                 cause named above, and the worker goes on by itself"
            ),
            // The lease tells itself who writes and why.
            State::NotWriter => {}
            State::Trial => tracing::info!(
                paused_for_ms,
                "graph can be reached again after {}; trying one message",
                seconds(paused),
            ),
        }
    }

    /// Says why nothing is written, once for each cause of a pause: writes that were under way fail alike. `cause` is what the
    /// write that failed last shows, if it says it all.
    pub(super) fn fault<M>(&mut self, engine: &Engine<M>, cause: PauseCause) {
        let Some(fault) = engine.fault() else { return };
        let cause = match fault.about {
            None => cause,
            Some(About::Way) => PauseCause::Way,
            Some(About::Denial) => PauseCause::Permission,
            Some(About::Values | About::User) => PauseCause::Setup,
        };
        self.observer.at_fault(cause, &fault.text);
        if self.paused_for.replace(cause) != Some(cause) {
            tracing::warn!(cause = &*fault.text, "the installation is at fault");
        }
    }

    /// Properties that graph refuses of everybody while it writes others: their messages come back later.
    fn refused_properties<M>(&mut self, engine: &Engine<M>) {
        let refused = engine.refused_properties().map(|(kind, properties)| {
            let names: Vec<_> = properties.iter().map(ToString::to_string).collect();
            format!("graph answers {kind} whenever {} is written, for every user", names.join(" or "))
        });
        let refused = refused.collect::<Vec<_>>().join("; ");
        if refused == self.refused {
            return;
        }
        if !refused.is_empty() {
            tracing::warn!(
                what = refused,
                "a property is refused for everybody; its messages come back later"
            );
        }
        self.observer.health.warn(
            Warning::PropertyRefused,
            (!refused.is_empty()).then(|| HealthFault {
                text: refused.clone(),
                remedy: "see that the tenant has the property, that [mapping] names it rightly and that its values fit; \
                         messages with it come back until somebody's is accepted, and none is dead-lettered for it",
            }),
        );
        self.refused = refused;
    }
}

impl StateLog {
    /// Rows of Dataverse that messages wait for.
    fn unread_rows<M>(&mut self, engine: &Engine<M>, now: MonotonicTime) {
        let unread = engine.unread();
        if unread.is_some() {
            let again = engine.reads_again().and_then(|again| clock::now().checked_add(again - now).ok());
            self.observer.health.tries.set(Warning::RowsUnread.as_str(), again);
        }
        if unread == self.unread.as_deref() {
            return;
        }
        self.observer.health.warn(
            Warning::RowsUnread,
            unread.map(|why| HealthFault {
                text: format!(
                    "rows of contacts cannot be read from Dataverse, so that messages that need them wait: {why}"
                ),
                remedy: "contactsync dataverse check tells what is missing; nothing is lost meanwhile, and other messages go on",
            }),
        );
        if unread.is_none() {
            tracing::info!("rows of dataverse can be read again");
        }
        self.unread = unread.map(Into::into);
    }
}

/// The state in one word.
fn name_of(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Throttled(_) => "throttled",
        State::BreakerOpen => "breaker_open",
        State::Paused => "paused",
        State::NotWriter => "standby",
        State::Trial => "trial",
    }
}

fn load<M>(engine: &Engine<M>, now: MonotonicTime) -> Load {
    Load {
        state: engine.state(now),
        waits: match engine.state(now) {
            State::Throttled(until) => Some(until - now),
            State::BreakerOpen | State::Paused | State::Trial => engine.next_try().map(|next| next - now),
            State::Open | State::NotWriter => None,
        },
        in_flight: engine.in_flight(),
        held: engine.held(),
        reading: engine.reading(),
        lanes: engine.waiting_lanes(),
        rate: engine.rate(),
        went_back: engine.went_back(),
        times_cut: engine.times_cut(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as a person reads it: whole seconds, or a fraction of the first.
fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds => format!("{seconds} s"),
    }
}
