//! Rows that Dataverse refuses by themselves: whose fault that is.

use anyhow::Result;
use emulator::dataverse::{Answer, Fault, Options};
use tests::{
    PATIENCE,
    observe::Metrics,
    quick::{contact, user},
    world::{QUEUE, World},
};

use super::{RowWorld, cut};

const UNREAD: &str = "contactsync_warning{kind=\"rows_unread\"}";

/// A row that is not shared with the application user, as the service says it.
fn denied() -> Answer {
    let message = "SecLib::AccessCheckEx2 failed.".to_owned();
    Answer::Error { status: 403, code: 0x8004_8306, message }
}

async fn named(place: &RowWorld, numbers: std::ops::RangeInclusive<u128>) -> Result<()> {
    place
        .world
        .until(PATIENCE, "they are applied", |_| {
            let all = numbers.clone();
            let missing = all.filter(|number| place.name(*number).ok().flatten().is_none()).count();
            Ok((missing == 0, format!("{missing} are missing")))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_that_is_refused_slows_no_other() -> Result<()> {
    let place = RowWorld::start(Options::default(), 60).await?;
    // The seventh is in no list, and refused when it is asked for by itself.
    let others = |number: &u128| *number != 7;
    for number in (1..=60).filter(others) {
        place.save(number, Some(user(number)), "Ada")?;
    }
    place.dataverse.script(Fault::new(denied()).path(&format!("contacts({})", contact(7))).always());
    let mut worker = place.world.start_worker(&place.settings(&["retry.longest_return = \"2s\""])?)?;
    // Question after question, each with the refused one.
    for number in (1..=60).filter(others) {
        place.post([cut(&place.old(7))?, cut(&place.old(number))?]).await?;
        if number % 20 == 0 {
            named(&place, number..=number).await?;
        }
    }
    named(&place, 1..=6).await?;
    named(&place, 8..=60).await?;
    let metrics = worker.metrics().await?;
    assert!(metrics.value(UNREAD) < 1.0, "it is not everybody's");
    assert!(metrics.sum("contactsync_row_questions_total", "failed") < 1.0);
    place.no_letters()?;
    assert_eq!(place.name(7)?, None);
    // Somebody shares it.
    place.save(7, Some(user(7)), "Ada")?;
    place.dataverse.clear_faults();
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    place.named(7, "Ada");
    place.no_letters()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_until_its_time_is_over_is_a_dead_letter_that_says_so() -> Result<()> {
    let place = RowWorld::start(Options::default(), 2).await?;
    place.save(1, Some(user(1)), "Ada")?;
    place.dataverse.script(Fault::new(denied()).path("contacts(").always());
    let worker = place.world.start_worker(&place.settings(&["retry.max_age = \"1s\""])?)?;
    place.post([cut(&place.old(2))?]).await?;
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(place.world.reasons()?, ["RetryBudgetExhausted"]);
    let letters = format!("{:?}", place.world.letters()?);
    assert!(letters.contains("403") && letters.contains("for the whole organization"), "{letters}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_which_none_is_shown_are_refused_to_everybody() -> Result<()> {
    let place = RowWorld::start(Options::default(), 30).await?;
    place.dataverse.script(Fault::new(denied()).path("contacts(").always());
    let mut worker = place.world.start_worker(&place.settings(&["retry.max_age = \"1s\""])?)?;
    let bodies = (1..=30).map(|number| cut(&place.old(number))).collect::<Result<Vec<_>>>()?;
    place.post(bodies).await?;
    worker.page_until("/metrics", |page| Metrics::of(&page.text).value(UNREAD) > 0.0).await?;
    // Several questions last longer than any of them may be tried, if it were its own fault.
    let asked = |_: &World| {
        let asked = place.questions().len();
        Ok((asked >= 3, format!("{asked} questions")))
    };
    place.world.until(PATIENCE, "asked again and again", asked).await?;
    place.no_letters()?;
    assert_eq!(place.world.bus.counts(QUEUE)?.scheduled, 0, "they wait where they are");
    // Nothing is answered while somebody gives the right, so that no question sees a part of it.
    place.dataverse.script(Fault::new(Answer::Unavailable).path("CRM.In(").always());
    place.dataverse.wait_for_entry(PATIENCE, |entry| entry.status == Some(503)).await?;
    for number in 1..=30 {
        place.save(number, Some(user(number)), "Ada")?;
    }
    place.dataverse.clear_faults();
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    for number in 1..=30 {
        place.named(number, "Ada");
    }
    place.no_letters()
}
