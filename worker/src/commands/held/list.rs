//! `held list`: what waits for a decision.

use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, Width};
use serde_json::{Value, json};
use servicebus::{Message, Queue};
use shared::{
    mass_change::{Author, Stream},
    shown::Shown,
};

use crate::{
    commands::{fitted, fitting, json_text, print, probes::counted, terminal},
    envelope::{DeliveryHistory, HeldAside, HeldCensus, HeldCount},
    operate::held::{HeldFilter, each_held},
    preview::{Subjects, render::subjects_json},
    settings::{QueueAlone, Settings},
};

/// Width of an id with the blanks around it.
const ID_CELL: u16 = 38;

/// Options of `held list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is a stream: one author, one property of users, and whether he blanks or rewrites it. The author is the user of \
Dataverse on whose behalf changes were made (user:ID), a run of reconcile (run:ID), or unknown. A message that changes several \
properties can be of several streams.

Examples:
  contactsync held list
  contactsync held list --each --property mail
  contactsync held list --json")]
pub struct Args {
    /// List each message, with the contacts and users that it is about.
    #[arg(long)]
    each: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: HeldFilter,
}

/// Counts.
pub(super) async fn run(
    queue: &dyn Queue,
    settings: &Settings<QueueAlone>,
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let (mut census, mut each) = (HeldCensus::default(), Vec::new());
    let looked_at = each_held(queue, &args.filter, &settings.planner, |message, held| {
        census.add(message, held);
        if !args.each {
            return Ok(());
        }
        let subjects = Subjects::of(message, &settings.planner);
        if args.json {
            each.push(one_json(message, held, &subjects));
            return Ok(());
        }
        print(&fitted(&one(message, held, &subjects)))
    })
    .await
    .context("the queue cannot be looked at")?;
    if args.json {
        let streams = census.streams.iter().map(|(stream, count)| stream_json(stream, *count));
        let mut told = json!({
            "messages": census.messages, "streams": streams.collect::<Value>(), "lookedAt": looked_at,
        });
        if args.each {
            told["each"] = Value::Array(each);
        }
        print(&json_text(&told))?;
    } else {
        print(&table(&census))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The counts as a table.
pub(super) fn table(census: &HeldCensus) -> String {
    if census.messages == 0 {
        return "Nothing is held aside.\n".to_owned();
    }
    let mut table = fitting::table(["Author", "What", "Messages", "Since (UTC)"], terminal::width());
    if let Some(authors) = table.column_mut(0) {
        // An id has to be copied, so that it is not broken.
        authors.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(ID_CELL)));
    }
    for (Stream { author, property, kind }, count) in &census.streams {
        table.add_row([
            Cell::new(author.to_string().replacen(':', " ", 1)),
            Cell::new(format!("{property} {}", kind.as_str())),
            Cell::new(count.messages).set_alignment(CellAlignment::Right),
            Cell::new(count.since.strftime("%Y-%m-%d %H:%M")),
        ]);
    }
    let are = if census.messages == 1 { "is" } else { "are" };
    format!("{table}\n{} {are} held aside\n", counted(census.messages, "message"))
}

fn one(message: &Message, held: &HeldAside, subjects: &Subjects) -> String {
    let streams = held.streams.iter().map(|stream| format!("{} {}", stream.property, stream.kind.as_str()));
    let streams = streams.collect::<Vec<_>>().join(", ");
    let contact = subjects.contact_text().unwrap_or_else(|| "unknown".into());
    let user = subjects.user_text().unwrap_or_else(|| "unknown".into());
    let line = format!(
        "message {}  contact {contact}  user {user}  {streams} by {}  since {:.0}",
        message.sequence, held.author, held.since
    );
    format!("{}\n", Shown(line))
}

fn one_json(message: &Message, held: &HeldAside, subjects: &Subjects) -> Value {
    let streams = held.streams.iter();
    let streams =
        streams.map(|stream| json!({ "property": stream.property.name(), "kind": stream.kind.as_str() }));
    let mut told = subjects_json(subjects);
    told.insert("sequence".into(), json!(message.sequence.0));
    told.insert("author".into(), author_json(held.author));
    told.insert("streams".into(), streams.collect());
    told.insert("since".into(), json!(held.since.to_string()));
    let original = DeliveryHistory::of(message).first_seen;
    told.insert("enqueued".into(), json!(original.map(|at| at.to_string())));
    Value::Object(told)
}

fn stream_json(stream: &Stream, count: HeldCount) -> Value {
    let (first, last) = count.originals;
    json!({
        "author": author_json(stream.author), "property": stream.property.name(), "kind": stream.kind.as_str(),
        "messages": count.messages, "since": count.since.to_string(),
        "firstEnqueued": first.to_string(), "lastEnqueued": last.to_string(),
    })
}

/// An author by what he is.
fn author_json(author: Author) -> Value {
    match author {
        Author::User(id) => json!({ "user": id.to_string() }),
        Author::Run(id) => json!({ "run": id.to_string() }),
        Author::Unknown => Value::Null,
    }
}
