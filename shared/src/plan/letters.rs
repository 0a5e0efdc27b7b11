//! Why a change cannot be planned, and what a person can do about it.

use super::rules::LinkQuery;
use crate::{
    change::{Change, Operation},
    ids::{OrganizationId, UserId},
    mapping::{MappingRow, RowError},
    reason::{DeadLetter, DeadLetterReason},
};

/// What becomes of a message that its sender stripped.
#[must_use]
pub fn truncated() -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::ContextTruncated,
        "Dataverse removed the columns because the message exceeded 192 KB; register fewer image columns, then \
         change a mapped column of the contact and change it back",
    )
}

/// What becomes of a pipeline message whose name we do not know and that says nothing that we could use.
#[must_use]
pub fn unsupported(name: &str) -> DeadLetter {
    let name = if is_logical_name(name) { format!(" {name}") } else { String::new() };
    DeadLetter::new(
        DeadLetterReason::MessageNotSupported,
        &format!(
            "the message{name} is not one that contactsync knows, and no contact with mapped columns is in its Target; \
             unregister the step for it, and make changes of contacts that came with it once more"
        ),
    )
}

/// Whether a text of a message can be the name of a table or a pipeline message. Nothing else of it is repeated, and
/// what is longer than names are in practice is none: the sender writes there what it likes.
#[must_use]
pub fn is_logical_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(super) fn foreign(organization: Option<OrganizationId>) -> DeadLetter {
    let organization = organization.map_or_else(|| "none".to_owned(), |id| id.to_string());
    DeadLetter::new(
        DeadLetterReason::ForeignOrganization,
        &format!("organization {organization} is not listed in filter.organizations"),
    )
}

pub(super) fn link_invalid(link_column: &str) -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::UserLinkInvalid,
        &format!(
            "{link_column} is not the object id of a user (a GUID); set it to the object id, or clear it if the \
             contact does not sign in through this directory"
        ),
    )
}

pub(super) fn link_unfit(column: &str) -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::UserLinkInvalid,
        &format!(
            "{column} is no text by which the directory can be asked: it must be one of at most {} characters; correct \
             the contact",
            LinkQuery::LONGEST_VALUE
        ),
    )
}

/// Nobody is who the contact means.
pub(super) fn not_found(query: &LinkQuery) -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::UserNotFound,
        &format!(
            "the directory was asked for {query}, and has none; correct the link of the contact or of the user"
        ),
    )
}

pub(super) fn link_ambiguous(query: &LinkQuery, one: UserId, other: UserId) -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::UserLinkAmbiguous,
        &format!(
            "the directory was asked for {query}, and has several: {one} and {other}; decide which of them is the \
             contact's, and take the link away from the others"
        ),
    )
}

/// The link column is nowhere in the message, nor is an image that it could have been left out of.
pub(super) fn link_unknown(link_column: &str, change: &Change) -> DeadLetter {
    if change.origin.marked {
        return truncated();
    }
    let text = if has_images(change) {
        format!(
            "{link_column} is neither in the target nor in an image; register a post image with that column on the \
             step"
        )
    } else {
        format!(
            "{link_column} is not among the columns of the contact, and {NO_IMAGES}; {INSTEAD}, with a post image with \
             that column, or let the sender set the column for each contact"
        )
    };
    DeadLetter::new(DeadLetterReason::UserLinkUnknown, &text)
}

const NO_IMAGES: &str = "messages of this kind carry no images";
const INSTEAD: &str =
    "register the step on Create and Update instead, which Dataverse raises for each contact as well";

/// Whether Dataverse lets images be registered for this kind of message.
fn has_images(change: &Change) -> bool {
    match change.operation {
        Operation::Unknown => false,
        // It may have become a Create or an Update, but it is posted as what it was.
        _ => change.origin.position.is_none() && &*change.origin.message != "Upsert",
    }
}

/// Whether what is missing may have been cut off by the sender.
fn is_cut(change: &Change) -> bool {
    change.origin.marked && change.after.is_empty()
}

/// The contact has another user than before, or its changes did not count until now, and the message does not say what
/// the user shall look like. `link_column` if it is the link that is new.
pub(super) fn all_due(link_column: Option<&str>, missing: &[&str], change: &Change) -> DeadLetter {
    if is_cut(change) {
        return truncated();
    }
    let remedy = if has_images(change) {
        "register a post image with all mapped columns on the step".to_owned()
    } else {
        format!("{NO_IMAGES}; {INSTEAD}, with a post image with all mapped columns")
    };
    let why = link_column.map_or_else(
        || "the contact did not meet filter.require before".to_owned(),
        |column| format!("{column} is new"),
    );
    DeadLetter::new(
        DeadLetterReason::ColumnMissing,
        &format!(
            "{why}, so every mapped column is needed for this user, and no post image shows {}; \
             {remedy}, then force a later message of this contact through with contactsync apply",
            missing.join(", ")
        ),
    )
}

/// The message does not say whether the contact is as `filter.require` asks for.
pub(super) fn filter_unknown(column: &str, change: &Change) -> DeadLetter {
    if is_cut(change) {
        return truncated();
    }
    let text = if has_images(change) {
        format!(
            "filter.require needs {column}, which is neither in the target nor in an image, so it cannot be told whether \
             the change counts; register a post image with that column on the step; images leave empty columns out, so \
             require only what is never empty"
        )
    } else {
        format!(
            "filter.require needs {column}, which is not among the columns of the contact, and {NO_IMAGES}; {INSTEAD}, \
             with a post image with that column"
        )
    };
    DeadLetter::new(DeadLetterReason::ColumnMissing, &text)
}

pub(super) fn filter_incomparable(column: &str) -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::ValueInvalid,
        &format!(
            "filter.require compares {column}, which holds no text, number, choice or yes and no; require another column"
        ),
    )
}

pub(super) fn unmappable(row: &MappingRow, error: &RowError, change: &Change) -> DeadLetter {
    let (reason, text) = match error {
        RowError::Invalid(invalid) => (
            DeadLetterReason::ValueInvalid,
            format!("{}, mapped to {}, {invalid}; correct the contact", row.source, row.property),
        ),
        RowError::Missing(_) if is_cut(change) => return truncated().about(row.property.name()),
        RowError::Missing(column) if has_images(change) => (
            DeadLetterReason::ColumnMissing,
            format!(
                "{} needs {column}, which is neither in the target nor in a post image; register a post image with \
                 that column on the step",
                row.property
            ),
        ),
        RowError::Missing(column) => (
            DeadLetterReason::ColumnMissing,
            format!(
                "{} needs {column}, which is not among the columns of the contact, and {NO_IMAGES}; {INSTEAD}, with a \
                 post image with that column",
                row.property
            ),
        ),
    };
    DeadLetter::new(reason, &text).about(row.property.name())
}
