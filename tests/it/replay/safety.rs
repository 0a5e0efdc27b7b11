//! What replay refuses, and how it stops.

use anyhow::Result;
use tests::world::{DEAD_LETTERS, Options, QUEUE, World};

use super::{Dead, GUARDED, PATIENCE, assert_untouched, bury, command, contactsync, ids};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_replay_says_what_can_go_wrong_and_wants_to_be_told() -> Result<()> {
    let world = World::start(Options::default()).await?;
    bury(&world, &[Dead::new("m-1", "{}", "UserNotFound")])?;
    let unguarded = world.settings("")?;
    let refused = contactsync(&unguarded, "replay").await?.expect(1);
    assert!(
        refused.err.contains("guard.attribute") && refused.err.contains("--unguarded"),
        "{}",
        refused.err
    );
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["m-1"]);
    contactsync(&unguarded, "replay --dry-run").await?.expect(0);
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["m-1"]);
    contactsync(&world.layered(&[GUARDED])?, "replay --all").await?.expect(0);
    assert_eq!(ids(&world, QUEUE)?, ["m-1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_told_to_stop_gives_back_what_it_holds() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let reason = |n: usize| if n.is_multiple_of(2) { "GraphRefused" } else { "UserNotFound" };
    let letters: Vec<_> = (0..100).map(|n| Dead::new(format!("m-{n}"), "{}", reason(n))).collect();
    bury(&world, &letters)?;
    let arguments = "replay --json --rate 2 --reason GraphRefused --audit audit.jsonl";
    let child = command(&world.layered(&[GUARDED])?, arguments)?.spawn()?;
    let begun = |world: &World| Ok((ids(world, QUEUE)?.len() >= 5, String::new()));
    world.until(PATIENCE, "some are put back", begun).await?;
    tests::world::signal("INT", child.id().unwrap_or_default()).await?;
    let output = child.wait_with_output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\"end\":\"stopped\""), "{text}");
    let (back, dead) = (ids(&world, QUEUE)?.len(), ids(&world, DEAD_LETTERS)?.len());
    assert!((5..50).contains(&back) && back + dead == 100, "{back} and {dead}");
    assert_untouched(&world)?;
    let audit = std::fs::read_to_string(world.folder().join("audit.jsonl"))?;
    assert_eq!(audit.lines().filter(|line| line.contains("\"event\":\"replayed\"")).count(), back);
    assert_eq!(audit.lines().filter(|line| line.contains("\"event\":\"summary\"")).count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_can_be_put_on_another_queue() -> Result<()> {
    let world = World::start(Options::default()).await?;
    world.bus.broker(|broker, now| {
        broker.add_queue("elsewhere", emulator::broker::EntityOptions::default(), now)
    })?;
    bury(&world, &[Dead::new("m-1", "{}", "UserNotFound"), Dead::new("m-2", "{}", "UserNotFound")])?;
    contactsync(&world.layered(&[GUARDED])?, "replay --to elsewhere --limit 1").await?.expect(0);
    assert_eq!((ids(&world, "elsewhere")?, ids(&world, QUEUE)?), (vec!["m-1".to_owned()], Vec::new()));
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["m-2"]);
    // A queue that is not there takes nothing, and nothing is lost by trying.
    contactsync(&world.layered(&[GUARDED])?, "replay --all --to nowhere").await?.expect(1);
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["m-2"]);
    assert_untouched(&world)
}
