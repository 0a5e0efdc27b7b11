//! Values as the Web API writes and reads them.

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::Offset,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    refusal::Refusal,
    schema::{Column, Kind, Table},
    value::Value,
};

/// A moment by the second, as every answer writes it.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn write(column: &Column, value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) if column.kind == Kind::Managed => managed(column.name, *truth),
        Value::Bool(truth) => json!(truth),
        Value::Int(number) | Value::Choice(number) => json!(number),
        Value::Long(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Guid(id) | Value::Lookup { id, .. } => json!(id),
        Value::Moment(at) => json!(moment(*at)),
    }
}

/// A property that a solution may fix.
pub(crate) fn managed(name: &str, value: bool) -> Json {
    json!({ "Value": value, "CanBeChanged": true, "ManagedPropertyLogicalName": name })
}

/// What a person would read, for columns that have such a form.
pub(crate) fn formatted(column: &Column, value: &Value) -> Option<String> {
    match (column.kind, value) {
        (Kind::Choice(options) | Kind::State(options) | Kind::Status(options), Value::Choice(number)) => {
            options.iter().find(|(value, _)| value == number).map(|(_, label)| (*label).to_owned())
        }
        (Kind::Bool, Value::Bool(truth)) => Some(if *truth { "Yes" } else { "No" }.to_owned()),
        (_, Value::Moment(at)) => Some(at.strftime("%-m/%-d/%Y %-I:%M %p").to_string()),
        (_, Value::Int(number)) => Some(grouped(i64::from(*number))),
        (_, Value::Long(number)) => Some(grouped(*number)),
        (_, Value::Lookup { name, .. }) => name.clone(),
        _ => None,
    }
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// The value that a body gives to a column.
pub(crate) fn read(table: &Table, column: &Column, json: &Json) -> Result<Value, Refusal> {
    let wrong = |edm: &str| {
        Refusal::payload(
            table.name,
            format_args!(
                "Microsoft.OData.ODataException: Cannot convert the value of property '{}' to the expected type \
                 'Edm.{edm}'.",
                column.name
            ),
        )
    };
    if json.is_null() {
        return Ok(Value::Null);
    }
    match column.kind {
        Kind::Text(most) | Kind::Memo(most) => {
            let text = json.as_str().ok_or_else(|| wrong("String"))?;
            fits(table, column, text, most)?;
            Ok(Value::Text(text.to_owned()))
        }
        Kind::TableName => {
            json.as_str().map(|text| Value::Text(text.to_owned())).ok_or_else(|| wrong("String"))
        }
        Kind::Bool | Kind::Managed => json.as_bool().map(Value::Bool).ok_or_else(|| wrong("Boolean")),
        Kind::Int => whole(json).map(Value::Int).ok_or_else(|| wrong("Int32")),
        Kind::Long => json.as_i64().map(Value::Long).ok_or_else(|| wrong("Int64")),
        Kind::Choice(options) | Kind::State(options) | Kind::Status(options) => {
            let number = whole(json).ok_or_else(|| wrong("Int32"))?;
            if !options.iter().any(|(value, _)| *value == number) {
                let message = format!(
                    "A validation error occurred.  The value {number} of '{}' on record of type '{}' is outside \
                     the valid range.",
                    column.name, table.name
                );
                return Err(Refusal::bad_request(0x8004_4330, message));
            }
            Ok(Value::Choice(number))
        }
        Kind::Key | Kind::Guid => {
            let id = json.as_str().and_then(|text| text.parse::<Uuid>().ok());
            id.map(Value::Guid).ok_or_else(|| wrong("Guid"))
        }
        Kind::Moment => {
            let at = json.as_str().and_then(parse_moment);
            at.map(Value::Moment).ok_or_else(|| wrong("DateTimeOffset"))
        }
        // Only `name@odata.bind` sets a lookup.
        Kind::Lookup(_) => Err(unknown(table, column.name)),
    }
}

/// A property of a body that the table does not have.
pub(crate) fn unknown(table: &Table, property: &str) -> Refusal {
    Refusal::payload(
        table.name,
        format_args!(
            "Microsoft.OData.ODataException: The property '{property}' does not exist on type \
             'Microsoft.Dynamics.CRM.{}'. Make sure to only use property names that are defined by the type.",
            table.name
        ),
    )
}

fn fits(table: &Table, column: &Column, text: &str, most: u32) -> Result<(), Refusal> {
    // .NET counts UTF-16 units.
    if text.encode_utf16().count() <= usize::try_from(most).unwrap_or(usize::MAX) {
        return Ok(());
    }
    let message = format!(
        "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the maximum \
         allowed length of '{most}'.",
        column.name, table.name
    );
    Err(Refusal::bad_request(0x8004_4331, message))
}

fn whole(json: &Json) -> Option<i32> {
    json.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// A date, or a date with a time; the fraction of the second is dropped, as the database does.
pub(crate) fn parse_moment(text: &str) -> Option<Timestamp> {
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let date = text.parse::<Date>().ok()?;
        Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()
    })?;
    Timestamp::from_second(at.as_second()).ok()
}
