//! `contactsync reconcile`: all contacts against all users, and what differs to the queue.

mod open;
mod report;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use servicebus::clock;
use shared::drift::{Evidence, Limit, Limits, Objection};

pub(super) use self::open::{open, queues};
use self::report::Report;
use super::{
    queues::start_log,
    replay::rate,
    runtime::{runtime, stop_signal},
    waiting::patiently,
};
use crate::{
    commands::global::Global,
    operate::{
        dead_letters::span,
        reconcile::{
            ContactsRead, DriftFinding, DriftPlan, PassOptions, PostEnd, PostOptions, ReconcileError,
            RepairRun, StateFile, Toll, plan, stopped,
        },
        replay::{Pacing, Share},
    },
    settings::Settings,
};

/// How old the last pass over everything may be for one over what has changed. Dataverse remembers for a week, as a rule.
const LONGEST: Duration = Duration::from_hours(24 * 30);
/// The same where a run that was killed is gone on with.
const RESUMED: Duration = Duration::from_hours(24);

/// Options of `reconcile`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_long_help = "\
Both sides are read page by page; no value is kept or shown. What differs is read again and posted to the queue as a \
change of its contact, behind everything that is happening now, and the worker applies it. So a worker has to run.

A run that was killed is begun again by the same command: what was written is no difference any more. With --state, what it had \
found is not looked for again, and nothing is posted twice.

Examples:
  contactsync reconcile                                what differs, and why
  contactsync reconcile --apply --max-changes 100%     the first fill of a directory
  contactsync reconcile --apply --since 2d             contacts that were changed within two days
  contactsync reconcile --state r.state --changed      contacts that have changed since the last run with that file

Exit codes: 0 nothing differs, or all of it was applied; 1 something is left; 2 wrong usage; 78 bad settings.")]
pub struct Args {
    /// Print what differs, and change nothing. This is what happens without --apply, too.
    #[arg(long, conflicts_with = "apply")]
    plan: bool,
    /// Post what differs to the queue.
    #[arg(long)]
    apply: bool,
    /// Only contacts that were changed within this time, such as 12h or 2d. Users that somebody else changed are not all
    /// found so.
    #[arg(long, value_name = "DURATION", value_parser = span)]
    since: Option<Duration>,
    /// Only contacts that have changed since the last run with this state file, by Dataverse's change tracking, and those that
    /// differed then. All are read if that is not known.
    #[arg(long, requires = "state", conflicts_with = "since")]
    changed: bool,
    /// Rate of changes: 5, 5/s, 300/m. Graph allows 20 writes a second per app and tenant in all.
    #[arg(long, value_name = "N/s", default_value = "5/s", value_parser = rate)]
    rate: f64,
    /// Most users that may be written, as a number or as a share of the linked contacts.
    #[arg(long, value_name = "N|N%", default_value = "5%", value_parser = str::parse::<Limit>)]
    max_changes: Limit,
    /// Most users for whom one property may be emptied.
    #[arg(long, value_name = "N|N%", default_value = "1%", value_parser = str::parse::<Limit>)]
    max_clears: Limit,
    /// Go on although fewer contacts or users were read than were expected.
    #[arg(long)]
    accept_counts: bool,
    /// Write what is told as mark-ahead, too: the row is right, although its user was written with something newer. That is so
    /// if the database was restored and its rows are what shall hold, or if another contact had the user before and messages
    /// carry no row version.
    #[arg(long)]
    overrule: bool,
    /// Keep in this file what was counted and who differed, where a run over what has changed goes on, and what was posted.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How long a posted change may wait for the worker.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = span)]
    wait: Duration,
    /// Allow --apply without guard.attribute. A change that happens meanwhile can then be overwritten by the row that was
    /// read before it.
    #[arg(long)]
    unguarded: bool,
    /// Print one JSON object a difference, and one for the whole.
    #[arg(long)]
    json: bool,
}

/// Reads both sides, tells what differs, and posts it if that is asked for.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let settings = global.settings()?;
    if args.apply && !args.unguarded && settings.guard.attribute.is_none() {
        bail!(
            "guard.attribute is not set: a change that happens between the reading of a contact and its write would be \
             overwritten, and nobody could tell afterwards. Set guard.attribute and restart the workers, or say \
             --unguarded if that is fine"
        );
    }
    start_log(&settings.telemetry)?;
    runtime()?.block_on(reconcile(&settings, args))
}

async fn reconcile(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let mut report = Report::new(args.json);
    let mut opened = patiently("dataverse", open(settings, Toll::default())).await?;
    opened.sides.overrules = args.overrule;
    let sides = &opened.sides;
    let mut file = StateFile::open(args.state.as_deref(), opened.scope.clone())?;
    let begun = clock::now();
    let planned = {
        let contacts = contacts(args, &file, begun)?;
        report.expect(opened.access.counted, file.last());
        let report = std::cell::RefCell::new(&mut report);
        let told = |progress| report.borrow_mut().reading(progress);
        let found = |finding: DriftFinding<'_>| report.borrow_mut().found(&finding);
        tokio::select! {
            planned = plan(sides, PassOptions { contacts, begun, settled: None }, told, found) => planned?,
            () = stopped(stop.clone()) => bail!("stopped; nothing was changed"),
        }
    };
    let objections = objections(args, opened.evidence(file.last(), &planned), &planned);
    report.planned(&planned.totals, opened.asked(), &objections)?;
    if args.since.is_none() && !objections.iter().any(Objection::is_about_reading) {
        file.read(&planned)?;
    }
    let differs = !planned.totals.causes.is_empty();
    if args.plan || !args.apply || !objections.is_empty() {
        return Ok(ExitCode::from(u8::from(differs || !objections.is_empty())));
    }
    let queues = queues(settings)?;
    let options = PostOptions {
        pacing: Pacing { rate: args.rate, canary: None, tolerance: Some(Share::USUAL) },
        patience: args.wait,
        addressed_to: opened.addressed_to.clone(),
        at: queues.at.clone(),
    };
    let posted = async {
        let repair = RepairRun::begin(&queues, planned.writes, &mut file).await?;
        report.posting(repair.run, repair.writes.len() as u64);
        repair.post(sides, options, &mut file, |event| report.at(event), stop).await
    };
    let posted: Result<_, ReconcileError> = posted.await;
    queues.close().await;
    let posted = posted?;
    report.posted(&posted)?;
    let done = posted.end == PostEnd::Done && posted.event.failed == 0;
    Ok(ExitCode::from(u8::from(!done)))
}

/// Which contacts are read.
fn contacts<'f>(args: &Args, file: &'f StateFile, now: Timestamp) -> anyhow::Result<ContactsRead<'f>> {
    if let Some(since) = args.since {
        return Ok(ContactsRead::Since(before(now, since)?));
    }
    let goes_on = args.apply && file.unfinished().is_some();
    let longest = SignedDuration::try_from(if args.changed { LONGEST } else { RESUMED }).unwrap_or_default();
    let baseline = file.baseline().filter(|baseline| baseline.is_enough(now, longest));
    Ok(match baseline.filter(|_| args.changed || goes_on) {
        Some(baseline) => {
            tracing::info!(
                known = baseline.known.len(),
                "contacts that have changed, and those that differed, are read"
            );
            ContactsRead::Changed(baseline)
        }
        None => ContactsRead::All { tracked: args.state.is_some() },
    })
}

fn objections(args: &Args, evidence: Evidence, planned: &DriftPlan) -> Vec<Objection> {
    // A share is one of those that were changed since, where they are all that is looked at.
    let linked = evidence.linked.filter(|_| args.since.is_none());
    let evidence = Evidence { linked, ..evidence };
    let limits = Limits { changes: args.max_changes, clears: args.max_clears };
    let mut objections = limits.objections(&planned.totals, &evidence);
    objections.retain(|objection| !(args.accept_counts && is_count(objection)));
    objections
}

/// What a person may know better than the counts.
fn is_count(objection: &Objection) -> bool {
    matches!(objection, Objection::Count { .. } | Objection::Shrunk { .. })
}

fn before(now: Timestamp, since: Duration) -> anyhow::Result<Timestamp> {
    let since = SignedDuration::try_from(since).context("--since is too long")?;
    now.checked_sub(since).context("--since is too long")
}
