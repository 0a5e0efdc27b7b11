//! The demonstration: one contact change travels from Dataverse to a directory, then a few hundred travel from a queue,
//! and everything is accounted for at the end.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::ensure;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use emulator::graph::Counters;
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::{
    audit::{Findings, audit},
    directories::{DIRECTORIES, Shown},
    journey::travel,
    observe::Metrics,
    scenario::{Mix, Person, Scenario},
    world::{Options, QUEUE, World},
};

/// What the demonstration does wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    None,
    /// Takes one message out of the queue behind the worker's back.
    DropOne,
}

/// Settings that differ from the defaults, each because nobody wants to watch the real thing.
const SETTINGS: &str = r#"
[throttle]
# The local Graph has no quota; the real one allows 20 writes a second.
writes_per_second = 200.0
[retry]
# A user who does not exist is waited for, because a new one may not be found yet; minutes by default.
not_found_grace = "1s"
[telemetry]
log_format = "json"
"#;

/// The demo takes seconds; on a slow and busy machine it takes as long as it takes.
const PATIENCE: Duration = Duration::from_mins(5);

const SEED: u64 = 20_260_302;

/// Runs the demonstration; fails if anything was lost.
pub async fn run(sabotage: Sabotage) -> anyhow::Result<ExitCode> {
    let scenario = Scenario::mixed(Mix::DEMO, SEED);
    say("contactsync: Dataverse contact changes, by a Service Bus queue, to the users of Microsoft Graph.")?;
    say("Building the worker and starting a local Service Bus and a local Graph.")?;
    crate::binary::build()?;
    journey().await?;
    let world = World::start(Options::default()).await?;
    world.add_users(&scenario)?;
    say(&format!("  Service Bus  {}\n  Graph        {}\n", world.bus.address(), world.graph.http_url()))?;

    let started = Instant::now();
    post(&world, &scenario).await?;
    if sabotage == Sabotage::DropOne {
        drop_one(&world)?;
        say("One message was dropped on purpose.")?;
    }
    let settings = world.settings(SETTINGS)?;
    let mut worker = world.start_worker(&settings)?;
    watch(&world, scenario.postings.len()).await?;
    let ended = worker.metrics().await?;
    worker.stop().await?;
    let took = started.elapsed();

    let findings = audit(&world, &scenario)?;
    let counters = world.graph.counters();
    report(&world, &scenario, &findings, (&counters, &ended), took)?;
    directories().await?;
    verdict(&findings)
}

/// One change from a person to the directory, before the crowd.
async fn journey() -> anyhow::Result<()> {
    say("\nA person saves one contact in a local Dataverse, whose registered step posts to the queue:")?;
    let mut table = table(["after", "on the way"]);
    for (what, after) in travel(SETTINGS, PATIENCE).await? {
        table.add_row([format!("{:.1} ms", after.as_secs_f64() * 1_000.0), what.to_owned()]);
    }
    say(&format!("{table}\n\nAnd now a crowd, by messages that are made up:"))
}

async fn post(world: &World, scenario: &Scenario) -> anyhow::Result<()> {
    let bar = bar(scenario.postings.len(), "posting");
    world.post(scenario, |posted| bar.set_position(posted as u64)).await?;
    bar.finish_with_message("posted");
    Ok(())
}

fn drop_one(world: &World) -> anyhow::Result<()> {
    let gone = world.bus.broker(|broker, now| {
        let queue = broker.resolve(QUEUE)?;
        broker.delete(queue, 1, now, None, now)
    })?;
    ensure!(gone == 1, "there was no message to drop");
    Ok(())
}

/// Shows how the queue empties, until nothing is left in it.
async fn watch(world: &World, posted: usize) -> anyhow::Result<()> {
    let bar = bar(posted, "applying");
    let drained = world
        .until(PATIENCE, "the queue is empty", |world| {
            let counts = world.bus.counts(QUEUE)?;
            let left = counts.active + counts.scheduled + counts.deferred;
            bar.set_position(posted.saturating_sub(left) as u64);
            Ok((left == 0, format!("{counts:?}")))
        })
        .await;
    bar.finish_with_message("done");
    drained
}

fn bar(length: usize, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {msg:9} {bar:40} {pos}/{len} messages")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style).with_message(what)
}

fn report(
    world: &World,
    scenario: &Scenario,
    findings: &Findings,
    (counters, ended): (&Counters, &Metrics),
    took: Duration,
) -> anyhow::Result<()> {
    say(&format!("{}\n", outcomes(scenario, findings, ended)))?;
    say(&format!("{}\n", changed_users(world, scenario)))?;
    say(&format!("{}\n", dead_letters(world)?))?;
    let portal = Mix::DEMO.changes as u64;
    let tenths = portal * 10 / counters.writes.max(1);
    say(&format!(
        "{} messages in {:.1} s. {portal} changes of portal users took {} writes of the quota \
         ({}.{} changes a write); a write for each would have taken {} s of its 20 a second.",
        scenario.postings.len(),
        took.as_secs_f64(),
        counters.writes,
        tenths / 10,
        tenths % 10,
        portal / 20,
    ))
}

/// The same change in each kind of directory, as the preset for it has it.
async fn directories() -> anyhow::Result<()> {
    say(
        "\nThe same change of one person in two kinds of directory, each with a worker and preset of its own:",
    )?;
    let shown = DIRECTORIES.map(|directory| directory.show(SETTINGS, PATIENCE));
    let mut table = table(["directory", "before", "after"]);
    for Shown { directory, before, after } in try_join_all(shown).await? {
        table.add_row([format!("{}\npreset = \"{}\"", directory.name, directory.preset), before, after]);
    }
    say(&format!("{table}\n"))
}

/// How messages end, as the worker counts it, and how a person says it.
const ENDED: [(&str, &str); 4] = [
    ("applied", "applied, alone or merged with others of the same user"),
    ("stale", "superseded: newer values were there"),
    ("unchanged", "needing no write"),
    ("returned", "come back for another try, so counted once more"),
];

fn outcomes(scenario: &Scenario, findings: &Findings, ended: &Metrics) -> Table {
    let mut table = table(["messages", "count"]);
    let mut row = |what: String, count: String| {
        table.add_row([Cell::new(what), Cell::new(count).set_alignment(CellAlignment::Right)]);
    };
    row("posted".to_owned(), scenario.postings.len().to_string());
    for (outcome, what) in ENDED {
        let count = ended.sum("contactsync_messages_total", &format!("outcome=\"{outcome}\""));
        row(what.to_owned(), format!("{count:.0}"));
    }
    for (reason, count) in &findings.dead_letters {
        row(format!("dead-lettered: {reason}"), count.to_string());
    }
    table
}

/// A few of the users, before and after.
fn changed_users(world: &World, scenario: &Scenario) -> Table {
    let mut table = table(["user", "before", "after"]);
    let changed: Vec<_> =
        scenario.before.iter().filter(|(id, before)| scenario.after.get(id) != Some(before)).collect();
    for (id, before) in changed.iter().take(5) {
        let now = world.graph.user(**id);
        let text = |name| now.as_ref().and_then(|user| user.text(name)).unwrap_or("(empty)").to_owned();
        let after = format!("{} {}\n{}", text("givenName"), text("surname"), text("mail"));
        table.add_row([id.to_string(), shown(before), after]);
    }
    if changed.len() > 5 {
        table.add_row([format!("and {} more", changed.len() - 5), String::new(), String::new()]);
    }
    table
}

fn shown(person: &Person) -> String {
    format!("{} {}\n{}", person.given_name, person.surname.as_deref().unwrap_or("(empty)"), person.mail)
}

fn dead_letters(world: &World) -> anyhow::Result<Table> {
    let mut table = table(["dead letter", "what the operator reads"]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(110);
    let mut by_reason: BTreeMap<String, String> = BTreeMap::new();
    for letter in world.bus.contents(crate::world::DEAD_LETTERS)? {
        let text = |name| match letter.message.property(name) {
            Some(serde_amqp::Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        by_reason.entry(text("DeadLetterReason")).or_insert_with(|| text("DeadLetterErrorDescription"));
    }
    for (reason, description) in by_reason {
        table.add_row([reason, description]);
    }
    Ok(table)
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    table
}

fn verdict(findings: &Findings) -> anyhow::Result<ExitCode> {
    if findings.faults.is_empty() {
        say("Nothing was lost: every message is accounted for, and every user has the newest values.")?;
        say(
            "\nNext: cargo emulator keeps such services running and prints settings to paste; then contactsync check --online.",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    say("SOMETHING IS WRONG:")?;
    for fault in findings.faults.iter().take(20) {
        say(&format!("  {fault}"))?;
    }
    Ok(ExitCode::FAILURE)
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
