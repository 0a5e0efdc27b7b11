//! One row beside its user: the judgement by which differences are reported and written.

use std::collections::BTreeMap;

use super::{
    cause::{DriftCause, Standing, TableAge},
    row::{Linked, TableRow},
};
use crate::{
    ids::{ContactId, SequenceNumber, UserId},
    lww_register::Stamp,
    mapping::MappingRow,
    mark::Mark,
    patch::{PatchEntry, PropertyValue, UserPatch, UserWrite},
    plan::Planner,
    priority::Priority,
    property::Property,
    reconcile::{Body, Current, ReadPolicy, reconcile},
    version::Version,
};

/// How rows are held against users.
#[derive(Clone, Debug)]
pub struct RowComparison {
    reading: ReadPolicy,
    guard: Option<Property>,
    table: Option<TableAge>,
    /// Whether workers leave out what is there already, and no mark of it.
    diff: bool,
    overrules: bool,
}

/// In what one user differs from the row of his contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDifference {
    /// The contact.
    pub contact: ContactId,
    /// The user.
    pub user: UserId,
    /// The properties that differ, and why.
    pub found: BTreeMap<Property, FoundProperty>,
    /// The version that a change with the state of the row must carry.
    pub version: Version,
}

/// What was found of one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundProperty {
    /// Why it differs.
    pub cause: DriftCause,
    /// Whether the row would empty it.
    pub clears: bool,
    /// Whether it is to be written.
    pub written: bool,
}

impl RowComparison {
    /// By what `run` reads of a user before a write. Only differences count, whatever `run` writes.
    #[must_use]
    pub fn new(reading: &ReadPolicy) -> Self {
        // The mark is read beside the values: it decides about causes, not about what differs.
        let plain = ReadPolicy { guard: None, diff: true, terms: reading.terms.clone(), reset_follows: None };
        Self {
            reading: plain,
            guard: reading.guard.clone(),
            table: None,
            diff: reading.diff,
            overrules: false,
        }
    }

    /// With what is known of the whole table. Without, what was written for another contact looks like what was written
    /// before a database was restored.
    #[must_use]
    pub fn within(self, table: Option<TableAge>) -> Self {
        Self { table, ..self }
    }

    /// A person says that rows are right where marks show something newer.
    #[must_use]
    pub fn overruling(self, overrules: bool) -> Self {
        Self { overrules, ..self }
    }

    /// Holds a row against its user; `None` if nothing is left to write.
    #[must_use]
    pub fn judge(&self, row: &TableRow, linked: &Linked, current: &Current) -> Option<UserDifference> {
        let mark = Mark::read(current.mark.as_deref().unwrap_or_default());
        let (mut found, mut version) = (BTreeMap::new(), row.version);
        // The address for password reset is no property of the user; it follows whatever is written.
        for part in linked.patch.clone().parted().filter(|part| !part.is_reset()) {
            let write = write(row, linked.user, &part);
            match reconcile(&write, current, &self.reading) {
                Ok(left) => {
                    let body = left.body.unwrap_or_default();
                    for (property, value) in part.iter().filter(|(property, _)| is_in(&body, property)) {
                        let Standing { cause, version: needed } =
                            self.standing(&row.version, &mark, property);
                        let overruled = self.overrules && cause == DriftCause::MarkAhead;
                        let written = overruled || cause.is_written();
                        if written {
                            version = version.raised_to(&needed);
                        }
                        found.insert(
                            property.clone(),
                            FoundProperty { cause, clears: is_empty(value), written },
                        );
                    }
                }
                Err(withheld) => found.extend(part.iter().map(|(property, value)| {
                    let clears = is_empty(value);
                    (property.clone(), FoundProperty { cause: withheld.into(), clears, written: false })
                })),
            }
        }
        (!found.is_empty()).then_some(UserDifference {
            contact: row.contact,
            user: linked.user,
            found,
            version,
        })
    }

    fn standing(&self, row: &Version, mark: &Mark, property: &Property) -> Standing {
        match self.guard {
            Some(_) => Standing::of(row, mark, property, (self.table.as_ref(), self.diff)),
            None => Standing { cause: DriftCause::Unknown, version: *row },
        }
    }
}

impl UserDifference {
    /// Whether anything of it is to be written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.found.values().any(|found| found.written)
    }

    /// The change that repairs it: the row without the columns of what a person has to decide. `None` if nothing is to be
    /// written, or nothing without what is withheld.
    #[must_use]
    pub fn change(&self, row: &TableRow, planner: &Planner) -> Option<TableRow> {
        let withheld = |row: &&MappingRow| {
            self.found.get(&row.property).is_some_and(|found| matches!(found.cause, DriftCause::Withheld(_)))
        };
        let rows = planner.mapping.rows();
        let kept_out: Vec<&str> = rows.iter().filter(withheld).flat_map(MappingRow::columns).collect();
        let links: Vec<&str> = planner.link_columns().collect();
        let is_kept_out = |column: &str| kept_out.contains(&column) && !links.contains(&column);
        // Of a column that feeds both, it cannot be told by a message that only one of the two is meant.
        let is_writable = |row: &MappingRow| {
            self.found.get(&row.property).is_some_and(|found| found.written)
                && !row.columns().any(is_kept_out)
        };
        let columns = row.columns.iter().filter(|(column, _)| !is_kept_out(column));
        let columns = columns.map(|(column, value)| (column, value.clone())).collect();
        rows.iter().any(is_writable).then(|| TableRow { version: self.version, columns, ..row.clone() })
    }
}

/// A part of a patch as a write of this row.
fn write(row: &TableRow, user: UserId, part: &UserPatch) -> UserWrite {
    let stamp = Stamp { version: row.version, arrival: SequenceNumber(0) };
    let entry = |(property, value): (&Property, &PropertyValue)| PatchEntry {
        property: property.clone(),
        value: value.clone(),
        stamp,
    };
    UserWrite {
        user,
        entries: part.iter().map(entry).collect(),
        known: Vec::new(),
        urgency: Priority::Replayed,
        contacts: vec![row.contact],
    }
}

/// Whether a property is written by this body.
fn is_in(body: &Body, property: &Property) -> bool {
    let listed = body.properties.iter().any(|(written, _)| written == property);
    listed || (body.identities.is_some() && property.name() == Property::SIGN_IN)
}

fn is_empty(value: &PropertyValue) -> bool {
    match value {
        PropertyValue::Clear => true,
        PropertyValue::Element(wanted) => wanted.text.is_none(),
        _ => false,
    }
}
