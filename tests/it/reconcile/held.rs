//! A run that changes too many users alike is one author like any other.

use anyhow::Result;
use emulator::dataverse::Options;
use serde_json::{Value, json};
use tests::{PATIENCE, quick::user, world::QUEUE};

use super::RowWorld;
use crate::replay::contactsync;

const GUARD: &str = "[mass_change]\nusers = 5\nwindow = \"10m\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_rewrites_too_many_is_held_by_its_id_and_ends_when_it_is_let_through() -> Result<()> {
    let place = RowWorld::start(Options::default(), 12).await?;
    for number in 1..=12 {
        place.save(number, user(number), "Ada")?;
    }
    let settings = place.beside_reconcile(&[GUARD])?;
    let worker = place.world.start_worker(&settings)?;
    let apply = "--apply --max-changes 100% --max-clears 100% --rate 1000 --wait 2s";
    let told = place.reconcile(&[GUARD], apply).await?.expect(1);
    assert!(told.text.contains("not-consumed"), "{}", told.text);
    assert_eq!(place.world.bus.counts(QUEUE)?.scheduled, 7);
    let list = contactsync(&settings, "held list --json").await?.expect(0);
    let list: Value = serde_json::from_str(&list.out)?;
    let author = &list["streams"][0]["author"];
    let run = author["run"].as_str().unwrap_or_default().to_owned();
    assert!(!run.is_empty(), "{author}");
    let approved =
        contactsync(&settings, &format!("held approve --by {run} --yes --json --rate 1000")).await?;
    let approved: Value = serde_json::from_str(&approved.expect(0).out)?;
    assert_eq!(approved["approved"], json!(7));
    place.world.drained(PATIENCE).await?;
    for number in 1..=12 {
        assert_eq!(place.name(number)?.as_deref(), Some("Ada"));
    }
    worker.stop().await?;
    Ok(())
}
