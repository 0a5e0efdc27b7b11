//! A run that is killed in the middle is gone on with, and nothing is posted or written twice.

use std::collections::BTreeSet;

use anyhow::Result;
use emulator::{dataverse::Options, graph::User};
use serde_json::{Map, Value, json};
use tests::{
    PATIENCE,
    killed::{killed, steps},
    quick::{contact, user},
    world::{QUEUE, World},
};

use super::{RowWorld, Told};

const CONTACTS: u128 = 40;

fn waiting(world: &World) -> Result<u64> {
    Ok(u64::try_from(world.bus.contents(QUEUE)?.len())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_gone_on_with_and_nothing_is_posted_twice() -> Result<()> {
    let place = RowWorld::start(Options::default(), CONTACTS).await?;
    for number in 1..=CONTACTS {
        place.save(number, user(number), "Ada")?;
    }
    let arguments = "--apply --max-changes 100% --state run.state --wait 5m --rate";
    let mut killed = place.command(&[], &format!("{arguments} 10"))?.spawn()?;
    let some = |world: &World| Ok((waiting(world)? >= 5, format!("{} wait", waiting(world)?)));
    place.world.until(PATIENCE, "some are posted", some).await?;
    killed.kill().await?;
    let before = waiting(&place.world)?;
    assert!(before < 40, "it was killed too late to show anything");

    let resumed = place.command(&[], &format!("{arguments} 500"))?.spawn()?;
    let all = |world: &World| Ok((waiting(world)? >= 40, format!("{} wait", waiting(world)?)));
    place.world.until(PATIENCE, "the rest is posted", all).await?;
    let worker = place.world.start_worker(&place.beside_reconcile(&[])?)?;
    let told = Told::of(&resumed.wait_with_output().await?)?.expect(0);
    assert_eq!(told.event("applied")["posted"], json!(40 - before), "{}", told.text);
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    for number in 1..=CONTACTS {
        assert_eq!(place.name(number)?.as_deref(), Some("Ada"));
    }
    assert_eq!(place.world.patches().len(), 40, "nobody is written twice");
    // What the first run had found was not looked for again.
    let lists = place.world.calls().iter().filter(|call| call.path.contains("/users?")).count();
    assert_eq!(lists, 1);
    place.reconcile(&[], "--state run.state").await?.expect(0);
    Ok(())
}

/// Who differs in what, whatever the order.
fn differences(told: &Told) -> BTreeSet<String> {
    told.events.iter().filter(|event| event["event"] == "difference").map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_at_random_places_change_nothing_of_what_is_found_and_written() -> Result<()> {
    const CONTACTS: u128 = 2_000;
    const DIFFER: u128 = 100;
    let mut options = Options::default();
    options.seed.contacts = (1..=CONTACTS).map(|number| row(number, "Ada")).collect();
    let place = RowWorld::start(options, 0).await?;
    for number in 1..=CONTACTS {
        let name = if number <= DIFFER { "Other" } else { "Ada" };
        let person = User::new(user(number)).with("givenName", name).with("surname", "King");
        place.world.graph.add_user(person)?;
    }
    let expected = differences(&place.reconcile(&[], "").await?.expect(1));
    assert_eq!(expected.len() as u128, DIFFER);
    let steps = || Ok(steps(&place.world, &place.dataverse));
    let look = || place.command(&[], "--state run.state");
    let apply = || place.command(&[], "--apply --max-changes 100% --rate 1000 --wait 5m --state run.state");
    // At first while it reads and looks, then while it posts as well.
    let mut kills = killed(4, 1, 1..=110, look, steps).await?;
    let found = differences(&place.reconcile(&[], "--state run.state").await?.expect(1));
    assert_eq!(found, expected);
    let worker = place.world.start_worker(&place.beside_reconcile(&[])?)?;
    kills += killed(6, 2, 1..=60, apply, steps).await?;
    assert_eq!(kills, 10, "it was done before it was killed so often");
    let told = Told::of(&apply()?.output().await?)?.expect(0);
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    let written: BTreeSet<_> = place.world.patches().iter().filter_map(|call| call.user).collect();
    assert_eq!(written, (1..=DIFFER).map(user).collect(), "{}", told.text);
    assert_eq!(place.world.patches().len() as u128, DIFFER, "nobody is written twice");
    let left = place.reconcile(&[], "--state run.state").await?.expect(0);
    assert_eq!(left.event("plan")["equal"], json!(CONTACTS));
    Ok(())
}

fn row(number: u128, name: &str) -> Map<String, Value> {
    let row = json!({
        "contactid": contact(number), "adx_identity_username": user(number), "firstname": name, "lastname": "King",
    });
    row.as_object().cloned().unwrap_or_default()
}
