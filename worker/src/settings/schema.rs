//! The settings for editors, as a JSON Schema: types and texts from the file of defaults, ranges and choices from
//! what the values are held against when they are read.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};
use shared::{
    mapping::Convert,
    plan::ChangeFilter,
    property::{ExtensionType, Property},
};
use toml::{Table, Value};

use super::{
    link_rules, mapping,
    names::RENAMED,
    notify::{
        channel::{KEYS, KINDS, SECRETS, SEVERITIES, TLS, WANTED},
        variables::CHANNEL,
    },
    parts::Parts,
    reader::{Rule, Rules},
    secrets::is_secret,
    source::DEFAULTS,
    targets::OF_PROCESS,
};
use crate::duration::exact;

/// A number and its unit, once or several times; a part of what is understood, and all that anybody writes.
const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|m|h|secs?|seconds?|mins?|minutes?|hrs?|hours?|d|days?|w|weeks?)[,\s]*)+$";

/// The schema of a settings file.
#[must_use]
pub fn schema() -> Json {
    let defaults: Table = DEFAULTS.parse().unwrap_or_default();
    // With a namespace, an environment and a mailbox, the sections of all identities are read.
    let namespace = ("CONTACTSYNC__SERVICE_BUS__NAMESPACE".to_owned(), "contoso".to_owned());
    let environment = ("CONTACTSYNC__DATAVERSE__URL".to_owned(), "https://contoso.example".to_owned());
    let mail =
        "[{ name = \"mail\", kind = \"graph\", from = \"a@contoso.example\", to = [\"b@contoso.example\"] }]";
    let channel = ("CONTACTSYNC__NOTIFY__CHANNEL".to_owned(), mail.to_owned());
    let rules =
        Parts::of(None, vec![namespace, environment, channel]).map(|parts| parts.rules).unwrap_or_default();
    let mut schema = section(&defaults, "", &rules, &descriptions(DEFAULTS));
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("contactsync settings"));
    let mut schema = Json::Object(schema);
    for (old, new) in RENAMED {
        deprecate(&mut schema, old, new);
    }
    let target = target(&schema);
    schema["properties"]["target"] = target;
    schema
}

/// Entries `[[target]]`: a name, and everything of the rest that can differ. What is left out is that of the rest, so no
/// default counts.
fn target(schema: &Json) -> Json {
    let mut entry = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "properties": schema["properties"],
    });
    without_defaults(&mut entry);
    let name = json!({
        "type": "string",
        "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$",
        "maxLength": 40,
        "description": "Name of the target, in logs, metrics and commands.",
    });
    entry["properties"]["name"] = name;
    if let Some(properties) = entry["properties"].as_object_mut() {
        properties.retain(|name, _| !OF_PROCESS.contains(&name.as_str()));
    }
    json!({
        "type": "array",
        "description": "One entry for each of several directories to which every change is applied. What it sets counts for this target \
                        only, over the rest of the file.",
        "items": entry,
    })
}

fn without_defaults(schema: &mut Json) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("default");
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        properties.values_mut().for_each(without_defaults);
    }
}

fn section(
    table: &Table,
    path: &str,
    rules: &Rules,
    descriptions: &HashMap<String, String>,
) -> Map<String, Json> {
    let mut properties = Map::new();
    for (name, value) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut inner = match value {
            Value::Table(table) => section(table, &key, rules, descriptions),
            value => leaf(&key, value, rules.get(&key)),
        };
        if let Some(text) = descriptions.get(&key) {
            inner.insert("description".into(), json!(text));
        }
        properties.insert(name.clone(), Json::Object(inner));
    }
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("additionalProperties".into(), json!(false));
    schema.insert("properties".into(), Json::Object(properties));
    schema
}

/// Lets the old name of a setting stand, and marks it as one.
fn deprecate(schema: &mut Json, old: &str, new: &str) {
    let pointer = |key: &str| format!("/properties/{}", key.replace('.', "/properties/"));
    let (Some(mut leaf), Some((section, name))) =
        (schema.pointer(&pointer(new)).cloned(), old.rsplit_once('.'))
    else {
        return;
    };
    leaf["deprecated"] = json!(true);
    leaf["description"] = json!(format!("Now {new}. The next release does not know the old name."));
    if let Some(properties) = schema.pointer_mut(&format!("{}/properties", pointer(section))) {
        properties[name] = leaf;
    }
}

fn leaf(key: &str, default: &Value, rule: Option<&Rule>) -> Map<String, Json> {
    let mut schema = Map::new();
    let kind = match default {
        Value::Integer(_) => "integer",
        Value::Float(_) => "number",
        Value::Boolean(_) => "boolean",
        Value::Array(_) => "array",
        Value::String(_) | Value::Datetime(_) | Value::Table(_) => "string",
    };
    schema.insert("type".into(), json!(kind));
    if let Ok(default) = serde_json::to_value(default) {
        schema.insert("default".into(), default);
    }
    if let Some(rule) = rule {
        schema.extend(constraint(rule));
    }
    if is_secret(key) {
        // For editors that show settings to others: this one is for writing only.
        schema.insert("writeOnly".into(), json!(true));
    }
    match key {
        "mapping.rows" => drop(schema.insert("items".into(), row())),
        CHANNEL => drop(schema.insert("items".into(), channel())),
        "link.rules" => drop(schema.insert("items".into(), link_rule())),
        "filter.organizations" | "filter.initiating_users" | "mass_change.exempt" => {
            drop(schema.insert("items".into(), guid()));
        }
        "filter.operations" => {
            let names = ChangeFilter::OPERATIONS.map(|(name, _)| name);
            schema.insert("minItems".into(), json!(1));
            drop(schema.insert("items".into(), json!({ "enum": names })));
        }
        "filter.require" => {
            let condition = json!({ "type": "string", "pattern": "^\\s*[0-9a-zA-Z_]+\\s*=.*\\S.*$" });
            drop(schema.insert("items".into(), condition));
        }
        _ => {}
    }
    schema
}

fn constraint(rule: &Rule) -> Map<String, Json> {
    let constraint = match rule {
        Rule::OneOf(known) => json!({ "enum": known }),
        Rule::Count(least, most) => json!({ "minimum": least, "maximum": most }),
        Rule::Number(least, most) => json!({ "minimum": least, "maximum": most }),
        Rule::Duration(least, most) => {
            json!({ "pattern": DURATION, "$comment": format!("from {} to {}", exact(*least), exact(*most)) })
        }
        Rule::Address => json!({ "anyOf": [{ "format": "uri" }, { "const": "" }] }),
    };
    constraint.as_object().cloned().unwrap_or_default()
}

fn guid() -> Json {
    json!({ "type": "string", "pattern": "^\\s*\\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\\}?\\s*$" })
}

/// An entry of `link.rules`.
fn link_rule() -> Json {
    let text = json!({ "type": "string", "minLength": 1 });
    let properties: Map<String, Json> =
        link_rules::KEYS.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{ "required": ["object_id"] }, { "required": ["attribute"] }, { "required": ["identity"] }],
        "properties": properties,
    })
}

/// An entry of `notify.channel`.
fn channel() -> Json {
    let text = json!({ "type": "string", "minLength": 1 });
    let texts = json!({ "type": "array", "items": text, "minItems": 1 });
    let mut properties: Map<String, Json> =
        KEYS.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
    for key in SECRETS {
        properties[key]["writeOnly"] = json!(true);
    }
    properties.insert("kind".into(), json!({ "enum": KINDS }));
    properties.insert("tls".into(), json!({ "enum": TLS }));
    properties.insert("min_severity".into(), json!({ "enum": SEVERITIES }));
    properties.insert("only".into(), json!({ "type": "array", "items": { "enum": WANTED }, "minItems": 1 }));
    properties.insert("to".into(), texts);
    properties.insert("port".into(), json!({ "type": "integer", "minimum": 1, "maximum": 65_535 }));
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "kind"],
        "properties": properties,
    })
}

/// An entry of `mapping.rows`.
fn row() -> Json {
    let text = json!({ "type": "string", "minLength": 1 });
    let conversions: Vec<_> = Convert::NAMES.iter().map(|(name, _)| *name).collect();
    let known: Vec<_> = Property::names().collect();
    let mut properties: Map<String, Json> =
        mapping::KEYS.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
    let scalar = json!({ "type": ["string", "boolean", "integer"], "minLength": 1 });
    let types = ExtensionType::NAMES.map(|(name, _)| name);
    properties.insert("value".into(), scalar.clone());
    properties.insert("default".into(), scalar.clone());
    properties.insert(
        "choices".into(),
        json!({ "type": "object", "minProperties": 1, "additionalProperties": scalar }),
    );
    properties.insert("type".into(), json!({ "enum": types }));
    properties.insert("columns".into(), json!({ "type": "array", "items": text, "minItems": 1 }));
    properties.insert("convert".into(), json!({ "type": "array", "items": { "enum": conversions } }));
    properties.insert("on_null".into(), json!({ "enum": ["clear", "keep", "default"] }));
    properties.insert("on_invalid".into(), json!({ "enum": ["reject", "truncate", "skip"] }));
    properties.insert(
        "property".into(),
        json!({ "anyOf": [
            { "enum": known },
            { "type": "string", "pattern": "^extension_[0-9a-fA-F]{32}_[0-9a-zA-Z_]+$" },
        ] }),
    );
    let sources = ["column", "columns", "template", "value"].map(|source| json!({ "required": [source] }));
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["property"],
        "oneOf": sources,
        "properties": properties,
    })
}

/// What the file of defaults says about each key. A key without words of its own shares those of its neighbour above.
fn descriptions(text: &str) -> HashMap<String, String> {
    let (mut section, mut words, mut fresh) = (String::new(), String::new(), true);
    let mut found = HashMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            if fresh {
                words.clear();
                fresh = false;
            } else {
                words.push('\n');
            }
            words.push_str(comment.strip_prefix(' ').unwrap_or(comment));
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            words.clear();
            fresh = true;
        } else if let Some((key, _)) = line.split_once(" = ") {
            found.insert(format!("{section}{key}"), words.clone());
            fresh = true;
        } else {
            words.clear();
            fresh = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(schema: &Json, path: &str, found: &mut HashMap<String, Json>) {
        for (name, inner) in schema["properties"].as_object().expect("properties") {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if inner["type"] == "object" {
                leaves(inner, &key, found);
            } else {
                found.insert(key, inner.clone());
            }
        }
    }

    #[test]
    fn every_setting_is_in_the_schema_with_its_words_and_its_range() {
        let mut found = HashMap::new();
        leaves(&schema(), "", &mut found);
        let target = found.remove("target").expect("targets are known");
        let outdated = found.extract_if(|_, leaf| leaf["deprecated"] == true);
        let mut outdated: Vec<_> = outdated.map(|(key, _)| key).collect();
        outdated.sort();
        assert_eq!(outdated, RENAMED.map(|(old, _)| old), "old names are taken, and marked as old");
        let parts = Parts::of(None, Vec::new()).expect("defaults");
        assert_eq!(found.len(), parts.entries.len());
        for (key, entry) in &parts.entries {
            let leaf = &found[key];
            assert!(leaf["description"].as_str().is_some_and(|text| !text.is_empty()), "{key} has no words");
            let number = matches!(entry.value, Value::Integer(_) | Value::Float(_));
            assert_eq!(leaf["minimum"].is_number(), number, "{key}: numbers have a range");
            assert_eq!(leaf["writeOnly"] == true, is_secret(key), "{key}: secrets are for writing only");
        }
        let entry = &target["items"]["properties"];
        assert_eq!(entry["graph"]["properties"]["root"]["type"], "string");
        assert_eq!(entry["graph"]["properties"]["root"]["default"], Json::Null);
        assert_eq!(
            (&entry["http"], &entry["telemetry"], &entry["target"]),
            (&Json::Null, &Json::Null, &Json::Null)
        );
        assert_eq!(found["pool.concurrency"]["maximum"], 1_000);
        assert_eq!(found["graph.diff"]["enum"], json!(["nothing", "read"]));
        assert_eq!(found["service_bus.identity.kind"]["enum"][0], "");
        assert_eq!(found["pool.grace"]["$comment"], "from 1s to 1h");
        assert_eq!(
            found["service_bus.subscription"]["description"],
            found["service_bus.topic"]["description"]
        );
    }
}
