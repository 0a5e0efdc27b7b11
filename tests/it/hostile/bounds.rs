//! One message that is larger than anything Dataverse sends, in what it costs to read or in what it asks for.

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::json;
use servicebus::{Outgoing, Queue};
use shared::decode::limits;
use tests::{load::usage::Usage, world::World};

use super::{MEGABYTE, PATIENCE, QUICK, change, user, world};

const FAST: &str = "[throttle]\nwrites_per_second = 10000.0";

/// An `UpdateMultiple` with these records.
fn several(records: &str) -> String {
    format!(
        r#"{{"MessageName":"UpdateMultiple","PrimaryEntityName":"contact","InputParameters":[{{"key":"Targets","value":{{"__type":
        "EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts","Entities":[{records}]}}}}]}}"#
    )
}

/// One that gives users 1 to `count` a first name.
fn renames(count: usize) -> String {
    let rename = |number: usize| {
        let id = user(number as u128);
        let attribute = |key, value: &str| json!({"key": key, "value": value});
        let attributes = [attribute("adx_identity_username", &id.to_string()), attribute("firstname", "Ada")];
        json!({"Id": id.to_string(), "Attributes": attributes}).to_string()
    };
    several(&(1..=count).map(rename).collect::<Vec<_>>().join(","))
}

async fn post(world: &World, body: String) -> Result<()> {
    let sender = world.sender()?;
    let message =
        Outgoing { content_type: Some("application/json".into()), body: body.into(), ..Outgoing::default() };
    sender.send(message).await?;
    sender.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_asks_for_a_thousand_writes_at_most() -> Result<()> {
    let most = limits::RECORDS;
    let world = world(0).await?;
    for number in 1..=most {
        world.graph.add_user(User::new(user(number as u128)))?;
    }
    let worker = world.start_worker(&world.layered(&[QUICK, FAST])?)?;
    post(&world, renames(most + 1)).await?;
    world.drained(PATIENCE).await?;
    assert_eq!(world.patches().len(), 0, "not even some of it is written");
    let letters = world.letters()?;
    let [letter] = &*letters else { panic!("{letters:?}") };
    assert_eq!(letter.reason, "BodyUndecodable");
    assert!(letter.description.starts_with("more than 1000 records in one list at byte "), "{letter:?}");
    assert!(letter.description.ends_with("find out who but Dataverse may send to the queue"), "{letter:?}");
    post(&world, renames(most)).await?;
    world.drained(PATIENCE).await?;
    assert_eq!((world.patches().len(), world.letters()?.len()), (most, 1));
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_cheap_to_write_and_dear_to_read_do_not_fill_the_worker() -> Result<()> {
    let world = world(1).await?;
    let worker = world.start_worker(&world.layered(&[QUICK])?)?;
    let nested = r#"{"__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts"},"#;
    let listed = |item: &str| {
        let items = item.repeat(240_000 / item.len());
        format!(r#"{{"MessageName":"Update","InputParameters":[{{"key":"Target","value":[{items}0]}}]}}"#)
    };
    for _ in 0..10 {
        post(&world, several(&format!("{}{{}}", "{},".repeat(80_000)))).await?;
        post(&world, listed(nested)).await?;
        post(&world, listed("{},")).await?;
        post(&world, listed("0,")).await?;
    }
    world.post_changes(&[change(1, 1, "Ada")]).await?;
    world.drained(PATIENCE).await?;
    assert_eq!(world.user(user(1))?.get("givenName"), "Ada");
    let usage = Usage::of(worker.id().context("the worker runs")?);
    assert!(usage.peak > 0 && usage.peak < 100 * MEGABYTE, "{} MB", usage.peak / MEGABYTE);
    worker.stop().await?;
    Ok(())
}
