//! `dead-letters list`: groups and ages.

use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_BORDERS_ONLY};

use crate::{
    clock,
    commands::{
        print,
        queues::{Queues, choose},
    },
    config::Settings,
    dead_letters::{AGES, Census, Key, Letter, Selection},
};

/// Options of `dead-letters list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// By what to group.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "reason,code,target")]
    by: Vec<Key>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Counts.
pub(super) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let queues = Queues::open(settings, None)?;
    let mut census = Census::new(args.by.clone(), clock::now());
    let counted = choose(&queues.looking, settings, &args.selection, |message| {
        census.add(&Letter::of(message));
        Ok(())
    })
    .await;
    queues.close().await;
    counted?;
    print(&if args.json { format!("{:#}\n", census.json()) } else { table(&census) })?;
    Ok(ExitCode::SUCCESS)
}

fn table(census: &Census) -> String {
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
        let mut row: Vec<_> = key.iter().map(Cell::new).collect();
        if !by_age {
            row.extend(group.ages.iter().map(|count| number(*count)));
        }
        row.push(number(group.count));
        row.push(Cell::new(format!("{}..{}", group.first, group.last)));
        table.add_row(row);
    }
    format!("{table}\n{} dead letters\n", census.total())
}
