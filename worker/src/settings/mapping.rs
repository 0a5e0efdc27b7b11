//! The sections `[mapping]` and `[filter]`: what is written to whom, and whose messages count.

use shared::{
    ids::OrganizationId,
    mapping::{Convert, Mapping, MappingRow, OnInvalid, OnNull, Template, ValueSource},
    plan::{LinkMatch, Planner},
    property::Property,
};
use toml::{Table, Value};
use uuid::Uuid;

use super::reader::Reader;

/// Keys that an entry of `mapping.rows` may have.
pub(super) const KEYS: [&str; 9] =
    ["column", "columns", "template", "property", "convert", "on_null", "default", "on_invalid", "require"];

/// What the worker does when messages prove that the link column or the images are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkUnseen {
    /// It takes no more messages until one shows a user.
    Hold,
    /// It says so and goes on.
    Warn,
}

pub(super) fn link_unseen(r: &Reader<'_>) -> Option<LinkUnseen> {
    r.section(|r| match r.choice("mapping.link_unseen", &["hold", "warn"]) {
        "warn" => LinkUnseen::Warn,
        _ => LinkUnseen::Hold,
    })
}

pub(super) fn planner(r: &Reader<'_>) -> Option<Planner> {
    let link = r.required("mapping.link_column", "the column that holds the user's object id");
    let organizations = organizations(r);
    let rows = rows(r);
    let preset = r.section(|r| r.choice("mapping.preset", &["default", "b2c", "custom"]))?;
    let mapping = match preset {
        "default" | "b2c" if rows.as_ref().is_some_and(|rows| !rows.is_empty()) => {
            let text = format!("are not used with preset = \"{preset}\"; set preset = \"custom\"");
            r.wrong("mapping.rows", text)
        }
        "default" => Some(Mapping::preset_default()),
        "b2c" => Some(Mapping::preset_b2c()),
        _ => match Mapping::new(rows?) {
            Ok(mapping) => Some(mapping),
            Err(error) => r.wrong("mapping.rows", error),
        },
    };
    let link_match = link_match(r);
    Some(Planner {
        link_column: link?.into(),
        mapping: mapping?,
        organizations: organizations?,
        link_match: link_match?,
        addressee: None,
    })
}

fn link_match(r: &Reader<'_>) -> Option<LinkMatch> {
    let names = LinkMatch::NAMES.map(|(name, _)| name);
    let chosen = r.section(|r| r.choice("link.match", &names))?;
    LinkMatch::NAMES.into_iter().find(|(name, _)| *name == chosen).map(|(_, value)| value)
}

fn organizations(r: &Reader<'_>) -> Option<Vec<OrganizationId>> {
    let key = "filter.organizations";
    let parse = |value: &Value| value.as_str().and_then(|text| Uuid::try_parse(text.trim()).ok());
    let ids: Option<Vec<_>> =
        r.value(key)?.as_array()?.iter().map(|value| parse(value).map(OrganizationId)).collect();
    ids.or_else(|| r.wrong(key, "must be a list of organization ids (GUIDs in quotes)"))
}

fn rows(r: &Reader<'_>) -> Option<Vec<MappingRow>> {
    let rows = r.value("mapping.rows")?.as_array()?;
    let parsed: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(index, value)| match value.as_table().ok_or_else(no_table).and_then(row) {
            Ok(row) => Some(row),
            Err(text) => r.wrong(&format!("mapping.rows, entry {}", index + 1), text),
        })
        .collect();
    parsed.into_iter().collect()
}

fn no_table() -> String {
    "must look like { column = \"jobtitle\", property = \"jobTitle\" }".to_owned()
}

fn row(table: &Table) -> Result<MappingRow, String> {
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("{key} is unknown; an entry may have {}", KEYS.join(", ")));
    }
    let property = match text(table, "property")? {
        Some(name) => Property::named(name).ok_or_else(|| no_such_property(name))?,
        None => return Err("needs a property".to_owned()),
    };
    Ok(MappingRow {
        convert: conversions(table)?,
        on_null: on_null(table)?,
        on_invalid: on_invalid(table)?,
        require: text(table, "require")?.map(Into::into),
        ..MappingRow::new(source(table)?, property)
    })
}

fn source(table: &Table) -> Result<ValueSource, String> {
    let columns = match table.get("columns") {
        None => None,
        Some(value) => Some(texts(value).ok_or("columns must be a list of names in quotes")?),
    };
    match (text(table, "column")?, columns, text(table, "template")?) {
        (Some(column), None, None) => Ok(ValueSource::Column(column.into())),
        (None, Some(columns), None) => {
            Ok(ValueSource::FirstOf(columns.into_iter().map(Into::into).collect()))
        }
        (None, None, Some(template)) => {
            Template::parse(template).map(ValueSource::Template).map_err(|error| format!("template: {error}"))
        }
        _ => Err("needs one of column, columns and template".to_owned()),
    }
}

fn conversions(table: &Table) -> Result<Vec<Convert>, String> {
    let Some(value) = table.get("convert") else { return Ok(Vec::new()) };
    let names: Vec<_> = Convert::NAMES.iter().map(|(name, _)| *name).collect();
    let wrong = || format!("convert must be a list of {}", names.join(", "));
    texts(value).ok_or_else(wrong)?.into_iter().map(|name| Convert::named(name).ok_or_else(wrong)).collect()
}

fn on_null(table: &Table) -> Result<OnNull, String> {
    let default = text(table, "default")?;
    match (text(table, "on_null")?, default) {
        (None | Some("default"), Some(default)) => Ok(OnNull::Default(default.into())),
        (_, Some(_)) => Err("default needs on_null = \"default\"".to_owned()),
        (Some("default"), None) => Err("on_null = \"default\" needs a default".to_owned()),
        (None | Some("clear"), None) => Ok(OnNull::Clear),
        (Some("keep"), None) => Ok(OnNull::Keep),
        (Some(_), None) => Err("on_null must be \"clear\", \"keep\" or \"default\"".to_owned()),
    }
}

fn on_invalid(table: &Table) -> Result<OnInvalid, String> {
    match text(table, "on_invalid")? {
        None | Some("reject") => Ok(OnInvalid::Reject),
        Some("truncate") => Ok(OnInvalid::Truncate),
        Some("skip") => Ok(OnInvalid::Skip),
        Some(_) => Err("on_invalid must be \"reject\", \"truncate\" or \"skip\"".to_owned()),
    }
}

fn text<'t>(table: &'t Table, key: &str) -> Result<Option<&'t str>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| format!("{key} must be a text in quotes")),
    }
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn no_such_property(name: &str) -> String {
    let nearest = Property::names()
        .map(|known| (strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness > 0.8 => {
            format!("{name} is not a property that can be written; did you mean {known}?")
        }
        _ => format!("{name} is not a property of a user that can be written"),
    }
}
