//! The names of pipeline messages, and what each means for the columns of a contact.

use crate::change::Operation;

/// What a pipeline message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pipeline {
    /// One record, in `Target` or what the message calls it.
    One(Operation),
    /// One record, which may have been there before.
    Upsert,
    /// Several records, in `Targets`.
    Several(Operation),
    /// Leaves the columns of every record alone.
    Untouching,
    /// A custom message, or one that is newer than this table.
    Unknown,
}

/// Messages that change no column of a contact whatever they carry: they read, connect records, share or remove them.
/// A name belongs here only if that is certain; one that is missing is told, one too many is silence.
const UNTOUCHING: [&str; 10] = [
    "Associate",
    "DeleteMultiple",
    "Disassociate",
    "GrantAccess",
    "ModifyAccess",
    "Retrieve",
    "RetrieveMultiple",
    "RetrievePrincipalAccess",
    "RetrieveSharedPrincipalsAndAccess",
    "RevokeAccess",
];

impl Pipeline {
    pub(super) fn of(message: &str) -> Self {
        match message {
            "Create" => Self::One(Operation::Create),
            "Update" => Self::One(Operation::Update),
            "Delete" => Self::One(Operation::Delete),
            "Merge" => Self::One(Operation::Merge),
            "SetState" | "SetStateDynamicEntity" | "Assign" => Self::One(Operation::Administrative),
            "Upsert" => Self::Upsert,
            "CreateMultiple" => Self::Several(Operation::Create),
            // Which rows of an UpsertMultiple were new is not in a form that is known for certain. A link that is
            // absent from a new row means that there is no user, but from an old one it means nothing.
            "UpdateMultiple" | "UpsertMultiple" => Self::Several(Operation::Update),
            name if UNTOUCHING.contains(&name) => Self::Untouching,
            _ => Self::Unknown,
        }
    }
}
