//! `replay --dry-run`: what would become of each message.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::Context;
use comfy_table::{Cell, CellAlignment};
use serde_json::json;
use servicebus::{Message, clock};
use shared::{
    plan::Planner,
    shown::{brief, shown},
};

use crate::{
    commands::{
        fitted, fitting, json_line, print,
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
    preview::{
        Preview,
        render::{self, READ_ROW},
    },
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
    let mut expected = Expected::new();
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
    print(&fitted(&forecast(&expected, count, terminal::width())))?;
    Ok(ExitCode::SUCCESS)
}

/// How many dead letters of each reason would end in which way.
type Expected = BTreeMap<(Box<str>, &'static str, String), u64>;

fn forecast(expected: &Expected, count: u64, width: Option<usize>) -> String {
    let mut table = fitting::table(["Reason", "Would be", "Detail", "Messages"], width);
    for ((reason, outcome, detail), count) in expected {
        let count = Cell::new(count).set_alignment(CellAlignment::Right);
        table.add_row([Cell::new(brief(reason, 80)), Cell::new(outcome), Cell::new(shown(detail)), count]);
    }
    let reads = expected.keys().any(|(_, outcome, _)| *outcome == READ_ROW);
    let aside = if reads {
        "read row: the row of the contact is read in Dataverse first, and decides what is written; nobody has asked \
         Dataverse now.\n"
    } else {
        ""
    };
    format!("{table}\n{aside}{}; nothing was changed.\n", counted(count, "message"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_read_first_is_explained_where_there_is_one() {
        let of = |outcome, detail: &str| {
            Expected::from([(("UserNotFound".into(), outcome, detail.to_owned()), 3)])
        };
        let told = forecast(&of("write", "givenName"), 3, Some(80));
        assert!(
            told.ends_with("\n3 messages; nothing was changed.\n") && !told.contains("read row"),
            "{told}"
        );
        let told = forecast(&of(READ_ROW, "replay"), 3, Some(80));
        assert!(told.contains("\nread row: the row of the contact is read in Dataverse first"), "{told}");
    }
}
