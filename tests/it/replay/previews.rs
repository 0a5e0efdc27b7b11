//! What commands say would become of a message is what `run` then does, by the real binary.

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::{Value as Json, json};
use servicebus::{ApplicationValue, Outgoing, Queue as _};
use tests::{
    message::moment,
    world::{Options, World},
};

use super::{Dead, GUARDED, PATIENCE, QUICK, bury, change, contact, contactsync, user};

async fn world() -> Result<World> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("givenName", "Before").with("surname", "Before"))?;
    Ok(world)
}

/// The only line about a message that `run --dry-run` tells.
async fn dry_run(world: &World, layers: &[&str]) -> Result<Json> {
    let told = contactsync(&world.layered(layers)?, "run --dry-run --once --online --json").await?.expect(0);
    let mut lines = told.out.lines().map(serde_json::from_str::<Json>);
    lines.next().context("a line")?.context("JSON")
}

/// A change that does not tell when it happened, as a copy that came back to the queue.
fn returned() -> Result<Outgoing> {
    let mut context: Json = serde_json::from_slice(&change(1, moment(0)).set("firstname", "Old").body())?;
    context.as_object_mut().context("an object")?.remove("OperationCreatedOn");
    let past = [
        ("contactsync-attempt", ApplicationValue::I64(1)),
        ("contactsync-first-seen", ApplicationValue::I64(moment(1_000))),
        ("contactsync-sequence", ApplicationValue::I64(1)),
    ];
    Ok(Outgoing {
        content_type: Some("application/json".into()),
        properties: past.into_iter().collect(),
        body: serde_json::to_vec(&context)?.into(),
        ..Outgoing::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_came_back_is_compared_as_of_when_its_original_came() -> Result<()> {
    let world = world().await?;
    // Newer than the original, and older than the copy.
    let newer = change(1, moment(60_000)).set("firstname", "Newer");
    std::fs::write(world.folder().join("newer.json"), newer.body())?;
    contactsync(&world.layered(&[GUARDED])?, "apply newer.json --yes").await?.expect(0);
    let sender = world.sender()?;
    sender.send(returned()?).await?;
    sender.close().await;

    let told = dry_run(&world, &[GUARDED]).await?;
    assert_eq!(told["writes"][0]["newer"], json!(["givenName"]), "{told:#}");
    assert_eq!(told["writes"][0]["already"], json!([]), "{told:#}");
    let worker = world.start_worker(&world.layered(&[QUICK, GUARDED])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert!(log.contains("\"outcome\":\"stale\""), "{log}");
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Newer"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_knows_a_message_that_its_sender_marked_as_cut() -> Result<()> {
    let world = world().await?;
    let mut context: Json = serde_json::from_slice(&change(1, moment(0)).set("firstname", "Ada").body())?;
    // The marker alone tells why the image with the link is missing.
    context["PostEntityImages"] = json!([]);
    let cut = Dead {
        properties: vec![("MessageMaxSizeExceeded", "true")],
        ..Dead::new("cut", serde_json::to_vec(&context)?, "ContextTruncated")
    };
    bury(&world, &[cut])?;
    let settings = world.settings("")?;
    let shown = contactsync(&settings, "dead-letters show 1 --json").await?.expect(0);
    let shown: Json = serde_json::from_str(&shown.out)?;
    let change = &shown["now"]["changes"][0];
    assert_eq!(change["deadLetter"]["reason"], "ContextTruncated", "{shown:#}");
    assert_eq!(change["contact"], json!(contact(1)));
    let replay = contactsync(&settings, "replay --dry-run --json").await?.expect(0);
    let expected = json!({"event": "forecast", "sequence": 1, "reason": "ContextTruncated", "outcome": "dead letter",
        "detail": "ContextTruncated"});
    assert_eq!(replay.events("forecast"), [expected]);
    let forced = contactsync(&settings, "apply --dead-letter 1").await?.expect(1);
    assert!(forced.out.contains("dead letter ContextTruncated"), "{}", forced.out);
    let found = contactsync(&settings, &format!("dead-letters list --contact {} --json", contact(1))).await?;
    let found: Json = serde_json::from_str(&found.expect(0).out)?;
    assert_eq!(found["groups"].as_array().map(Vec::len), Some(1), "{found:#}");

    contactsync(&settings, "replay --all --unguarded").await?.expect(0);
    assert_eq!(dry_run(&world, &[]).await?["deadLetter"]["reason"], "ContextTruncated");
    let worker = world.start_worker(&world.settings(QUICK)?)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(world.reasons()?, ["ContextTruncated"]);
    Ok(())
}
