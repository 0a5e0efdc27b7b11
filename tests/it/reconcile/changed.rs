//! Runs that read only what has changed since the last one.

use anyhow::Result;
use emulator::dataverse::Options;
use serde_json::json;
use tests::quick::{contact, user};

use super::{RowWorld, Told};

impl RowWorld {
    async fn changed(&self) -> Result<Told> {
        self.reconcile(&[], "--state run.state --changed").await
    }
}

#[track_caller]
fn check(told: &Told, contacts: u64, causes: &serde_json::Value) {
    assert_eq!(told.event("plan")["contacts"], json!(contacts), "{}", told.text);
    assert_eq!(&json!(told.causes()), causes, "{}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_what_has_changed_finds_what_one_over_everything_would() -> Result<()> {
    let place = RowWorld::start(Options::default(), 9).await?;
    for number in 1..=9 {
        place.save(number, user(number), "Ada")?;
        place.world.graph.write_user(user(number), names("Ada"));
    }
    // Nothing is known yet, so all are read.
    check(&place.changed().await?.expect(0), 9, &json!({}));
    check(&place.changed().await?.expect(0), 0, &json!({}));
    place.save(3, user(3), "Bea")?;
    place.save(4, user(4), "Ada")?;
    check(&place.changed().await?.expect(1), 2, &json!({"never-applied": 1}));
    // Who differed is looked at until he does not.
    check(&place.changed().await?.expect(1), 1, &json!({"never-applied": 1}));
    place.world.graph.write_user(user(3), names("Bea"));
    check(&place.changed().await?.expect(0), 1, &json!({}));
    // Of somebody who is gone nothing is left to compare.
    place.save(5, user(5), "Bea")?;
    check(&place.changed().await?.expect(1), 1, &json!({"never-applied": 1}));
    place.dataverse.delete("contacts", contact(5)).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    check(&place.changed().await?.expect(0), 0, &json!({}));
    // With other settings, or when Dataverse does not remember, all are read.
    place.dataverse.expire_delta_tokens();
    place.save(6, user(6), "Bea")?;
    check(&place.changed().await?.expect(1), 8, &json!({"never-applied": 1}));
    let other = ["mapping.preset = \"b2c\""];
    let told = place.reconcile(&other, "--state run.state --changed").await?;
    assert_eq!(told.event("plan")["contacts"], json!(8), "{}", told.text);
    Ok(())
}

fn names(first: &str) -> serde_json::Map<String, serde_json::Value> {
    let names = [("givenName", first), ("surname", "King")];
    names.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_thousands_of_changes_everything_is_read_because_that_is_less() -> Result<()> {
    const CONTACTS: u128 = 2_100;
    let place = RowWorld::start(Options::default(), CONTACTS).await?;
    for number in 1..=CONTACTS {
        place.save(number, user(number), "Ada")?;
        place.world.graph.write_user(user(number), names("Ada"));
    }
    let arguments = "--state run.state --changed --accept-counts";
    place.reconcile(&[], arguments).await?.expect(0);
    let told = place.reconcile(&[], arguments).await?.expect(0);
    assert_eq!(told.event("plan")["users"], json!(0), "nothing has changed: {}", told.text);
    for number in 1..=CONTACTS - 50 {
        place.save(number, user(number), if number == 7 { "Bea" } else { "Ada" })?;
    }
    let told = place.reconcile(&[], arguments).await?.expect(1);
    assert_eq!(told.event("plan")["users"], json!(CONTACTS), "{}", told.text);
    check(&told, u64::try_from(CONTACTS)?, &json!({"never-applied": 1}));
    let told = place.reconcile(&[], "--since 1h").await?.expect(1);
    check(&told, u64::try_from(CONTACTS)?, &json!({"never-applied": 1}));
    Ok(())
}
