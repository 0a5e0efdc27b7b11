//! `dead-letters show`: one message, and what would be made of it now.

use std::{fmt::Write, process::ExitCode};

use serde_json::{Map, Value, json};
use servicebus::Message;
use shared::{
    change::{self, Change, Columns},
    engine::intake::{self, Read},
    ids::SequenceNumber,
    plan::{Plan, Planner},
    reason::DeadLetterReason,
    shown::{Shown, shown as one_line},
};

use crate::{
    commands::{json_text, print, queues::dead_letter_at},
    operate::dead_letters::{Letter, shown},
    preview::judge::unreadable,
    settings::Settings,
};

/// Options of `dead-letters show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number in the dead-letter queue, as list tells it.
    #[arg(value_name = "SEQ")]
    sequence: i64,
    /// Also show the values of columns and properties. They are personal data.
    #[arg(long)]
    values: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub(super) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let message = dead_letter_at(settings, SequenceNumber(args.sequence)).await?;
    let shown = describe(&message, &settings.planner, args.values);
    print(&if args.json { json_text(&shown) } else { text(&shown) })?;
    Ok(ExitCode::SUCCESS)
}

/// Everything as JSON; the text is made of it.
fn describe(message: &Message, planner: &Planner, values: bool) -> Value {
    let letter = Letter::of(message);
    let properties: Map<_, _> =
        message.properties.iter().map(|(name, property)| (name.to_owned(), json!(shown(property)))).collect();
    let read = match &message.body {
        Err(why) => dead_letter(&unreadable(*why)),
        Ok(body) => match intake::changes(body, message.content_type.as_deref(), false) {
            Err(letter) => dead_letter(&letter),
            Ok(Read::Nothing(why)) => json!({"nothing": why.explain()}),
            Ok(Read::Changes(changes, unread)) => {
                let changes: Vec<_> = changes.iter().map(|one| change(one, planner, values)).collect();
                let mut read = unread.letter().as_ref().map_or(json!({}), dead_letter);
                read["changes"] = json!(changes);
                read
            }
        },
    };
    json!({
        "sequence": letter.sequence.0,
        "reason": letter.reason,
        "description": letter.description,
        "code": letter.code,
        "target": letter.target,
        "runbook": runbook(&letter.reason),
        "since": letter.since.map(|since| since.to_string()),
        "deliveryCount": message.delivery_count.0,
        "messageId": message.message_id,
        "correlationId": message.correlation_id,
        "contentType": message.content_type,
        "subject": message.subject,
        "sessionId": message.session_id,
        "bytes": message.body.as_ref().ok().or(message.encoded.as_ref()).map_or(0, bytes::Bytes::len),
        "properties": properties,
        "now": read,
    })
}

/// Where the runbook tells what to do.
fn runbook(reason: &str) -> Option<String> {
    let known = DeadLetterReason::ALL.iter().any(|known| known.as_str() == reason);
    known.then(|| format!("deploy/runbook.md#{}", reason.to_ascii_lowercase()))
}

fn dead_letter(letter: &shared::reason::DeadLetter) -> Value {
    json!({"deadLetter": {"reason": letter.reason.as_str(), "description": letter.description.as_str()}})
}

fn change(change: &Change, planner: &Planner, values: bool) -> Value {
    let columns = |columns: &Columns| -> Value {
        columns.iter().map(|(name, value)| (name.to_owned(), column(value, values))).collect()
    };
    let plan = match planner.plan(change) {
        Plan::Write { user, patch } => {
            let properties: Map<_, _> = patch
                .iter()
                .map(|(property, value)| {
                    let value = if values { crate::commands::plan::shown(value) } else { hidden() };
                    (property.to_string(), value)
                })
                .collect();
            json!({"user": user.to_string(), "write": properties})
        }
        Plan::Nothing(why) => json!({"nothing": why.explain()}),
        Plan::Impossible(letter) => dead_letter(&letter),
    };
    json!({
        "contact": change.contact.to_string(),
        "operation": format!("{:?}", change.operation),
        "version": change.version.map(|version| json!({"row": version.row.map(|row| row.number), "at": version.at.to_string()})),
        "columns": columns(&change.columns),
        "before": columns(&change.before),
        "after": columns(&change.after),
        "plan": plan,
    })
}

fn hidden() -> Value {
    json!("(hidden)")
}

fn column(value: &change::Value, values: bool) -> Value {
    if !values {
        return hidden();
    }
    match value {
        change::Value::Null => Value::Null,
        change::Value::Text(text) => json!(text),
        change::Value::Bool(yes) => json!(yes),
        change::Value::Choice { value, label } => json!({"value": value, "label": label}),
        change::Value::Unsupported(kind) => json!(format!("({kind})")),
    }
}

/// In which order a person wants to read it; what is not named comes behind.
const ORDER: [&str; 12] = [
    "sequence",
    "reason",
    "code",
    "target",
    "description",
    "runbook",
    "since",
    "now",
    "contact",
    "operation",
    "version",
    "plan",
];

/// Indented text of nested values; what is empty is left out.
fn text(value: &Value) -> String {
    let mut text = String::new();
    lines(&mut text, value, 0);
    text
}

fn lines(text: &mut String, value: &Value, depth: usize) {
    let Value::Object(object) = value else { return };
    let mut entries: Vec<_> = object.iter().collect();
    let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    entries.sort_by_key(|(name, _)| place(name));
    for (name, value) in entries {
        // Properties are named by the sender.
        let (indent, name) = ("  ".repeat(depth), one_line(name));
        let empty =
            matches!(value, Value::Object(inner) if inner.is_empty()) || value.is_null() && depth == 0;
        // Writing to a string cannot fail.
        let _infallible = match value {
            _ if empty => continue,
            Value::Object(_) => {
                let written = writeln!(text, "{indent}{name}");
                lines(text, value, depth + 1);
                written
            }
            Value::Array(items) => {
                for item in items {
                    let _infallible = writeln!(text, "{indent}{name}");
                    lines(text, item, depth + 1);
                }
                continue;
            }
            Value::String(string) => writeln!(text, "{indent}{name:18} {}", Shown(string)),
            other => writeln!(text, "{indent}{name:18} {}", Shown(other)),
        };
    }
}
