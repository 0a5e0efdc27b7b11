//! Refused is not away: what is said when a key, a queue, a tenant or a secret is wrong, and when `run` gives up.

use std::path::Path;

use anyhow::Result;
use emulator::sas::Rule;
use tests::{PATIENCE, quick::QUICK, world::World};
use tokio::time::timeout;
use uuid::Uuid;

use super::world;
use crate::replay::contactsync;

const COPY: &str = "copy the connection string again";
/// Nobody listens on the reserved port 1.
const NOBODY: &str =
    "Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=x;UseDevelopmentEmulator=true";

fn with_wrong_key(world: &World) -> String {
    world.bus.connection_string().replace("SAS_KEY_VALUE", "wrong")
}

fn in_settings(connection: &str) -> String {
    format!("service_bus.connection_string = \"{connection}\"")
}

/// `run` ends by itself with one sentence that holds these words, and says nothing else of it.
async fn gives_up(settings: &Path, words: &[&str]) -> Result<()> {
    let ended = timeout(PATIENCE, contactsync(settings, "run")).await??.expect(78);
    let last = ended.err.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.starts_with("contactsync: ") && last.contains(word), "{word}: {}", ended.err);
        assert_eq!(ended.err.matches(word).count(), 1, "{word}: {}", ended.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_nobody_lets_in_from_the_start_ends_with_one_sentence() -> Result<()> {
    let world = world(&[]).await?;
    let layered = |layer: &str| world.layered(&[QUICK, layer]);
    gives_up(
        &layered(&in_settings(&with_wrong_key(&world)))?,
        &["service bus does not accept the token", COPY],
    )
    .await?;
    gives_up(&layered("service_bus.queue = \"nowhere\"")?, &["there is no nowhere in this namespace"])
        .await?;
    let tenant = format!("identity.tenant = \"{}\"", Uuid::from_u128(7));
    gives_up(&layered(&tenant)?, &["AADSTS90002", "the tenant does not exist in this cloud"]).await?;
    let secret = "identity.client_secret = \"wrong\"";
    gives_up(&layered(secret)?, &["AADSTS7000215", "paste the secret's value"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_trying_where_the_key_may_be_replaced() -> Result<()> {
    let world = world(&[]).await?;
    let file = world.folder().join("connection");
    std::fs::write(&file, with_wrong_key(&world))?;
    let often = "[telemetry]\nqueue_interval = \"1s\"";
    let settings = world.layered(&[QUICK, often, &in_settings("")])?;
    let variable = ("CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING_FILE", file.to_str().unwrap_or_default());
    let mut worker = world.start_worker_with(&settings, &[variable])?;
    worker.page_until("/readyz", |page| page.status == 503 && page.text.contains(COPY)).await?;
    let refused = "service bus refuses the worker";
    world
        .until(PATIENCE, "several tries", |_| {
            let log = worker.log()?;
            let counted = log.contains("how much is in the queue is not known");
            Ok((log.matches(refused).count() >= 3 && counted, log))
        })
        .await?;
    assert!(worker.is_running()?);
    std::fs::write(&file, world.bus.connection_string())?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    let log = worker.stop().await?;
    assert!(log.matches(refused).count() == 3 && !log.contains("no messages can be received"), "{log}");
    assert!(!log.contains("right Manage"), "whoever is not let in has another trouble: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_let_in_once_never_gives_up() -> Result<()> {
    let world = world(&[]).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    // The key is another from now on, and every link has to prove itself anew.
    let rules = vec![Rule { key: "another".into(), ..Rule::default() }];
    world.bus.set_rules(rules);
    world.bus.drop_connections();
    worker.page_until("/readyz", |page| page.status == 503 && page.text.contains(COPY)).await?;
    world
        .until(PATIENCE, "several tries", |_| {
            let log = worker.log()?;
            Ok((log.matches(COPY).count() >= 3, log))
        })
        .await?;
    assert!(worker.is_running()?);
    world.bus.set_rules(vec![Rule::default()]);
    worker.page_until("/readyz", |page| page.status == 200).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_begins_in_an_outage_waits_for_its_end() -> Result<()> {
    let world = world(&[]).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK, &in_settings(NOBODY)])?)?;
    world
        .until(PATIENCE, "several tries", |_| {
            let log = worker.log()?;
            Ok((log.matches("service bus is away: localhost:1 refuses the connection").count() >= 3, log))
        })
        .await?;
    assert!(worker.is_running()?);
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_reaches_nobody_says_why_and_what_to_do() -> Result<()> {
    let world = world(&[]).await?;
    let settings = world.layered(&[QUICK, &in_settings(NOBODY)])?;
    std::fs::write(world.folder().join("body.json"), crate::replay::change(1, 1).body())?;
    // Those that look make more than one attempt, and the last one may not hide what the first has found.
    for arguments in ["dead-letters list", "held list", "send body.json"] {
        let away = contactsync(&settings, arguments).await?.expect(1);
        let says = |words: &str| away.err.contains(words);
        assert!(says("localhost:1 refuses the connection") && says("check host and port"), "{}", away.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_says_what_a_refusal_means_and_what_to_do() -> Result<()> {
    let world = world(&["UserNotFound"]).await?;
    let settings = world.layered(&[QUICK, &in_settings(&with_wrong_key(&world))])?;
    std::fs::write(world.folder().join("body.json"), crate::replay::change(1, 1).body())?;
    for arguments in [
        "dead-letters list",
        "dead-letters export letters.jsonl",
        "dead-letters show 1",
        "send body.json",
        "replay --all --unguarded",
        "run --dry-run --once",
    ] {
        let refused = contactsync(&settings, arguments).await?.expect(1);
        let said =
            refused.err.contains("service bus does not accept the token") && refused.err.contains(COPY);
        assert!(said && refused.err.lines().count() == 1, "{arguments}: {}", refused.err);
    }
    let status = contactsync(&settings, "status").await?.expect(1).out;
    assert!(
        status.contains(COPY) && !status.contains("needs the right Manage") && !status.contains(".."),
        "{status}"
    );
    let nowhere = world.layered(&["service_bus.queue = \"nowhere\""])?;
    let refused = contactsync(&nowhere, "dead-letters list").await?.expect(1);
    assert!(
        refused.err.contains("there is no nowhere in this namespace; make it, or correct"),
        "{}",
        refused.err
    );
    Ok(())
}
