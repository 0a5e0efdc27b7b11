//! `targets compare`: whether two directories hold the same of the same contacts.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use servicebus::clock;
use shared::{
    comparison::{ComparisonScope, ContactNaming, Side},
    shown::Shown,
    target::TargetName,
};

use super::report::Report;
use crate::{
    commands::{
        fitted, global::Global, print, print_error, queues::start_log, runtime::runtime, screen::Screen,
        wiring,
    },
    graph::ThrottlePriority,
    operate::{
        compare::{
            ComparedDirectory, ComparisonResult, ComparisonState, DirectoryComparison, ReadProgress,
            StateHeader, compare,
        },
        dead_letters::span,
        read_pace::ReadPace,
        replay::Share,
    },
    settings::{GraphAlone, Settings},
};

/// Exit code if nothing can be said.
const CANNOT: u8 = 2;

/// Options of `targets compare`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Users of the two directories are paired by their contact. What a user says of its contact depends on the settings of its \
target: an attribute with the contact's id (link.rules, or link.owner_attribute), its object id, or the id of an identity, \
which stand in a column of the contact. The first of them that means the same in both targets counts.

Of two users of one contact those properties are compared that both mappings write from the same column. Of addresses, \
capital letters do not count; mail, the sign-in address and the contact's element of otherMails are held against each other. \
Names of properties are printed, and object ids with --list; never a value.

The directories are read one after the other while changes go on, so whatever differs is looked at once more before it is \
told. Nothing is written to either.

Examples:
  contactsync targets compare                                  the two targets of the settings
  contactsync targets compare b2c external-id --list           these two; each user that differs, by object id
  contactsync targets compare --state compare.state            goes on where a run with this file was killed

Exit codes: 0 all agree; 1 there are differences; 2 they could not be compared, or wrong usage; 78 bad settings.")]
pub struct Args {
    /// The two targets, if the settings have more.
    #[arg(value_name = "NAME", num_args = 0..=2)]
    targets: Vec<String>,
    /// Keep what was read in this file, and go on with it after a run that was killed. It holds object ids, keyed hashes of
    /// values and their key, so nobody else may read it; it is removed at the end.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How much of what Graph lets an app read to use, so that workers and other apps have the rest.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    share: Share,
    /// How long to wait before whatever differs is looked at once more: changes may be under way.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    settle: Duration,
    /// Also name each user that differs or is missing, by object id.
    #[arg(long)]
    list: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Compares.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let all = global.targets()?.needed()?;
    let compared = both(all, &args.targets).and_then(|targets| {
        start_log(&targets[0].1.telemetry)?;
        runtime()?.block_on(carry_out(&targets, args))
    });
    Ok(compared.unwrap_or_else(|error| {
        print_error(&error);
        ExitCode::from(CANNOT)
    }))
}

type Target = (TargetName, Settings<GraphAlone>);

/// The two that are meant, in the order in which they are.
fn both(all: Vec<Settings<GraphAlone>>, wanted: &[String]) -> anyhow::Result<[Target; 2]> {
    let by_name = |settings: Settings<GraphAlone>| Some((settings.target.clone()?, settings));
    let mut targets: Vec<Target> = all.into_iter().filter_map(by_name).collect();
    ensure!(
        targets.len() > 1,
        "two targets can be compared, and the settings have no two [[target]] (leave --target out)"
    );
    let known = targets.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ");
    if let Some(stranger) = wanted.iter().find(|wanted| !targets.iter().any(|(name, _)| is(name, wanted))) {
        bail!("there is no target {stranger}; the settings have {known}");
    }
    if let [first, ..] = wanted {
        targets.retain(|(name, _)| wanted.iter().any(|wanted| is(name, wanted)));
        // There are two at most now.
        targets.sort_by_key(|(name, _)| !is(name, first));
    }
    targets.try_into().map_err(|_| anyhow!("name two targets of those in the settings: {known}"))
}

fn is(name: &TargetName, wanted: &str) -> bool {
    name.as_str() == wanted
}

async fn carry_out(targets: &[Target; 2], args: &Args) -> anyhow::Result<ExitCode> {
    let [(first, one), (second, other)] = targets;
    let ways = [one, other].map(|settings| ContactNaming::of(&settings.planner, &settings.terms));
    let Some(naming) = ContactNaming::shared_by(&ways[0], &ways[1]) else {
        bail!(
            "nothing tells which users of {first} and {second} are of one contact: their links mean different columns. Set \
             link.owner_attribute in both, which notes the contact at each user that is written"
        )
    };
    let scope = ComparisonScope::of(&one.planner.mapping, &other.planner.mapping);
    let read = scope.read.each_ref().map(Vec::len);
    let state = match &args.state {
        None => ComparisonState::in_memory(clock::now()),
        Some(path) => ComparisonState::open(path, &header(targets), read, clock::now())
            .with_context(|| format!("{} cannot be used", Shown(path.display())))?,
    };
    let directory = |side: Side| -> anyhow::Result<ComparedDirectory> {
        let (name, settings) = &targets[side.index()];
        let clients = wiring::clients(&settings.connection)?;
        let client = wiring::directory_for(settings, clients, ThrottlePriority::Low);
        let pace = ReadPace::graph(args.share.fraction()).context("--share must be above 0%")?;
        let of = (naming[side.index()].clone(), &*scope.read[side.index()]);
        Ok(ComparedDirectory::new(name.clone(), client, of, &settings.terms, pace))
    };
    let directories = [directory(Side::First)?, directory(Side::Second)?];
    let begun = state.begun();
    let mut run = DirectoryComparison { scope, directories, state, settle: args.settle };
    let mut screen = Screen::new(None);
    let compared = compare(&mut run, |progress| show(&mut screen, [first, second], progress)).await;
    screen.end();
    let ComparisonResult { found, looked_again } = compared?;
    let names = [first.as_str(), second.as_str()];
    let report = Report { names, naming: &naming, scope: &run.scope, found: &found, begun, looked_again };
    print(&if args.json { report.json(args.list) } else { fitted(&report.text(args.list)) })?;
    run.state.remove().context("the file of the state cannot be removed; remove it by hand")?;
    Ok(ExitCode::from(if report.is_empty() { CANNOT } else { u8::from(!found.all_agree()) }))
}

/// What a state has to be of.
fn header(targets: &[Target; 2]) -> StateHeader {
    let tenant = |settings: &Settings<GraphAlone>| match settings.identity.credential.app() {
        Some(app) => app.tenant.clone(),
        None => "that of the managed identity".into(),
    };
    StateHeader {
        contactsync: env!("CARGO_PKG_VERSION").into(),
        targets: targets.each_ref().map(|(name, _)| name.as_str().into()),
        tenants: targets.each_ref().map(|(_, settings)| tenant(settings)),
        settings: targets.each_ref().map(|(_, settings)| settings.fingerprint().into()),
    }
}

fn show(screen: &mut Screen, [first, second]: [&TargetName; 2], progress: ReadProgress) {
    let (done, text) = match progress {
        ReadProgress::Read([one, other]) => {
            (one + other, format!("{one} users of {first}, {other} of {second} read"))
        }
        ReadProgress::LookedAgain { done, of } => {
            (done, format!("{done} of {of} differences looked at once more"))
        }
    };
    screen.at(done as u64, &text, || text.clone());
}
