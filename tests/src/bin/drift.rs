//! What it costs to hold many contacts against their users: `cargo run --release -p tests --bin drift -- 100000`.

use std::{io::Write, process::Stdio, time::Duration};

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
    binary,
    load::usage::Usage,
    organization,
    quick::{GUARDED, contact, user},
    world::{self, World},
};
use tokio::time::{Instant, sleep};

/// Users that differ for each cause.
const OF_EACH: usize = 100;
/// The causes, by the number of a contact within the first hundreds.
const CAUSES: [&str; 3] = ["never-applied", "missed", "changed-elsewhere"];

#[tokio::main]
async fn main() -> Result<()> {
    let contacts: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    ensure!(contacts >= OF_EACH * CAUSES.len(), "there have to be at least 300 contacts");
    binary::build()?;
    let mut options = Options::default();
    options.seed.contacts = (1..=contacts).map(row).collect();
    let world = World::start(world::Options::default()).await?;
    let dataverse = Dataverse::start(options, &Ca::new()?, &world.graph).await?;
    for number in 1..=contacts {
        world.graph.add_user(person(&dataverse, number)?)?;
    }
    let settings = world.layered(&[GUARDED, &organization::settings(&world, &dataverse)])?;
    let begun = Instant::now();
    let mut command = binary::command()?;
    command.args(["reconcile", "--json", "--config"]).arg(settings);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
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
    let out = String::from_utf8_lossy(&output.stdout);
    let events: Vec<Value> = out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    check(&events)?;
    let rows = dataverse.journal().iter().filter(|entry| entry.method == "GET").count();
    let users = world.calls().len();
    let mut told = std::io::stdout().lock();
    writeln!(
        told,
        "{contacts} contacts, {} differences found exactly, each with its cause",
        OF_EACH * CAUSES.len()
    )?;
    writeln!(told, "took {:.1} s; at most {} MB resident", took.as_secs_f64(), peak / 1_000_000)?;
    writeln!(told, "Dataverse: {rows} requests; its limit is 6,000 in 300 s")?;
    writeln!(
        told,
        "Graph: {users} reads, {} resource units at most; the smallest limit is 3,500 in 10 s",
        2 * users
    )?;
    Ok(())
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
    ensure!(found.len() == OF_EACH * CAUSES.len(), "{} were found", found.len());
    for number in 1..=found.len() {
        let id = json!(contact(numbered(number)));
        let event = found.iter().find(|event| event["contact"] == id).context("a difference is missed")?;
        let expected = json!([{"property": "givenName", "cause": cause(number)}]);
        ensure!(event["differences"] == expected, "{number}: {event}");
    }
    Ok(())
}
