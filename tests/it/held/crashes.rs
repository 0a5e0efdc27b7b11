//! Killed at any moment, a decision loses nothing.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use tests::{
    PATIENCE,
    quick::world,
    world::{QUEUE, World},
};
use tokio::time::sleep;

use super::{MOST, held, json, named, row, settings, settled};
use crate::replay::{command, ids};

const ROWS: u128 = 80;
const KILLS: usize = 15;

/// The originals that are held, and all that are there, once each.
fn there(world: &World) -> Result<(usize, BTreeSet<String>)> {
    Ok((world.bus.counts(QUEUE)?.scheduled, ids(world, QUEUE)?.into_iter().collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_an_approval_goes_on_and_loses_nothing() -> Result<()> {
    let world = world(ROWS).await?;
    let settings = settings(&world, &[])?;
    let worker = world.start_worker(&settings)?;
    world.post_changes(&(1..=ROWS).map(row).collect::<Vec<_>>()).await?;
    let rows = usize::try_from(ROWS)?;
    settled(&world, rows - MOST).await?;
    worker.stop().await?;
    let (_, all) = there(&world)?;
    assert_eq!(all.len(), rows - MOST);
    let mut in_the_middle = 0;
    for kill in 0..KILLS {
        let (before, sent) = (there(&world)?.0, world.bus.counts(QUEUE)?.active);
        let mut child = command(&settings, "held approve --all --yes --json --rate 200")?.spawn()?;
        // Kills at different distances from the last copy that was sent.
        while world.bus.counts(QUEUE)?.active < sent + kill % 4 + 1 && child.try_wait()?.is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        child.kill().await?;
        let (left, here) = there(&world)?;
        in_the_middle += usize::from(left > 0 && left == before);
        assert_eq!(here, all, "after kill {kill}");
    }
    assert!(in_the_middle > 0, "no kill was between sending and taking back");
    // What was sent twice changes nothing the second time.
    let worker = world.start_worker(&settings)?;
    json(held(&settings, "approve --all --yes --json --rate 2000").await?);
    world.drained(PATIENCE).await?;
    assert_eq!(named(&world, ROWS, "Wrong"), rows);
    assert!(world.letters()?.is_empty());
    worker.stop().await?;
    Ok(())
}
