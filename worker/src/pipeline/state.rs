//! What is told about the pipeline's state, in the log and in the metrics.

use servicebus::Queue;
use shared::{gate::State, lanes::About};

use super::{Now, Pipeline};
use crate::{
    graph::Directory,
    telemetry::{
        health::{Fault, Phase},
        labels::{PauseCause, Warning},
        observer::Load,
    },
};

impl<Q: Queue, D: Directory> Pipeline<Q, D> {
    /// One line per change of state, with what an operator should do.
    pub(super) fn report_state(&mut self, now: Now) {
        let state = self.engine.state(now.moment);
        let kind = std::mem::discriminant(&state);
        if self.told.as_ref().map(std::mem::discriminant) == Some(kind) {
            return;
        }
        let first = self.told.replace(state).is_none();
        match state {
            State::Open if first => {}
            State::Open => tracing::info!("writes to graph go on"),
            State::Throttled(_) => tracing::info!("graph asked for time; writes wait for it"),
            State::BreakerOpen => tracing::warn!(
                "writes of many users failed in a row; one at a time is tried until graph is well again"
            ),
            State::Paused => tracing::error!(
                "intake is paused because the installation is at fault; messages stay in the queue; mend the \
                 cause named above, and the worker goes on by itself"
            ),
            State::Trial => tracing::info!("graph can be reached again; trying one message"),
        }
    }

    /// Says why nothing is written. `cause` is what the write that failed last shows, if it says it all.
    pub(super) fn tell_fault(&self, cause: PauseCause) {
        let Some(fault) = self.engine.fault() else { return };
        let cause = match fault.about {
            None => cause,
            Some(About::Way) => PauseCause::Way,
            Some(About::Denial) => PauseCause::Permission,
            Some(About::Values | About::User) => PauseCause::Setup,
        };
        self.observer.at_fault(cause, &fault.text);
        tracing::warn!(cause = &*fault.text, "the installation is at fault");
    }

    /// Properties that graph refuses of everybody while it writes others: their messages come back later.
    pub(super) fn tell_refused_properties(&mut self) {
        let refused = self.engine.refused_properties().map(|(kind, properties)| {
            let names: Vec<_> = properties.iter().map(ToString::to_string).collect();
            format!("graph answers {kind} whenever {} is written, for every user", names.join(" or "))
        });
        let refused = refused.collect::<Vec<_>>().join("; ");
        if refused == self.told_refused {
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
            (!refused.is_empty()).then(|| Fault {
                text: refused.clone(),
                remedy: "see that the tenant has the property, that [mapping] names it rightly and that its values fit; \
                         messages with it come back until somebody's is accepted, and none is dead-lettered for it",
            }),
        );
        self.told_refused = refused;
    }

    /// A sign of life, with what is held.
    pub(super) fn turn(&mut self, phase: Phase, now: Now) {
        self.tell_refused_properties();
        self.observer.turn(phase, &self.load(now), now.instant);
    }

    fn load(&self, now: Now) -> Load {
        let engine = &self.engine;
        Load {
            state: engine.state(now.moment),
            in_flight: engine.in_flight(),
            held: engine.held(),
            lanes: engine.waiting_lanes(),
            rate: engine.rate(),
            went_back: engine.went_back(),
            times_cut: engine.times_cut(),
        }
    }
}
