//! Who writes after another one: he does not know what that one has counted, and sees in the queue what it has held.

use anyhow::Result;
use emulator::broker;
use tests::{
    PATIENCE,
    message::ContactChange,
    quick::{self, world},
    world::{LEASED, QUEUE, Worker, World},
};
use uuid::Uuid;

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

/// Waits until so much is held, and kills the worker in the middle of the rest.
async fn killed(world: &World, worker: Worker, held: usize) -> Result<()> {
    world
        .until(PATIENCE, "enough is held", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.scheduled >= held, format!("{counts:?}")))
        })
        .await?;
    worker.kill().await?;
    world.bus.lapse_locks(QUEUE, None)?;
    Ok(())
}

/// So many changes of first names, by as many people.
fn others(count: u128) -> impl Iterator<Item = ContactChange> {
    (0..count).map(|number| {
        let by = Uuid::from_u128(0x5555_1111_2222_4333_8444_0000_0000_0000 + number);
        quick::renamed(1 + number % 50, usize::try_from(number).expect("small"), "Ada").by(by)
    })
}

fn stored(change: &ContactChange) -> broker::Message {
    let body = broker::data_section(&change.body());
    broker::Message::of(&Uuid::new_v4().to_string(), "application/json", body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_killed_again_and_again_lets_nobody_more_through() -> Result<()> {
    const ROWS: u128 = 400;
    let world = world(ROWS).await?;
    let settings = settings(&world, &[])?;
    // What is held gets its numbers behind everything that waits.
    world.store((1..=ROWS).map(row).chain(others(3_000)).map(|change| stored(&change)).collect())?;
    for held in [30, 120, 200] {
        killed(&world, world.start_worker(&settings)?, held).await?;
    }
    let last = world.start_worker(&settings)?;
    world
        .until(PATIENCE, "all is settled", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.active == 0, format!("{counts:?}")))
        })
        .await?;
    let wrong = named(&world, ROWS, "Wrong");
    last.stop().await?;
    // Whom the first one had let through and not written when it died is held by the next one.
    assert!((1..=MOST).contains(&wrong), "{wrong}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_from_a_dead_writer_lets_nobody_more_through() -> Result<()> {
    const ROWS: u128 = 200;
    let world = world(ROWS).await?;
    let mut first = world.start_worker(&settings(&world, &[LEASED])?)?;
    first.becomes("writer").await?;
    let mut second = world.start_worker(&settings(&world, &[LEASED])?)?;
    second.becomes("standby").await?;
    world.store((1..=ROWS).map(row).chain(others(3_000)).map(|change| stored(&change)).collect())?;
    killed(&world, first, 30).await?;
    // As if the lock of its session had lapsed.
    world.bus.free_session("contacts-lease", "contacts")?;
    world
        .until(PATIENCE, "all is settled", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.active == 0, format!("{counts:?}")))
        })
        .await?;
    let wrong = named(&world, ROWS, "Wrong");
    let log = second.stop().await?;
    assert!((1..=MOST).contains(&wrong), "{wrong}");
    assert!(log.contains("looked through for what is held aside"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_and_not_held_is_forgotten_with_the_writer() -> Result<()> {
    let (before, all) = (15, 100);
    let world = world(all).await?;
    let settings = settings(&world, &[])?;
    let first = world.start_worker(&settings)?;
    world.post_changes(&(1..=before).map(row).collect::<Vec<_>>()).await?;
    world.drained(PATIENCE).await?;
    first.kill().await?;
    let second = world.start_worker(&settings)?;
    world.post_changes(&(before + 1..=all).map(row).collect::<Vec<_>>()).await?;
    let most = usize::try_from(before)? + MOST;
    settled(&world, usize::try_from(all)? - most).await?;
    assert_eq!(named(&world, all, "Wrong"), most, "as the documentation says");
    second.stop().await?;
    Ok(())
}
