//! `contactsync plan`: what would be written for captured bodies, and why.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Value, json};
use servicebus::{Message, clock};
use shared::{plan::Planner, shown::Shown};

use crate::{
    commands::{body, global::Global, json_line, json_text, print},
    preview::{
        Preview,
        render::{Details, Values},
    },
};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync plan contact.json                what run would do with it
  contactsync plan captured/*.json             with each of several; --json prints one object a line, with the file
  contactsync map test captured                whether the mapping makes of them what it should

Exit codes: 0 each body would be written or needs nothing, 1 one would become a dead letter or cannot be read, 2 wrong \
usage, 78 bad settings.")]
pub struct Args {
    /// Bodies of messages; - reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Content type of the messages. Rarely needed: the format is detected from the bytes.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What `run` would do with a body.
pub(super) struct Told {
    pub(super) text: String,
    /// Whether it would become a dead letter, if only after some of it is written.
    pub(super) is_dead_letter: bool,
}

/// Prints what `run` would do with each body. Needs the mapping of the settings, and no network.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let planner = global.planner()?;
    let mut failed = false;
    for (index, file) in args.files.iter().enumerate() {
        let message = body::message(file, args.content_type.as_deref())?;
        let told = match (args.files.len(), args.json) {
            (1, json) => told(&message, &planner, json),
            (_, true) => told_with(&message, &planner, |details, preview| {
                let mut told = details.json(preview);
                told["file"] = json!(file.display().to_string());
                json_line(&told)
            }),
            (_, false) => {
                let head = heading(file, index);
                told_with(&message, &planner, |details, preview| head + &details.text(preview))
            }
        };
        failed |= told.is_dead_letter;
        print(&told.text)?;
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn heading(file: &Path, index: usize) -> String {
    let gap = if index > 0 { "\n" } else { "" };
    format!("{gap}{}:\n", Shown(file.display()))
}

pub(super) fn told(message: &Message, planner: &Planner, json: bool) -> Told {
    told_with(
        message,
        planner,
        |details, preview| {
            if json { json_text(&details.json(preview)) } else { details.text(preview) }
        },
    )
}

/// The document that `--json` prints.
pub(super) fn told_json(message: &Message, planner: &Planner) -> Value {
    let preview = Preview::of(message, planner, clock::now());
    details(planner).json(&preview)
}

fn told_with(
    message: &Message,
    planner: &Planner,
    text: impl FnOnce(&Details<'_>, &Preview) -> String,
) -> Told {
    let preview = Preview::of(message, planner, clock::now());
    let text = text(&details(planner), &preview);
    Told { text, is_dead_letter: preview.dead_letter().is_some() }
}

fn details(planner: &Planner) -> Details<'_> {
    Details { planner, values: Values::Shown, columns: false }
}
