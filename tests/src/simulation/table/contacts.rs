//! The table of contacts: what its rows hold now, and what a change of one would be posted as.

use std::collections::BTreeMap;

use jiff::{Timestamp, Unit};
use shared::{
    change::{Change, ChangeOrigin, ColumnValue, Columns, Operation},
    drift::TableRow,
    ids::{ContactId, OrganizationId, UserId},
    plan::Planner,
    version::{Realm, RowVersion, Version},
};
use uuid::Uuid;

pub(super) const LINK: &str = Planner::DEFAULT_LINK_COLUMN;
pub(super) const STATE: &str = "statecode";
pub(super) const FIRST: &str = "firstname";
pub(super) const LAST: &str = "lastname";
pub(super) const MAIL: &str = "emailaddress1";
/// All of them.
const COLUMNS: [&str; 5] = [LINK, STATE, FIRST, LAST, MAIL];

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(1));

/// Columns that a change sets.
pub(super) type Edits = Vec<(&'static str, ColumnValue)>;

/// A row.
#[derive(Clone, Debug)]
struct Contact {
    columns: BTreeMap<&'static str, ColumnValue>,
    number: u64,
    modified: Timestamp,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    rows: BTreeMap<ContactId, Contact>,
    /// Row versions are one sequence for the whole database.
    number: u64,
    ids: u128,
    texts: u64,
}

/// How changes are posted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Whether `versionnumber` is in the post image.
    pub(super) numbered: bool,
    /// Whether there is a pre image.
    pub(super) before: bool,
}

impl Contacts {
    /// The ids of all rows.
    pub(super) fn ids(&self) -> Vec<ContactId> {
        self.rows.keys().copied().collect()
    }

    /// An id that no row has had.
    pub(super) fn fresh_id(&mut self) -> ContactId {
        self.ids += 1;
        // Not in the order in which contacts are made: a new one may come before the page that is read.
        let scattered = self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xffff_ffff;
        ContactId(Uuid::from_u128(0x2000_0000_0000 + (scattered << 16) + self.ids))
    }

    /// A value for this column that nobody has used.
    pub(super) fn fresh(&mut self, column: &str) -> ColumnValue {
        self.texts += 1;
        let host = if column == MAIL { "@example.com" } else { "" };
        ColumnValue::Text(format!("v{}{host}", self.texts).into())
    }

    /// What a column of a row holds.
    pub(super) fn get(&self, contact: ContactId, column: &str) -> Option<&ColumnValue> {
        self.rows.get(&contact)?.columns.get(column)
    }

    /// When a row was changed last.
    pub(super) fn modified(&self, contact: ContactId) -> Option<Timestamp> {
        self.rows.get(&contact).map(|row| row.modified)
    }

    /// The row version of a row.
    pub(super) fn number(&self, contact: ContactId) -> u64 {
        self.rows.get(&contact).map_or(0, |row| row.number)
    }

    /// The user whom an active row names.
    pub(super) fn link(&self, contact: ContactId) -> Option<UserId> {
        let is_active = matches!(self.get(contact, STATE)?, ColumnValue::Choice { value: 0, .. });
        self.any_link(contact).filter(|_| is_active)
    }

    /// The user whom a row names, active or not.
    pub(super) fn any_link(&self, contact: ContactId) -> Option<UserId> {
        match self.get(contact, LINK)? {
            ColumnValue::Text(text) => UserId::parse(text),
            _ => None,
        }
    }

    /// Changes a row, or makes it, and tells what a step of Dataverse would post.
    pub(super) fn save(&mut self, contact: ContactId, edits: &Edits, at: Timestamp, step: Step) -> Change {
        self.number += 1;
        let new = !self.rows.contains_key(&contact);
        let row = self.rows.entry(contact).or_insert_with(|| Contact {
            columns: COLUMNS.into_iter().map(|column| (column, ColumnValue::Null)).collect(),
            number: 0,
            modified: at,
        });
        let before = if step.before && !new { image(row) } else { Columns::default() };
        row.columns.extend(edits.iter().cloned());
        (row.number, row.modified) = (self.number, at);
        let own = RowVersion { number: row.number, realm: Realm::of(ORGANIZATION) };
        let (operation, message) =
            if new { (Operation::Create, "Create") } else { (Operation::Update, "Update") };
        Change {
            organization: Some(ORGANIZATION),
            contact,
            operation,
            version: Some(Version { row: step.numbered.then_some(own), at }),
            columns: edits.iter().cloned().collect(),
            before,
            after: image(row),
            imaged: true,
            truncated: false,
            origin: ChangeOrigin { message: message.into(), depth: Some(1), ..ChangeOrigin::default() },
        }
    }

    /// Deletes a row.
    pub(super) fn delete(&mut self, contact: ContactId) {
        self.number += 1;
        self.rows.remove(&contact);
    }

    /// A row as the Web API shows it: its time by the second.
    pub(super) fn row(&self, contact: ContactId) -> Option<TableRow> {
        let row = self.rows.get(&contact)?;
        let own = RowVersion { number: row.number, realm: Realm::of(ORGANIZATION) };
        let rounding = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
        Some(TableRow {
            organization: ORGANIZATION,
            contact,
            version: Version { row: Some(own), at: row.modified.round(rounding).expect("in range") },
            columns: row.columns.iter().map(|(name, value)| (*name, value.clone())).collect(),
        })
    }

    /// So many rows in the order of their ids, from one on.
    pub(super) fn page(&self, after: Option<ContactId>, size: usize) -> Vec<TableRow> {
        let beyond = self.rows.keys().filter(|id| after.is_none_or(|after| **id > after));
        beyond.take(size).filter_map(|id| self.row(*id)).collect()
    }
}

/// Images leave empty columns out.
fn image(row: &Contact) -> Columns {
    let filled = row.columns.iter().filter(|(_, value)| **value != ColumnValue::Null);
    filled.map(|(name, value)| (*name, value.clone())).collect()
}

/// What the link of a contact with this user holds.
pub(super) fn link_to(user: Option<UserId>) -> ColumnValue {
    user.map_or(ColumnValue::Null, |user| ColumnValue::Text(user.to_string().into()))
}

/// Whether a contact is active.
pub(super) fn state(active: bool) -> ColumnValue {
    ColumnValue::Choice { value: i64::from(!active), label: None }
}
