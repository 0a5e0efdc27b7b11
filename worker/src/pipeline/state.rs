//! What is told about the pipeline's state, in the log and in the metrics.

use shared::gate::State;

use super::{Now, Pipeline};
use crate::{
    bus::Queue,
    graph::Directory,
    telemetry::{health::Phase, observer::Load},
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

    /// A sign of life, with what is held.
    pub(super) fn turn(&self, phase: Phase, now: Now) {
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
        }
    }
}
