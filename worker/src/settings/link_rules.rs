//! `link.rules`: how the user of a contact is found.

use shared::{
    plan::{IdentityIssuer, LinkQuery, LinkRule, is_logical_name},
    property::Property,
};
use toml::{Table, Value};

use super::reader::Reader;

/// Keys that an entry of `link.rules` may have.
pub(super) const KEYS: [&str; 5] = ["object_id", "attribute", "identity", "issuer", "issuer_column"];
const KEY: &str = "link.rules";

pub(super) fn rules(r: &Reader<'_>) -> Option<Vec<LinkRule>> {
    let rules = r.value(KEY)?.as_array()?;
    let parsed: Vec<_> = rules
        .iter()
        .enumerate()
        .map(|(index, value)| match rule(value) {
            Ok(rule) => Some(rule),
            Err(text) => r.wrong(&format!("{KEY}, entry {}", index + 1), text),
        })
        .collect();
    parsed.into_iter().collect()
}

fn rule(value: &Value) -> Result<LinkRule, String> {
    let table = value.as_table().ok_or("must look like { attribute = \"extensionAttribute7\" }")?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("{key} is unknown; an entry may have {}", KEYS.join(", ")));
    }
    let parts = [text(table, "object_id")?, text(table, "attribute")?, text(table, "identity")?];
    let issuers = [text(table, "issuer")?, text(table, "issuer_column")?];
    match (parts, issuers) {
        ([Some(name), None, None], [None, None]) => Ok(LinkRule::ObjectId(column(name)?)),
        ([None, Some(name), None], [None, None]) => attribute(name),
        ([None, None, Some(id)], [Some(fixed), None]) if fits(fixed) => {
            Ok(LinkRule::Identity { issuer: IdentityIssuer::Fixed(fixed.into()), id: column(id)? })
        }
        ([None, None, Some(id)], [None, Some(name)]) => {
            Ok(LinkRule::Identity { issuer: IdentityIssuer::Column(column(name)?), id: column(id)? })
        }
        ([None, None, Some(_)], [Some(_), None]) => {
            Err(format!("issuer must be a text of 1 to {} characters", LinkQuery::LONGEST_VALUE))
        }
        ([None, None, Some(_)], _) => Err("identity needs one of issuer and issuer_column".to_owned()),
        _ => Err("needs one of object_id, attribute and identity; only identity has an issuer".to_owned()),
    }
}

fn fits(issuer: &str) -> bool {
    (1..=LinkQuery::LONGEST_VALUE).contains(&issuer.chars().count())
}

fn attribute(name: &str) -> Result<LinkRule, String> {
    let known = Property::named(name).filter(|property| property.name().starts_with("extension"));
    let known = known.ok_or(
        "attribute must be one of extensionAttribute1 to extensionAttribute15, or extension_<app id>_<name>",
    )?;
    Ok(LinkRule::Attribute(known.name().into()))
}

fn column(name: &str) -> Result<Box<str>, String> {
    let named = is_logical_name(name).then(|| name.into());
    named.ok_or_else(|| "a column is given by its logical name".to_owned())
}

fn text<'t>(table: &'t Table, key: &str) -> Result<Option<&'t str>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(value) => {
            value.as_str().map(str::trim).map(Some).ok_or(format!("{key} must be a text in quotes"))
        }
    }
}
