//! Columns of contacts as the Web API gives them, read so that they say what a message would have said.
//!
//! Source: Microsoft's "Query data using the Web API" and `AttributeTypeCode`. What the Web API gives in another form than
//! messages do is refused, because the two would then take turns in overwriting each other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use servicebus::clock;
use shared::{
    change::ColumnValue,
    drift::{TableAge, TableRow},
    ids::{ContactId, OrganizationId},
    mapping::MappingRow,
    plan::Planner,
    version::{Realm, RowVersion, Version},
};
use uuid::Uuid;

use super::ReconcileError;
use crate::dataverse::{Column, ColumnForm};

/// Name of the primary key.
pub(super) const KEY: &str = "contactid";
const VERSION: &str = "versionnumber";
const MODIFIED: &str = "modifiedon";

/// Reads rows.
#[derive(Clone, Debug)]
pub(crate) struct RowReader {
    organization: OrganizationId,
    columns: Vec<Read>,
    secured: Vec<Box<str>>,
    /// The newest row version of all rows that were read, and of those that had settled.
    newest: Arc<AtomicU64>,
    settled: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Read {
    name: Box<str>,
    /// What the Web API calls it.
    member: Box<str>,
    form: ColumnForm,
}

impl RowReader {
    /// A reader of all columns that planning needs, or every reason why there is none.
    pub(crate) fn new(
        organization: OrganizationId,
        planner: &Planner,
        attributes: &[Column],
    ) -> Result<Self, ReconcileError> {
        let (mut columns, mut secured, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for name in planner.columns() {
            let Some(attribute) = attributes.iter().find(|known| *known.logical_name == *name) else {
                problems.push(format!("the table contact has no column {name}"));
                continue;
            };
            match attribute.form().filter(|form| is_comparable(*form)) {
                Some(form) if !(has_label(form) && needs_label(planner, name)) => {
                    let member = attribute.in_rows().into();
                    columns.push(Read { name: name.into(), member, form });
                }
                Some(_) => problems.push(format!(
                    "{name} is a choice or lookup, whose text Dataverse gives in one language only; give its row choices"
                )),
                None => problems.push(format!(
                    "{name} is of the type {}, which reconcile cannot compare; take it out of the mapping of this run",
                    shared::shown::brief(&attribute.attribute_type, 40)
                )),
            }
            if attribute.is_secured == Some(true) {
                secured.push(name.into());
            }
        }
        if problems.is_empty() {
            Ok(Self { organization, columns, secured, newest: Arc::default(), settled: Arc::default() })
        } else {
            Err(ReconcileError::Columns(problems.join("; ").into()))
        }
    }

    /// Columns that column security may hide.
    pub(crate) fn secured(&self) -> &[Box<str>] {
        &self.secured
    }

    /// How far the row versions of the table go, as far as it was read.
    pub(super) fn table_age(&self, now: Timestamp) -> Option<TableAge> {
        let version = |number: &AtomicU64| {
            let number = Some(number.load(Relaxed)).filter(|number| *number > 0)?;
            Some(RowVersion { number, realm: Realm::of(self.organization) })
        };
        Some(TableAge { newest: version(&self.newest)?, settled: version(&self.settled), now })
    }

    /// The columns that are read, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// What has to be selected.
    pub(super) fn selection(&self) -> String {
        let own = [KEY, VERSION, MODIFIED].into_iter();
        own.chain(self.columns.iter().map(|column| &*column.member)).collect::<Vec<_>>().join(",")
    }

    /// Reads one row.
    pub(super) fn row(&self, members: &Map<String, Value>) -> Result<TableRow, ReconcileError> {
        let own = |name: &'static str| members.get(name).ok_or_else(|| ReconcileError::Row(name.into()));
        let unfit = |name: &str| ReconcileError::Row(name.into());
        let contact = own(KEY)?.as_str().and_then(|text| Uuid::try_parse(text).ok());
        let number = own(VERSION)?.as_u64().filter(|number| i64::try_from(*number).is_ok());
        let modified = own(MODIFIED)?.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let row =
            RowVersion { number: number.ok_or_else(|| unfit(VERSION))?, realm: Realm::of(self.organization) };
        let version = Version { row: Some(row), at: modified.ok_or_else(|| unfit(MODIFIED))? };
        self.newest.fetch_max(row.number, Relaxed);
        if TableAge::has_settled(&version, clock::now()) {
            self.settled.fetch_max(row.number, Relaxed);
        }
        let columns = self.columns.iter().map(|column| {
            // What is missing may be hidden, and would look empty.
            let value = members.get(&*column.member).and_then(|value| read(column.form, value));
            Ok((column.name.clone(), value.ok_or_else(|| unfit(&column.name))?))
        });
        Ok(TableRow {
            organization: self.organization,
            contact: ContactId(contact.ok_or_else(|| unfit(KEY))?),
            version,
            columns: columns.collect::<Result<Vec<_>, ReconcileError>>()?.into_iter().collect(),
        })
    }
}

/// Whether the Web API shows it in the form in which messages carry it.
const fn is_comparable(form: ColumnForm) -> bool {
    !matches!(form, ColumnForm::Decimal | ColumnForm::Money)
}

/// Whether a message shows a text beside it, which depends on somebody's language.
const fn has_label(form: ColumnForm) -> bool {
    matches!(form, ColumnForm::Choice | ColumnForm::Lookup)
}

/// A value as a message would have told it; `None` if it is not what its type says.
fn read(form: ColumnForm, value: &Value) -> Option<ColumnValue> {
    if value.is_null() {
        return Some(ColumnValue::Null);
    }
    Some(match form {
        ColumnForm::Text | ColumnForm::TableName => ColumnValue::Text(value.as_str()?.into()),
        ColumnForm::Bool => ColumnValue::Bool(value.as_bool()?),
        ColumnForm::Number => ColumnValue::Text(value.as_i64()?.to_string().into()),
        // A day without a time is told by messages as its beginning.
        ColumnForm::Moment => match value.as_str()? {
            day if day.len() == "2026-03-02".len() => ColumnValue::Text(format!("{day}T00:00:00Z").into()),
            time => ColumnValue::Text(time.into()),
        },
        ColumnForm::Choice => ColumnValue::Choice { value: value.as_i64()?, label: None },
        ColumnForm::Lookup => {
            ColumnValue::Lookup { id: Some(Uuid::try_parse(value.as_str()?).ok()?), name: None }
        }
        ColumnForm::Decimal | ColumnForm::Money => return None,
    })
}

/// Whether a row of the mapping takes the text of this column.
fn needs_label(planner: &Planner, column: &str) -> bool {
    let takes =
        |row: &MappingRow| row.choices.is_none() && row.source.columns().any(|source| source == column);
    planner.mapping.rows().iter().any(takes)
}
