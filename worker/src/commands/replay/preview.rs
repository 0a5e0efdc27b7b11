//! `replay --dry-run`: what would become of each message.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::Context;
use serde_json::json;
use servicebus::{Message, clock};
use shared::{
    plan::Planner,
    shown::{brief, shown},
};

use crate::{
    commands::{
        fitting, json_line, print,
        probes::counted,
        queues::{Chosen, Queues},
        screen::Screen,
        terminal,
    },
    graph::GraphClient,
    operate::{
        dead_letters::{Letter, Selection},
        replay::File,
    },
    preview::{Preview, render},
    settings::{Bus, Needs, Settings},
};

/// What is asked for.
pub(super) struct Question<'a> {
    pub(super) selection: &'a Selection,
    /// A file to take the messages from in place of the queue.
    pub(super) from: Option<&'a Path>,
    pub(super) json: bool,
}

/// Says it, and changes nothing.
pub(super) async fn show<N>(
    settings: &Settings<N>,
    asked: &Question<'_>,
    graph: Option<GraphClient>,
) -> anyhow::Result<ExitCode>
where
    N: Needs<Bus = Bus>,
{
    let queues = Queues::open(settings, None)?;
    let mut expected: BTreeMap<(Box<str>, &str, String), u64> = BTreeMap::new();
    let mut source = Source::open(&settings.planner, asked, &queues)?;
    let mut count = 0_u64;
    while let Some(message) = source.next().await? {
        count += 1;
        let (outcome, detail) = outcome(&message, &settings.planner, graph.as_ref()).await;
        let letter = Letter::of(&message);
        if asked.json {
            let line = json!({"event": "forecast", "sequence": letter.sequence.0, "reason": letter.reason,
                "outcome": outcome, "detail": detail});
            print(&json_line(&line))?;
        }
        *expected.entry((letter.reason, outcome, detail)).or_default() += 1;
    }
    queues.close().await;
    if asked.json {
        print(&json_line(&json!({"event": "summary", "members": count, "dryRun": true})))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = fitting::table(["Reason", "Would be", "Detail", "Messages"], terminal::width());
    for ((reason, outcome, detail), count) in expected {
        table.add_row([&brief(&reason, 80), outcome, &*shown(&detail), &count.to_string()]);
    }
    print(&format!("{table}\n{}; nothing was changed.\n", counted(count, "message")))?;
    Ok(ExitCode::SUCCESS)
}

/// What would become of a message if it were put back now.
pub(in crate::commands) async fn outcome(
    message: &Message,
    planner: &Planner,
    graph: Option<&GraphClient>,
) -> (&'static str, String) {
    if message.body.is_err() {
        // No copy can be made of it, so it would stay where it is.
        return ("left", "its body cannot be read".into());
    }
    let mut preview = match graph {
        Some(graph) => Preview::asking(message, planner, clock::now(), graph).await,
        None => Preview::of(message, planner, clock::now()),
    };
    // What is good in a message that fails in part would be written again, and the message come back for the rest.
    if let (Some(graph), None) = (graph, &preview.letter) {
        preview.compare(graph).await;
    }
    render::outcome(&preview)
}

/// The messages that are meant, one after another.
enum Source<'a> {
    Queue(Box<Chosen<'a>>),
    File(Box<File>, Screen, u64),
}

impl<'a> Source<'a> {
    fn open(planner: &'a Planner, asked: &Question<'a>, queues: &'a Queues) -> anyhow::Result<Self> {
        let Some(path) = asked.from else {
            return Ok(Self::Queue(Box::new(Chosen::of(queues, planner, asked.selection))));
        };
        let file = File::open(path, asked.selection, planner, clock::now());
        let file = file.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::File(Box::new(file), Screen::new(None), 0))
    }

    async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        match self {
            Self::Queue(chosen) => chosen.next().await,
            Self::File(file, screen, count) => {
                let message = file.take()?;
                *count += 1;
                let told = format!("looked at {count} messages");
                screen.at(*count, &told, || told.clone());
                if message.is_none() {
                    screen.end();
                }
                Ok(message)
            }
        }
    }
}
