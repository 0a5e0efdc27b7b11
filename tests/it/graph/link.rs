//! A link that is never seen: a wrong link column, or one that the images lack, costs no message and is told; contacts
//! that have no user stop nobody.

use anyhow::Result;
use emulator::graph::User;
use serde_json::Value;
use tests::{
    message::{ContactChange, moment},
    observe::Page,
    world::{QUEUE, Worker, World},
};

use super::{PATIENCE, assert_tally, contact, start, user, world};

/// The setting that most of these worlds get wrong.
const WRONG: &str = r#"mapping.link_column = "adx_username""#;

/// So many changes of contacts, each with the columns of its image.
fn changes(count: u128, image: impl Fn(u128, ContactChange) -> ContactChange) -> Vec<ContactChange> {
    (1..=count)
        .map(|number| {
            let change = ContactChange::new(contact(number), moment(1)).set("firstname", "Ada");
            image(number, change.after("lastname", "King"))
        })
        .collect()
}

fn linked(number: u128, change: ContactChange) -> ContactChange {
    change.after("adx_identity_username", user(number).to_string())
}

fn says(page: &Page, parts: &[&str]) -> bool {
    parts.iter().all(|part| page.text.contains(part))
}

/// A worker that takes nothing, and says why.
async fn check_held(
    layers: &[&str],
    changes: &[ContactChange],
    says_why: &[&str],
) -> Result<(World, Worker)> {
    let world = world(3).await?;
    world.post_changes(changes).await?;
    let mut worker = start(&world, layers)?;
    let page =
        worker.page_until("/readyz", |page| page.status == 503 && says(page, &["not ready, link: "])).await?;
    assert!(says(&page, says_why), "{page:?}");
    assert_untouched(&world, changes.len())?;
    let paused = r#"contactsync_intake_paused{cause="link"}"#;
    assert!((worker.metrics().await?.value(paused) - 1.0).abs() < f64::EPSILON);
    let warned = r#"contactsync_warning{kind="link_unseen"}"#;
    assert!((worker.metrics().await?.value(warned) - 1.0).abs() < f64::EPSILON);
    let status: Value = serde_json::from_str(&worker.page("/status.json").await?.text)?;
    assert_eq!(status["state"], "link_unknown");
    assert!(!worker.log()?.contains("King"), "no values: {}", worker.log()?);
    Ok((world, worker))
}

/// All messages are still there, and no delivery is counted.
fn assert_untouched(world: &World, messages: usize) -> Result<()> {
    let contents = world.bus.contents(QUEUE)?;
    assert_eq!(contents.len(), messages);
    assert!(contents.iter().all(|view| view.delivery_count == 0), "a delivery was counted");
    assert_eq!(world.reasons()?, [""; 0]);
    assert_eq!(world.patches().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_link_column_costs_no_message_and_the_right_one_applies_all() -> Result<()> {
    let changes = changes(3, linked);
    let why = ["adx_username never holds a user", "set mapping.link_column = \"adx_identity_username\""];
    let (world, worker) = check_held(&[WRONG], &changes, &why).await?;
    worker.stop().await?;
    assert_untouched(&world, 3)?;
    let worker = start(&world, &[])?;
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "3 applied in 3 writes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_comes_later_is_held_too() -> Result<()> {
    let world = world(3).await?;
    let mut worker = start(&world, &[WRONG])?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    world.post_changes(&changes(3, linked)).await?;
    worker.page_until("/readyz", |page| page.status == 503 && says(page, &["not ready, link: "])).await?;
    worker.stop().await?;
    assert_untouched(&world, 3)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_show_a_user_are_held_whatever_is_wrong() -> Result<()> {
    let pre = |n, change: ContactChange| change.before("adx_identity_username", user(n).to_string());
    let lookup = |n, change: ContactChange| {
        let parent = serde_json::json!({"__type": "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts",
            "Id": user(n), "KeyAttributes": [], "LogicalName": "account", "Name": null, "RowVersion": null});
        change.after("parentcustomerid", parent)
    };
    let own = |n, change: ContactChange| change.after("contactid", contact(n).to_string());
    let mail = |_, change: ContactChange| change.after("emailaddress1", "ada@example.com");
    let nulls = |_, change: ContactChange| change.after("telephone1", Value::Null);
    let signed_in =
        |_, change: ContactChange| change.after("adx_identity_lastsuccessfullogin", "/Date(1710408412000)/");
    let column = |name: &str| format!("mapping.link_column = \"{name}\"");
    let cases = [
        ("pre image only", column("adx_username"), changes(1, pre), "adx_username never holds a user"),
        ("a lookup", column("parentcustomerid"), changes(1, lookup), "parentcustomerid is no column of text"),
        ("its own id", column("contactid"), changes(1, own), "contactid is the id of the contact itself"),
        ("an address", column("emailaddress1"), changes(100, mail), "emailaddress1 holds text that is never"),
        (
            "an image without the column",
            String::new(),
            changes(3, nulls),
            "adx_identity_username is in no image",
        ),
        (
            "contacts that sign in",
            String::new(),
            changes(1, signed_in),
            "also not of contacts that have signed in",
        ),
    ];
    for (what, layer, changes, why) in cases {
        let (world, worker) = check_held(&[&layer], &changes, &[why]).await?;
        let log = worker.stop().await?;
        assert!(log.contains("no messages are taken"), "{what}: {log}");
        assert_untouched(&world, changes.len())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_image_goes_on_by_itself_and_what_came_before_is_not_passed_over() -> Result<()> {
    let before = changes(3, |_, change| change.after("telephone1", Value::Null));
    let (world, mut worker) = check_held(&[], &before, &["adx_identity_username is in no image"]).await?;
    world.graph.add_user(User::new(user(9)))?;
    let mended = ContactChange::new(contact(9), moment(2)).set("firstname", "Grace");
    world.post_changes(&[linked(9, mended)]).await?;
    world.drained(PATIENCE).await?;
    worker.page_until("/readyz", |page| page.text == "ready\n").await?;
    assert_eq!(world.user(user(9))?.text("givenName"), Some("Grace"));
    assert_eq!(world.reasons()?, ["UserLinkUnknown"; 3]);
    assert!(world.letters()?[0].description.contains("before the images held adx_identity_username"));
    // A contact without a user that changes from now on is known to have none.
    let stranger =
        ContactChange::new(contact(10), moment(3)).set("firstname", "Nobody").after("lastname", "King");
    world.post_changes(&[stranger]).await?;
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "3 dead-lettered");
    assert_eq!(world.reasons()?.len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_without_a_user_are_completed_and_somebody_is_warned_until_one_has_a_user() -> Result<()> {
    let world = world(1).await?;
    world.post_changes(&changes(300, |_, change| change)).await?;
    let mut worker = start(&world, &[])?;
    world.drained(PATIENCE).await?;
    let warned = r#"contactsync_warning{kind="link_unseen"}"#;
    worker.page_until("/metrics", |page| page.text.contains(&format!("{warned} 1"))).await?;
    let page = worker.page("/readyz").await?;
    assert_eq!(page.status, 200, "{page:?}");
    let parts = [
        "ready\nwarning, link_unseen: no message has shown",
        "the messages carry contactid, firstname, lastname",
    ];
    assert!(says(&page, &parts), "{page:?}");
    let status: Value = serde_json::from_str(&worker.page("/status.json").await?.text)?;
    assert_eq!(status["warnings"][0]["name"], "link_unseen");
    world.post_changes(&changes(1, linked)).await?;
    worker.page_until("/metrics", |page| page.text.contains(&format!("{warned} 0"))).await?;
    assert_eq!(worker.page("/readyz").await?.text, "ready\n");
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "1 applied in 1 writes");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn few_contacts_without_a_user_warn_nobody() -> Result<()> {
    let world = world(1).await?;
    world.post_changes(&changes(19, |_, change| change)).await?;
    let mut worker = start(&world, &[])?;
    world.drained(PATIENCE).await?;
    assert_eq!(worker.page("/readyz").await?.text, "ready\n");
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_contact_with_a_user_behind_others_without_is_enough() -> Result<()> {
    let world = world(11).await?;
    let mut all = changes(10, |_, change| change.after("telephone1", Value::Null));
    all.push(linked(11, ContactChange::new(contact(11), moment(1)).set("firstname", "Grace")));
    world.post_changes(&all).await?;
    let worker = start(&world, &[])?;
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "1 applied in 1 writes");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_targets_need_no_image() -> Result<()> {
    let world = world(30).await?;
    let all: Vec<_> = (1..=30).map(|number| super::change(number, 1).set("firstname", "Ada")).collect();
    world.post_changes(&all).await?;
    let mut worker = start(&world, &[])?;
    world.drained(PATIENCE).await?;
    assert_eq!(worker.page("/readyz").await?.text, "ready\n");
    assert_tally(&worker.stop().await?, "30 applied");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_better_is_warned_and_not_held() -> Result<()> {
    let world = world(3).await?;
    world.post_changes(&changes(3, linked)).await?;
    let mut worker = start(&world, &[WRONG, r#"mapping.link_unseen = "warn""#])?;
    world.drained(PATIENCE).await?;
    let page = worker.page("/readyz").await?;
    assert!(
        page.status == 200 && says(&page, &["warning, link_unseen: adx_username never holds a user"]),
        "{page:?}"
    );
    worker.stop().await?;
    Ok(())
}
