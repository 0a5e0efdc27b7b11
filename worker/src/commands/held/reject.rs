//! `held reject`: takes messages out.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use serde_json::json;
use servicebus::Queue;
use shared::shown::Shown;

use super::consent::Decision;
use crate::{
    commands::{dead_letters::Output, json_text, print, print_words},
    operate::held::{HeldFilter, each_held, take_back},
    settings::{QueueAlone, Settings},
};

/// Options of `held reject`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "\
Messages are written to the file first, and taken out of the queue when it is on the disk; a command that is killed in between is \
simply begun again, with the same file: what stands in it already is not written again, and a line that was cut off is. The file \
has the form of dead-letters export: contactsync replay --from FILE puts messages back that were rejected by mistake. It holds \
bodies, and with them personal data.

What is rejected is not undone in Dataverse: mend the contacts there, and the changes that do so are written. Further changes of \
the same author and property are held until none has come for the time of mass_change.window.

Exit codes: 0 all were taken out, 1 not all or nobody has said yes, 2 wrong usage, 78 bad settings.")]
pub struct Args {
    /// All that is held aside, where no filter says which.
    #[arg(long)]
    all: bool,
    /// Do it without being asked.
    #[arg(long)]
    yes: bool,
    /// Export file, written before anything is taken out. If it exists, it is gone on with. Default: a new file
    /// held-TIME-ID.jsonl.
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "no_export")]
    export: Option<PathBuf>,
    /// Take them out without an export. The messages are lost for good.
    #[arg(long)]
    no_export: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: HeldFilter,
}

/// Takes them out.
pub(super) async fn run(
    queue: &dyn Queue,
    settings: &Settings<QueueAlone>,
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let decision = Decision {
        filter: &args.filter,
        all: args.all,
        yes: args.yes,
        json: args.json,
        question: |count| {
            format!("Take these {count} messages out, so that their changes are never written?")
        },
        would: "taken out",
    };
    let Some(count) = decision.agreed(queue, settings).await? else { return Ok(ExitCode::FAILURE) };
    let exports = count > 0 && !args.no_export;
    let mut output = exports.then(|| Output::choose(args.export.as_deref(), "held")).transpose()?;
    let mut numbers = Vec::new();
    each_held(queue, &args.filter, &settings.planner, |message, _| {
        numbers.push(message.sequence);
        output.as_mut().map_or(Ok(()), |(_, output)| output.write(message))
    })
    .await
    .context("the queue cannot be looked at; nothing was taken out")?;
    output.as_mut().map_or(Ok(()), |(_, output)| output.finish())?;
    let gone = take_back(queue, &numbers)
        .await
        .context("not all could be taken out; the same command goes on with the rest")?;
    tell(args, (numbers.len() as u64 - gone, gone), output)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(args: &Args, (taken, gone): (u64, u64), output: Option<(PathBuf, Output)>) -> anyhow::Result<()> {
    let (there, cut) = output.as_ref().map_or((0, false), |(_, output)| (output.there, output.cut));
    let path = output.map(|(path, _)| path);
    if args.json {
        let told = json!({ "rejected": taken, "gone": gone, "file": path, "alreadyInFile": there, "lineWasCut": cut });
        return print(&json_text(&told));
    }
    let to = path.map_or_else(String::new, |path| format!("; they are in {}", Shown(path.display())));
    print_words(&format!("{taken} messages were taken out{to}\n"))?;
    if there > 0 {
        print_words(&format!("{there} of them stood in the file already\n"))?;
    }
    if cut {
        print_words(
            "The last line of the file had been cut off; its message was in the queue still, and is written anew\n",
        )?;
    }
    if gone > 0 {
        print_words(&format!("{gone} more had been decided about meanwhile, or had come due\n"))?;
    }
    Ok(())
}
