//! Why a channel did not take something.

use std::time::Duration;

use shared::retry::Again;

/// A wait that is asked for and longer than this is kept by not trying again now.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Why a channel did not take something, in words without addresses, keys and names of mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotifyFailure {
    /// What happened, and what to do where that is known.
    pub(crate) what: String,
    /// Whether to try again.
    pub(super) retry: NotifyRetry,
}

/// What a failure means for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotifyRetry {
    /// It may work in a moment.
    Soon,
    /// It may work then.
    After(Duration),
    /// It would fail again.
    Never,
    /// The receiver is gone for good, and wants nothing more.
    Gone,
}

impl NotifyFailure {
    pub(super) fn soon(what: impl Into<String>) -> Self {
        Self { what: what.into(), retry: NotifyRetry::Soon }
    }

    pub(super) fn never(what: impl Into<String>) -> Self {
        Self { what: what.into(), retry: NotifyRetry::Never }
    }

    pub(super) fn again(&self) -> Again {
        match self.retry {
            NotifyRetry::Soon => Again::Later,
            NotifyRetry::After(wait) if wait <= LONGEST_WAIT => Again::After(wait),
            NotifyRetry::After(_) | NotifyRetry::Never | NotifyRetry::Gone => Again::Never,
        }
    }
}
