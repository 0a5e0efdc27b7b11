//! The rows of an organization, their versions, and what was removed; transactions undo what they did.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::value::{Row, Tables, Value};

/// A row that is gone.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    pub(crate) table: String,
    pub(crate) id: Uuid,
    pub(crate) version: i64,
}

/// What a solution contains.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Component {
    /// Unique name of the solution.
    pub solution: String,
    /// 92 for a step, 93 for an image, 95 for a service endpoint.
    pub kind: i32,
    /// The row.
    pub id: Uuid,
}

/// The table of system jobs.
const JOBS: &str = "asyncoperation";

/// Where the counter of versions begins; a number like those of a real organization.
const FIRST_VERSION: i64 = 72_201_545;

/// All that is stored.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) tables: Tables,
    pub(crate) tombstones: Vec<Tombstone>,
    /// Users, and the roles they have.
    pub(crate) roles: BTreeSet<(Uuid, Uuid)>,
    pub(crate) components: BTreeSet<Component>,
    version: i64,
    transaction: Option<Before>,
}

/// What a rollback goes back to. Versions that were given out stay used, as in a database.
#[derive(Clone, Debug)]
struct Before {
    rows: Vec<(String, Uuid, Option<Row>)>,
    tombstones: usize,
    roles: BTreeSet<(Uuid, Uuid)>,
    components: BTreeSet<Component>,
}

impl Store {
    pub(crate) fn new(tables: Tables) -> Self {
        let last = |row: &Row| match row.get("versionnumber") {
            Some(Value::Long(version)) => Some(*version),
            _ => None,
        };
        let version = tables.values().flat_map(|rows| rows.values()).filter_map(last).max();
        Self {
            tables,
            tombstones: Vec::new(),
            roles: BTreeSet::new(),
            components: BTreeSet::new(),
            version: version.unwrap_or(FIRST_VERSION),
            transaction: None,
        }
    }

    /// The version that was given out last.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    pub(crate) fn row(&self, table: &str, id: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&id)
    }

    /// The rows of a table in the order of their ids.
    pub(crate) fn rows(&self, table: &str) -> impl Iterator<Item = (&Uuid, &Row)> {
        self.tables.get(table).into_iter().flatten()
    }

    pub(crate) fn begin(&mut self) {
        self.transaction = Some(Before {
            rows: Vec::new(),
            tombstones: self.tombstones.len(),
            roles: self.roles.clone(),
            components: self.components.clone(),
        });
    }

    pub(crate) fn commit(&mut self) {
        self.transaction = None;
    }

    pub(crate) fn roll_back(&mut self) {
        let Some(before) = self.transaction.take() else { return };
        for (table, id, row) in before.rows.into_iter().rev() {
            let rows = self.tables.entry(table).or_default();
            match row {
                Some(row) => rows.insert(id, row),
                None => rows.remove(&id),
            };
        }
        self.tombstones.truncate(before.tombstones);
        self.roles = before.roles;
        self.components = before.components;
    }

    /// Stores a row under a new version.
    pub(crate) fn put(&mut self, table: &str, id: Uuid, mut row: Row) {
        self.version += 1;
        row.insert("versionnumber".to_owned(), Value::Long(self.version));
        let before = self.tables.entry(table.to_owned()).or_default().insert(id, row);
        self.remember(table, id, before);
    }

    /// Removes a row, which leaves a tombstone. None if there was none.
    pub(crate) fn remove(&mut self, table: &str, id: Uuid) -> Option<Row> {
        let row = self.tables.get_mut(table)?.remove(&id)?;
        self.version += 1;
        self.tombstones.push(Tombstone { table: table.to_owned(), id, version: self.version });
        self.remember(table, id, Some(row.clone()));
        Some(row)
    }

    /// Lets the pipeline change system jobs, and gives new versions to those that moved on.
    pub(crate) fn edit_jobs(&mut self, edit: impl FnOnce(&mut Tables)) {
        let stage = |row: &Row| ["statecode", "statuscode", "retrycount"].map(|name| row.get(name).cloned());
        let before: BTreeMap<Uuid, _> = self.rows(JOBS).map(|(id, row)| (*id, stage(row))).collect();
        edit(&mut self.tables);
        for (id, row) in self.tables.entry(JOBS.to_owned()).or_default() {
            if before.get(id) != Some(&stage(row)) {
                self.version += 1;
                row.insert("versionnumber".to_owned(), Value::Long(self.version));
            }
        }
    }

    fn remember(&mut self, table: &str, id: Uuid, before: Option<Row>) {
        if let Some(transaction) = &mut self.transaction {
            transaction.rows.push((table.to_owned(), id, before));
        }
    }
}
