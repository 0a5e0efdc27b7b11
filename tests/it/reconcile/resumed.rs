//! A run that is killed in the middle is gone on with, and nothing is posted or written twice.

use anyhow::Result;
use emulator::dataverse::Options;
use serde_json::json;
use tests::{
    PATIENCE,
    quick::user,
    world::{QUEUE, World},
};

use super::{Place, Told};

const CONTACTS: u128 = 40;

fn waiting(world: &World) -> Result<u64> {
    Ok(u64::try_from(world.bus.contents(QUEUE)?.len())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_gone_on_with_and_nothing_is_posted_twice() -> Result<()> {
    let place = Place::start(Options::default(), CONTACTS).await?;
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
    let worker = place.world.start_worker(&place.settings(&[])?)?;
    let told = Told::of(&resumed.wait_with_output().await?)?.expect(0);
    assert_eq!(told.event("applied")["posted"], json!(40 - before), "{}", told.text);
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    for number in 1..=CONTACTS {
        assert_eq!(place.name(number)?.as_deref(), Some("Ada"));
    }
    assert_eq!(place.world.patches().len(), 40, "nobody is written twice");
    place.reconcile(&[], "--state run.state").await?.expect(0);
    Ok(())
}
