//! What goes into a lease and what comes out of it.

use std::ops::Deref;

use crate::{
    lease::record::{Budget, LeaseRecord},
    monotonic_time::MonotonicTime,
};

/// What a replica is to the others, for metrics and readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// There is no lease, and this is the only replica.
    Alone,
    /// Another one writes, or nobody, or this one is about to leave.
    Standby,
    /// It has the lease, and does not write yet.
    Entering,
    /// It writes.
    Writer,
    /// It wrote, and does not know whether it still may.
    Doubting,
}

/// A request to the session. There is at most one at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseAction {
    /// Attach to the session by a new link, and report with [`Lease::accepted`](super::Lease::accepted).
    Accept,
    /// Read the state of the session, and report with [`Lease::record_read`](super::Lease::record_read).
    ReadRecord,
    /// Make this the state of the session, and report with [`Lease::record_written`](super::Lease::record_written).
    WriteRecord(LeaseRecord),
    /// Renew the lock of the session, and report with [`Lease::renewed`](super::Lease::renewed).
    Renew,
    /// Close the link, and report with [`Lease::closed`](super::Lease::closed), even if nobody answers.
    Close,
}

/// How an attach ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The session is ours, by a link of its own.
    Granted,
    /// Another link has it.
    HeldByAnother,
    /// Nobody knows. If it is granted later, that link must be closed.
    Unanswered,
    /// The installation is at fault, and this is what it said.
    Refused(String),
}

/// How a request by a link that was granted ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseAnswer<T> {
    /// Well, so the link had the session at some moment after the request was sent.
    Answered(T),
    /// The link does not have the session any more.
    Lost,
    /// No answer in time, or one that tells nothing, such as that the server is busy.
    Unanswered,
}

impl<T: Deref> LeaseAnswer<Option<T>> {
    /// The same with what was answered lent out.
    #[must_use]
    pub fn as_deref(&self) -> LeaseAnswer<Option<&T::Target>> {
        match self {
            Self::Answered(answer) => LeaseAnswer::Answered(answer.as_deref()),
            Self::Lost => LeaseAnswer::Lost,
            Self::Unanswered => LeaseAnswer::Unanswered,
        }
    }
}

/// Why a holder is in doubt, or has lost the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoubtCause {
    /// Renewals were not answered for too long; or the machine slept, or its clock was set forward.
    Unanswered,
    /// The pipeline gave no sign of life, so the lease was not renewed.
    NoSignOfLife,
    /// The link ended.
    LinkEnded,
    /// The service said that the lock is lost.
    LockLost,
    /// Another replica has the lease, or had it in between.
    HeldByAnother,
}

/// A change that the rest of the worker must hear of.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseEvent {
    /// A term began: messages may be taken, and written after the quiet time.
    Entered {
        /// The term.
        term: u64,
        /// When writes may be started.
        quiet_until: MonotonicTime,
        /// Until when writes need a second look, because a predecessor's may still take effect. In the past if none do.
        looks_until: MonotonicTime,
        /// The last record, if it could be read.
        predecessor: Option<Box<LeaseRecord>>,
        /// What to begin the budget with; nothing to go on as before.
        budget: Option<Budget>,
        /// Whether somebody may have had calls under way.
        unclean: bool,
    },
    /// The quiet time is over, if there was one: writes may be started.
    Holding,
    /// No message may be taken and no write started or tried again; calls under way go on.
    Doubting(DoubtCause),
    /// The doubt was unfounded: all goes on as before it.
    Resumed,
    /// The lease is lost. Calls under way must be cut off, all messages given back and all memory of users dropped; then
    /// report with [`Lease::given_back`](super::Lease::given_back).
    Lost(DoubtCause),
    /// The lease was given up on purpose, and nothing is left of it.
    Left,
}
