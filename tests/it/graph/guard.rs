//! The guard: across replicas and restarts, an old change that arrives late leaves the newer value alone.

use std::time::Duration;

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::json;
use tests::world::{Worker, World};

use super::{B2C, GUARDED, PATIENCE, assert_tally, b2c_world, change, run, start, user, world};

fn mark(world: &World) -> Result<String> {
    let attributes = world.user(user(1))?.get("onPremisesExtensionAttributes");
    Ok(attributes["extensionAttribute15"].as_str().context("there is no mark")?.to_owned())
}

/// Waits until the first name has arrived.
async fn arrived(world: &World, name: &str) -> Result<()> {
    world.graph.wait_for_user(user(1), PATIENCE, |user| user.text("givenName") == Some(name)).await?;
    world.drained(PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_change_after_a_restart_is_stale_and_the_newer_value_stays() -> Result<()> {
    let world = world(1).await?;
    run(&world, &[GUARDED], &[change(1, 2_000).set("firstname", "New")]).await?;
    let log = run(&world, &[GUARDED], &[change(1, 1_000).set("firstname", "Old")]).await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("New"), "{log}");
    assert_tally(&log, "0 applied in 0 writes, 1 stale");
    assert_eq!(world.patches().len(), 1, "a change that is old costs no write");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_change_at_another_replica_is_stale_and_the_newer_value_stays() -> Result<()> {
    let world = world(1).await?;
    // The first replica takes one message and is held up before it can write it.
    let held = emulator::graph::Fault::delay(Duration::from_millis(700)).method("GET");
    world.graph.script(held);
    world.post_changes(&[change(1, 1_000).set("firstname", "Old").set("lastname", "Kept")]).await?;
    let slow = start(&world, &[GUARDED])?;
    world
        .until(PATIENCE, "the old change is under way", |world| {
            let counts = world.bus.counts(tests::world::QUEUE)?;
            Ok((counts.locked == 1 && world.graph.pending_faults().is_empty(), format!("{counts:?}")))
        })
        .await?;
    world.post_changes(&[change(1, 2_000).set("firstname", "New")]).await?;
    let quick = start(&world, &[GUARDED])?;
    // Either of the two may get the newer change; the outcome must be the same.
    arrived(&world, "New").await?;
    let logs = stop([slow, quick]).await?;
    let ada = world.user(user(1))?;
    assert_eq!((ada.text("givenName"), ada.text("surname")), (Some("New"), Some("Kept")), "{logs}");
    Ok(())
}

async fn stop(workers: [Worker; 2]) -> Result<String> {
    let mut logs = String::new();
    for worker in workers {
        logs += &worker.stop().await?;
    }
    Ok(logs)
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_kept_by_property_so_that_what_is_new_of_an_old_change_is_written() -> Result<()> {
    let world = world(1).await?;
    run(&world, &[GUARDED], &[change(1, 2_000).set("firstname", "New")]).await?;
    let older = change(1, 1_000).set("firstname", "Old").set("lastname", "King");
    let log = run(&world, &[GUARDED], &[older]).await?;
    let ada = world.user(user(1))?;
    assert_eq!((ada.text("givenName"), ada.text("surname")), (Some("New"), Some("King")), "{log}");
    let oldest = change(1, 500).set("lastname", "Oldest");
    assert_tally(&run(&world, &[GUARDED], &[oldest]).await?, "1 stale");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_delivery_over_restarts_ends_with_the_newest_value() -> Result<()> {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let world = world(1).await?;
        for at in order {
            run(&world, &[GUARDED], &[change(1, at * 1_000).set("firstname", format!("v{at}"))]).await?;
        }
        assert_eq!(world.user(user(1))?.text("givenName"), Some("v3"), "{order:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_somebody_else_in_the_attribute_is_kept() -> Result<()> {
    let world = world(0).await?;
    let foreign = json!({"extensionAttribute15": "loyalty=gold;", "extensionAttribute1": "theirs"});
    world.graph.add_user(User::new(user(1)).with("onPremisesExtensionAttributes", foreign))?;
    run(&world, &[GUARDED], &[change(1, 2_000).set("firstname", "New")]).await?;
    let log = run(&world, &[GUARDED], &[change(1, 1_000).set("firstname", "Old")]).await?;
    assert_tally(&log, "1 stale");
    assert!(mark(&world)?.starts_with("loyalty=gold;cs1|"), "{}", mark(&world)?);
    let attributes = world.user(user(1))?.get("onPremisesExtensionAttributes");
    assert_eq!(attributes["extensionAttribute1"], json!("theirs"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_without_room_for_the_mark_does_not_keep_changes_out() -> Result<()> {
    let world = world(0).await?;
    let full = json!({"extensionAttribute15": "x".repeat(1_020)});
    world.graph.add_user(User::new(user(1)).with("onPremisesExtensionAttributes", full.clone()))?;
    let log = run(&world, &[GUARDED], &[change(1, 1).set("firstname", "New")]).await?;
    let ada = world.user(user(1))?;
    assert_eq!(ada.text("givenName"), Some("New"), "{log}");
    assert_eq!(ada.get("onPremisesExtensionAttributes"), full);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_extension_can_hold_the_mark_on_b2c() -> Result<()> {
    let attribute = "extension_0123456789abcdef0123456789abcdef_mark";
    let mut options = tests::world::Options::default();
    options.graph.extensions = vec![attribute.to_owned()];
    let world = super::world_with(options, 1).await?;
    let guard = format!("guard.attribute = \"{attribute}\"");
    run(&world, &[&guard], &[change(1, 2_000).set("firstname", "New")]).await?;
    let log = run(&world, &[&guard], &[change(1, 1_000).set("firstname", "Old")]).await?;
    assert_tally(&log, "1 stale");
    assert!(world.user(user(1))?.text(attribute).is_some_and(|text| text.starts_with("cs1|")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_sign_in_address_is_kept_out_like_any_other_value() -> Result<()> {
    let local = User::new(user(1)).with_identity(emulator::graph::Identity::email("v0@example.com"));
    let world = b2c_world([local]).await?;
    for (at, address) in [(2_000, "new@example.com"), (1_000, "old@example.com")] {
        let linked = change(1, at).before("adx_identity_username", user(1).to_string());
        run(&world, &[B2C, GUARDED], &[linked.set("emailaddress1", address)]).await?;
    }
    assert_eq!(world.user(user(1))?.sign_in_addresses().collect::<Vec<_>>(), ["new@example.com"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_lag_behind_do_not_make_a_replica_forget_what_it_has_marked() -> Result<()> {
    let world = world(1).await?;
    world.graph.set_stale_reads(Duration::from_secs(1));
    let worker = start(&world, &[GUARDED])?;
    world.post_changes(&[change(1, 2_000).set("lastname", "New")]).await?;
    world.graph.wait_for_user(user(1), PATIENCE, |user| user.text("surname").is_some()).await?;
    world.drained(PATIENCE).await?;
    // This write reads a user without the first mark.
    world.post_changes(&[change(1, 3_000).set("firstname", "New")]).await?;
    arrived(&world, "New").await?;
    worker.stop().await?;
    // Added anew as it is now, so that reads show it at once.
    world.graph.set_stale_reads(Duration::ZERO);
    world.graph.add_user(world.user(user(1))?)?;
    let log = run(&world, &[GUARDED, "retry.tries = 3"], &[change(1, 1_000).set("lastname", "Old")]).await?;
    assert_eq!(world.user(user(1))?.text("surname"), Some("New"), "{log}");
    Ok(())
}
