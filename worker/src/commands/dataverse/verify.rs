//! `contactsync dataverse verify`: whether Dataverse posts what the settings need.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use jiff::SignedDuration;
use serde_json::{Value, json};
use servicebus::clock;
use shared::ids::ContactId;
use uuid::Uuid;

use super::{
    fire,
    ground::{EndpointName, Ground, counts, failed, heading, heading_json, lacking, told},
};
use crate::{
    commands::{global::Global, json_text, print, print_words},
    dataverse::{
        Job, Kind, Wanted,
        registration::{Deviation, DeviationKind, Found, RolePurpose, compare},
    },
    operate::dead_letters::span,
    settings::{QueueAndDataverse, Settings},
};

/// Most failed jobs of a step that are counted.
const MOST_JOBS: usize = 100;

/// Options of `dataverse verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --fire nothing is written. Each deviation is told with what to do about it; contactsync dataverse register puts \
right what is ours.

Examples:
  contactsync dataverse verify                 what is registered, against the settings
  contactsync dataverse verify --strict        for a pipeline: warnings fail too
  contactsync dataverse verify --fire ID       also change nothing of one contact, and follow it to its user

Exit codes: 0 nothing is wrong; 1 an error was found, or a warning with --strict, or what was fired did not arrive; \
78 the settings cannot work.")]
pub struct Args {
    #[command(flatten)]
    name: EndpointName,
    /// Write one mapped column of this contact again with its present value, and follow the message to the user. Needs the
    /// right to write contacts.
    #[arg(long, value_name = "CONTACT", value_parser = contact)]
    fire: Option<ContactId>,
    /// With --fire: how long to follow it.
    #[arg(long, value_name = "TIME", default_value = "2m", requires = "fire", value_parser = span)]
    wait: Duration,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

fn contact(text: &str) -> Result<ContactId, &'static str> {
    Uuid::try_parse(text).map(ContactId).map_err(|_| "must be the id of a contact, a GUID")
}

/// Looks, compares, and fires if it is asked to.
pub(super) async fn run(
    settings: Settings<QueueAndDataverse>,
    beside: &[Settings<QueueAndDataverse>],
    global: &Global,
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let target = settings.target.as_ref().map(|target| target.as_str().to_owned());
    // Whoever only compares need not be able to ask Graph.
    let directory = args.fire.map(|_| global.settings_of(target.as_deref())).transpose()?;
    let ground = Ground::open(settings, beside, &args.name).await?;
    let purposes: &[_] =
        if args.fire.is_some() { &[RolePurpose::Verify, RolePurpose::Fire] } else { &[RolePurpose::Verify] };
    let missing = ground.missing(purposes).await?;
    let found = ground.look().await?;
    let mut deviations = compare(&ground.desired, &found);
    deviations.extend(failed_jobs(&ground, &found).await?);
    if !args.json {
        print_words(&(heading(&found, &ground.desired) + &lacking(&missing) + &told(&deviations)))?;
    }
    let mut document = heading_json(&found, &ground.desired);
    describe(&mut document, &deviations, &missing);
    let mut ok = is_good(&deviations, args.strict);
    if let (Some(contact), Some(directory)) = (args.fire, &directory) {
        let trail = fire::fire(&ground, &found, contact, (directory, args.wait), args.json).await?;
        ok &= trail.arrived();
        document["fire"] = trail.json();
        document["ok"] = json!(document["ok"] == true && trail.arrived());
    }
    if args.json {
        print(&json_text(&document))?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What could not be posted within a day. Who may not look at jobs is told so by the missing privilege.
async fn failed_jobs(ground: &Ground, found: &Found) -> anyhow::Result<Option<Deviation>> {
    let since = clock::now().checked_sub(SignedDuration::from_hours(24))?;
    let (mut count, mut more, mut codes) = (0, false, BTreeSet::new());
    for step in &found.steps {
        let jobs = match ground.client.jobs(step.id, Wanted::Failed, since, MOST_JOBS).await {
            Err(error) if error.kind() == Some(Kind::Privilege) => return Ok(None),
            jobs => jobs.map_err(failed)?,
        };
        count += jobs.0.len();
        more |= jobs.1;
        codes.extend(jobs.0.iter().filter_map(Job::code).map(|code| code.to_string()));
    }
    if count == 0 {
        return Ok(None);
    }
    let what = format!(
        "{count}{} changes of the last 24 hours could not be posted: {}",
        if more { " and more" } else { "" },
        codes.into_iter().collect::<Vec<_>>().join(", ")
    );
    let deviation = Deviation::new(DeviationKind::JobsFailed, "system jobs", what);
    Ok(Some(deviation.by_hand("contactsync dataverse jobs tells why, and brings them back")))
}

pub(super) fn is_good(deviations: &[Deviation], strict: bool) -> bool {
    let [errors, warnings, _] = counts(deviations);
    errors == 0 && !(strict && warnings > 0)
}

/// Adds what was found to what is told to machines.
pub(super) fn describe(document: &mut Value, deviations: &[Deviation], missing: &[&str]) {
    let [errors, warnings, notes] = counts(deviations);
    document["ok"] = json!(errors == 0);
    document["errors"] = json!(errors);
    document["warnings"] = json!(warnings);
    document["notes"] = json!(notes);
    document["missingPrivileges"] = json!(missing);
    document["findings"] = deviations.iter().map(Deviation::json).collect();
}
