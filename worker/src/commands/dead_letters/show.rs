//! `dead-letters show`: one message, and what would be made of it now.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use servicebus::{Message, clock};
use shared::{ids::SequenceNumber, plan::Planner};

use crate::{
    commands::{json_text, print, queues::dead_letter_at},
    envelope::{CONTACT, JOB, USER},
    operate::{
        dead_letters::{Letter, shown},
        explain::telling::runbook,
    },
    preview::{
        Preview, Subjects,
        render::{Details, Values, line},
    },
    settings::{QueueAlone, Settings},
};

/// Options of `dead-letters show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its sequence number in the dead-letter queue, from `dead-letters list`.
    #[arg(value_name = "SEQ")]
    sequence: i64,
    /// Also print values of columns and properties. They are personal data.
    #[arg(long)]
    values: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub(super) async fn run(settings: &Settings<QueueAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    let message = dead_letter_at(settings, SequenceNumber(args.sequence)).await?;
    let values = Values::from(args.values);
    print(&if args.json {
        json_text(&json(&message, &settings.planner, values))
    } else {
        text(&message, &settings.planner, values)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What stands on the message, in the order in which a person wants to read it, with the names that `--where` knows.
fn envelope(message: &Message, planner: &Planner) -> Vec<(&'static str, &'static str, Value)> {
    let (letter, subjects) = (Letter::of(message), Subjects::of(message, planner));
    // What the worker has found out otherwise, by a rule say, stands on the letter.
    let or_told = |text: Option<String>, name: &str| {
        json!(text.or_else(|| message.properties.text(name).map(str::to_owned)))
    };
    let bytes = message.body.as_ref().ok().or(message.encoded.as_ref()).map_or(0, bytes::Bytes::len);
    vec![
        ("sequence", "sequence", json!(letter.sequence.0)),
        ("reason", "reason", json!(letter.reason)),
        ("code", "code", json!(letter.code)),
        ("target", "target", json!(letter.target)),
        ("description", "description", json!(letter.description)),
        ("contact", "contact", or_told(subjects.contact_text(), CONTACT)),
        ("user", "user", or_told(subjects.user_text(), USER)),
        ("job", "job", or_told(subjects.job_text(), JOB)),
        ("runbook", "runbook", json!(runbook(&letter.reason))),
        ("since", "since", json!(letter.since.map(|since| since.to_string()))),
        ("deliveryCount", "delivery-count", json!(message.delivery_count.0)),
        ("messageId", "message-id", json!(message.message_id)),
        ("correlationId", "correlation-id", json!(message.correlation_id)),
        ("contentType", "content-type", json!(message.content_type)),
        ("subject", "subject", json!(message.subject)),
        ("sessionId", "session-id", json!(message.session_id)),
        ("bytes", "bytes", json!(bytes)),
    ]
}

/// What would be made of it now.
fn now(message: &Message, planner: &Planner) -> Preview {
    Preview::of(message, planner, clock::now())
}

pub(in crate::commands) fn json(message: &Message, planner: &Planner, values: Values) -> Value {
    let told = envelope(message, planner).into_iter().map(|(name, _, value)| (name.to_owned(), value));
    let mut object: Map<_, _> = told.collect();
    let properties = message.properties.iter();
    let properties = properties.map(|(name, property)| (name.to_owned(), json!(shown(property))));
    object.insert("properties".into(), Value::Object(properties.collect()));
    let details = Details { planner, values, columns: true };
    object.insert("now".into(), details.json(&now(message, planner)));
    Value::Object(object)
}

pub(in crate::commands) fn text(message: &Message, planner: &Planner, values: Values) -> String {
    let mut text = String::new();
    for (_, name, value) in envelope(message, planner) {
        match value {
            Value::Null => {}
            Value::String(value) => line(&mut text, name, &value),
            value => line(&mut text, name, &value.to_string()),
        }
    }
    for (name, property) in message.properties.iter() {
        line(&mut text, "property", &format!("{name} = {}", shown(property)));
    }
    let details = Details { planner, values, columns: true };
    text + "\nWhat would be made of it now:\n" + &details.text(&now(message, planner))
}
