//! `contactsync replay`: dead letters back to the queue.

pub(super) mod preview;
mod report;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use servicebus::{MAX_CREDIT, Queue, clock};
use shared::target::TargetName;
use tokio::sync::watch;
use uuid::Uuid;

use self::preview::Question;
pub(super) use self::report::{EventForm, Report};
use super::{
    consent::{ask, may_ask},
    print, print_error,
    probes::counted,
    queues::{Queues, choose, failed, start_log},
    runtime::{runtime, stop_signal},
    wiring,
};
use crate::{
    commands::global::Global,
    operate::{
        dead_letters::{Selection, span},
        replay::{
            File, Pacing, ReplayAction, ReplayEnd, ReplayOptions, ReplaySource, Run, SelectiveReceiver,
            Share, Summary, Watch,
        },
    },
    settings::{QueueAlone, Settings},
};

/// Exit code for a command that does not say what it has to.
const WRONG_USAGE: u8 = 2;

/// Options of `replay`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_long_help = "\
What receiving costs: Service Bus hands out dead letters from the front only. To reach a message, those before it \
have to be taken under lock; they are given back untouched and in their place, without a raised delivery count. \
While a run lasts, nobody else can receive them, but everybody can look at them. A run that is killed leaves its \
locks to lapse (the queue's lock duration), which raises the delivery count of what it held by one; dead letters \
never move because of that.

A message is only taken out after the service has confirmed its copy. Whatever happens in between, a message can \
come twice and never not at all. With guard.attribute set, a message that comes twice or is old changes nothing.

Examples:
  contactsync dead-letters list                             what there is, and why
  contactsync replay --reason UserNotFound --dry-run        what would become of it
  contactsync replay --reason UserNotFound --canary 10      ten first, then slowly more
  contactsync replay --reason UserNotFound --abort-if-failing 20%
  contactsync replay --all                                  every dead letter

Exit codes: 0 all of the set was put back, 1 not all of it, 2 wrong usage, 78 bad settings.")]
pub struct Args {
    /// Print what would become of each message, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: also read each user from Graph and compare.
    #[arg(long, requires = "dry_run")]
    online: bool,
    /// Rate of messages: 10, 10/s, 300/m. Graph allows 20 writes a second per app and tenant in all.
    #[arg(long, value_name = "N/s", default_value = "10/s", value_parser = rate)]
    rate: f64,
    /// Requeue this many first and wait for their outcome; then continue at an eighth, a quarter, half and all of
    /// the rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    canary: Option<u64>,
    /// Stop when more than this share of the requeued messages becomes dead letters again. The default with
    /// --canary is 20%.
    #[arg(long, value_name = "SHARE")]
    abort_if_failing: Option<Share>,
    /// How long to wait for outcomes, and for messages that another receiver holds locked.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = span)]
    wait: Duration,
    /// How many unselected messages may be held locked at once to reach the selected ones.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = window)]
    window: usize,
    /// Requeue messages from a file of `dead-letters export` instead of from the dead-letter queue.
    #[arg(long, value_name = "FILE.jsonl")]
    from: Option<PathBuf>,
    /// Send to this queue or topic instead of the original one.
    #[arg(long, value_name = "QUEUE")]
    to: Option<String>,
    /// Allow replay without guard.attribute. Old messages can then overwrite newer values.
    #[arg(long)]
    unguarded: bool,
    /// Also append every event, one per requeued message, to this file as JSON lines.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Put back every dead letter, where no filter says which. Without this it is asked on a terminal, and refused elsewhere.
    #[arg(long, visible_alias = "yes")]
    all: bool,
    /// Also print a line for each message.
    #[arg(short, long)]
    verbose: bool,
    /// Print events as JSON lines, one for each message among them.
    #[arg(long)]
    json: bool,
    // The last, because its heading is for all that follows.
    #[command(flatten)]
    selection: Selection,
}

/// Replays.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let settings: Settings<QueueAlone> = global.settings()?;
    if !args.dry_run && !args.unguarded && settings.guard.attribute.is_none() {
        bail!(
            "guard.attribute is not set: a dead letter that is older than what a user has by now would overwrite the \
             newer values, and nobody could tell afterwards. Set guard.attribute and restart the workers, or look at \
             `replay --dry-run --online` and say --unguarded if that is fine"
        );
    }
    start_log(&settings.telemetry)?;
    runtime()?.block_on(async {
        if !args.dry_run {
            if !says_which(args) && (args.json || !may_ask()) {
                print_error(&anyhow!(
                    "without a filter replay puts every dead letter back; say which by a filter such as --reason, or --all"
                ));
                return Ok(ExitCode::from(WRONG_USAGE));
            }
            return put_back(&settings, args).await;
        }
        let asked = Question { selection: &args.selection, from: args.from.as_deref(), json: args.json };
        let graph = args.online.then(|| wiring::directory_beside(global)).transpose()?;
        preview::show(&settings, &asked, graph).await
    })
}

/// Whether somebody has said which messages are meant.
fn says_which(args: &Args) -> bool {
    args.all || args.from.is_some() || args.selection.limit.is_some() || args.selection.is_selective()
}

async fn put_back(settings: &Settings<QueueAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    let replay = Uuid::new_v4();
    let form = EventForm { json: args.json, verbose: args.verbose };
    // What cannot be written is told before anybody waits for a queue.
    let audit = args.audit.as_deref().map(report::audit).transpose()?;
    let queues = Queues::open(settings, args.to.as_deref())?;
    let (source, members, looked_at) = source(settings, args, &queues).await?;
    if members > 0 && !says_which(args) && !confirmed(members).await? {
        queues.close().await;
        print("Nothing was put back.\n")?;
        return Ok(ExitCode::FAILURE);
    }
    let stop = stop_signal()?;
    let pacing = Pacing { rate: args.rate, canary: args.canary, tolerance: args.abort_if_failing };
    let watch = if pacing.watches() {
        let watch = Watch::begin(Arc::clone(&queues.target), Arc::clone(&queues.target_dead), replay);
        Some(
            watch
                .await
                .map_err(|error| failed(&error, &queues.ends.1).context("the queue cannot be looked at"))?,
        )
    } else {
        None
    };
    let options = ReplayOptions {
        replay,
        action: ReplayAction::PutBack,
        pacing,
        patience: args.wait,
        members,
        looked_at,
        ends: queues.ends.clone(),
    };
    let mut report = Report::new(form, audit, members);
    let addressed_to = settings.planner.addressee.as_ref().map(|addressee| addressee.own.clone());
    let sending = Sending { queues: &queues, addressed_to };
    let summary = carry_out(options, source, &sending, watch, &mut report, stop).await;
    report.end()?;
    Ok(exit_code(&summary))
}

/// Asks whether all of them are meant.
async fn confirmed(members: u64) -> anyhow::Result<bool> {
    let answer = ask(&format!("Put back all {}?", counted(members, "dead letter"))).await?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Fixes the set, and where its messages come from; with how many there are and were looked at.
async fn source(
    settings: &Settings<QueueAlone>,
    args: &Args,
    queues: &Queues,
) -> anyhow::Result<(ReplaySource<dyn Queue>, u64, u64)> {
    let Some(path) = &args.from else {
        let (members, walk) = choose(queues, &settings.planner, &args.selection, |_| Ok(())).await?;
        let count = members.len() as u64;
        let receiver = SelectiveReceiver::new(queues.receiving(&settings.bus)?, members, args.window);
        return Ok((ReplaySource::Queue(Box::new(receiver)), count, walk.seen));
    };
    let now = clock::now();
    let context = || format!("cannot read {}", path.display());
    let open = || File::open(path, &args.selection, &settings.planner, now).with_context(context);
    let (mut counted, mut members) = (open()?, 0);
    while counted.take().with_context(context)?.is_some() {
        members += 1;
    }
    Ok((ReplaySource::File(Box::new(open()?)), members, members))
}

/// Where copies go, and which of several targets they are for.
struct Sending<'q> {
    queues: &'q Queues,
    addressed_to: Option<TargetName>,
}

async fn carry_out(
    options: ReplayOptions,
    source: ReplaySource<dyn Queue>,
    Sending { queues, addressed_to }: &Sending<'_>,
    watch: Option<Watch<dyn Queue>>,
    report: &mut Report,
    stop: watch::Receiver<bool>,
) -> Summary {
    let receiving = match &source {
        ReplaySource::Queue(receiver) => Some(Arc::clone(receiver.queue())),
        ReplaySource::File(_) => None,
    };
    let run = Run::new(options, source, Arc::clone(&queues.target), watch, |event| report.tell(&event));
    let summary = run.addressed_to(addressed_to.clone()).run(stop).await;
    if let Some(receiving) = receiving {
        // What was completed or given back has to leave the machine before the process ends.
        receiving.close().await;
    }
    queues.close().await;
    report.finished(&summary);
    summary
}

pub(super) fn exit_code(summary: &Summary) -> ExitCode {
    ExitCode::from(u8::from(summary.end != ReplayEnd::Done || summary.left > 0))
}

pub(super) fn rate(text: &str) -> Result<f64, &'static str> {
    let (number, per) = match text.trim().split_once('/') {
        None => (text.trim(), 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3_600.0),
        Some(_) => return Err("is not a rate such as 10/s, 300/m or 1000/h"),
    };
    let rate: f64 = number.trim().parse().map_err(|_| "is not a rate such as 10/s, 300/m or 1000/h")?;
    let rate = rate / per;
    if (0.001..=10_000.0).contains(&rate) { Ok(rate) } else { Err("must be from 0.001 to 10000 a second") }
}

pub(super) fn window(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| (1..=MAX_CREDIT).contains(number));
    number.ok_or("must be from 1 to 5000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, expected) in [("10", 10.0), ("10/s", 10.0), ("300/m", 5.0), ("7200/h", 2.0), ("0.5", 0.5)]
        {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "-1", "10/d", "fast", "1e9"] {
            rate(text).expect_err(text);
        }
    }
}
