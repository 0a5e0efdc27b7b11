//! Messages that do not say enough.

use anyhow::Result;
use emulator::dataverse::Options;
use tests::{PATIENCE, message::ContactChange, quick::user};
use uuid::Uuid;

use super::{LATE, NOBODY, RowWorld, cut, several};

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_cut_messages_are_applied_by_a_few_questions() -> Result<()> {
    let place = RowWorld::start(Options::default(), 300).await?;
    let mut bodies = Vec::new();
    for number in 1..=300 {
        place.save(number, Some(user(number)), &format!("Ada {number}"))?;
        bodies.push(cut(&place.old(number))?);
    }
    place.post(bodies).await?;
    let worker = place.world.start_worker(&place.settings(&[])?)?;
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    place.no_letters()?;
    for number in 1..=300 {
        place.named(number, &format!("Ada {number}"));
    }
    let questions = place.questions();
    assert!((3..=12).contains(&questions.len()), "{} questions", questions.len());
    assert_eq!(questions.iter().map(|entry| entry.rows).sum::<usize>(), 300, "each row once");
    Ok(())
}

/// One message for each thing that can be missing.
fn each_kind(place: &RowWorld) -> Result<Vec<Vec<u8>>> {
    let member = place.linked(5, user(5)).set("adx_identity_username", user(5).to_string());
    Ok(vec![
        cut(&place.old(1))?,
        // No link anywhere.
        place.old(2).body(),
        // An image that does not show it.
        place.old(3).after("lastname", "King").body(),
        // A new link, and nothing about the columns that the user needs.
        ContactChange { columns: Vec::new(), ..place.old(4) }
            .set("adx_identity_username", user(4).to_string())
            .body(),
        // One of several contacts without its link.
        several(&[member, place.old(6)])?,
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_missing_is_read_and_without_reading_it_is_a_dead_letter() -> Result<()> {
    for reads in [true, false] {
        let place = RowWorld::start(Options::default(), 6).await?;
        for number in 1..=6 {
            place.save(number, Some(user(number)), &format!("Ada {number}"))?;
        }
        // With a user in an image, or nothing would be taken without rows.
        place.world.post_changes(&[place.linked(5, user(5))]).await?;
        place.post(each_kind(&place)?).await?;
        let layer = format!("mapping.link_unseen = \"warn\"\ndataverse.read_back = {reads}");
        let mut worker = place.world.start_worker(&place.settings(&[&layer])?)?;
        place.world.drained(PATIENCE).await?;
        let metrics = worker.metrics().await?;
        worker.stop().await?;
        let mut reasons = place.world.reasons()?;
        reasons.sort_unstable();
        if reads {
            assert_eq!(reasons, [""; 0]);
            for number in [1, 2, 4, 6] {
                place.named(number, &format!("Ada {number}"));
            }
            for cause in ["truncated", "link-unknown", "column-missing"] {
                let series = format!("contactsync_rows_asked_total{{cause=\"{cause}\"}}");
                assert!(metrics.value(&series) >= 1.0, "{series}");
            }
        } else {
            let expected = ["ColumnMissing", "ContextTruncated", "UserLinkUnknown", "UserLinkUnknown"];
            assert_eq!(reasons, expected);
            assert!(place.dataverse.journal().is_empty(), "nothing is asked");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_the_link_is_believed_once_images_were_seen_to_show_it() -> Result<()> {
    let place = RowWorld::start(Options::default(), 3).await?;
    for number in 1..=3 {
        place.save(number, Some(user(number)), "Ada")?;
    }
    let unshown = |number| place.old(number).after("lastname", "King").body();
    let worker = place.world.start_worker(&place.settings(&[])?)?;
    place.post([unshown(1)]).await?;
    place.world.drained(PATIENCE).await?;
    place.named(1, "Ada");
    let asked = place.questions().len();
    assert_eq!(asked, 1);
    place.post([place.linked(2, user(2)).body(), unshown(3)]).await?;
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!((place.questions().len(), place.name(3)?), (asked, None), "as without Dataverse");
    place.no_letters()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_without_a_user_and_one_that_is_gone_are_done_and_others_rows_are_not_believed()
-> Result<()> {
    let place = RowWorld::start(Options::default(), 4).await?;
    place.save(1, None, "Ada")?;
    place.save(3, Some(user(3)), "Ada")?;
    let elsewhere = Uuid::from_u128(0xf0);
    place
        .post([cut(&place.old(1))?, cut(&place.old(2))?, cut(&place.old(3).organization(elsewhere))?])
        .await?;
    let mut worker = place.world.start_worker(&place.settings(&[])?)?;
    place.world.drained(PATIENCE).await?;
    let metrics = worker.metrics().await?;
    worker.stop().await?;
    assert_eq!(place.world.reasons()?, ["ContextTruncated"], "the one of another organization");
    for reason in ["not-a-portal-user", "contact-gone"] {
        assert!(metrics.sum("contactsync_messages_total", reason) >= 1.0, "{reason}");
    }
    assert_eq!(place.name(3)?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_gone_is_looked_for_in_the_row_once() -> Result<()> {
    let place = RowWorld::start(Options::default(), 2).await?;
    // The contact was given another user after its message.
    place.save(1, Some(user(1)), "Ada")?;
    place.save(2, Some(NOBODY), "Bea")?;
    place.world.post_changes(&[place.linked(1, NOBODY), place.linked(2, NOBODY)]).await?;
    let worker = place.world.start_worker(&place.settings(&[])?)?;
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    place.named(1, "Ada");
    let letters = place.world.letters()?;
    assert_eq!(place.world.reasons()?, ["UserNotFound"]);
    assert!(letters[0].is_about(tests::quick::contact(2)));
    let asked: usize = place.questions().iter().map(|entry| entry.rows).sum();
    assert_eq!(asked, 2, "each row once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_whose_values_may_be_hidden_empties_nobody() -> Result<()> {
    let place = RowWorld::start(Options::default(), 1).await?;
    place.save(1, Some(user(1)), "Ada")?;
    place.dataverse.secure("contact", "firstname");
    let mut worker = place.world.start_worker(&place.settings(&[])?)?;
    let series = "contactsync_warning{kind=\"rows_unfit\"}";
    worker.page_until("/metrics", |page| tests::observe::Metrics::of(&page.text).value(series) > 0.0).await?;
    place.post([cut(&place.old(1))?]).await?;
    place.world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!((place.world.reasons()?, place.name(1)?), (vec!["ContextTruncated".to_owned()], None));
    assert!(log.contains("firstname is secured"), "{log}");
    assert_eq!(place.questions().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_message_that_is_older_than_the_row_changes_nothing() -> Result<()> {
    let place = RowWorld::start(Options::default(), 1).await?;
    place.save(1, Some(user(1)), "Ada")?;
    let worker = place.world.start_worker(&place.settings(&[])?)?;
    place.post([cut(&place.old(1))?]).await?;
    place.world.drained(PATIENCE).await?;
    place.named(1, "Ada");
    place.world.post_changes(&[place.linked(1, user(1))]).await?;
    place.world.drained(PATIENCE).await?;
    place.named(1, "Ada");
    // And one that is newer does.
    let newer = ContactChange { at: LATE, ..place.linked(1, user(1)) };
    place.world.post_changes(&[newer.set("firstname", "New")]).await?;
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    place.named(1, "New");
    place.no_letters()
}
