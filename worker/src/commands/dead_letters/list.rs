//! `dead-letters list`: groups and ages.

use std::{process::ExitCode, time::Duration};

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use serde_json::Value;
use servicebus::{admin::EntityProperties, clock};
use shared::shown::brief;
use tokio::time::timeout;

use crate::{
    commands::{
        json_text, print,
        queues::{Queues, choose},
        wiring,
    },
    operate::dead_letters::{AGES, DeadLetterGroups, Key, Letter, Selection},
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
pub struct Args {
    /// What to group by.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "reason,code,target")]
    by: Vec<Key>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Counts.
pub(super) async fn run(settings: &Settings<QueueAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    let queues = Queues::open(settings, None)?;
    let mut census = DeadLetterGroups::new(args.by.clone(), clock::now());
    let counting = choose(&*queues.looking, &settings.planner, &args.selection, |message| {
        census.add(&Letter::of(message));
        Ok(())
    });
    let (counted, properties) = tokio::join!(counting, properties(settings));
    queues.close().await;
    counted?;
    let cautions = cautions(&settings.bus, properties.as_ref());
    print(&if args.json {
        let mut told = census.json();
        told["warnings"] = cautions.iter().map(Caution::json).collect::<Value>();
        json_text(&told)
    } else {
        let warnings = cautions.iter().map(|caution| format!("{}\n", caution.text()));
        format!("{}{}", table(&census), warnings.collect::<String>())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// How the queue is set up, if we may know: it can be that dead letters are not where they are looked for.
async fn properties(settings: &Settings<QueueAlone>) -> Option<EntityProperties> {
    let clients = wiring::clients(&settings.connection).ok()?;
    let admin = wiring::admin(&settings.bus, &clients);
    let described = timeout(PATIENCE, admin.describe()).await.ok()?;
    described.ok().map(|described| described.properties)
}

fn table(census: &DeadLetterGroups) -> String {
    if census.total() == 0 {
        return "No dead letters.\n".to_owned();
    }
    let ages = AGES.iter().map(|(_, name)| *name).chain(["older"]);
    let by_age = census.by() == [Key::Age];
    let mut header: Vec<_> = census.by().iter().map(|key| key.heading()).collect();
    if !by_age {
        header.extend(ages);
    }
    header.extend(["Total", "Numbers"]);
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    let number = |number: u64| {
        let text = if number == 0 { String::new() } else { number.to_string() };
        Cell::new(text).set_alignment(CellAlignment::Right)
    };
    for (key, group) in census.groups() {
        let mut row: Vec<_> = key.iter().map(|part| Cell::new(brief(part, LONGEST_PART))).collect();
        if !by_age {
            row.extend(group.ages.iter().map(|count| number(*count)));
        }
        row.push(number(group.count));
        row.push(Cell::new(format!("{}..{}", group.first, group.last)));
        table.add_row(row);
    }
    format!("{table}\n{} dead letters\n", census.total())
}
