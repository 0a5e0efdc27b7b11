//! Who writes after another one: he does not know what that one has counted, and sees in the queue what it has held.

use anyhow::Result;
use tests::{
    quick::world,
    world::{LEASED, Worker},
};

use super::{MOST, named, row, settings, settled};

async fn knows(worker: &mut Worker, held: usize) -> Result<()> {
    let line = format!("\ncontactsync_mass_change_messages {held}\n");
    worker.page_until("/metrics", |page| page.text.contains(&line)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_holds_at_once_what_was_held_before() -> Result<()> {
    let world = world(200).await?;
    let settings = settings(&world, &[LEASED])?;
    let mut first = world.start_worker(&settings)?;
    world.post_changes(&(1..=100).map(row).collect::<Vec<_>>()).await?;
    settled(&world, 100 - MOST).await?;
    knows(&mut first, 100 - MOST).await?;
    // A log of its own, so that its address is its own.
    let mut second = world.start_worker(&super::settings(&world, &[LEASED])?)?;
    first.stop().await?;
    knows(&mut second, 100 - MOST).await?;
    world.post_changes(&(101..=200).map(row).collect::<Vec<_>>()).await?;
    settled(&world, 200 - MOST).await?;
    assert_eq!(named(&world, 200, "Wrong"), MOST, "not one more");
    second.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_lets_as_many_through_again_at_most() -> Result<()> {
    let world = world(400).await?;
    let settings = settings(&world, &[])?;
    world.post_changes(&(1..=400).map(row).collect::<Vec<_>>()).await?;
    let first = world.start_worker(&settings)?;
    // Somewhere in the middle of it.
    world
        .until(tests::PATIENCE, "something is held", |world| {
            let held = world.bus.counts(tests::world::QUEUE)?.scheduled;
            Ok((held >= 50, held.to_string()))
        })
        .await?;
    first.kill().await?;
    world.bus.lapse_locks(tests::world::QUEUE, None)?;
    let second = world.start_worker(&settings)?;
    world
        .until(tests::PATIENCE, "all is settled", |world| {
            let counts = world.bus.counts(tests::world::QUEUE)?;
            Ok((counts.active == 0, format!("{counts:?}")))
        })
        .await?;
    let wrong = named(&world, 400, "Wrong");
    assert!((MOST..=2 * MOST).contains(&wrong), "{wrong}");
    second.stop().await?;
    Ok(())
}
