//! What happens in a world, and in which order.

use shared::{
    engine::{LookResult, RowAnswers, WriteResult, renewal::Renewal},
    ids::LockToken,
    lease::LeaseAction,
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    patch::UserWrite,
    plan::WantedRow,
};

use super::{
    directory::{Flight, Writer},
    seat::SeatNews,
};

#[derive(Debug)]
pub(super) enum Event {
    /// A replica has a turn.
    Turn(Writer),
    /// A write takes effect, or not, in the directory.
    Effect(Box<Flight>),
    /// A replica hears how a write ended.
    Answer(Writer, Box<UserWrite>, WriteResult),
    /// A settlement reaches the queue.
    Settle(Writer, LockToken, Outcome),
    /// The request of a replica to renew locks reaches the queue.
    Renew(Writer, Vec<LockToken>),
    /// A replica hears how that ended.
    Renewed(Writer, Vec<(LockToken, Renewal)>),
    /// A replica hears what its second look at a user showed.
    Verified(Writer, Box<UserWrite>, LookResult),
    /// A replica hears how its probe ended.
    Probed(Writer, bool),
    /// A replica dies, or is asked to stop.
    End(usize),
    /// A replica that was asked to stop must have done so.
    Overdue(Writer),
    /// A replica is started.
    Start(usize),
    /// A replica with a lease has looked at a user and is about to write.
    Begin(Box<Flight>),
    /// Something happens to the lease of a replica.
    Seat(Writer, SeatNews),
    /// A request of a lease reaches the service.
    Asked { writer: Writer, request: u64, link: u64, action: LeaseAction },
    /// The service notices that a link is gone.
    Detached(u64),
    /// Something goes wrong with the lease of a replica.
    Mishap(usize),
    /// What was cut is whole again, and the connection may have ended meanwhile.
    Heal(Writer, bool),
    /// A frozen process wakes.
    Thaw(Writer),
    /// Somebody must be able to write.
    Aim,
    /// Somebody saves a contact.
    Saved,
    /// A pass over both sides goes on.
    Pass,
    /// The question of a replica about rows reaches Dataverse.
    RowsAsked(Writer, u64, Vec<WantedRow>),
    /// A replica hears what was answered.
    RowsAnswered(Writer, u64, Box<RowAnswers>),
}

impl Event {
    /// The replica that it reaches: one that is frozen does not notice it until it wakes.
    pub(super) fn reaches(&self) -> Option<Writer> {
        match self {
            Self::Turn(writer)
            | Self::Answer(writer, ..)
            | Self::Settle(writer, ..)
            | Self::Renew(writer, _)
            | Self::Renewed(writer, _)
            | Self::Verified(writer, ..)
            | Self::Probed(writer, _)
            | Self::Overdue(writer)
            | Self::RowsAnswered(writer, ..)
            | Self::Seat(writer, _) => Some(*writer),
            Self::Begin(flight) => Some(flight.writer),
            _ => None,
        }
    }
}

/// An event in its place: earlier first, and in the order of planning at the same time.
pub(super) struct Scheduled {
    pub(super) at: MonotonicTime,
    pub(super) order: u64,
    /// Boxed, as a heap moves what is in it time and again.
    pub(super) event: Box<Event>,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
