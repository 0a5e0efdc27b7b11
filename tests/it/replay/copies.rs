//! Copies and old messages: nothing is dropped silently, and nothing old undoes newer data.

use std::time::Duration;

use anyhow::Result;
use emulator::{broker::EntityOptions, graph::User};
use serde_json::json;
use tests::{
    message::moment,
    world::{DEAD_LETTERS, Options, QUEUE, World},
};

use super::{Dead, GUARDED, PATIENCE, QUICK, bury, change, contactsync, ids, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_detects_duplicates_drops_none_of_what_is_put_back() -> Result<()> {
    let world = World::start(Options::default()).await?;
    world.bus.broker(|broker, _| {
        let queue = broker.resolve(QUEUE)?;
        let duplicate_window = Some(Duration::from_hours(24));
        broker.set_options(queue, EntityOptions { duplicate_window, ..EntityOptions::default() })
    })?;
    let letters: Vec<_> = (0..100).map(|n| Dead::new(format!("m-{n}"), "{}", "GraphRefused")).collect();
    bury(&world, &letters)?;
    let settings = world.settings("")?;
    // Once more when all of them have failed again: the window is long, and the ids have to differ from run to run.
    for _ in 0..2 {
        contactsync(&settings, "replay --all --unguarded --rate 1000").await?.expect(0);
        assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 0);
        let mut back = ids(&world, QUEUE)?;
        back.sort_by_key(|id| id[2..].parse::<u32>().unwrap_or(0));
        assert_eq!(back, (0..100).map(|n| format!("m-{n}")).collect::<Vec<_>>());
        refuse_all(&world)?;
        assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 100);
    }
    Ok(())
}

/// What a worker does when the cause is not mended.
pub(super) fn refuse_all(world: &World) -> Result<()> {
    use emulator::broker::{Mode, Verb};
    world.bus.broker(|broker, now| {
        let queue = broker.resolve(QUEUE)?;
        for delivery in broker.receive(queue, Mode::PeekLock, 1_000, now)? {
            let reason = Some("GraphRefused".to_owned());
            let verb = Verb::DeadLetter { reason, description: None, properties: Vec::new() };
            broker.settle(queue, delivery.token, verb, now)?;
        }
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_from_before_a_newer_change_is_stale_when_it_is_put_back() -> Result<()> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("displayName", "Portal user"))?;
    let old = change(1, moment(1_000)).set("firstname", "Old");
    let newer = change(1, moment(60_000)).set("firstname", "Newer");
    bury(&world, &[Dead::new("old", old.body(), "GraphRefused")])?;
    let settings = world.layered(&[QUICK, GUARDED])?;
    let first = world.start_worker(&settings)?;
    world.post_changes(&[newer]).await?;
    world.drained(PATIENCE).await?;
    first.stop().await?;
    // Another worker, which remembers nothing: only the mark of the user can tell.
    let second = world.start_worker(&settings)?;
    let preview = contactsync(&settings, "replay --dry-run --online --json").await?.expect(0);
    assert_eq!(preview.events("forecast")[0]["outcome"], "stale");
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["old"], "a preview changes nothing");
    contactsync(&settings, "replay --all").await?.expect(0);
    world.drained(PATIENCE).await?;
    let log = second.stop().await?;
    assert_eq!(world.user(user(1))?.get("givenName"), json!("Newer"));
    assert!(log.contains("\"outcome\":\"stale\""), "{log}");
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_writes_ask_graph_to_throttle_them_first_and_live_ones_do_not() -> Result<()> {
    let world = World::start(Options::default()).await?;
    for number in [1, 2] {
        world.graph.add_user(User::new(user(number)).with("displayName", "Portal user"))?;
    }
    let dead = change(1, moment(1_000)).set("firstname", "Replayed");
    bury(&world, &[Dead::new("dead", dead.body(), "GraphRefused")])?;
    let settings = world.layered(&[QUICK, GUARDED])?;
    let worker = world.start_worker(&settings)?;
    contactsync(&settings, "replay --all").await?.expect(0);
    world.post_changes(&[change(2, moment(2_000)).set("firstname", "Live")]).await?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    let mut low: Vec<_> = world.patches().into_iter().map(|entry| (entry.user, entry.low_priority)).collect();
    low.sort();
    assert_eq!(low, [(Some(user(1)), true), (Some(user(2)), false)]);
    Ok(())
}
