//! When the row of a contact has to be read before its message can be planned, and what follows from the answer.
//!
//! A message is a hint that something has changed; the row is what holds. Where Dataverse can be asked, a message that does
//! not say enough, or may be old, is planned by the row instead, at the version of the row. Nothing of the message is mixed
//! into it: the row was read after the message had come, so it holds the change and whatever came after.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    filter::Filtered,
    intent::{Plan, SkipReason},
    planner::Planner,
};
use crate::{
    change::{Change, Operation},
    ids::{ContactId, OrganizationId},
    reason::DeadLetterReason,
    version::{APART, Version},
};

/// Why a row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadCause {
    /// The sender removed columns because of its size limit.
    Truncated,
    /// The link is in no place of the message.
    LinkUnknown,
    /// An image came without the link, and no image was seen that shows one.
    LinkNotShown,
    /// A mapped property, or the filter, needs a column that is not in the message.
    ColumnMissing,
    /// Graph knows no such user; the contact may have another one by now.
    UserNotFound,
    /// The message was put back from the dead letters, and its values may be old.
    Replay,
}

impl ReadCause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Truncated,
        Self::LinkUnknown,
        Self::LinkNotShown,
        Self::ColumnMissing,
        Self::UserNotFound,
        Self::Replay,
    ];

    /// Stable text for logs, metrics and `plan --json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::LinkUnknown => "link-unknown",
            Self::LinkNotShown => "link-not-shown",
            Self::ColumnMissing => "column-missing",
            Self::UserNotFound => "user-not-found",
            Self::Replay => "replay",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Truncated => "Dataverse removed columns from the message because of its size limit",
            Self::LinkUnknown => "the message does not show which user is meant",
            Self::LinkNotShown => {
                "its image does not show which user is meant, and as long as no image was seen to show one, that may be the \
                 fault of the image"
            }
            Self::ColumnMissing => "the message lacks a column that is needed",
            Self::UserNotFound => {
                "the directory has no such user, and the contact may have another one by now"
            }
            Self::Replay => "the message was a dead letter, and its values may be old",
        }
    }

    /// Why a row can help a message that would be dead-lettered for this.
    #[must_use]
    pub const fn of(reason: DeadLetterReason) -> Option<Self> {
        match reason {
            DeadLetterReason::ContextTruncated => Some(Self::Truncated),
            DeadLetterReason::UserLinkUnknown => Some(Self::LinkUnknown),
            DeadLetterReason::ColumnMissing => Some(Self::ColumnMissing),
            DeadLetterReason::UserNotFound => Some(Self::UserNotFound),
            _ => None,
        }
    }
}

/// Which row: the contact, and the organization by whose word there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    /// The organization that the message names.
    pub organization: Option<OrganizationId>,
    /// The contact.
    pub contact: ContactId,
}

impl RowId {
    /// The row that a change is about.
    #[must_use]
    pub const fn of(change: &Change) -> Self {
        Self { organization: change.organization, contact: change.contact }
    }
}

/// A row that has to be read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedRow {
    /// Which one.
    pub row: RowId,
    /// Why.
    pub cause: ReadCause,
}

/// What Dataverse said about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowAnswer {
    /// The contact as its row shows it.
    Shown {
        /// As the change that saves all of it, with the version of the row.
        change: Box<Change>,
        /// When it was read. Nothing in it happened later.
        read: Timestamp,
    },
    /// The contact was deleted. Certain, and not only that nothing was shown.
    Gone,
    /// It cannot be known, now or later: the message is of another organization, or the row is not as it has to be. The
    /// message has to do by itself.
    Unknown,
}

/// What is known of the rows that one message is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRows(BTreeMap<RowId, RowAnswer>);

impl KnownRows {
    /// Takes an answer in. The later one of two counts.
    pub fn learn(&mut self, row: RowId, answer: RowAnswer) {
        self.0.insert(row, answer);
    }

    /// What was answered about a row.
    #[must_use]
    pub fn get(&self, row: RowId) -> Option<&RowAnswer> {
        self.0.get(&row)
    }
}

/// What reading of rows depends on besides the message.
#[derive(Clone, Copy, Debug)]
pub struct RowGrounds<'r> {
    /// Whether the message was put back from the dead letters, so that its values may be old.
    pub replayed: bool,
    /// Whether images are known to show the link where there is one, so that one without it means that there is none.
    pub images_show_link: bool,
    /// What was answered so far.
    pub rows: &'r KnownRows,
}

static NONE: KnownRows = KnownRows(BTreeMap::new());

impl Default for RowGrounds<'_> {
    /// Of a new message, before anything was read or seen.
    fn default() -> Self {
        Self { replayed: false, images_show_link: false, rows: &NONE }
    }
}

/// A plan, and by what it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// By the message.
    ByMessage(Plan),
    /// By the row as it was at this version, and read at that time.
    ByRow(Plan, Version, Timestamp),
    /// The row has to be read first, for this reason.
    Read(ReadCause),
}

impl Planner {
    /// Plans a change, by the row of its contact if that has to be.
    #[must_use]
    pub fn judge(&self, change: &Change, reading: RowGrounds<'_>) -> Judgement {
        let plan = self.plan(change);
        if !self.read_back {
            return Judgement::ByMessage(plan);
        }
        let cause = cause(&plan, reading);
        let answer = reading.rows.get(RowId::of(change)).filter(|_| cause.is_some() || is_work(&plan));
        match (answer, cause) {
            (None | Some(RowAnswer::Unknown), None) | (Some(RowAnswer::Unknown), Some(_)) => {
                Judgement::ByMessage(plan)
            }
            (None, Some(cause)) => Judgement::Read(cause),
            (Some(RowAnswer::Gone), _) => Judgement::ByMessage(Plan::Nothing(SkipReason::ContactGone)),
            (Some(RowAnswer::Shown { change: row, read }), cause) => match cause {
                // A replica of the database may lag behind.
                Some(cause) if is_older(row, change) && !is_work(&plan) => Judgement::Read(cause),
                _ if is_older(row, change) => Judgement::ByMessage(plan),
                _ => self.by_row(row, change, *read),
            },
        }
    }

    fn by_row(&self, row: &Change, message: &Change, read: Timestamp) -> Judgement {
        let origin = &message.origin;
        let row = Change { operation: Operation::Update, origin: origin.clone(), ..row.clone() };
        // Who made the change and how was judged by the message; here it counts what the contact is like.
        let filtered = match self.filter.admits(&row) {
            Ok(true) => Filtered::In { anew: false },
            Ok(false) => Filtered::Out(SkipReason::FilterNotMet),
            Err(letter) => Filtered::Unknown(letter),
        };
        // A row does not tell whether its link is new, but the message may have, of the same user.
        let vouched = self.linked_user(message);
        let vouched = vouched.is_some() && vouched == self.linked_user(&row);
        let from = self.moves_from(if vouched { message } else { &row });
        let plan = self.try_filtered(&row, from, filtered).unwrap_or_else(Plan::Impossible);
        // A row tells its time by the second, and was read after the message had come: it is at least as new.
        let own = row.version.unwrap_or(Version::at(read));
        let version = Version { at: message.version.map_or(own.at, |version| version.at.max(own.at)), ..own };
        Judgement::ByRow(plan, version, read)
    }
}

/// Why the row has to be read before this plan is carried out, if it has to.
fn cause(plan: &Plan, reading: RowGrounds<'_>) -> Option<ReadCause> {
    let replayed = reading.replayed.then_some(ReadCause::Replay);
    match plan {
        // Another organization's rows are not ours to ask for.
        Plan::Impossible(letter) if letter.reason == DeadLetterReason::ForeignOrganization => None,
        Plan::Impossible(letter) => ReadCause::of(letter.reason).or(replayed),
        Plan::Nothing(SkipReason::LinkNotInImage) if !reading.images_show_link => {
            Some(ReadCause::LinkNotShown)
        }
        Plan::Nothing(_) => None,
        Plan::Write { .. } | Plan::LookUp(_) => replayed,
    }
}

/// Whether there is something to do by the message itself.
const fn is_work(plan: &Plan) -> bool {
    matches!(plan, Plan::Write { .. } | Plan::LookUp(_))
}

/// Whether a row is older than the message that led to it, in one life of the database.
fn is_older(row: &Change, message: &Change) -> bool {
    let (Some(row), Some(message)) = (row.version, message.version) else { return false };
    let older = matches!((row.row, message.row), (Some(shown), Some(told))
        if shown.realm == told.realm && shown.number < told.number);
    older && row.at.duration_since(message.at).abs() <= APART
}

#[cfg(test)]
mod tests;
