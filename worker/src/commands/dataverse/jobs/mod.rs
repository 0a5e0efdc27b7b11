//! `contactsync dataverse jobs`: changes that Dataverse could not post to the queue.

mod again;
mod explain;
mod groups;
mod look;
mod resume;
mod tell;

use std::{process::ExitCode, time::Duration};

use anyhow::bail;

use self::{explain::told, tell::Report};
use crate::{
    commands::{waiting::patiently, wiring},
    dataverse::{Client, WhoAmI},
    operate::dead_letters::span,
    settings::{QueueAndDataverse, Settings},
};

/// Options of `dataverse jobs`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "\
Dataverse makes a system job for each change and deletes it once the message is in the queue. What is listed here has not \
arrived. Nothing listed is no proof that all is well: a step that does not fire leaves no job. So it is also told when a worker \
has last received a message, if one answers at http.listen.

--resume lets waiting jobs run at once, once their cause is mended. A failed job is dead; --again reads its contact and sends it \
to the queue as a change, at the version that the row has now. In such a message the link counts as new, so a sign-in address \
is not moved by it: if it differs, the message becomes a dead letter (LinkAndAddressTogether).

Examples:
  contactsync dataverse jobs                          what failed or waits, of the last day
  contactsync dataverse jobs --since 7d --failed      only what is dead, of the last week
  contactsync dataverse jobs --resume --yes           let what waits run at once
  contactsync dataverse jobs --since 2h --again       which contacts would be sent again
  contactsync dataverse jobs --since 2h --again --yes send them

Exit codes: 0 nothing has failed or waits, or all of it was handled; 1 something has, or a call failed; 78 the settings cannot \
work.")]
pub struct Args {
    /// Only jobs that have failed, and none that wait.
    #[arg(long, conflicts_with = "resume")]
    failed: bool,
    /// Jobs of changes that are no older than this.
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = span)]
    since: Duration,
    /// Let waiting jobs run at once, a few a second. Needs the privilege prvWriteAsyncOperation.
    #[arg(long)]
    resume: bool,
    /// Read the contacts of failed jobs and send each to the queue as a change.
    #[arg(long)]
    again: bool,
    /// Do what --resume and --again say. Without this, it is only told.
    #[arg(long)]
    yes: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Looks, tells, and does what it is asked to.
pub(super) async fn run(settings: &Settings<QueueAndDataverse>, args: &Args) -> anyhow::Result<ExitCode> {
    if args.yes && !args.resume && !args.again {
        bail!("--yes says that something is to be done; say what, by --resume or --again");
    }
    let clients = wiring::clients(&settings.connection)?;
    let client = wiring::dataverse_of(settings.dataverse.required()?, &clients);
    let who = patiently("dataverse", ours(settings, &client)).await?;
    let looking = look::look(settings, &client, args.since, args.failed);
    let findings = patiently("the system jobs of dataverse", looking).await?;
    let seen = look::last_received(settings, &clients).await;
    let mut report = Report::of(&findings, seen, args.since);
    if args.resume {
        report.resumed = Some(resume::resume(&client, &findings.jobs, args.yes).await.map_err(told)?);
    }
    if args.again {
        let plan = again::plan(settings, &client, who.organization_id, &findings.jobs).await?;
        report.again =
            Some(if args.yes { again::send(settings, &clients, plan).await? } else { plan.only_told() });
    }
    report.print(args.json)?;
    Ok(ExitCode::from(u8::from(!report.is_settled())))
}

/// Who we are, in an organization whose messages are accepted.
async fn ours(settings: &Settings<QueueAndDataverse>, client: &Client) -> anyhow::Result<WhoAmI> {
    let who = client.who_am_i().await.map_err(told)?;
    let accepted = &settings.planner.organizations;
    if !accepted.is_empty() && !accepted.contains(&who.organization_id) {
        bail!(
            "dataverse.url leads to organization {}, whose messages filter.organizations does not accept; set it to the \
             environment that posts to the queue",
            who.organization_id
        );
    }
    Ok(who)
}
