//! What a replica has beside its engine to agree with the others on who writes.

use std::collections::VecDeque;

use shared::{
    lease::{
        Accepted, Clocks, Fence, Holder, Lease, LeaseAction, LeaseAnswer, LeaseEvent, LeasePolicy, Role,
    },
    monotonic_time::MonotonicTime,
};

/// The pipeline's and the keeper's side of the lease.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) lease: Lease,
    /// What the keeper published last, for whoever is about to start a write.
    pub(super) published: (Fence, Role),
    /// What the engine was told.
    pub(super) role: Role,
    /// The term that was entered last.
    pub(super) term: u64,
    /// The link to the session; zero is none. A link has the number of the request that asked for it.
    pub(super) link: u64,
    /// The link that was there last.
    pub(super) last_link: u64,
    /// The request under way; zero is none.
    pub(super) request: u64,
    /// Which of the planned moments to wake up counts.
    pub(super) wake: u64,
    /// What the pipeline will hear.
    pub(super) news: VecDeque<ToPipeline>,
    /// The pipeline's last sign of life.
    pub(super) alive: MonotonicTime,
    /// When the pipeline told last how things are.
    pub(super) told: Option<MonotonicTime>,
    pub(super) unable_since: Option<MonotonicTime>,
    /// Whether nothing passes between it and the service, and neither hears of that.
    pub(super) cut: bool,
    /// Whether the replica stops and has said so.
    pub(super) leaving: bool,
    /// Whether the request to close a link had no answer.
    pub(super) unclosed: bool,
}

/// What the keeper tells the pipeline.
#[derive(Debug)]
pub(super) enum ToPipeline {
    Lease(LeaseEvent),
    GiveWay,
}

/// What happens to a seat.
#[derive(Debug)]
pub(super) enum SeatNews {
    Wake(u64),
    Answered {
        request: u64,
        answer: Answer,
    },
    TimedOut {
        request: u64,
        action: LeaseAction,
    },
    LinkEnded(u64),
    /// The pipeline hears what the keeper has told.
    Told,
    /// The time for the goodbye is over.
    GoodbyeOver,
}

/// How a request to the session ended.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Accepted(Accepted),
    Read(LeaseAnswer<Option<Vec<u8>>>),
    Written(LeaseAnswer<()>),
    Renewed(LeaseAnswer<()>),
    Closed,
}

impl Seat {
    pub(super) fn new(policy: LeasePolicy, life: u32, now: Clocks) -> Self {
        let holder = Holder { name: format!("replica/{life}"), settings: String::new(), version: "1".into() };
        Self {
            lease: Lease::new(policy, holder, now),
            published: (Fence::Shut, Role::Standby),
            role: Role::Alone,
            term: 0,
            link: 0,
            last_link: 0,
            request: 0,
            wake: 0,
            news: VecDeque::new(),
            alive: now.monotonic,
            told: None,
            unable_since: None,
            cut: false,
            leaving: false,
            unclosed: false,
        }
    }

    /// What it is now. A writer whose fence has closed by itself is in doubt before anybody says so.
    pub(super) fn role_at(&self, now: Clocks) -> Role {
        let (fence, role) = self.published;
        if role == Role::Writer && !fence.holds(now) { Role::Doubting } else { role }
    }
}

impl Answer {
    /// There was none in time.
    pub(super) fn none(action: &LeaseAction) -> Self {
        match action {
            LeaseAction::Accept => Self::Accepted(Accepted::Unanswered),
            LeaseAction::ReadRecord => Self::Read(LeaseAnswer::Unanswered),
            LeaseAction::WriteRecord(_) => Self::Written(LeaseAnswer::Unanswered),
            LeaseAction::Renew => Self::Renewed(LeaseAnswer::Unanswered),
            LeaseAction::Close => Self::Closed,
        }
    }

    /// By a link that does not have the session.
    pub(super) fn lost(action: &LeaseAction) -> Self {
        match action {
            LeaseAction::Accept => Self::Accepted(Accepted::HeldByAnother),
            LeaseAction::ReadRecord => Self::Read(LeaseAnswer::Lost),
            LeaseAction::WriteRecord(_) => Self::Written(LeaseAnswer::Lost),
            LeaseAction::Renew => Self::Renewed(LeaseAnswer::Lost),
            LeaseAction::Close => Self::Closed,
        }
    }

    pub(super) fn report(self, lease: &mut Lease, now: Clocks, jitter: f64) {
        match self {
            Self::Accepted(answer) => lease.accepted(answer, now, jitter),
            Self::Read(answer) => lease.record_read(answer.as_deref(), now),
            Self::Written(answer) => lease.record_written(answer, now),
            Self::Renewed(answer) => lease.renewed(answer, now),
            Self::Closed => lease.closed(),
        }
    }
}
