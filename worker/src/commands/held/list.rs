//! `held list`: what waits for a decision.

use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, Table, Width};
use serde_json::{Value, json};
use servicebus::{Message, Queue};
use shared::{
    mass_change::{Author, Stream},
    shown::shown,
};

use crate::{
    commands::{each, fitting, json_text, print, print_words, probes::counted, terminal},
    envelope::{DeliveryHistory, HeldAside, HeldCensus, HeldCount},
    operate::held::{HeldFilter, each_held},
    preview::{Subjects, render::subjects_json},
    settings::{QueueAlone, Settings},
};

const HEADINGS: [&str; 4] = ["Author", "What", "Messages", "Since (UTC)"];
/// Width of an id with the blanks around it.
const ID_CELL: u16 = 38;
/// From this width on a line has room for the user beside the contact.
const WITH_USERS: usize = 118;

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
    /// List each message, with the contact that it is about, and the user where there is room for it.
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
    let mut lines = Lines { width: terminal::width(), author: None };
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
        print_words(&lines.next(message, held, &subjects))
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
    let are = if census.messages == 1 { "is" } else { "are" };
    let table = streams_table(census, terminal::width());
    format!("{table}\n{} {are} held aside\n", counted(census.messages, "message"))
}

fn streams_table(census: &HeldCensus, width: Option<usize>) -> Table {
    let table = with_streams(fitting::table(HEADINGS, None), census);
    let is_too_wide = |width| table.lines().any(|line| line.chars().count() > width);
    if !width.is_some_and(is_too_wide) {
        return table;
    }
    let mut table = fitting::table(HEADINGS, width);
    if let Some(authors) = table.column_mut(0) {
        // An id has to be copied, so that it is not broken.
        authors.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(ID_CELL)));
    }
    with_streams(table, census)
}

fn with_streams(mut table: Table, census: &HeldCensus) -> Table {
    for (Stream { author, property, kind }, count) in &census.streams {
        table.add_row([
            Cell::new(named(*author)),
            Cell::new(format!("{property} {}", kind.as_str())),
            Cell::new(count.messages).set_alignment(CellAlignment::Right),
            Cell::new(count.since.strftime("%Y-%m-%d %H:%M")),
        ]);
    }
    table
}

/// An author in words.
fn named(author: Author) -> String {
    author.to_string().replacen(':', " ", 1)
}

/// Messages as they are come upon, below their author.
struct Lines {
    width: Option<usize>,
    /// Whose messages the last ones were.
    author: Option<Author>,
}

impl Lines {
    fn next(&mut self, message: &Message, held: &HeldAside, subjects: &Subjects) -> String {
        let has_room = self.width.is_none_or(|width| width >= WITH_USERS);
        let ids = if has_room { 2 } else { 1 };
        let mut text = String::new();
        if self.author.is_none() {
            text += &each::heading(&["Contact", "User"][..ids], "What");
        }
        if self.author.replace(held.author) != Some(held.author) {
            text = format!("{text}by {}\n", named(held.author));
        }
        let streams =
            held.streams.iter().map(|stream| format!("{} {}", stream.property, stream.kind.as_str()));
        let streams = streams.collect::<Vec<_>>().join(", ");
        let subjects = [each::only(&subjects.contacts, "contacts"), each::only(&subjects.users, "users")];
        text + &each::row(message.sequence, Some(held.since), &subjects[..ids], &shown(&streams))
    }
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use shared::{
        ids::{ContactId, SequenceNumber, UserId},
        mass_change::ChangeKind,
        property::Property,
    };
    use uuid::Uuid;

    use super::*;

    const AUTHOR: Uuid = Uuid::from_u128(7);

    fn held() -> HeldAside {
        let author = Author::User(AUTHOR);
        let property = Property::named("jobTitle").expect("known");
        let stream = Stream { author, property, kind: ChangeKind::Blanked };
        let since = Timestamp::from_second(1_800_000_000).expect("in range");
        HeldAside { since, author, streams: [stream].into() }
    }

    #[test]
    fn an_author_stands_on_one_line_where_there_is_room_and_is_never_broken() {
        let HeldAside { since, streams, .. } = held();
        let count = HeldCount { messages: 5, since, originals: (since, since) };
        let census = HeldCensus { messages: 5, streams: [(streams[0].clone(), count)].into() };
        for (width, author) in [
            (None, format!("user {AUTHOR} ")),
            (Some(120), format!("user {AUTHOR} ")),
            (Some(80), AUTHOR.to_string()),
        ] {
            let table = streams_table(&census, width).to_string();
            assert!(table.contains(&author), "{table}");
            assert!(
                table.lines().all(|line| width.is_none_or(|width| line.chars().count() <= width)),
                "{table}"
            );
        }
    }

    #[test]
    fn each_message_stands_below_its_author_with_what_there_is_room_for() {
        let (user, contact) = (UserId(Uuid::from_u128(1)), ContactId(Uuid::from_u128(2)));
        let subjects = Subjects { contacts: vec![contact], users: vec![user], job: None };
        let message = |number| Message { sequence: SequenceNumber(number), ..Message::default() };
        for (width, has_user) in [(Some(80), false), (Some(120), true), (None, true)] {
            let mut lines = Lines { width, author: None };
            let told =
                lines.next(&message(20), &held(), &subjects) + &lines.next(&message(21), &held(), &subjects);
            assert_eq!(told.lines().count(), 4, "{told}");
            assert!(told.lines().nth(1).is_some_and(|line| line == format!("by user {AUTHOR}")), "{told}");
            assert_eq!(told.contains(&user.to_string()), has_user, "{told}");
            assert!(told.contains(&contact.to_string()) && told.contains("jobTitle blanked"), "{told}");
            assert!(
                told.lines().all(|line| width.is_none_or(|width| line.chars().count() <= width)),
                "{told}"
            );
        }
    }
}
