//! Canaries, and an end when too much fails again.

use anyhow::Result;
use emulator::graph::{Fault, User};
use serde_json::json;
use tests::{
    message::moment,
    world::{DEAD_LETTERS, Options, World},
};

use super::{Dead, GUARDED, PATIENCE, QUICK, bury, change, contactsync, ids, user};

/// A refusal that is the user's own whoever else is refused, so that it does not look like a fault of the installation.
fn taken() -> Fault {
    Fault::status(409).code("Request_MultipleObjectsWithSameKeyValue").patches()
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_stop_a_replay_whose_cause_is_not_mended_and_the_same_command_finishes_later() -> Result<()>
{
    let world = World::start(Options::default()).await?;
    let letters: Vec<_> = (0..60)
        .map(|n| {
            let change = change(n, moment(1_000)).set("firstname", "Ada");
            Dead::new(format!("m-{n}"), change.body(), "IdentityConflict")
        })
        .collect();
    bury(&world, &letters)?;
    let settings = world.layered(&[QUICK, GUARDED])?;
    let worker = world.start_worker(&settings)?;
    for number in 0..60 {
        world.graph.add_user(User::new(user(number)).with("displayName", "Portal user"))?;
    }
    world.graph.script(taken().always());
    let command = "replay --json --reason IdentityConflict --canary 8 --rate 100";
    // Every value belongs to somebody else: every canary becomes a dead letter again.
    let done = contactsync(&settings, command).await?.expect(1);
    let summary = done.summary();
    assert_eq!(summary["end"], "aborted", "{}", done.out);
    let replayed = summary["replayed"].as_u64().expect("a number");
    assert!((2..=8).contains(&replayed), "{replayed} were put back");
    world.drained(PATIENCE).await?;
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 60, "all of them are dead letters again");
    world.graph.clear_faults();
    let done = contactsync(&settings, command).await?.expect(0);
    let summary = done.summary();
    assert_eq!((&summary["end"], &summary["replayed"]), (&"done".into(), &60.into()));
    assert_eq!((&summary["well"], &summary["failed"], &summary["open"]), (&60.into(), &0.into(), &0.into()));
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 0);
    worker.stop().await?;
    for number in 0..60 {
        assert_eq!(world.user(user(number))?.get("givenName"), json!("Ada"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_stops_in_the_middle_when_too_many_fail_again() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let letters: Vec<_> = (0..200)
        .map(|n| {
            let change = change(n, moment(1_000)).set("firstname", "Ada");
            Dead::new(format!("m-{n}"), change.body(), "IdentityConflict")
        })
        .collect();
    bury(&world, &letters)?;
    for number in 0..200 {
        world.graph.add_user(User::new(user(number)).with("displayName", "Portal user"))?;
    }
    // The first twenty are written, and then every write is refused.
    world.graph.script(taken().after(20).always());
    let settings = world.layered(&[QUICK, GUARDED])?;
    let worker = world.start_worker(&settings)?;
    let done =
        contactsync(&settings, "replay --all --json --abort-if-failing 30% --rate 15").await?.expect(1);
    let summary = done.summary();
    assert_eq!(summary["end"], "aborted", "{}", done.out);
    let replayed = summary["replayed"].as_u64().expect("a number");
    assert!((25..200).contains(&replayed), "{replayed} were put back");
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 180);
    Ok(())
}
