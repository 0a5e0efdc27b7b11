//! Killed at any moment, a decision loses nothing.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{
    PATIENCE,
    quick::{self, world},
    world::{QUEUE, World},
};
use tokio::time::sleep;

use super::{MOST, held, json as parsed, named, row, settings, settled};
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
    parsed(held(&settings, "approve --all --yes --json --rate 2000").await?);
    world.drained(PATIENCE).await?;
    assert_eq!(named(&world, ROWS, "Wrong"), rows);
    assert!(world.letters()?.is_empty());
    worker.stop().await?;
    Ok(())
}

/// Numbers in a file of exported messages; a line that was cut off counts for nothing.
fn exported(file: &Path) -> Result<Vec<i64>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let number = |line: &str| {
        let record: Value = serde_json::from_str(line)?;
        record["sequence"].as_i64().context("a number")
    };
    whole.map(number).collect()
}

/// Numbers of the messages that are held.
fn waiting(world: &World) -> Result<Vec<i64>> {
    Ok(world.bus.contents(QUEUE)?.iter().map(|view| view.sequence).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_a_rejection_goes_on_with_its_file() -> Result<()> {
    const ROWS: u128 = 400;
    let world = world(ROWS).await?;
    let settings = settings(&world, &[])?;
    let worker = world.start_worker(&settings)?;
    world.post_changes(&(1..=ROWS).map(row).collect::<Vec<_>>()).await?;
    settled(&world, usize::try_from(ROWS)? - MOST).await?;
    worker.stop().await?;
    let all: BTreeSet<i64> = waiting(&world)?.into_iter().collect();
    let file = world.folder().join("rejected.jsonl");
    let reject = |which: &str| format!("reject {which} --yes --json --export {}", file.display());
    // A command that was cut off in the middle of a line, after another one had ended.
    parsed(held(&settings, &reject(&format!("--contact {}", quick::contact(ROWS)))).await?);
    let mut text = fs::read_to_string(&file)?;
    text.push_str("{\"sequence\":1,\"deliveryCou");
    fs::write(&file, text)?;
    let told = parsed(held(&settings, &reject(&format!("--contact {}", quick::contact(ROWS - 1)))).await?);
    assert_eq!((&told["rejected"], &told["lineWasCut"]), (&json!(1), &json!(true)), "{told}");

    let mut in_the_middle = 0;
    for kill in 0..KILLS {
        let (before, written) = (waiting(&world)?.len(), fs::metadata(&file)?.len());
        let mut child = command(&settings, &format!("held {}", reject("--all")))?.spawn()?;
        // Some while the file is written, and some while messages are taken out.
        let reached = || -> Result<bool> {
            let grown = fs::metadata(&file)?.len() > written + kill as u64 * 8_192;
            Ok(if kill % 3 == 2 { waiting(&world)?.len() < before } else { grown })
        };
        while !reached()? && child.try_wait()?.is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        child.kill().await?;
        let left = waiting(&world)?;
        in_the_middle += usize::from(!left.is_empty());
        let safe: BTreeSet<i64> = exported(&file)?.into_iter().chain(left).collect();
        assert_eq!(safe, all, "after kill {kill}");
    }
    assert!(in_the_middle > 0, "no kill came before the end");
    parsed(held(&settings, &reject("--all")).await?);
    assert!(waiting(&world)?.is_empty());
    let exported = exported(&file)?;
    assert_eq!((exported.len(), exported.into_iter().collect::<BTreeSet<_>>()), (all.len(), all));
    Ok(())
}
