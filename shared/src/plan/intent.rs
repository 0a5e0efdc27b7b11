//! What a change asks for: a write, nothing, or what cannot be done.

use crate::{ids::UserId, patch::UserPatch, reason::DeadLetter};

/// What a change asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Bring this user to these values.
    Write {
        /// The user.
        user: UserId,
        /// The properties to set.
        patch: UserPatch,
    },
    /// No write is needed.
    Nothing(SkipReason),
    /// It cannot be done, now or later.
    Impossible(DeadLetter),
}

/// Why a change needs no write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// The contact has no portal user: the link column is there and empty.
    NotAPortalUser,
    /// A registered image came along without the link column. Dataverse may leave null columns out of images, so
    /// it is empty; or the column was not registered, which is why this is counted apart.
    LinkNotInImage,
    /// No mapped column changed.
    NothingMapped,
    /// Every mapped column has the value it had before, by the registered pre image.
    SameAsBefore,
    /// The columns that changed feed only properties whose required column is not true.
    RequirementNotMet,
    /// The operation never touches a user (delete, state, owner).
    OperationIgnored,
    /// The message is a copy for another target.
    OtherTarget,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NotAPortalUser,
        Self::LinkNotInImage,
        Self::NothingMapped,
        Self::SameAsBefore,
        Self::RequirementNotMet,
        Self::OperationIgnored,
        Self::OtherTarget,
    ];

    /// The same for people.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::NotAPortalUser => "the contact has no user: its link column is empty",
            Self::LinkNotInImage => {
                "the registered image does not show the link column, which is how an empty one looks: the contact \
                 has no user; if it has one, add the column to the image"
            }
            Self::NothingMapped => "no mapped column changed",
            Self::SameAsBefore => {
                "every mapped column has the value it had before, by the pre image; contactsync apply writes it all the \
                 same"
            }
            Self::RequirementNotMet => {
                "what changed is written only if the column that its row requires is true, and it is not"
            }
            Self::OperationIgnored => "this operation never touches a user",
            Self::OtherTarget => "the message is a copy for another target",
        }
    }

    /// Stable text for logs, metrics and `plan --json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAPortalUser => "not-a-portal-user",
            Self::LinkNotInImage => "link-not-in-image",
            Self::NothingMapped => "nothing-mapped",
            Self::SameAsBefore => "same-as-before",
            Self::RequirementNotMet => "requirement-not-met",
            Self::OperationIgnored => "operation-ignored",
            Self::OtherTarget => "other-target",
        }
    }
}
