//! Why a user differs from the row, as far as the mark of the guard shows.

use jiff::{SignedDuration, Timestamp};

use crate::{
    admission::Withheld,
    mark::Mark,
    property::Property,
    reason::DeadLetterReason,
    version::{APART, RowVersion, Version},
};

/// Why a property differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftCause {
    /// The mark has no version of the property: no change of it was ever applied.
    NeverApplied,
    /// The mark shows an older version than the row's. A change since was not applied; or the changes since were of other
    /// columns, and somebody else has changed the user.
    Missed,
    /// The mark shows the version of the row: it was applied, and somebody else has changed the user since.
    ChangedElsewhere,
    /// No mark is kept, so it cannot be told which of the three it is.
    Unknown,
    /// The mark shows a version of another contact, which had this user before, and that one's values are there.
    OtherContact,
    /// The mark shows a version that is newer than the row: the database was restored, or is a copy. Nothing is written,
    /// unless a person says that the row is right.
    MarkAhead,
    /// The contact's link names a user who is not in the directory.
    UserMissing,
    /// Several contacts name this user. Nothing is written, because nobody knows whose he is.
    Doubled,
    /// The row cannot be planned: a message of it would become a dead letter for this reason.
    Unfit(DeadLetterReason),
    /// The user may not be written, or not in this property; a person decides.
    Withheld(DeadLetterReason),
}

impl DriftCause {
    /// Stable text for reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverApplied => "never-applied",
            Self::Missed => "missed",
            Self::ChangedElsewhere => "changed-elsewhere",
            Self::Unknown => "unknown",
            Self::OtherContact => "other-contact",
            Self::MarkAhead => "mark-ahead",
            Self::UserMissing => "user-missing",
            Self::Doubled => "doubled",
            Self::Unfit(reason) | Self::Withheld(reason) => reason.as_str(),
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::NeverApplied => "no change of it was ever applied to the user",
            Self::Missed => {
                "a change since the last one that was applied is missing, or somebody else changed the user"
            }
            Self::ChangedElsewhere => "the row was applied, and somebody else changed the user since",
            Self::Unknown => "no mark tells why: guard.attribute is not set",
            Self::OtherContact => "the user was written last for another contact, which had him before",
            Self::MarkAhead => {
                "the user has a newer version than the row; was the database restored? written with --overrule only"
            }
            Self::UserMissing => "the link of the contact names a user who is not in the directory",
            Self::Doubled => "several contacts name this user; correct the link of all but one",
            Self::Unfit(_) => "the row cannot be written; the runbook has a heading for this reason",
            Self::Withheld(_) => "a person decides; the runbook has a heading for this reason",
        }
    }

    /// Whether `--apply` writes it by itself.
    #[must_use]
    pub const fn is_written(self) -> bool {
        matches!(
            self,
            Self::NeverApplied | Self::Missed | Self::ChangedElsewhere | Self::OtherContact | Self::Unknown
        )
    }
}

impl From<Withheld> for DriftCause {
    fn from(withheld: Withheld) -> Self {
        Self::Withheld(withheld.reason())
    }
}

/// A change may be recorded so much later than the row says that it was made.
const RECORDED_WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// No transaction is open for so long.
const TRANSACTION: SignedDuration = SignedDuration::from_mins(5);

/// What is known of a table beyond the row that is judged: how far its row versions go, and how late it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableAge {
    /// The newest row version that was read of any row.
    pub newest: RowVersion,
    /// The newest among those that [had settled](TableAge::has_settled) when they were read.
    pub settled: Option<RowVersion>,
    /// When the row was read.
    pub now: Timestamp,
}

impl TableAge {
    /// Whether a row that is read now was changed so long ago that every change with a lower row version can be read, too:
    /// no transaction that began before it is open still.
    #[must_use]
    pub fn has_settled(row: &Version, now: Timestamp) -> bool {
        now.duration_since(row.at) > RECORDED_WITHIN + TRANSACTION
    }

    /// Whether a mark that is newer than a row is nevertheless one of this table, and then of another contact.
    ///
    /// A row that is read after its user holds every change of its contact that had been applied. So a mark beyond it is of
    /// another row, or of a database that there is no more: then its number lies beyond all that the table has. What was
    /// written a moment ago is not judged, because a row might be read that lags behind.
    fn knows(&self, written: &Version) -> bool {
        self.contains(written) && self.now.duration_since(written.at) > APART
    }

    /// The row with the latest time that the message of its last change can have carried.
    ///
    /// A replica remembers what it found to be there already, by the time of that message, and the mark does not show it. If
    /// nothing else was changed since for longer than any transaction lasts, nothing newer can have a time that is as early.
    fn latest(&self, row: &Version) -> Version {
        let later = row.at.checked_add(RECORDED_WITHIN).unwrap_or(row.at);
        Version { at: if Self::has_settled(row, self.now) { later } else { row.at }, ..*row }
    }

    /// Whether a mark is what a repair of the row has left, as of a newer row version: it has the very time that only a
    /// repair has, by the millisecond.
    fn is_repair(&self, written: &Version, latest: &Version) -> bool {
        written.at == latest.at && self.contains(written)
    }

    fn contains(&self, written: &Version) -> bool {
        written.row.is_some_and(|row| row.realm == self.newest.realm && row.number <= self.newest.number)
    }

    /// A version of the row with the newest row number of which it is certain that the row holds everything up to it.
    ///
    /// A replica may remember a row version of another contact, which had the user before, and no mark shows it: of a message
    /// that was found to be needless, or of a repair where messages carry none. The row as it is read is the truth as of
    /// that number, whatever its own is.
    fn as_of_settled(&self, version: Version) -> Version {
        match (version.row, self.settled) {
            (Some(own), Some(settled)) if own.realm == settled.realm => {
                Version { row: Some(own.max(settled)), ..version }
            }
            _ => version,
        }
    }
}

/// Where a row stands beside what the mark shows of one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Why the property differs, if it does.
    pub cause: DriftCause,
    /// What a change with the state of the row must carry so that the mark does not keep it out.
    pub version: Version,
}

impl Standing {
    /// Holds a row against the mark.
    ///
    /// A row tells its time by the second, and a message by the millisecond, as a rule some milliseconds later. So the mark
    /// of a change that is in the row looks newer than the row. Its time is taken over then: a row that is read after the
    /// user was holds every change that had been applied to him. It is not taken over where times differ by more than
    /// row versions and times of one database do.
    #[must_use]
    pub fn of(
        row: &Version,
        mark: &Mark,
        property: &Property,
        (table, diff): (Option<&TableAge>, bool),
    ) -> Self {
        let own = table.map_or(*row, |table| table.latest(row));
        let written = mark.version(property);
        // Whether a replica may remember row versions that the mark does not show.
        let realm = |version: &Version| version.row.map(|row| row.realm);
        let hidden = diff || written.is_some_and(|written| realm(&written) != realm(row));
        let seen = |version| table.filter(|_| hidden).map_or(version, |table| table.as_of_settled(version));
        let Some(written) = written else {
            return Self { cause: DriftCause::NeverApplied, version: seen(own) };
        };
        let latest = row.at.checked_add(APART).unwrap_or(row.at);
        let version = Version { at: written.at.clamp(own.at, latest), ..own };
        if !written.is_newer_than(&version) {
            let missed = row.is_newer_than(&written);
            let cause = if missed { DriftCause::Missed } else { DriftCause::ChangedElsewhere };
            return Self { cause, version: seen(version) };
        }
        let cause = match table {
            Some(table) if table.is_repair(&written, &own) => DriftCause::ChangedElsewhere,
            Some(table) if table.knows(&written) => DriftCause::OtherContact,
            _ => DriftCause::MarkAhead,
        };
        Self { cause, version: seen(own.raised_to(&written)) }
    }
}
