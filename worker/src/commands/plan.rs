//! `contactsync plan`: what would be written for captured bodies, and why.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Value, json};
use servicebus::{Message, clock};
use shared::{plan::Planner, shown::Shown};
use tokio::runtime::Runtime;

use crate::{
    commands::{body, fitted, global::Global, json_line, json_text, print, runtime::runtime, wiring},
    graph::{GraphClient, ThrottlePriority},
    preview::{
        Preview,
        render::{self, Details, Values},
    },
    settings::{GraphAlone, Settings},
};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync plan contact.json                what run would do with it; --values also says which values
  contactsync plan captured/*.json             with each of several; --json prints one object a line, with the file
  contactsync plan --online contact.json       the same, compared with the user, and who has a wanted address
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
    /// Also read each user from Graph and compare: what is so already, and which other user has an address that is wanted.
    #[arg(long)]
    online: bool,
    /// Also print values. They are personal data.
    #[arg(long)]
    values: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What a body is judged by.
pub(super) struct Judge {
    planner: Planner,
    /// Whom to ask; nobody without `--online`.
    asked: Option<(Runtime, GraphClient)>,
    values: Values,
}

/// Prints what `run` would do with each body. Needs the mapping of the settings, and no network unless it is asked for.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let judge = Judge::of(global, args)?;
    let mut failed = false;
    for (index, file) in args.files.iter().enumerate() {
        let message = body::message(file, args.content_type.as_deref())?;
        let preview = judge.preview(&message);
        failed |= preview.dead_letter().is_some();
        print(&match (args.files.len(), args.json) {
            (1, true) => json_text(&judge.json(&preview)),
            (1, false) => fitted(&judge.text(&preview)),
            (_, true) => {
                let mut told = judge.json(&preview);
                told["file"] = json!(file.display().to_string());
                json_line(&told)
            }
            (_, false) => fitted(&(heading(file, index) + &judge.text(&preview))),
        })?;
    }
    Ok(ExitCode::from(u8::from(failed)))
}

impl Judge {
    /// One that asks nobody, and tells values: for messages against which somebody has written down what is expected.
    pub(super) const fn offline(planner: Planner) -> Self {
        Self { planner, asked: None, values: Values::Shown }
    }

    fn of(global: &Global, args: &Args) -> anyhow::Result<Self> {
        let values = Values::from(args.values);
        if !args.online {
            return Ok(Self { values, ..Self::offline(global.planner()?) });
        }
        let settings: Settings<GraphAlone> = global.settings()?;
        let runtime = runtime()?;
        let directory = {
            // Connections belong to what they run on.
            let _entered = runtime.enter();
            wiring::directory_for(&settings, wiring::clients(&settings.connection)?, ThrottlePriority::Low)
        };
        Ok(Self { planner: settings.planner, asked: Some((runtime, directory)), values })
    }

    /// What would become of a message.
    pub(super) fn preview(&self, message: &Message) -> Preview {
        let (planner, now) = (&self.planner, clock::now());
        let Some((runtime, directory)) = &self.asked else { return Preview::of(message, planner, now) };
        runtime.block_on(async {
            let mut preview = Preview::asking(message, planner, now, directory).await;
            preview.compare(directory).await;
            preview
        })
    }

    /// The same in words.
    pub(super) fn text(&self, preview: &Preview) -> String {
        let mut text = self.details().text(preview);
        if self.asked.is_some() {
            for line in render::lines(preview, self.values) {
                render::line(&mut text, "by graph", &line);
            }
        }
        text
    }

    fn details(&self) -> Details<'_> {
        Details { planner: &self.planner, values: self.values, columns: false }
    }

    /// The document that `--json` prints.
    pub(super) fn json(&self, preview: &Preview) -> Value {
        let mut told = self.details().json(preview);
        if self.asked.is_some() {
            told["online"] = Value::Object(render::json(preview, self.values));
        }
        told
    }
}

fn heading(file: &Path, index: usize) -> String {
    let gap = if index > 0 { "\n" } else { "" };
    format!("{gap}{}:\n", Shown(file.display()))
}
