//! No write without need: the quota is the scarce thing.

use anyhow::Result;
use emulator::graph::{Fault, User};
use serde_json::{Value, json};
use tests::message::ContactChange;

use super::{B2C, GUARDED, PATIENCE, assert_tally, b2c_world, change, linked, run, start, user, world};

const DIFF: &str = r#"graph.diff = "read""#;

/// These changes are completed without a single PATCH.
async fn check_needless(layers: &[&str], changes: &[ContactChange], calls: usize) -> Result<()> {
    let before =
        User::new(user(1)).with("givenName", "Ada").with("surname", "King").with("mail", "ada@example.com");
    let world = world(0).await?;
    world.graph.add_user(before.clone())?;
    let log = run(&world, layers, changes).await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    assert_eq!(world.patches().len(), 0, "{log}");
    assert_eq!(world.calls().len(), calls, "{log}");
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_unmapped_columns_and_strangers_cost_no_call_at_all() -> Result<()> {
    let known =
        |at| ContactChange::new(super::contact(1), at).after("adx_identity_username", user(1).to_string());
    let sign_in = |at| known(at).set("adx_identity_lastsuccessfullogin", "/Date(1710408412000)/");
    let changes = [
        sign_in(1),
        sign_in(2),
        known(3).set("jobtitle", "Countess").set("telephone1", "+90 555 0100"),
        linked(1, 4, "").set("firstname", "Nobody"),
        ContactChange::new(super::contact(2), 5)
            .set("firstname", "Nobody")
            .after("adx_identity_username", Value::Null),
        // Dataverse may leave null columns out of images, so this is how most contacts without a user look.
        ContactChange::new(super::contact(3), 6).set("firstname", "Nobody").after("lastname", "Either"),
    ];
    check_needless(&[], &changes, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_a_pre_image_shows_unchanged_cost_no_call_at_all() -> Result<()> {
    let saved_again = change(1, 1)
        .before("adx_identity_username", user(1).to_string())
        .set("firstname", "Ada")
        .set("lastname", "King")
        .set("emailaddress1", "ada@example.com")
        .before("firstname", "Ada")
        .before("lastname", "King")
        .before("emailaddress1", "ada@example.com");
    check_needless(&[], &[saved_again], 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_diff_a_user_who_is_so_already_is_read_and_not_written() -> Result<()> {
    let same = change(1, 1).set("firstname", "Ada").set("lastname", "King");
    check_needless(&[DIFF], &[same], 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_diff_only_what_differs_is_written() -> Result<()> {
    let world = world(0).await?;
    world.graph.add_user(User::new(user(1)).with("givenName", "Ada").with("surname", "Byron"))?;
    let log = run(
        &world,
        &[DIFF],
        &[change(1, 1).set("firstname", "Ada").set("lastname", "King").set("emailaddress1", Value::Null)],
    )
    .await?;
    let patches = world.patches();
    assert_eq!(patches.len(), 1, "{log}");
    assert_eq!(patches[0].changed().collect::<Vec<_>>(), ["surname"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_diff_and_b2c_a_user_with_that_address_already_is_not_written() -> Result<()> {
    let local = User::new(user(1))
        .with("otherMails", json!(["ada@example.com"]))
        .with_identity(emulator::graph::Identity::email("ada@example.com"));
    let world = b2c_world([local]).await?;
    let log = run(&world, &[B2C, DIFF], &[change(1, 1).set("emailaddress1", "ada@example.com")]).await?;
    assert_eq!((world.patches().len(), world.calls().len()), (0, 1), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_is_written_once() -> Result<()> {
    for layer in ["pool.concurrency = 16", GUARDED] {
        let world = world(1).await?;
        let same = change(1, 1).set("firstname", "Ada");
        let log = run(&world, &[layer], &[same.clone(), same.clone(), same]).await?;
        assert_eq!(world.graph.counters().effective_writes, 1, "{log}");
        assert_tally(&log, "0 dead-lettered");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_of_one_user_are_a_few_writes() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::hold().patches());
    let changes: Vec<_> = (1..=100).map(|at| change(1, at).set("firstname", format!("v{at}"))).collect();
    world.post_changes(&changes).await?;
    let mut worker = start(&world, &[])?;
    // The first write is under way until all the others wait.
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_held_messages 100\n")).await?;
    world.graph.release();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("v100"), "{log}");
    assert!(world.patches().len() <= 10, "{} writes for 100 changes: {log}", world.patches().len());
    Ok(())
}
