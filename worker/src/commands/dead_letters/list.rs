//! `dead-letters list`: groups and ages, or each of them.

use std::{process::ExitCode, time::Duration};

use comfy_table::{Cell, CellAlignment, Table};
use serde_json::Value;
use servicebus::{admin::EntityProperties, clock};
use shared::shown::brief;
use tokio::time::timeout;

use super::each;
use crate::{
    commands::{
        fitted, fitting, json_text, print,
        probes::counted,
        queues::{Queues, choose, none_match},
        terminal, wiring,
    },
    operate::dead_letters::{AGES, DeadLetterGroups, Group, Key, Letter, Selection},
    settings::{
        QueueAlone, Settings,
        check::{Caution, cautions},
    },
};

/// How long the management interface may take: whoever has no right to it, or no way, is not to wait for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest part of a key that is shown, in characters: whoever dead-letters a message may give a reason of any length.
const LONGEST_PART: usize = 80;

/// Options of `dead-letters list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync dead-letters list                            how many of each reason, and how old
  contactsync dead-letters list --reason UserNotFound --each     each of them, with its number and contact
  contactsync dead-letters list --newer-than 1h --json     for scripts

The columns of ages count by how long ago the original reached the queue. Numbers are those that show, --sequence and \
the other commands take.")]
pub struct Args {
    /// What to group by.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "reason,code,target")]
    by: Vec<Key>,
    /// A line for each dead letter instead: its number, when its original reached the queue, contact and reason.
    #[arg(long, conflicts_with = "by")]
    each: bool,
    /// Print JSON instead of a table; with --each one object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Counts.
pub(super) async fn run(settings: &Settings<QueueAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    let queues = Queues::open(settings, None)?;
    let planner = &settings.planner;
    let mut census = DeadLetterGroups::new(args.by.clone(), clock::now());
    let counting = choose(&queues, planner, &args.selection, |message| {
        census.add(&Letter::of(message));
        if !args.each {
            return Ok(());
        }
        let heading = if census.total() > 1 { String::new() } else { each::heading() };
        print(&if args.json {
            each::json(message, planner)
        } else {
            fitted(&format!("{heading}{}", each::line(message, planner)))
        })
    });
    let (counted, properties) = tokio::join!(counting, properties(settings));
    queues.close().await;
    let (_, walk) = counted?;
    let cautions = cautions(&settings.bus, properties.as_ref());
    let warnings = || cautions.iter().fold(String::new(), |text, caution| text + &caution.text() + "\n");
    let told = match (args.each, args.json) {
        (true, true) => String::new(),
        (false, true) => {
            let mut told = census.json();
            told["lookedAt"] = walk.seen.into();
            told["warnings"] = cautions.iter().map(Caution::json).collect::<Value>();
            json_text(&told)
        }
        _ if census.total() == 0 => none_match(walk.seen) + &warnings(),
        (true, false) => format!("{}\n{}", total(&census), warnings()),
        (false, false) => {
            format!("{}\n{}\n{}", table(&census, terminal::width()), total(&census), warnings())
        }
    };
    print(&if args.json { told } else { fitted(&told) })?;
    Ok(ExitCode::SUCCESS)
}

fn total(census: &DeadLetterGroups) -> String {
    counted(census.total(), "dead letter")
}

/// How the queue is set up, if we may know: it can be that dead letters are not where they are looked for.
async fn properties(settings: &Settings<QueueAlone>) -> Option<EntityProperties> {
    let clients = wiring::clients(&settings.connection).ok()?;
    let admin = wiring::admin(&settings.bus, &clients);
    let described = timeout(PATIENCE, admin.describe()).await.ok()?;
    described.ok().map(|described| described.properties)
}

/// A column: its heading, where it stands, and what it says of a group.
type Column = (&'static str, CellAlignment, Vec<String>);

/// A group with the parts of its key.
type KeyedGroup<'c> = (&'c [Box<str>], &'c Group);

/// The groups, without the columns in which nothing stands, as wide as the terminal at most.
fn table(census: &DeadLetterGroups, width: Option<usize>) -> Table {
    let columns: Vec<_> = columns(census)
        .into_iter()
        .filter(|(_, _, cells)| cells.iter().any(|cell| !cell.is_empty()))
        .collect();
    let mut table = fitting::table(columns.iter().map(|(heading, ..)| *heading), width);
    for row in 0..census.groups().len() {
        let cells = columns.iter().filter_map(|(_, side, cells)| Some((side, cells.get(row)?)));
        table.add_row(cells.map(|(side, cell)| Cell::new(cell).set_alignment(*side)));
    }
    table
}

fn columns(census: &DeadLetterGroups) -> Vec<Column> {
    let groups = census.groups();
    let of = |text: &dyn Fn(&KeyedGroup<'_>) -> String| groups.iter().map(text).collect::<Vec<_>>();
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let keys = census.by().iter().enumerate().map(|(place, key)| {
        let cells = of(&|(parts, _)| match (key, &*parts[place]) {
            (Key::Reason, "") => "(none given)".to_owned(),
            (_, part) => brief(part, LONGEST_PART).into_owned(),
        });
        (key.heading(), CellAlignment::Left, cells)
    });
    let names = AGES.iter().map(|(_, name, _)| *name).chain(["older"]).enumerate();
    let ages = names
        .filter(|_| census.by() != [Key::Age])
        .map(|(age, name)| (name, CellAlignment::Right, of(&|(_, group)| number(group.ages[age]))));
    let rest = [
        ("Total", CellAlignment::Right, of(&|(_, group)| number(group.count))),
        ("Numbers", CellAlignment::Left, of(&|(_, group)| numbers(group))),
    ];
    keys.chain(ages).chain(rest).collect()
}

/// The numbers of a group: the only one, or the first and the last. Others may stand between them.
fn numbers(group: &Group) -> String {
    if group.first == group.last {
        group.first.to_string()
    } else {
        format!("{}..{}", group.first, group.last)
    }
}

#[cfg(test)]
mod tests {
    use shared::ids::SequenceNumber;

    use super::*;

    fn letter(sequence: i64, reason: &str) -> Letter {
        Letter {
            sequence: SequenceNumber(sequence),
            reason: reason.into(),
            description: "".into(),
            code: None,
            target: None,
            since: Some(clock::now()),
            message_id: None,
        }
    }

    #[test]
    fn a_table_fits_the_terminal_and_has_no_empty_columns() {
        let mut census = DeadLetterGroups::new(vec![Key::Reason, Key::Code, Key::Target], clock::now());
        for (number, reason) in
            [(1, "UserNotFound"), (7, ""), (9, "LinkAndAddressTogether"), (11, "UserNotFound")]
        {
            census.add(&letter(number, reason));
        }
        let text = table(&census, None).to_string();
        for (told, expected) in [
            ("UserNotFound", true),
            ("(none given)", true),
            ("1..11", true),
            ("Code", false),
            ("older", false),
        ] {
            assert_eq!(text.contains(told), expected, "{told}\n{text}");
        }
        for width in [40, 60, 80] {
            let text = table(&census, Some(width)).to_string();
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
        }
    }
}
