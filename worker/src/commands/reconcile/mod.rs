//! `contactsync reconcile`: all contacts against all users, and what differs to the queue.

mod report;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use servicebus::{Queue, clock};
use shared::{
    drift::{Candidate, Evidence, LastRun, Limit, Limits, Objection, StateScope},
    plan::ChangeFilter,
};
use uuid::Uuid;

use self::report::Report;
use super::{
    queues::{failed, start_log},
    replay::rate,
    runtime::{runtime, stop_signal},
    waiting::patiently,
    wiring,
};
use crate::{
    commands::global::Global,
    graph::ThrottlePriority,
    operate::{
        dead_letters::span,
        reconcile::{
            ContactAccess, DriftPlan, PostEnd, PostOptions, Posted, Posting, ReconcileError, RowReader,
            Sides, StateFile, plan, under_way,
        },
        replay::{Pacing, Share, Watch},
    },
    settings::{Settings, check::EntityUse},
};

/// Options of `reconcile`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_long_help = "\
Both sides are read page by page; no value is kept or shown. What differs is read again and posted to the queue as a \
change of its contact, behind everything that is happening now, and the worker applies it. So a worker has to run.

A run that was killed is begun again by the same command: what was written is no difference any more.

Examples:
  contactsync reconcile                                what differs, and why
  contactsync reconcile --apply --max-changes 100%     the first fill of a directory
  contactsync reconcile --apply --since 2d             contacts that were changed within two days

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
    /// Rate of changes: 5, 5/s, 300/m. Graph allows 20 writes a second per app and tenant in all.
    #[arg(long, value_name = "N/s", default_value = "5/s", value_parser = rate)]
    rate: f64,
    /// Most users that may be written, as a number or as a share of the linked contacts.
    #[arg(long, value_name = "N|N%", default_value = "5%", value_parser = limit)]
    max_changes: Limit,
    /// Most users for whom one property may be emptied.
    #[arg(long, value_name = "N|N%", default_value = "1%", value_parser = limit)]
    max_clears: Limit,
    /// Go on although fewer contacts or users were read than were expected.
    #[arg(long)]
    accept_counts: bool,
    /// Keep counts of the last run and what a run has posted in this file.
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
    let (sides, access) = patiently("dataverse", sides(settings)).await?;
    let mut file = StateFile::open(args.state.as_deref(), belongs_to(settings, &sides, &access))?;
    let now = clock::now();
    let since = args.since.map(|since| before(now, since)).transpose()?;
    let planned = {
        let report = std::cell::RefCell::new(&mut report);
        let told = |progress| report.borrow_mut().reading(progress);
        let found =
            |finding: crate::operate::reconcile::DriftFinding<'_>| report.borrow_mut().found(&finding);
        tokio::select! {
            planned = plan(&sides, since, told, found) => planned?,
            () = stopped(stop.clone()) => bail!("stopped; nothing was changed"),
        }
    };
    let evidence = Evidence {
        reads_all: access.reads_all,
        secured: sides.reader.secured().to_vec(),
        counted: access.counted,
        last: file.last().map(|last| (last.contacts, last.users)),
        full: since.is_none(),
    };
    let limits = Limits { changes: args.max_changes, clears: args.max_clears };
    let mut objections = limits.objections(&planned.totals, &evidence);
    objections.retain(|objection| !(args.accept_counts && is_count(objection)));
    report.planned(&planned.totals, &objections)?;
    let differs = !planned.totals.causes.is_empty();
    if args.plan || !args.apply || !objections.is_empty() {
        return Ok(ExitCode::from(u8::from(differs || !objections.is_empty())));
    }
    if since.is_none() {
        let (contacts, users) = (planned.totals.contacts, planned.totals.users);
        file.counted(LastRun { contacts, users, at: now.as_millisecond() })?;
    }
    let posted = apply(settings, args, &sides, (planned, &mut file), &mut report, stop).await?;
    report.posted(&posted)?;
    let done = posted.end == PostEnd::Done && posted.event.failed == 0;
    Ok(ExitCode::from(u8::from(!done)))
}

async fn apply(
    settings: &Settings,
    args: &Args,
    sides: &Sides,
    (planned, file): (DriftPlan, &mut StateFile),
    report: &mut Report,
    stop: tokio::sync::watch::Receiver<bool>,
) -> anyhow::Result<Posted> {
    let clients = wiring::clients(&settings.connection)?;
    let way = wiring::queue_settings(settings, &clients);
    let queue = wiring::queue_without_intake(&way)?;
    let dead = wiring::queue_without_intake(&way.dead_letters())?;
    let at = EntityUse::copies(&settings.bus);
    let writes = fresh(planned.writes, (&*queue, &at), file).await?;
    let run = file.begin(Uuid::new_v4())?;
    let watch: Watch<dyn Queue> = Watch::begin(Arc::clone(&queue), Arc::clone(&dead), run)
        .await
        .map_err(|error| not_looked_at(&error, &at))?;
    let options = PostOptions {
        run,
        pacing: Pacing { rate: args.rate, canary: None, tolerance: Some(Share::USUAL) },
        patience: args.wait,
        addressed_to: settings.planner.addressee.as_ref().map(|addressee| addressee.own.clone()),
        at,
    };
    report.posting(run, writes.len() as u64);
    let posting = Posting::new(sides, (Arc::clone(&queue), watch), options, file, |event| report.at(event));
    let posted = posting.post(&writes, stop).await;
    queue.close().await;
    dead.close().await;
    let posted = posted?;
    if posted.end == PostEnd::Done {
        file.end()?;
    }
    Ok(posted)
}

/// The contacts of which no message of a run before waits still.
async fn fresh(
    writes: Vec<Candidate>,
    (queue, at): (&dyn Queue, &EntityUse),
    file: &StateFile,
) -> anyhow::Result<Vec<Candidate>> {
    let Some(run) = file.unfinished() else { return Ok(writes) };
    let waiting = under_way(queue, run, file).await.map_err(|error| not_looked_at(&error, at))?;
    Ok(writes.into_iter().filter(|candidate| !waiting.contains(&candidate.contact)).collect())
}

fn not_looked_at(error: &servicebus::Error, at: &EntityUse) -> anyhow::Error {
    failed(error, at).context("the queue cannot be looked at")
}

/// Both sides, and who reads Dataverse.
async fn sides(settings: &Settings) -> anyhow::Result<(Sides, ContactAccess)> {
    let clients = wiring::clients(&settings.connection)?;
    let dataverse = wiring::dataverse(settings, &clients).context(
        "reconcile reads contacts from Dataverse: set dataverse.url and the keys of [dataverse.identity]",
    )?;
    let planner = settings.planner.clone();
    if !counts_updates(&planner.filter) {
        return Err(ReconcileError::NoUpdates.into());
    }
    let access = ContactAccess::ask(&dataverse).await?;
    if !planner.organizations.is_empty() && !planner.organizations.contains(&access.organization) {
        bail!(
            "dataverse.url leads to the organization {}, which filter.organizations does not name; its changes would \
             not count",
            access.organization
        );
    }
    let columns = dataverse.columns("contact").await.map_err(ReconcileError::from)?;
    let reader = RowReader::new(access.organization, &planner, &columns)?;
    // What is only compared can wait for what is written.
    let graph = wiring::directory_for(settings, clients, ThrottlePriority::Low);
    Ok((Sides { dataverse, graph, planner, reading: settings.reading(), reader }, access))
}

fn counts_updates(filter: &ChangeFilter) -> bool {
    filter.operations.contains(&shared::change::Operation::Update)
}

/// What a state file belongs to.
fn belongs_to(settings: &Settings, sides: &Sides, access: &ContactAccess) -> StateScope {
    StateScope {
        organization: access.organization.to_string().into(),
        directory: settings.fingerprint().into(),
        columns: sides.reader.names().map(Into::into).collect(),
    }
}

/// What a person may know better than the counts.
fn is_count(objection: &Objection) -> bool {
    matches!(objection, Objection::Count { .. } | Objection::Shrunk { .. })
}

fn before(now: Timestamp, since: Duration) -> anyhow::Result<Timestamp> {
    let since = SignedDuration::try_from(since).context("--since is too long")?;
    now.checked_sub(since).context("--since is too long")
}

async fn stopped(mut stop: tokio::sync::watch::Receiver<bool>) {
    // An end of the sender is an end as well.
    drop(stop.wait_for(|stop| *stop).await);
}

fn limit(text: &str) -> Result<Limit, &'static str> {
    let wrong = "is not a number such as 500 or a share such as 5%";
    match text.trim().strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.trim().parse().map_err(|_| wrong)?;
            if (0.0..=100.0).contains(&share) {
                Ok(Limit::Share(share / 100.0))
            } else {
                Err("must be from 0% to 100%")
            }
        }
        None => text.trim().parse().map(Limit::Count).map_err(|_| wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_shares() {
        for (text, expected) in [
            ("500", Limit::Count(500)),
            ("0", Limit::Count(0)),
            ("5%", Limit::Share(0.05)),
            ("2.5 %", Limit::Share(0.025)),
        ] {
            assert_eq!(limit(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "many", "101%", "-1%", "5.5"] {
            limit(text).expect_err(text);
        }
    }
}
