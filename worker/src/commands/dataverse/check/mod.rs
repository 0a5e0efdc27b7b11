//! `contactsync dataverse check`: whether Dataverse lets us read what we have to, and whether it is the right one.

mod columns;
mod organization;
pub(in crate::commands) mod probes;
mod rights;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::{
    commands::{
        json_text, print,
        probes::{ended, table},
        terminal::print_report,
        waiting::patiently,
        wiring,
    },
    settings::{
        DataverseAlone, Settings,
        check::{Probe, Severity},
    },
};

/// Options of `dataverse check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is written. Without a credential that works it is still told to which tenant the environment belongs. A missing \
right is not always an error of Dataverse: a role whose depth is below Organization reads fewer rows, and a secured column \
reads as empty. Both are looked for here.

Exit codes: 0 nothing is wrong; 1 something failed, or a warning with --strict; 78 the settings cannot work.")]
pub struct Args {
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Tries everything out, and tells it.
pub(super) async fn run(settings: &Settings<DataverseAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    let clients = wiring::clients(&settings.connection)?;
    let probes = patiently("dataverse", probes::probes(settings, &clients)).await;
    if args.json {
        print(&json_text(&document(&probes)))?;
    } else {
        print_report(&table(&probes))?;
    }
    let bad = ended(&probes, Severity::Error) > 0 || args.strict && ended(&probes, Severity::Warning) > 0;
    Ok(ExitCode::from(u8::from(bad)))
}

fn document(probes: &[Probe]) -> Value {
    json!({
        "ok": ended(probes, Severity::Error) == 0,
        "errors": ended(probes, Severity::Error),
        "warnings": ended(probes, Severity::Warning),
        "notes": ended(probes, Severity::Note),
        "online": probes.iter().map(Probe::json).collect::<Vec<_>>(),
    })
}
