//! `contactsync plan`: what would be written for a captured body, and why.

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use serde_json::{Map, Value, json};
use shared::{
    change::Change,
    engine::intake::{self, Read},
    patch::{PropertyValue, UserPatch},
    plan::{Plan, Planner},
    reason::DeadLetter,
    shown::Shown,
    version::Version,
};

use crate::commands::{body, global::Global, json_text, print};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The body of a message; - reads standard input.
    file: PathBuf,
    /// Content type of the message. Rarely needed, because the bytes themselves tell the format.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Prints what `run` would do with a body. Needs the mapping of the settings, and no network.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let planner = global.planner()?;
    let body = body::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let read = intake::changes(&body, args.content_type.as_deref(), false);
    print(&if args.json { as_json(&read, &planner) } else { as_text(&read, &planner) })?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(read: &Result<Read, DeadLetter>, planner: &Planner) -> String {
    let mut text = String::new();
    match read {
        Err(letter) => dead_letter(&mut text, letter),
        Ok(Read::Nothing(why)) => line(&mut text, "nothing", why.explain()),
        Ok(Read::Changes(changes, unread)) => {
            for (index, change) in changes.iter().enumerate() {
                if index > 0 {
                    text.push('\n');
                }
                describe(&mut text, change, planner);
            }
            if changes.is_empty() && unread.is_empty() {
                line(&mut text, "nothing", "no contact is in the message");
            }
            if let Some(letter) = unread.letter() {
                dead_letter(&mut text, &letter);
            }
        }
    }
    text
}

fn describe(text: &mut String, change: &Change, planner: &Planner) {
    let place = change.origin.position.map_or_else(String::new, |position| format!(", number {position}"));
    line(text, "contact", &format!("{}, {:?}{place}", change.contact, change.operation));
    line(text, "version", &version_of(change));
    match planner.plan(change) {
        Plan::Write { user, patch } => {
            line(text, "user", &user.to_string());
            for part in patch.parted() {
                for (property, value) in part.iter() {
                    line(text, "write", &format!("{property} = {}", shown(value)));
                }
                if let Some(condition) = part.moves_from().condition() {
                    line(text, "", condition);
                }
            }
        }
        Plan::Nothing(why) => line(text, "nothing", why.explain()),
        Plan::Impossible(letter) => dead_letter(text, &letter),
    }
}

/// The version of a change, in words.
pub(super) fn version_of(change: &Change) -> String {
    let none = "none in the message; the time of its arrival counts";
    change.version.map_or_else(|| none.to_owned(), shown_version)
}

/// A version, in words.
pub(super) fn shown_version(version: Version) -> String {
    match version.row {
        Some(row) => format!("row version {}, {}", row.number, version.at),
        None => format!("{}, no row version", version.at),
    }
}

/// A version for machines.
pub(super) fn version_json(version: Version) -> Value {
    json!({"row": version.row.map(|row| row.number), "at": version.at.to_string()})
}

pub(super) fn dead_letter(text: &mut String, letter: &DeadLetter) {
    line(text, "dead letter", letter.reason.as_str());
    line(text, "because", letter.description.as_str());
}

/// A line of what is told, by its word to the left.
pub(super) fn line(text: &mut String, what: &str, value: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{what:12}{}", Shown(value));
}

pub(super) fn shown(value: &PropertyValue) -> Value {
    match value {
        PropertyValue::Clear => Value::Null,
        PropertyValue::Text(text) => json!(text),
        PropertyValue::Single(text) => json!([text]),
        PropertyValue::Bool(yes) => json!(yes),
        PropertyValue::SignIn(wanted) => json!(wanted.address),
    }
}

fn as_json(read: &Result<Read, DeadLetter>, planner: &Planner) -> String {
    let value = match read {
        Err(letter) => json!({"deadLetter": letter_json(letter)}),
        Ok(Read::Nothing(why)) => json!({"nothing": why.as_str()}),
        Ok(Read::Changes(changes, unread)) => {
            let changes: Vec<_> = changes.iter().map(|change| change_json(change, planner)).collect();
            let mut value = json!({ "changes": changes });
            if let Some(letter) = unread.letter() {
                value["deadLetter"] = letter_json(&letter);
            }
            value
        }
    };
    json_text(&value)
}

fn change_json(change: &Change, planner: &Planner) -> Value {
    let mut object = Map::new();
    object.insert("contact".into(), json!(change.contact.to_string()));
    if let Some(position) = change.origin.position {
        object.insert("position".into(), json!(position));
    }
    object.insert("operation".into(), json!(format!("{:?}", change.operation)));
    object.insert("version".into(), change.version.map_or(Value::Null, version_json));
    let (key, value) = match planner.plan(change) {
        Plan::Write { user, patch } => {
            let mut write = json!({"user": user.to_string(), "set": properties(&patch)});
            let bound = patch.parted().find_map(|part| Some((part.moves_from().condition()?, part)));
            if let Some((condition, part)) = bound {
                let names: Vec<_> = part.iter().map(|(property, _)| property.name()).collect();
                write["condition"] = json!({"properties": names, "text": condition});
            }
            ("write", write)
        }
        Plan::Nothing(why) => ("nothing", json!(why.as_str())),
        Plan::Impossible(letter) => ("deadLetter", letter_json(&letter)),
    };
    object.insert(key.into(), value);
    Value::Object(object)
}

fn properties(patch: &UserPatch) -> Map<String, Value> {
    patch.iter().map(|(property, value)| (property.name().to_owned(), shown(value))).collect()
}

pub(super) fn letter_json(letter: &DeadLetter) -> Value {
    json!({"reason": letter.reason.as_str(), "description": letter.description.as_str()})
}

#[cfg(test)]
mod tests {
    use shared::mapping::Mapping;

    use super::*;

    /// The smallest update that says everything.
    fn body(link: &str) -> Vec<u8> {
        let body = json!({
            "InputParameters": [{"key": "Target", "value": {
                "__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts",
                "Attributes": [{"key": "firstname", "value": "Ada"}, {"key": "lastname", "value": null},
                    {"key": "adx_identity_username", "value": link}],
                "Id": "03d0d059-3dcf-41f2-9e20-57b85dbff932", "LogicalName": "contact"}}],
            "MessageName": "Update", "OperationCreatedOn": "/Date(1710408413000+0000)/",
            "PrimaryEntityId": "03d0d059-3dcf-41f2-9e20-57b85dbff932", "PrimaryEntityName": "contact"});
        serde_json::to_vec(&body).expect("serializes")
    }

    fn plan(body: &[u8]) -> (String, Value) {
        plan_by(Mapping::preset_default(), body)
    }

    fn plan_by(mapping: Mapping, body: &[u8]) -> (String, Value) {
        let planner = Planner::new(mapping);
        let read = intake::changes(body, None, false);
        let json = serde_json::from_str(&as_json(&read, &planner)).expect("JSON");
        (as_text(&read, &planner), json)
    }

    #[test]
    fn a_write_is_shown_with_user_version_and_values() {
        let (text, json) = plan(&body("6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10"));
        assert_eq!(
            text,
            "contact     03d0d059-3dcf-41f2-9e20-57b85dbff932, Update\n\
             version     2024-03-14T09:26:53Z, no row version\n\
             user        6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10\n\
             write       givenName = \"Ada\"\n\
             write       surname = null\n"
        );
        assert_eq!(json["changes"][0]["write"]["set"], json!({"givenName": "Ada", "surname": null}));
    }

    #[test]
    fn an_address_that_is_moved_under_a_condition_says_under_which() {
        let body = String::from_utf8(body("6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10")).expect("text");
        let body =
            body.replace(r#""key":"firstname","value":"Ada""#, r#""key":"emailaddress1","value":"a@b.c""#);
        let (text, json) = plan_by(Mapping::preset_b2c(), body.as_bytes());
        let told = "write       surname = null\n\
                    write       otherMails = [\"a@b.c\"]\n\
                    write       signInEmail = \"a@b.c\"\n            only if the user signs in with this address already";
        assert!(text.contains(told), "{text}");
        let condition = &json["changes"][0]["write"]["condition"];
        assert_eq!(condition["properties"], json!(["otherMails", "signInEmail"]), "{json}");
    }

    #[test]
    fn what_cannot_be_planned_is_shown_as_the_dead_letter_it_would_become() {
        let (text, json) = plan(b"hello");
        assert!(text.starts_with("dead letter BodyUndecodable\nbecause     "), "{text}");
        assert_eq!(json["deadLetter"]["reason"], "BodyUndecodable");
        let (text, json) = plan(&body("me"));
        assert!(text.contains("dead letter UserLinkInvalid\n"), "{text}");
        assert_eq!(json["changes"][0]["deadLetter"]["reason"], "UserLinkInvalid");
    }

    #[test]
    fn a_change_that_needs_nothing_says_why() {
        let (text, json) = plan(&body(""));
        assert!(text.ends_with("nothing     the contact has no user: its link column is empty\n"), "{text}");
        assert_eq!(json["changes"][0]["nothing"], "not-a-portal-user");
    }
}
