//! What holds writes back, as people and machines are told of it.

use shared::gate::State;

use super::labels::PauseCause;

/// What holds writes back, as the status page names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WriteHold {
    /// Nothing does.
    #[default]
    Open,
    /// Graph asked for time.
    Throttled,
    /// One write at a time is tried.
    BreakerOpen,
    /// The installation is at fault.
    Paused,
    /// One message is tried after a pause.
    Trial,
    /// Another replica writes, or may.
    NotWriter,
}

impl From<State> for WriteHold {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Throttled(_) => Self::Throttled,
            State::BreakerOpen => Self::BreakerOpen,
            State::Paused => Self::Paused,
            State::Trial => Self::Trial,
            State::NotWriter => Self::NotWriter,
        }
    }
}

impl WriteHold {
    /// For machines.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Throttled => "throttled",
            Self::BreakerOpen => "breaker_open",
            Self::Paused => "paused",
            Self::Trial => "trial",
            Self::NotWriter => "not_writer",
        }
    }
}

/// What to do while no messages are taken for this cause.
pub(super) const fn pause_remedy(cause: PauseCause) -> &'static str {
    match cause {
        PauseCause::Token => {
            "mend [identity]: tenant, client_id and the credential; a file that is replaced is read anew; the worker tries \
             again by itself, messages stay in the queue"
        }
        PauseCause::Permission => {
            "grant the app User.ReadWrite.All with the consent of an administrator; the worker tries again by itself, \
             messages stay in the queue"
        }
        PauseCause::Way => {
            "see to graph.root and to the proxy, portal, filter or gateway on the way to graph; the worker tries again by \
             itself, messages stay in the queue"
        }
        PauseCause::Setup => {
            "mend identity.tenant, [mapping] or guard.attribute; the worker tries again by itself, messages stay in the queue"
        }
        PauseCause::Link | PauseCause::Other => {
            "mend the cause; the worker tries again by itself, messages stay in the queue"
        }
    }
}
