//! The sections `[mapping]` and `[link]`: what is written to whom.

use shared::{
    mapping::{Choices, Convert, Mapping, MappingRow, OnInvalid, OnNull, Template, ValueSource},
    plan::{KnownLinks, LinkMatch, LinkRule, OnForeign, Planner},
    property::{ExtensionType, Property},
};
use toml::{Table, Value};

use super::{filter, link_rules, reader::Reader};

/// Keys that an entry of `mapping.rows` may have.
pub(super) const KEYS: [&str; 12] = [
    "column",
    "columns",
    "template",
    "property",
    "convert",
    "on_null",
    "default",
    "on_invalid",
    "require",
    "value",
    "choices",
    "type",
];

/// Those of them that an entry with a constant may have: it is written as it is, and never empty.
const KEYS_OF_CONSTANT: [&str; 3] = ["value", "property", "type"];

/// The choice of rows instead of a preset.
const CUSTOM: &str = "custom";

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
    let organizations = filter::organizations(r);
    let rows = rows(r);
    let presets = Mapping::presets();
    let names: Vec<_> = presets.iter().map(|(name, _)| *name).chain([CUSTOM]).collect();
    let chosen = r.section(|r| r.choice("mapping.preset", &names))?;
    let preset = presets.into_iter().find(|(name, _)| *name == chosen);
    let mapping = match preset {
        Some(_) if rows.as_ref().is_some_and(|rows| !rows.is_empty()) => {
            let text = format!("are not used with preset = \"{chosen}\"; set preset = \"custom\"");
            r.wrong("mapping.rows", text)
        }
        Some((_, mapping)) => Some(mapping),
        None => match Mapping::new(rows?) {
            Ok(mapping) => Some(mapping),
            Err(error) => r.wrong("mapping.rows", error),
        },
    };
    let mapping = mapping.and_then(|mapping| with_reset(r, mapping));
    let (link_match, on_foreign, filter) = (link_match(r), on_foreign(r), filter::filter(r));
    let mut rules = link_rules::rules(r)?;
    let mut link_column: Box<str> = link?.into();
    // One column is what it always was: messages show whether it is the right one.
    if let [LinkRule::ObjectId(column)] = &rules[..] {
        link_column.clone_from(column);
        rules.clear();
    }
    Some(Planner {
        link_column,
        rules,
        known: KnownLinks::default(),
        mapping: mapping?,
        organizations: organizations?,
        link_match: link_match?,
        filter: filter?,
        on_foreign: on_foreign?,
        addressee: None,
        read_back: false,
    })
}

/// The mapping with the address for password reset in it, if that is asked for.
fn with_reset(r: &Reader<'_>, mapping: Mapping) -> Option<Mapping> {
    if !r.flag("mapping.reset_email") {
        return Some(mapping);
    }
    let nothing = "has no address to follow; map a column to signInEmail, mail or otherMails";
    mapping.with_reset().or_else(|| r.wrong("mapping.reset_email", nothing))
}

fn link_match(r: &Reader<'_>) -> Option<LinkMatch> {
    let names = LinkMatch::NAMES.map(|(name, _)| name);
    let chosen = r.section(|r| r.choice("link.match", &names))?;
    LinkMatch::NAMES.into_iter().find(|(name, _)| *name == chosen).map(|(_, value)| value)
}

fn on_foreign(r: &Reader<'_>) -> Option<OnForeign> {
    let names = OnForeign::NAMES.map(|(name, _)| name);
    let chosen = r.section(|r| r.choice("link.on_foreign", &names))?;
    OnForeign::NAMES.into_iter().find(|(name, _)| *name == chosen).map(|(_, value)| value)
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
        Some(Property::RESET) => {
            return Err(format!("{} has no row of its own; set mapping.reset_email = true", Property::RESET));
        }
        Some(name) => Property::named(name).ok_or_else(|| no_such_property(name))?,
        None => return Err("needs a property".to_owned()),
    };
    if table.contains_key("value")
        && let Some(key) = table.keys().find(|key| !KEYS_OF_CONSTANT.contains(&key.as_str()))
    {
        return Err(format!(
            "{key} cannot be used with value, which is written as it is; take one of them out"
        ));
    }
    Ok(MappingRow {
        extension_type: extension_type(table)?,
        choices: choices(table)?,
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
    match (text(table, "column")?, columns, text(table, "template")?, scalar(table, "value")?) {
        (Some(column), None, None, None) => Ok(ValueSource::Column(column.into())),
        (None, Some(columns), None, None) => {
            Ok(ValueSource::FirstOf(columns.into_iter().map(Into::into).collect()))
        }
        (None, None, Some(template), None) => {
            Template::parse(template).map(ValueSource::Template).map_err(|error| format!("template: {error}"))
        }
        (None, None, None, Some(value)) if value.trim().is_empty() => {
            Err("value must not be empty".to_owned())
        }
        (None, None, None, Some(value)) => Ok(ValueSource::Constant(value.into())),
        _ => Err("needs one of column, columns, template and value".to_owned()),
    }
}

fn extension_type(table: &Table) -> Result<Option<ExtensionType>, String> {
    let Some(name) = text(table, "type")? else { return Ok(None) };
    let found = ExtensionType::NAMES.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| Some(kind)).ok_or_else(|| {
        let names = ExtensionType::NAMES.map(|(name, _)| format!("\"{name}\""));
        format!("type must be one of {}", names.join(", "))
    })
}

fn choices(table: &Table) -> Result<Option<Choices>, String> {
    let Some(value) = table.get("choices") else { return Ok(None) };
    let wrong = || "choices must look like { \"1\" = \"Gold\", \"2\" = \"Silver\" }".to_owned();
    let entry = |(key, value): (&String, &Value)| Some((key.clone(), of_scalar(value)?));
    let entries: Option<Vec<_>> = value.as_table().ok_or_else(wrong)?.iter().map(entry).collect();
    Choices::new(entries.ok_or_else(wrong)?).map(Some).map_err(|error| error.to_string())
}

fn conversions(table: &Table) -> Result<Vec<Convert>, String> {
    let Some(value) = table.get("convert") else { return Ok(Vec::new()) };
    let names: Vec<_> = Convert::NAMES.iter().map(|(name, _)| *name).collect();
    let wrong = || format!("convert must be a list of {}", names.join(", "));
    texts(value).ok_or_else(wrong)?.into_iter().map(|name| Convert::named(name).ok_or_else(wrong)).collect()
}

fn on_null(table: &Table) -> Result<OnNull, String> {
    let default = scalar(table, "default")?;
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

/// A text, or a truth value or whole number as its text: the property says what it becomes.
fn scalar(table: &Table, key: &str) -> Result<Option<String>, String> {
    let wrong = || format!("{key} must be a text in quotes, true, false or a whole number");
    table.get(key).map(|value| of_scalar(value).ok_or_else(wrong)).transpose()
}

fn of_scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Boolean(yes) => Some(yes.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
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
