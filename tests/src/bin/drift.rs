//! What it costs to hold many contacts against their users: `cargo run --release -p tests --bin drift -- 100000`. With `--kills` it
//! is also killed, again and again, and has to come to the same.

use std::{collections::BTreeSet, io::Write, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use emulator::{
    ca::Ca,
    dataverse::{Dataverse, Options, value},
    graph::User,
};
use serde_json::{Map, Value, json};
use shared::{
    ids::OrganizationId,
    mark::Mark,
    property::Property,
    version::{Realm, RowVersion, Version},
};
use tests::{
    binary, killed,
    load::usage::Usage,
    organization,
    quick::{GUARDED, QUICK, contact, user},
    world::{self, World},
};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

/// Users that differ for each cause.
const OF_EACH: usize = 100;
/// The causes, by the number of a contact within the first hundreds.
const CAUSES: [&str; 3] = ["never-applied", "missed", "changed-elsewhere"];
/// Users that differ.
const DIFFER: usize = OF_EACH * CAUSES.len();

#[tokio::main]
async fn main() -> Result<()> {
    let contacts: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    ensure!(contacts >= DIFFER, "there have to be at least 300 contacts");
    binary::build()?;
    let mut options = Options::default();
    options.seed.contacts = (1..=contacts).map(row).collect();
    let world = World::start(world::Options::default()).await?;
    let dataverse = Dataverse::start(options, &Ca::new()?, &world.graph).await?;
    for number in 1..=contacts {
        world.graph.add_user(person(&dataverse, number)?)?;
    }
    let settings = world.layered(&[QUICK, GUARDED, &organization::settings(&world, &dataverse)])?;
    let found = look(&settings, contacts, &world, &dataverse).await?;
    if std::env::args().any(|argument| argument == "--kills") {
        kill_and_resume(&settings, &found, &world, &dataverse).await?;
    }
    Ok(())
}

fn command(settings: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = binary::command()?;
    command.args(["reconcile", "--json", "--config"]).arg(settings).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    Ok(command)
}

/// Holds all against all, and tells what it costs beside what is allowed.
async fn look(
    settings: &Path,
    contacts: usize,
    world: &World,
    dataverse: &Dataverse,
) -> Result<BTreeSet<String>> {
    let begun = Instant::now();
    let child = command(settings, &[])?.spawn()?;
    let process = child.id().context("it runs")?;
    let output = child.wait_with_output();
    let mut output = std::pin::pin!(output);
    let mut peak = 0;
    let output = loop {
        tokio::select! {
            output = &mut output => break output?,
            () = sleep(Duration::from_millis(20)) => peak = peak.max(Usage::of(process).peak),
        }
    };
    let took = begun.elapsed();
    let events = events(&output.stdout)?;
    check(&events)?;
    let rows = dataverse.journal().iter().filter(|entry| entry.method == "GET").count();
    let users = world.calls().len();
    let plan = events.iter().find(|event| event["event"] == "plan").context("a plan")?;
    let told = json!({"dataverse": rows, "graph": users});
    ensure!(plan["requests"] == told, "it tells {} and the services {told}", plan["requests"]);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{contacts} contacts, {DIFFER} differences found exactly, each with its cause")?;
    writeln!(out, "took {:.1} s; at most {} MB resident", took.as_secs_f64(), peak / 1_000_000)?;
    ensure!(peak <= 100_000_000, "more than 100 MB");
    writeln!(
        out,
        "Dataverse: {rows} requests, one after another; its limits are 6,000 in 300 s, 1,200 s of them together, 52 at once"
    )?;
    writeln!(
        out,
        "Graph: {users} reads, {} resource units at most; its limit is 3,500 to 8,000 in 10 s by the size of the tenant",
        2 * users
    )?;
    Ok(differences(&events))
}

/// Kills it ten times while it reads, and ten times while it posts beside a worker; then nothing else has been found or written.
async fn kill_and_resume(
    settings: &Path,
    expected: &BTreeSet<String>,
    world: &World,
    dataverse: &Dataverse,
) -> Result<()> {
    let state = world.folder().join("run.state");
    let state = state.to_str().context("a path")?;
    let steps = || Ok(killed::steps(world, dataverse));
    let seed = rand::random();
    let plan = || command(settings, &["--state", state]);
    let kills = killed::killed(10, seed, 1..=430, plan, steps).await?;
    let found = differences(&events(&plan()?.output().await?.stdout)?);
    ensure!(found == *expected, "seed {seed}: {} differences after {kills} kills", found.len());
    let worker = world.start_worker(settings)?;
    let all = ["--apply", "--max-changes", "100%", "--rate", "200", "--wait", "5m", "--state", state];
    let apply = || command(settings, &all);
    let more = killed::killed(10, seed, 1..=250, apply, steps).await?;
    let ended = apply()?.output().await?;
    ensure!(ended.status.success(), "seed {seed}: {ended:?}");
    worker.stop().await?;
    let written: Vec<_> = world.patches().iter().filter_map(|call| call.user).collect();
    let users: BTreeSet<_> = written.iter().copied().collect();
    let wanted: BTreeSet<_> = (1..=DIFFER).map(|number| user(numbered(number))).collect();
    ensure!(users == wanted && written.len() == DIFFER, "seed {seed}: {} writes", written.len());
    let left = events(&plan()?.output().await?.stdout)?;
    ensure!(differences(&left).is_empty(), "seed {seed}: something is left");
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "killed {kills} times while it read and {more} times while it posted (seed {seed}): the same differences, {} writes, \
         nothing left",
        written.len()
    )?;
    Ok(())
}

fn events(out: &[u8]) -> Result<Vec<Value>> {
    Ok(String::from_utf8_lossy(out).lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn differences(events: &[Value]) -> BTreeSet<String> {
    events.iter().filter(|event| event["event"] == "difference").map(ToString::to_string).collect()
}

/// The cause of a contact's difference, if there is one.
fn cause(number: usize) -> Option<&'static str> {
    CAUSES.get((number - 1) / OF_EACH).copied()
}

fn numbered(number: usize) -> u128 {
    number as u128
}

fn row(number: usize) -> Map<String, Value> {
    let row = json!({
        "contactid": contact(numbered(number)), "adx_identity_username": user(numbered(number)),
        "firstname": format!("First {number}"), "lastname": format!("Last {number}"),
        "emailaddress1": format!("ada{number}@example.com"),
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

/// The user of a contact, as its messages and others have left him.
fn person(dataverse: &Dataverse, number: usize) -> Result<User> {
    let row = dataverse.row("contact", contact(numbered(number))).context("the contact is there")?;
    let (Some(value::Value::Long(version)), Some(value::Value::Moment(modified))) =
        (row.get("versionnumber"), row.get("modifiedon"))
    else {
        anyhow::bail!("a row without a version");
    };
    let realm = Realm::of(OrganizationId(dataverse.options().organization));
    let missed = u64::from(cause(number) == Some("missed"));
    let row = RowVersion { number: u64::try_from(*version)? - missed, realm };
    let mut mark = Mark::default();
    for name in ["mail", "givenName", "surname"] {
        let property = Property::named(name).context("a property")?;
        mark.note(&property, Version { row: Some(row), at: *modified });
    }
    let name = if cause(number).is_some() { "Other".to_owned() } else { format!("First {number}") };
    let user = User::new(user(numbered(number)))
        .with("givenName", name)
        .with("surname", format!("Last {number}"))
        .with("mail", format!("ada{number}@example.com"));
    if cause(number) == Some("never-applied") {
        return Ok(user);
    }
    let text = mark.write(1024).context("the mark fits")?;
    Ok(user.with("onPremisesExtensionAttributes", json!({"extensionAttribute15": text})))
}

/// Whether exactly those are found that differ, each with its cause.
fn check(events: &[Value]) -> Result<()> {
    let found: Vec<_> = events.iter().filter(|event| event["event"] == "difference").collect();
    ensure!(found.len() == DIFFER, "{} were found", found.len());
    for number in 1..=found.len() {
        let id = json!(contact(numbered(number)));
        let event = found.iter().find(|event| event["contact"] == id).context("a difference is missed")?;
        let expected = json!([{"property": "givenName", "cause": cause(number)}]);
        ensure!(event["differences"] == expected, "{number}: {event}");
    }
    Ok(())
}
