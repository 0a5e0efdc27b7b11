//! One write.

use std::fmt;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::{desired::Hook, key::SendKey};

/// One write to Dataverse.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deed {
    pub verb: Verb,
    pub set: RowSet,
    /// The row that is written, or the one that comes to be.
    pub row: RowRef,
    /// How a person finds it.
    pub title: String,
    /// Columns without the key and without rows that do not exist yet.
    pub columns: Map<String, Value>,
    /// Lookups to rows of which some come to be on the way.
    pub links: Vec<(&'static str, RowSet, RowRef)>,
    /// The key that goes along, of which nobody is told.
    pub key: Option<SendKey>,
}

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Update,
    Delete,
}

/// A table, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowSet {
    Endpoint,
    Step,
    Image,
}

/// A row that is there, or that an earlier deed makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowRef {
    There(Uuid),
    New(Slot),
}

/// What a plan makes at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Endpoint,
    Step(Hook),
    /// Nothing refers to an image.
    Image,
}

impl RowSet {
    /// Name in URLs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "serviceendpoints",
            Self::Step => "sdkmessageprocessingsteps",
            Self::Image => "sdkmessageprocessingstepimages",
        }
    }
}

impl Verb {
    /// Stable word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "change",
            Self::Delete => "delete",
        }
    }
}

impl Deed {
    pub(super) fn update(
        set: RowSet,
        row: RowRef,
        title: String,
        columns: Map<String, Value>,
        key: Option<SendKey>,
    ) -> Self {
        Self { verb: Verb::Update, set, row, title, columns, links: Vec::new(), key }
    }

    pub(super) fn delete(set: RowSet, id: Uuid, title: String) -> Self {
        let (row, columns) = (RowRef::There(id), Map::new());
        Self { verb: Verb::Delete, set, row, title, columns, links: Vec::new(), key: None }
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "do": self.verb.as_str(), "set": self.set.as_str(), "title": self.title, "columns": self.columns,
            "key": self.key.as_ref().map(|key| &key.name),
        })
    }
}

impl fmt::Display for Deed {
    /// What is done, and which columns get which values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7}{}", self.verb.as_str(), self.title)?;
        for (column, value) in &self.columns {
            match value {
                Value::String(text) => write!(f, "\n         {column} = {text}")?,
                value => write!(f, "\n         {column} = {value}")?,
            }
        }
        match &self.key {
            Some(key) => write!(f, "\n         saskey = {key}"),
            None => Ok(()),
        }
    }
}
