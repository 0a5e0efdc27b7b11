//! A row as a message of the queue: what Dataverse would post for an update that sets every column.
//!
//! What the Web API shows and what messages carry differ: choices are bare numbers in the one and typed in the other, moments
//! are written differently, lookups have other names. So the types of the columns decide, and a column of a type that is not
//! known to be the same afterwards is refused.

use std::collections::BTreeSet;

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde_json::{Map, Value, json};
use shared::ids::{ContactId, OrganizationId};
use uuid::Uuid;

use super::{
    form::ColumnForm,
    metadata::Column,
    update::{ContactUpdate, attribute, choice, contract, reference},
};

/// A row as the Web API shows it.
pub(crate) type ContactRow = Map<String, Value>;

const KEY: &str = "contactid";
const VERSION: &str = "versionnumber";
const MODIFIED: &str = "modifiedon";
const LABEL: &str = "@OData.Community.Display.V1.FormattedValue";
const TABLE: &str = "@Microsoft.Dynamics.CRM.lookuplogicalname";

/// Makes messages of rows.
#[derive(Clone, Debug)]
pub(crate) struct ContextWriter {
    organization: OrganizationId,
    columns: Vec<(Column, ColumnForm)>,
}

/// Columns of which no message can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnfitColumns {
    /// They are not there.
    #[error("contact has no column {0}; contactsync dataverse check tells more")]
    Missing(Box<str>),
    /// Their values are shown to some only, and read as empty by others.
    #[error("{0} is secured, so that its values may be hidden and would be emptied at the users")]
    Secured(Box<str>),
    /// Messages carry them in a form that cannot be made of a row.
    #[error("{0} is of the type {1}, of which no message can be made")]
    Type(Box<str>, Box<str>),
}

/// A row of which no message can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row lacks {0}, or has it in a form that is not known")]
pub(crate) struct UnfitRow(pub(crate) Box<str>);

impl ContextWriter {
    /// Writes these columns of contacts of an organization. `known` are the columns that there are.
    pub(crate) fn new(
        organization: OrganizationId,
        needed: &BTreeSet<&str>,
        known: &[Column],
    ) -> Result<Self, UnfitColumns> {
        let columns = needed.iter().map(|name| {
            let column = known.iter().find(|column| &*column.logical_name == *name);
            let column = column.ok_or_else(|| UnfitColumns::Missing((*name).into()))?;
            if column.is_secured == Some(true) {
                return Err(UnfitColumns::Secured((*name).into()));
            }
            // Names of tables stand in no message that was ever seen.
            let form = column.form().filter(|form| *form != ColumnForm::TableName);
            let form =
                form.ok_or_else(|| UnfitColumns::Type((*name).into(), column.attribute_type.clone()))?;
            Ok((column.clone(), form))
        });
        Ok(Self { organization, columns: columns.collect::<Result<_, _>>()? })
    }

    /// What to read of a row.
    #[must_use]
    pub(crate) fn select(&self) -> String {
        let own = [VERSION, MODIFIED].map(str::to_owned);
        let columns = self.columns.iter().map(|(column, _)| column.in_rows());
        columns.chain(own).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
    }

    /// Columns that are told by a text for people, in the language of the application user.
    pub(crate) fn labelled(&self) -> impl Iterator<Item = &str> {
        let choices = self.columns.iter().filter(|(_, form)| *form == ColumnForm::Choice);
        choices.map(|(column, _)| &*column.logical_name)
    }

    /// The contact of a row.
    #[must_use]
    pub(crate) fn contact(row: &ContactRow) -> Option<ContactId> {
        row.get(KEY)?.as_str().and_then(|text| Uuid::try_parse(text).ok()).map(ContactId)
    }

    /// Whether all of these columns are empty in a row.
    #[must_use]
    pub(crate) fn is_empty<'n>(&self, row: &ContactRow, mut names: impl Iterator<Item = &'n str>) -> bool {
        names.all(|name| {
            let column = self.columns.iter().find(|(column, _)| &*column.logical_name == name);
            let value = column.and_then(|(column, _)| row.get(&column.in_rows()));
            value.is_none_or(|value| {
                value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
            })
        })
    }

    /// The body of a message about a row, in JSON as Dataverse posts it.
    ///
    /// It is an update that sets every column, empty ones too, with a post image of the same. So nothing of it is compared with
    /// a state that nobody knows; and because there is no pre image, a link counts as new, which moves no sign-in address.
    pub(crate) fn body(&self, row: &ContactRow) -> Result<Vec<u8>, UnfitRow> {
        let unfit = |name: &str| UnfitRow(name.into());
        let id = Self::contact(row).ok_or_else(|| unfit(KEY))?;
        let version =
            row.get(VERSION).filter(|version| version.as_u64().is_some()).ok_or_else(|| unfit(VERSION))?;
        let modified = row.get(MODIFIED).and_then(moment).ok_or_else(|| unfit(MODIFIED))?;
        let (mut target, mut labels) = (Vec::new(), Vec::new());
        for (column, form) in &self.columns {
            let name = &*column.logical_name;
            let in_rows = column.in_rows();
            let value = row.get(&in_rows).and_then(|value| typed(*form, value, row, &in_rows));
            target.push(attribute(name, value.ok_or_else(|| unfit(name))?));
            if let Some(label) = row.get(&format!("{in_rows}{LABEL}")).filter(|_| *form == ColumnForm::Choice)
            {
                labels.push(attribute(name, label.clone()));
            }
        }
        target.push(attribute(KEY, id.to_string()));
        target.push(attribute(VERSION, version.clone()));
        target.push(attribute(MODIFIED, date(modified)));
        // Images leave empty columns out.
        let image = target.iter().filter(|pair| !pair["value"].is_null()).cloned().collect();
        let update = ContactUpdate {
            organization: self.organization,
            contact: id,
            at: modified,
            correlation: Uuid::new_v4(),
            operation: Uuid::new_v4(),
            target,
            alias: "PostImage",
            image,
            labels,
        };
        Ok(update.body())
    }
}

/// A value of a row as messages carry it; `None` if it is not what its type says.
fn typed(form: ColumnForm, value: &Value, row: &ContactRow, in_rows: &str) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    Some(match form {
        ColumnForm::Text
        | ColumnForm::TableName
        | ColumnForm::Bool
        | ColumnForm::Number
        | ColumnForm::Decimal => (!value.is_object() && !value.is_array()).then(|| value.clone())?,
        ColumnForm::Choice => choice(value.as_i64()?),
        ColumnForm::Money => {
            json!({"__type": contract("Money"), "Value": value.is_number().then_some(value)?})
        }
        ColumnForm::Moment => json!(date(moment(value)?)),
        ColumnForm::Lookup => {
            let beside = |annotation: &str| row.get(&format!("{in_rows}{annotation}")).cloned();
            let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok())?;
            reference(Some(id), beside(TABLE), beside(LABEL))
        }
    })
}

/// A moment, or the beginning of a day where only the day is kept.
fn moment(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let day = || TimeZone::UTC.to_timestamp(text.parse::<Date>().ok()?.to_datetime(Time::midnight())).ok();
    text.parse().ok().or_else(day)
}

fn date(moment: Timestamp) -> String {
    format!("/Date({})/", moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::{
        change::{Change, ColumnValue, Operation},
        decode::{self, Subject},
    };

    use super::*;

    const ID: &str = "5531d753-95af-4711-a94e-000d3a11e605";
    const OTHER: &str = "6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10";

    fn columns() -> Vec<Column> {
        let columns = json!([
            {"LogicalName": "adx_identity_username", "AttributeType": "String"},
            {"LogicalName": "firstname", "AttributeType": "String"},
            {"LogicalName": "lastname", "AttributeType": "String"},
            {"LogicalName": "donotemail", "AttributeType": "Boolean"},
            {"LogicalName": "statecode", "AttributeType": "State"},
            {"LogicalName": "parentcustomerid", "AttributeType": "Customer"},
            {"LogicalName": "birthdate", "AttributeType": "DateTime"},
            {"LogicalName": "creditlimit", "AttributeType": "Money"},
            {"LogicalName": "entityimage", "AttributeType": "Virtual"},
            {"LogicalName": "hidden", "AttributeType": "String", "IsSecured": true},
        ]);
        serde_json::from_value(columns).expect("columns")
    }

    fn row(more: &Value) -> ContactRow {
        let mut row = json!({KEY: ID, VERSION: 72_201_545, MODIFIED: "2026-11-28T20:14:03Z"});
        row.as_object_mut().expect("a row").extend(more.as_object().expect("columns").clone());
        row.as_object().expect("a row").clone()
    }

    fn writer(needed: &[&str]) -> Result<ContextWriter, UnfitColumns> {
        let organization = OrganizationId(Uuid::from_u128(7));
        ContextWriter::new(organization, &needed.iter().copied().collect(), &columns())
    }

    /// The change that a worker makes of the message.
    fn change(body: &[u8]) -> Change {
        let payload = decode::open(body, Some("application/json")).expect("a body");
        let message = payload.message().expect("a message");
        match message.subject {
            Subject::Contacts { mut changes, .. } if changes.len() == 1 => changes.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_is_read_back_as_what_it_holds_at_its_own_version() {
        let writer = writer(&[
            "adx_identity_username",
            "firstname",
            "lastname",
            "donotemail",
            "statecode",
            "parentcustomerid",
            "birthdate",
        ])
        .expect("fit");
        assert_eq!(
            writer.select(),
            "_parentcustomerid_value,adx_identity_username,birthdate,donotemail,firstname,lastname,modifiedon,statecode,\
             versionnumber"
        );
        let row = row(&json!({
            "adx_identity_username": OTHER, "firstname": "Ada", "lastname": null, "donotemail": true, "statecode": 0,
            "statecode@OData.Community.Display.V1.FormattedValue": "Active",
            "_parentcustomerid_value": OTHER,
            "_parentcustomerid_value@OData.Community.Display.V1.FormattedValue": "Contoso",
            "_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "account",
            "birthdate": "1990-05-06",
        }));
        let change = change(&writer.body(&row).expect("fit"));
        assert_eq!((change.operation, change.contact.to_string()), (Operation::Update, ID.to_owned()));
        assert_eq!(change.organization, Some(OrganizationId(Uuid::from_u128(7))));
        let version = change.version.expect("a version");
        assert_eq!(version.row.map(|row| row.number), Some(72_201_545));
        assert_eq!(version.at.to_string(), "2026-11-28T20:14:03Z");
        let text = |text: &str| ColumnValue::Text(text.into());
        let (set, shown) = (&change.columns, &change.after);
        for (column, expected) in [
            ("adx_identity_username", text(OTHER)),
            ("firstname", text("Ada")),
            ("donotemail", ColumnValue::Bool(true)),
            ("statecode", ColumnValue::Choice { value: 0, label: Some("Active".into()) }),
            (
                "parentcustomerid",
                ColumnValue::Lookup { id: Uuid::try_parse(OTHER).ok(), name: Some("Contoso".into()) },
            ),
            ("birthdate", text("1990-05-06T00:00:00Z")),
        ] {
            assert_eq!((set.get(column), shown.get(column)), (Some(&expected), Some(&expected)), "{column}");
        }
        assert_eq!((set.get("lastname"), shown.get("lastname")), (Some(&ColumnValue::Null), None));
        assert!(change.before.is_empty() && change.imaged && !change.truncated);
    }

    #[test]
    fn what_would_not_be_the_same_afterwards_is_refused() {
        let refused = |needed: &[&str]| writer(needed).expect_err("unfit").to_string();
        assert!(refused(&["firstname", "gone"]).contains("no column gone"));
        assert!(refused(&["hidden"]).contains("secured"));
        assert!(refused(&["entityimage"]).contains("Virtual"));
        let writer = writer(&["firstname", "statecode"]).expect("fit");
        for (column, value) in [
            (VERSION, json!(null)),
            (VERSION, json!(-1)),
            (MODIFIED, json!("yesterday")),
            (KEY, json!("x")),
            ("statecode", json!("Active")),
            ("firstname", json!({})),
        ] {
            let mut row = row(&json!({"firstname": "Ada", "statecode": 0}));
            row.insert(column.to_owned(), value);
            assert_eq!(writer.body(&row), Err(UnfitRow(column.into())));
        }
        let without = row(&json!({"statecode": 0}));
        assert_eq!(
            writer.body(&without),
            Err(UnfitRow("firstname".into())),
            "a column that is left out is not empty"
        );
    }

    #[test]
    fn a_contact_without_a_user_is_known() {
        let writer = writer(&["adx_identity_username"]).expect("fit");
        let link = || ["adx_identity_username"].into_iter();
        for (value, empty) in [(json!(null), true), (json!(" "), true), (json!(OTHER), false)] {
            assert_eq!(writer.is_empty(&row(&json!({"adx_identity_username": value})), link()), empty);
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_version_arrive_as_they_are(name in any::<String>(), version in 0..i64::MAX) {
            let writer = writer(&["firstname"]).expect("fit");
            let mut row = row(&json!({"firstname": name}));
            row.insert(VERSION.to_owned(), json!(version));
            let change = change(&writer.body(&row).expect("fit"));
            // Nothing in JSON tells a date from a text that looks like one.
            prop_assume!(!name.starts_with("/Date("));
            prop_assert_eq!(change.columns.get("firstname"), Some(&ColumnValue::Text(name.into())));
            prop_assert_eq!(change.version.and_then(|version| version.row).map(|row| row.number), u64::try_from(version).ok());
        }
    }
}
