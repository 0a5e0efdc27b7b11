//! `contactsync plan`: what would be written for a captured body, and why.

use std::{path::PathBuf, process::ExitCode};

use servicebus::{Message, clock};
use shared::plan::Planner;

use crate::{
    commands::{body, global::Global, json_text, print},
    preview::{
        Preview,
        render::{Details, Values},
    },
};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The body of a message; - reads standard input.
    file: PathBuf,
    /// Content type of the message. Rarely needed: the format is detected from the bytes.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Prints what `run` would do with a body. Needs the mapping of the settings, and no network.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let planner = global.planner()?;
    let message = body::message(&args.file, args.content_type.as_deref())?;
    print(&told(&message, &planner, args.json))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn told(message: &Message, planner: &Planner, json: bool) -> String {
    let preview = Preview::of(message, planner, clock::now());
    let details = Details { planner, values: Values::Shown, columns: false };
    if json { json_text(&details.json(&preview)) } else { details.text(&preview) }
}
