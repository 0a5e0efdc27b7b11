//! What a change asks for: a write, nothing, or what cannot be done.

use super::rules::LinkQuery;
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
    /// The directory has to be asked who is meant, before anything else is known.
    LookUp(Vec<LinkQuery>),
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
    /// The user has these values already.
    AlreadyThere,
    /// `filter.operations` does not name the operation.
    OperationSwitchedOff,
    /// The change was made by a user of `filter.initiating_users`.
    InitiatingUserIgnored,
    /// The change was made deeper than `filter.max_depth`.
    TooDeep,
    /// The contact is not as `filter.require` asks for.
    FilterNotMet,
    /// The link is an address, so it means no user of this directory.
    ForeignAddress,
    /// The link looks like the key of another provider.
    ForeignKey,
    /// The link is another text, as a rule the name of a local account of the portal.
    ForeignName,
    /// The message is a copy for another target.
    OtherTarget,
    /// The contact was deleted, as its row was to be read.
    ContactGone,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::NotAPortalUser,
        Self::LinkNotInImage,
        Self::NothingMapped,
        Self::SameAsBefore,
        Self::RequirementNotMet,
        Self::OperationIgnored,
        Self::AlreadyThere,
        Self::OperationSwitchedOff,
        Self::InitiatingUserIgnored,
        Self::TooDeep,
        Self::FilterNotMet,
        Self::ForeignAddress,
        Self::ForeignKey,
        Self::ForeignName,
        Self::OtherTarget,
        Self::ContactGone,
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
            Self::AlreadyThere => {
                "the user has these values already, or nothing that they could be changed in"
            }
            Self::OperationSwitchedOff => "filter.operations does not name this operation",
            Self::InitiatingUserIgnored => {
                "the change was made by a user whom filter.initiating_users names, whose changes are ignored"
            }
            Self::TooDeep => "the change was made deeper in other changes than filter.max_depth allows",
            Self::FilterNotMet => "the contact is not as filter.require asks for",
            Self::ForeignAddress => {
                "the link column holds an address, not the object id of a user, and link.on_foreign ignores such links"
            }
            Self::ForeignKey => {
                "the link column holds what looks like the key of another provider, not the object id of a user, and \
                 link.on_foreign ignores such links"
            }
            Self::ForeignName => {
                "the link column holds a name or another text, not the object id of a user, and link.on_foreign ignores \
                 such links"
            }
            Self::OtherTarget => "the message is a copy for another target",
            Self::ContactGone => {
                "the contact was deleted in Dataverse, so nobody knows what it would have been like"
            }
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
            Self::AlreadyThere => "already-there",
            Self::OperationSwitchedOff => "operation-switched-off",
            Self::InitiatingUserIgnored => "initiating-user-ignored",
            Self::TooDeep => "too-deep",
            Self::FilterNotMet => "filter-not-met",
            Self::ForeignAddress => "foreign-link-address",
            Self::ForeignKey => "foreign-link-key",
            Self::ForeignName => "foreign-link-name",
            Self::OtherTarget => "other-target",
            Self::ContactGone => "contact-gone",
        }
    }
}
