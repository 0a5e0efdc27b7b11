//! Tokens of change tracking, and what happened since one.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};
use uuid::Uuid;

use super::{
    refusal::Refusal,
    store::Store,
    value::{Row, Value},
};

/// A point in the history of an organization.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) version: i64,
    pub(crate) taken: Timestamp,
}

const DATE: &str = "%m/%d/%Y %H:%M:%S";

impl Token {
    /// As it reads once decoded.
    pub(crate) fn text(self) -> String {
        format!("{}!{}", self.version, self.taken.strftime(DATE))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::invalid_argument(format!("The delta token '{text}' is malformed."));
        let (version, taken) = text.split_once('!').ok_or_else(malformed)?;
        let version = version.parse().map_err(|_| malformed())?;
        let taken = DateTime::strptime(DATE, taken).map_err(|_| malformed())?;
        let taken = Offset::UTC.to_timestamp(taken).map_err(|_| malformed())?;
        Ok(Self { version, taken })
    }

    /// Refuses a token that is too old. `forgotten` is the version up to which nothing is known any more.
    pub(crate) fn check(self, days: i64, forgotten: Option<i64>, now: Timestamp) -> Result<(), Refusal> {
        let lapsed = now.duration_since(self.taken) >= SignedDuration::from_hours(24 * days);
        if lapsed || forgotten.is_some_and(|version| self.version <= version) {
            let message = "Version stamp associated with the client has expired. Please perform a full sync.";
            return Err(Refusal::bad_request(0x8004_4352, message));
        }
        Ok(())
    }
}

/// One line of a delta.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Row(Uuid, &'a Row),
    Gone(Uuid),
}

/// New and changed rows by version, then those that are gone by version.
///
/// The second number is the version; the first keeps the two halves apart, so that a page can go on after a pair.
pub(crate) fn changes<'a>(store: &'a Store, table: &str, since: i64) -> Vec<((bool, i64), Change<'a>)> {
    let version = |row: &Row| match row.get("versionnumber") {
        Some(Value::Long(version)) => *version,
        _ => 0,
    };
    let rows = store.rows(table).map(|(id, row)| ((false, version(row)), Change::Row(*id, row)));
    // One that came back is a row again.
    let gone = store.tombstones.iter().filter(|one| one.table == table && store.row(table, one.id).is_none());
    let gone = gone.map(|one| ((true, one.version), Change::Gone(one.id)));
    let mut all: Vec<_> = rows.chain(gone).filter(|((_, version), _)| *version > since).collect();
    all.sort_by_key(|(place, _)| *place);
    all
}
