//! `replay --dry-run`: what would become of each message.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use serde_json::json;
use servicebus::{Message, Peek, clock};
use shared::{
    plan::Planner,
    reason::chain,
    shown::{brief, shown},
};

use super::Args;
use crate::{
    commands::{json_line, print, queues::Queues, screen::Screen, wiring},
    graph::{self, GraphClient},
    operate::dead_letters::{Letter, Selection, Walk},
    operate::replay::{File, Forecast, forecast},
    settings::Settings,
};

/// Says it, and changes nothing.
pub(super) async fn foretell(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let queues = Queues::open(settings, None)?;
    let graph = if args.online {
        Some(wiring::directory_for(settings, wiring::clients(&settings.connection)?, graph::Priority::Low))
    } else {
        None
    };
    let mut expected: BTreeMap<(Box<str>, &str, String), u64> = BTreeMap::new();
    let mut source = Source::open(settings, args, &queues)?;
    let mut screen = Screen::new(None);
    let mut count = 0;
    while let Some(message) = source.next().await? {
        count += 1;
        screen.at(count, &format!("{count} forecast"), || format!("{count} forecast"));
        let foreseen = foresee(&message, settings, graph.as_ref()).await;
        let letter = Letter::of(&message);
        if args.json {
            let line = json!({"event": "forecast", "sequence": letter.sequence.0, "reason": letter.reason,
                "outcome": foreseen.outcome(), "detail": foreseen.detail()});
            print(&json_line(&line))?;
        }
        *expected.entry((letter.reason, foreseen.outcome(), foreseen.detail())).or_default() += 1;
    }
    screen.end();
    queues.close().await;
    if args.json {
        print(&json_line(&json!({"event": "summary", "members": count, "dryRun": true})))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["Reason", "Would be", "Detail", "Messages"]);
    for ((reason, outcome, detail), count) in expected {
        table.add_row([&brief(&reason, 80), outcome, &*shown(&detail), &count.to_string()]);
    }
    print(&format!("{table}\n{count} messages; nothing was changed.\n"))?;
    Ok(ExitCode::SUCCESS)
}

async fn foresee(message: &Message, settings: &Settings, graph: Option<&GraphClient>) -> Forecast {
    let (offline, writes) = forecast(message, &settings.planner, clock::now());
    let Some(graph) = graph.filter(|_| !writes.is_empty()) else { return offline };
    let mut foreseen = Vec::with_capacity(writes.len());
    for write in &writes {
        match graph.foresee(write).await {
            Ok(one) => foreseen.push(one),
            Err(error) if error.is_about_the_user() => return Forecast::DeadLetter(error.dead_letter()),
            Err(error) => return Forecast::Unknown(chain(&error).into()),
        }
    }
    Forecast::of(&foreseen)
}

/// The messages of a forecast, one after another.
enum Source<'a> {
    Queue(Box<Looking<'a>>),
    File(Box<File>),
}

struct Looking<'a> {
    queue: &'a dyn Peek,
    selection: &'a Selection,
    planner: &'a Planner,
    walk: Walk,
    page: std::vec::IntoIter<Message>,
    left: u64,
}

impl<'a> Source<'a> {
    fn open(settings: &'a Settings, args: &'a Args, queues: &'a Queues) -> anyhow::Result<Self> {
        let (selection, planner) = (&args.selection, &settings.planner);
        let Some(path) = &args.from else {
            return Ok(Self::Queue(Box::new(Looking {
                queue: &queues.looking,
                selection,
                planner,
                walk: Walk::from(selection.first()),
                page: Vec::new().into_iter(),
                left: selection.limit.unwrap_or(u64::MAX),
            })));
        };
        let file = File::open(path, selection, planner, clock::now());
        Ok(Self::File(Box::new(file.with_context(|| format!("cannot read {}", path.display()))?)))
    }

    async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        match self {
            Self::File(file) => Ok(file.take()?),
            Self::Queue(looking) => looking.next().await,
        }
    }
}

impl Looking<'_> {
    async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        while self.left > 0 {
            let Some(message) = self.page.next() else {
                let behind = self.walk.last.is_some_and(|last| self.selection.is_behind(last));
                let page =
                    self.walk.page(self.queue).await.context("the dead letters cannot be looked at")?;
                if behind || page.is_empty() {
                    return Ok(None);
                }
                self.page = page.into_iter().map(|peeked| peeked.message).collect::<Vec<_>>().into_iter();
                continue;
            };
            if self.selection.matches(&message, clock::now(), self.planner) {
                self.left -= 1;
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}
