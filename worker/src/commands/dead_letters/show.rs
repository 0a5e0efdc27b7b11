//! `dead-letters show`: one message, and what would be made of it now.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use servicebus::{Message, clock};
use shared::{ids::SequenceNumber, plan::Planner};

use crate::{
    commands::{fitted, global::Global, json_text, print, queues::dead_letter_at, wiring},
    envelope::{CODE, CONTACT, DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, JOB, TARGET, USER},
    operate::{
        dead_letters::{Letter, shown},
        explain::telling::runbook,
    },
    preview::{
        Preview, Subjects, judge,
        render::{self, Details, Values, line},
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
    /// Also read the user from Graph and compare.
    #[arg(long)]
    online: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub(super) async fn run(
    settings: &Settings<QueueAlone>,
    global: &Global,
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let graph = args.online.then(|| wiring::directory_beside(global)).transpose()?;
    let (planner, values) = (&settings.planner, Values::from(args.values));
    let message = dead_letter_at(settings, SequenceNumber(args.sequence)).await?;
    let online = match &graph {
        Some(graph) => {
            let mut preview = Preview::asking(&message, planner, clock::now(), graph).await;
            preview.compare(graph).await;
            Some(preview)
        }
        None => None,
    };
    print(&if args.json {
        let mut told = json(&message, planner, values);
        if let Some(preview) = &online {
            told["online"] = Value::Object(render::json(preview, values));
        }
        json_text(&told)
    } else {
        let mut told = text(&message, planner, values);
        for told_by_graph in online.iter().flat_map(|preview| render::lines(preview, values)) {
            line(&mut told, "by graph", &told_by_graph);
        }
        fitted(&(told + &next(&message)))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What to do with it.
fn next(message: &Message) -> String {
    let (letter, number) = (Letter::of(message), message.sequence);
    let explain = runbook(&letter.reason).map(|_| format!("contactsync explain {}", letter.reason));
    let replay = format!("contactsync replay --sequence {number}");
    let width = explain.as_ref().map_or(0, String::len).max(replay.len());
    let why = explain.map_or_else(String::new, |command| {
        format!("  {command:width$}   what the reason means, and what to do\n")
    });
    format!("\nNext:\n{why}  {replay:width$}   put it back, once the cause is mended\n")
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
        ("organization", "org", json!(organization(message))),
        ("runbook", "runbook", json!(runbook(&letter.reason))),
        ("enqueued", "enqueued", json!(letter.since.map(|since| since.to_string()))),
        ("deliveryCount", "delivery-count", json!(message.delivery_count.0)),
        ("messageId", "message-id", json!(message.message_id)),
        ("correlationId", "correlation-id", json!(message.correlation_id)),
        ("contentType", "content-type", json!(message.content_type)),
        ("subject", "subject", json!(message.subject)),
        ("sessionId", "session-id", json!(message.session_id)),
        ("bytes", "bytes", json!(bytes)),
    ]
}

/// The organization of Dataverse that it comes from.
fn organization(message: &Message) -> Option<String> {
    let report = judge::report(message);
    judge::changes(&report).iter().find_map(|change| change.organization).map(|id| id.to_string())
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

/// A name as wide as the widest, `delivery-count`, and a gap.
fn wide(name: &str) -> String {
    format!("{name:14} ")
}

pub(in crate::commands) fn text(message: &Message, planner: &Planner, values: Values) -> String {
    let mut text = String::new();
    for (_, name, value) in envelope(message, planner) {
        match value {
            Value::Null => {}
            Value::String(value) => line(&mut text, &wide(name), &value),
            value => line(&mut text, &wide(name), &value.to_string()),
        }
    }
    let told = [DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION, CODE, TARGET, CONTACT, USER, JOB];
    for (name, property) in message.properties.iter().filter(|(name, _)| !told.contains(name)) {
        line(&mut text, &wide("property"), &format!("{name} = {}", shown(property)));
    }
    let details = Details { planner, values, columns: true };
    text + "\nWhat would be made of it now:\n" + &details.text(&now(message, planner))
}
