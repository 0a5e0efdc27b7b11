//! `contactsync check`: whether the settings can work.

use std::{fmt::Write, process::ExitCode};

use crate::{
    cli::Cli,
    commands::print,
    config::{Entries, Entry, Graph},
};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also list every setting with its value and where it comes from; secrets stay hidden.
    #[arg(long)]
    list: bool,
}

/// Reads the settings and says what it found.
pub fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let settings = cli.settings()?;
    if args.list {
        print(&list(&settings.entries))?;
    }
    let mapping: Vec<_> = settings
        .planner
        .mapping
        .rows()
        .iter()
        .map(|row| format!("{} to {}", row.source, row.property))
        .collect();
    print(&format!(
        "The settings are good: {}, {}, {}.\n",
        settings.bus.source,
        settings.identity.credential,
        mapping.join(", ")
    ))?;
    print(&notes(&settings.graph))?;
    Ok(ExitCode::SUCCESS)
}

/// What can be right or wrong, depending on what only the operator knows.
fn notes(graph: &Graph) -> String {
    let mut notes = String::new();
    if graph.reading.guard.is_none() {
        notes.push_str(
            "Note: without guard.attribute, an old message that arrives after a restart, or by another replica, can \
             overwrite a newer value.\n",
        );
    } else if graph.verify_after.is_zero() {
        notes.push_str("Note: with several replicas, set guard.verify_after as well, for example to 10s.\n");
    }
    if graph.reading.diff {
        notes.push_str(
            "Note: graph.diff = \"read\" compares with values that can lag behind writes by seconds; it is safe \
             with one replica and a guard, and can lose a change that goes back to an earlier value otherwise.\n",
        );
    }
    notes
}

fn list(entries: &Entries) -> String {
    let width = entries.keys().map(String::len).max().unwrap_or(0);
    entries.iter().fold(String::new(), |mut text, (key, entry)| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{key:width$} = {}   # {}", shown(key, entry), entry.origin);
        text
    })
}

fn shown(key: &str, entry: &Entry) -> String {
    let secret = ["service_bus.connection_string", "telemetry.otlp_headers"].contains(&key)
        || key.ends_with(".client_secret");
    match entry.value.as_str() {
        Some(text) if secret && !text.is_empty() => "(hidden)".to_owned(),
        _ => entry.value.to_string(),
    }
}
