//! `contactsync dataverse register`: the endpoint, the steps and the images that the settings need.

use std::{io::Read, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use shared::shown::Shown;

use super::{
    ground::{EndpointName, Ground, failed, heading, heading_json, lacking, told},
    verify,
};
use crate::{
    commands::{fitted, json_text, print, print_words, probes::plural},
    dataverse::registration::{
        Deed, Desired, Done, KeyProblem, NotRegistered, PlanOptions, RegistrationPlan, RolePurpose, SendKey,
        Unfinished, carry_out, compare, join_solution,
    },
    settings::{QueueAndDataverse, Settings},
    text_file,
};

/// Options of `dataverse register`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "\
Only what differs is written, so it can be run again at any time, also after it was cut off. What belongs to others or to a \
managed solution is told and left alone.

The key with which Dataverse sends is that of service_bus.connection_string, or better one of a policy that may send and \
nothing else, from --key-file. Where the worker signs in with an identity there is no other: Dataverse needs a key.

Examples:
  contactsync dataverse register                                  what would be done
  contactsync dataverse register --apply --key-file send.txt      do it, with this key
  contactsync dataverse register --apply --rotate-key --key-file send.txt
                                                                  after an import, or when the key was replaced

Exit codes: 0 it is as wanted; 1 something would be done, was refused or failed; 2 wrong usage; 78 bad settings.")]
pub struct Args {
    #[command(flatten)]
    name: EndpointName,
    /// Tell what would be done. This is so unless --apply is given.
    #[arg(long, conflicts_with = "apply")]
    plan: bool,
    /// Do it, and verify it afterwards.
    #[arg(long)]
    apply: bool,
    /// Put the endpoint and its steps into this unmanaged solution, by its unique name.
    #[arg(long, value_name = "NAME")]
    solution: Option<String>,
    /// File with the key for Dataverse: the connection string of a policy with Send, or the key alone. - reads standard input.
    #[arg(long, value_name = "FILE", env = "CONTACTSYNC_SEND_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// Name of the policy, if the file holds the key alone.
    #[arg(long, value_name = "NAME", requires = "key_file")]
    key_name: Option<String>,
    /// Send the key although one is set.
    #[arg(long)]
    rotate_key: bool,
    /// Take over an endpoint that was registered for another organization: both will post to one queue.
    #[arg(long)]
    allow_shared_queue: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Plans, and carries out what was planned.
pub(super) async fn run(
    settings: Settings<QueueAndDataverse>,
    beside: &[Settings<QueueAndDataverse>],
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let ground = Ground::open(settings, beside, &args.name).await?;
    let options = PlanOptions {
        key: key(args, &ground.settings, &ground.desired)?,
        rotate_key: args.rotate_key,
        allow_shared_queue: args.allow_shared_queue,
    };
    let missing = ground.missing(&[RolePurpose::Verify, RolePurpose::Register]).await?;
    let found = ground.look().await?;
    let mut document = heading_json(&found, &ground.desired);
    if !args.json {
        print_words(&(heading(&found, &ground.desired) + &lacking(&missing)))?;
    }
    let plan = match RegistrationPlan::of(&ground.desired, &found, &options) {
        Ok(plan) => plan,
        Err(refusals) => bail!(refused(&refusals)),
    };
    document["plan"] = deeds(&plan);
    if !args.apply {
        let deviations = compare(&ground.desired, &found);
        verify::describe(&mut document, &deviations, &missing);
        document["ok"] = json!(document["ok"] == true && plan.is_empty());
        print(&if args.json {
            json_text(&document)
        } else {
            fitted(&(planned(&plan) + &told(&deviations)))
        })?;
        return Ok(ExitCode::from(u8::from(!plan.is_empty() || !verify::is_good(&deviations, false))));
    }
    let result = carry_out(&ground.client, &plan, args.solution.as_deref(), |deed, how| {
        if !args.json {
            tell(deed, how);
        }
    });
    result.await.map_err(with_role)?;
    let after = ground.look().await?;
    if let Some(solution) = &args.solution {
        // What is new is in it already, and once more makes no difference.
        join_solution(&ground.client, &ground.desired, &after, solution).await.map_err(failed)?;
    }
    let deviations = compare(&ground.desired, &after);
    verify::describe(&mut document, &deviations, &missing);
    print(&if args.json { json_text(&document) } else { fitted(&(done(&plan) + &told(&deviations))) })?;
    Ok(ExitCode::from(u8::from(!verify::is_good(&deviations, false))))
}

/// The key for Dataverse: the one that is named, else the worker's own.
fn key(
    args: &Args,
    settings: &Settings<QueueAndDataverse>,
    desired: &Desired,
) -> anyhow::Result<Option<SendKey>> {
    if let Some(file) = &args.key_file {
        let text = if file.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
            text
        } else {
            text_file::read(file).with_context(|| format!("the file {} of --key-file", file.display()))?
        };
        let key = SendKey::parse(&text, args.key_name.as_deref(), desired);
        return key.map(Some).context("the key of --key-file cannot be used");
    }
    match settings.bus.namespace.access.shared().map(SendKey::of) {
        Some(Ok(key)) => Ok(Some(key)),
        Some(Err(KeyProblem::Signature)) | None => Ok(None),
        Some(Err(error)) => Err(error.into()),
    }
}

fn refused(refusals: &[NotRegistered]) -> String {
    let told: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    format!("nothing is written: {}", told.join("; and "))
}

fn planned(plan: &RegistrationPlan) -> String {
    if plan.is_empty() {
        return "Nothing is to be done.\n\n".to_owned();
    }
    let mut text = String::new();
    for deed in &plan.deeds {
        for line in deed.to_string().lines() {
            text.push_str(&Shown(line).to_string());
            text.push('\n');
        }
    }
    format!("{text}\n{}. Until then:\n\n", would_be_done(plan))
}

fn done(plan: &RegistrationPlan) -> String {
    if plan.is_empty() {
        return "Nothing was to be done.\n\n".to_owned();
    }
    format!("\n{}.\n\n", was_done(plan))
}

/// How much would be done, and how to have it done.
pub(super) fn would_be_done(plan: &RegistrationPlan) -> String {
    let all = plan.deeds.len();
    format!("{all} thing{} would be done; --apply does them", plural(all))
}

/// How much was done.
pub(super) fn was_done(plan: &RegistrationPlan) -> String {
    match plan.deeds.len() {
        1 => "One thing was done".to_owned(),
        all => format!("{all} things were done"),
    }
}

/// Tells at once what was done; if it is cut off, this much is certain.
pub(super) fn tell(deed: &Deed, how: Done) {
    let aside = match how {
        Done::AsPlanned => "",
        Done::WithoutVersion => ", without the row version, which this environment refuses in images",
    };
    // A reader that has gone away stops nothing.
    drop(print_words(&format!("done  {:7}{}{aside}\n", deed.verb.as_str(), Shown(&deed.title))));
}

/// Adds the role, if that is what is missing.
pub(super) fn with_role(unfinished: Unfinished) -> anyhow::Error {
    let lacks = unfinished.lacks_privilege();
    let error = anyhow::Error::new(unfinished);
    if lacks { error.context(role()) } else { error }
}

/// The role in a line.
fn role() -> String {
    let wanted = |(purpose, _): &&(RolePurpose, &str)| *purpose == RolePurpose::Register;
    let names: Vec<_> =
        crate::dataverse::registration::ROLES.iter().filter(wanted).map(|(_, name)| *name).collect();
    format!(
        "the application user needs, besides what verify needs, {} for the whole organization \
         (deploy/dataverse/README.md)",
        names.join(", ")
    )
}

/// A plan for machines.
pub(super) fn deeds(plan: &RegistrationPlan) -> Value {
    plan.deeds.iter().map(Deed::json).collect()
}
