//! What goes into the scheduler and what comes out of it.

use std::{num::NonZeroUsize, time::Duration};

use crate::{
    class::Class,
    ids::{ContactId, UserId},
    lww_register::Stamp,
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    patch::{UserPatch, UserWrite},
    priority::Priority,
    property::Property,
    reason::DeadLetter,
    retry::Ladder,
};

/// A planned change on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work<T> {
    /// The user.
    pub user: UserId,
    /// The contact that changed.
    pub contact: ContactId,
    /// How new the change is.
    pub stamp: Stamp,
    /// What it asks for.
    pub patch: UserPatch,
    /// How much it is waited for.
    pub urgency: Priority,
    /// Until when it may be tried.
    pub deadline: MonotonicTime,
    /// Whether it was refused once already, and nothing has shown since that it was for everybody's fault.
    pub refused_before: bool,
    /// The shell's own.
    pub ticket: T,
}

/// Bounds and patience of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Writes under way at once.
    pub concurrency: usize,
    /// Messages held, waiting or under way; an upper bound, most of it used only while writes are scarce.
    pub messages: usize,
    /// Users whose newest versions are remembered.
    pub remembered_users: NonZeroUsize,
    /// Tries of one write while the locks of its messages are held, and the waits between them.
    pub retries: Ladder,
    /// Different users that must be refused alike, none written in between, before it is the installation's fault.
    pub many_users: usize,
    /// How long a refusal waits for what tells whose fault it is.
    pub refusal_patience: Duration,
    /// How long after a write to look whether another replica has undone it; `None` not to look.
    pub verify_after: Option<Duration>,
}

impl Default for LaneLimits {
    /// What the file of default settings says.
    fn default() -> Self {
        const REMEMBERED_USERS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
        const RETRIES: Ladder =
            Ladder::fixed(Duration::from_millis(500), Duration::from_secs(20)).with_tries(6);
        Self {
            concurrency: 16,
            // What is kept of a message beside its body is small, and has an end.
            messages: 50_000,
            remembered_users: REMEMBERED_USERS,
            retries: RETRIES,
            // No setting. Fewer would let a handful of deleted users stop the worker.
            many_users: 5,
            // No setting. Long enough for the next calls of a busy worker, short enough for a person who looks for the
            // dead letter of a single change.
            refusal_patience: Duration::from_secs(5),
            verify_after: None,
        }
    }
}

/// What came of a write that did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// Whether Graph was written to; not if the user was so already, or showed newer versions of everything.
    pub written: bool,
    /// Properties that were left out because the user's mark shows a newer version.
    pub superseded: Vec<Property>,
    /// Properties that were as they shall be already, or that this user cannot have.
    pub unchanged: Vec<Property>,
    /// Whether the mark shows that the row versions of the organization went back.
    pub went_back: bool,
    /// Properties that were left alone for something that may pass. That they were looked at is not remembered, so a
    /// message that comes again finds them undone.
    pub undecided: Vec<Property>,
    /// The address with which the user signed in until this write.
    pub gave_way: Option<Box<str>>,
    /// Whether Graph hinted that a limit is near.
    pub near_limit: bool,
}

/// How and why a write failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: Class,
    /// What to tell if it is for good.
    pub dead_letter: DeadLetter,
    /// A failure that may pass, but only for so long: a user who was created moments ago can be unknown.
    pub grace: Option<Duration>,
    /// Whom else it may be about; `None` if the class says all there is to say.
    pub suspicion: Option<Suspicion>,
}

/// What a refusal has in common with refusals of other users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// What was answered, in the same words for all who are refused alike: status and code.
    pub kind: Box<str>,
    /// What it may be about.
    pub about: About,
}

impl Suspicion {
    pub(super) fn is_about_values(&self) -> bool {
        self.about == About::Values
    }
}

/// What a refusal may be about, if it is not about this one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A value or a property, and then the mapping.
    Values,
    /// A user who is not there, and then the tenant.
    User,
    /// A user who may not be written, and then the permission.
    Denial,
    /// An answer that is not Graph's, and then the way to it.
    Way,
}

/// Why nothing is written while the installation is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationFault {
    /// What many refusals had in common; `None` if one failure said it all.
    pub about: Option<About>,
    /// What happened and what can be done.
    pub text: Box<str>,
}

/// Something that the scheduler asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<T> {
    /// Write this to the user, and report with [`finished`](super::Lanes::finished).
    Write {
        /// The values.
        write: UserWrite,
        /// How many messages are merged into it.
        changes: usize,
    },
    /// Look whether the user still shows this, and report with [`verified`](super::Lanes::verified).
    Verify(UserWrite),
    /// Settle these.
    Settle(Vec<(Work<T>, Outcome)>),
}
