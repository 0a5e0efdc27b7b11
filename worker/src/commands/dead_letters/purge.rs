//! `dead-letters purge`: dead letters that nobody needs any more, out of the queue.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::bail;
use serde_json::json;
use uuid::Uuid;

use super::export::Output;
use crate::{
    commands::{
        print, print_words,
        probes::counted,
        queues::{Queues, choose, none_match},
        replay::{EventForm, Report, exit_code, window},
        runtime::stop_signal,
    },
    operate::{
        dead_letters::{Selection, span},
        replay::{Pacing, ReplayAction, ReplayOptions, ReplaySource, Run, SelectiveReceiver},
    },
    settings::{QueueAlone, Settings},
};

/// Options of `dead-letters purge`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(
    after_help = "Exit codes: 0 done, or told what would be; 1 not all of it; 2 wrong usage; 78 bad settings."
)]
pub struct Args {
    /// Delete. Without this, only print how many would be deleted.
    #[arg(long)]
    yes: bool,
    /// Export file, written before deletion. Default: a new file dead-letters-TIME-ID.jsonl.
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "no_export")]
    export: Option<PathBuf>,
    /// Delete without an export. The messages are lost for good.
    #[arg(long)]
    no_export: bool,
    /// How long to wait for messages that another receiver holds locked.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = span)]
    wait: Duration,
    /// How many unselected messages may be held locked at once to reach the selected ones.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = window)]
    window: usize,
    /// Also print a line for each message.
    #[arg(short, long)]
    verbose: bool,
    /// Print events as JSON lines, one for each message among them.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Takes them out.
pub(super) async fn run(settings: &Settings<QueueAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    if !args.selection.is_selective() {
        bail!(
            "purge needs at least one filter that says which dead letters nobody needs, for example --reason"
        );
    }
    let queues = Queues::open(settings, None)?;
    let exports = args.yes && !args.no_export;
    let mut output = exports.then(|| Output::choose(args.export.as_deref(), "dead-letters")).transpose()?;
    let (members, walk) = choose(&queues, &settings.planner, &args.selection, |message| {
        output.as_mut().map_or(Ok(()), |(_, output)| output.write(message))
    })
    .await?;
    if !args.yes {
        queues.close().await;
        print_words(&match members.len() {
            0 => none_match(walk.seen),
            count => {
                format!("{} would be removed; --yes does it.\n", counted(count as u64, "dead letter"))
            }
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some((path, output)) = &mut output {
        output.finish()?;
        tell(args, path, output.count)?;
    }
    let count = members.len() as u64;
    let dead = queues.receiving(&settings.bus)?;
    let receiver = SelectiveReceiver::new(Arc::clone(&dead), members, args.window);
    let options = ReplayOptions {
        replay: Uuid::new_v4(),
        action: ReplayAction::Remove,
        pacing: Pacing { rate: 10_000.0, canary: None, tolerance: None },
        patience: args.wait,
        members: count,
        looked_at: walk.seen,
        ends: queues.ends.clone(),
    };
    let mut report = Report::new(EventForm { json: args.json, verbose: args.verbose }, None, count);
    let target = Arc::clone(&queues.target);
    let run =
        Run::new(options, ReplaySource::Queue(Box::new(receiver)), target, None, |event| report.tell(&event));
    let summary = run.run(stop_signal()?).await;
    dead.close().await;
    queues.close().await;
    report.finished(&summary);
    report.end()?;
    Ok(exit_code(&summary))
}

fn tell(args: &Args, path: &Path, count: u64) -> anyhow::Result<()> {
    if args.json {
        return print(&format!("{}\n", json!({"event": "exported", "file": path, "count": count})));
    }
    print_words(&format!("{} written to {}\n", counted(count, "dead letter"), path.display()))
}
