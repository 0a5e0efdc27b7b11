//! `contactsync check`: whether the settings can work, and whether everything that they name does.

mod online;
mod report;
mod trials;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Value, json};
use servicebus::clock;
use shared::{ids::UserId, target::TargetName};

use self::{
    report::{CheckEnd, Report},
    trials::Trials,
};

use crate::{
    commands::{
        body, config, global::Global, json_text, print, print_words, runtime::runtime, terminal::print_report,
    },
    preview::message_check,
    settings::{
        Parts, SettingsProblems,
        check::{self, Finding, Probe, Surroundings, permissions},
    },
};

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "\
Examples:
  contactsync check                         the settings alone, without any network
  contactsync check --replicas 3 --strict   for a pipeline: warnings fail too
  contactsync check --message body.json     the link and every mapped column, by a captured message
  contactsync check --online                credentials, permissions, queue, clock, the way to them, and what waits
  contactsync check --online --user ID      also a user, as far as a write goes without being sent

Exit codes: 0 nothing is wrong; 1 something that was tried failed, or a warning with --strict; 78 the settings \
cannot work.")]
pub struct Args {
    /// Number of replicas. Some findings depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replicas: Option<u32>,
    /// Check the settings against a captured message body, best of a contact that has a user: whether the link and
    /// each mapped column are in it. Prints names of columns, no values. - reads standard input.
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// With --message: content type of the message. Rarely needed: the format is detected from the bytes.
    #[arg(long, value_name = "TYPE", requires = "message")]
    content_type: Option<String>,
    /// Also try everything that `run` needs. Nothing is received and nothing is written.
    #[arg(long)]
    online: bool,
    /// With --online: object id of a user. Reads this user and reports what a change would write.
    #[arg(long, value_name = "ID", requires = "online", value_parser = user)]
    user: Option<UserId>,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
    /// Also list every setting with its value and origin, as `config show` does.
    #[arg(long)]
    list: bool,
    /// Print JSON instead of text.
    #[arg(long, conflicts_with = "list")]
    json: bool,
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::parse(text).ok_or("must be the object id of a user, a GUID")
}

/// Looks at the settings, tries out what it is asked to, and tells everything it found.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let mut targets = match global.checked()? {
        Ok(targets) => targets,
        Err(problems) => return nothing_to_check(&problems, args),
    };
    if targets.each.len() > 1 && args.user.is_some() {
        // A user is of one directory.
        targets = targets.only(None)?;
    }
    let common: Vec<_> = std::mem::take(&mut targets.problems).iter().map(Finding::mistake).collect();
    let mut told = Vec::new();
    let mut worst = if common.is_empty() { CheckEnd::Good } else { CheckEnd::BadSettings };
    if !args.json {
        print_words(&common.iter().fold(String::new(), |text, finding| format!("{text}{finding}\n")))?;
    }
    for parts in targets.each {
        let name = parts.target.clone();
        if let (Some(name), false) = (&name, args.json) {
            print_words(&format!("{}target {name}\n\n", if told.is_empty() { "" } else { "\n" }))?;
        }
        let (verdict, mut document) = check_one(parts, args)?;
        worst = worst.max(verdict);
        if let Some(name) = &name {
            document["target"] = json!(name.as_str());
        }
        told.push((name, document));
    }
    if args.json {
        print(&json_text(&document(told, &common)))?;
    }
    Ok(worst.code())
}

/// What is said where no settings can be read at all.
fn nothing_to_check(problems: &SettingsProblems, args: &Args) -> anyhow::Result<ExitCode> {
    let findings = problems.0.iter().map(Finding::mistake).collect();
    let report = Report { findings, strict: args.strict, ..Report::default() };
    print_report(&if args.json { json_text(&report.json()) } else { report.text() })?;
    Ok(report.end().code())
}

/// What is told to machines: of one target as ever, of several one after another.
fn document(mut told: Vec<(Option<TargetName>, Value)>, common: &[Finding]) -> Value {
    if let ([(None, _)], []) = (&*told, common) {
        return told.remove(0).1;
    }
    let told: Vec<_> = told.into_iter().map(|(_, document)| document).collect();
    let ok = common.is_empty() && told.iter().all(|document| document["ok"] == true);
    json!({
        "ok": ok,
        "findings": common.iter().map(Finding::json).collect::<Vec<Value>>(),
        "targets": told,
    })
}

/// The same for one target. Text is printed at once, the document for machines is returned.
fn check_one(parts: Parts, args: &Args) -> anyhow::Result<(CheckEnd, Value)> {
    let mut findings = check::findings(&parts, Surroundings { replicas: args.replicas });
    findings.extend(check::ending(&parts, clock::now()));
    findings.sort_by_key(|finding| finding.severity);
    let by_message = args.message.as_deref().map(|file| by_message(&parts, file, args)).transpose()?;
    if args.list {
        print(&config::table(&parts.entries))?;
    }
    let mut report = Report {
        findings,
        summary: summary(&parts),
        permissions: Some(permissions(&parts)),
        by_message: by_message.unwrap_or_default(),
        online: Vec::new(),
        strict: args.strict,
    };
    // What stands above is read while the rest is tried.
    if !args.json {
        print_report(&report.beginning())?;
    }
    let shown;
    (report.online, shown) = match parts.finish() {
        Ok(settings) if args.online => {
            let mut trials = Trials::begin(args.json);
            runtime()?.block_on(online::probes(&settings, args.user, &mut trials))?;
            trials.end()
        }
        Err(_) if args.online => (vec![Probe::skipped("online", "the settings cannot work")], false),
        _ => (Vec::new(), false),
    };
    if !args.json {
        print_report(&report.rest(shown))?;
    }
    Ok((report.end(), report.json()))
}

/// Judges the settings by a captured body, as far as the mapping can be read.
fn by_message(parts: &Parts, file: &Path, args: &Args) -> anyhow::Result<Vec<Probe>> {
    let message = body::message(file, args.content_type.as_deref())?;
    Ok(match &parts.planner {
        Some(planner) => message_check::check(&message, planner),
        None => vec![Probe::skipped("body", "the mapping cannot be used")],
    })
}

/// What the settings come to, as far as they can be read.
fn summary(parts: &Parts) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(bus) = &parts.bus {
        lines.push(("takes from", bus.to_string()));
    }
    if let Some(identity) = &parts.identity {
        lines.push(("writes as", identity.credential.to_string()));
    }
    if let Some(planner) = &parts.planner {
        let rows = planner.mapping.rows().iter().map(|row| format!("{} to {}", row.source, row.property));
        lines.push(("maps", rows.collect::<Vec<_>>().join(", ")));
        lines.push(("needs", permissions(parts).into_iter().collect::<Vec<_>>().join(", ")));
    }
    if let Some(notify) = parts.notify.as_ref().filter(|notify| !notify.channels.is_empty()) {
        let channels = notify.channels.iter().map(|channel| format!("{} ({})", channel.name, channel.way));
        lines.push(("tells", channels.collect::<Vec<_>>().join(", ")));
    }
    lines
}

/// The permissions that the app is given as a rule for these settings.
fn permissions(parts: &Parts) -> BTreeSet<&'static str> {
    let (Some(planner), Some(reading)) = (&parts.planner, parts.reading()) else { return BTreeSet::new() };
    permissions::needs(planner, &reading).iter().map(permissions::Need::usual).collect()
}
