//! `link.rules`: users who are found by a question to Graph. A guess is never made, and no message is lost over it.

use std::time::Duration;

use anyhow::Result;
use emulator::graph::{Entry, Fault, Identity, RetryAfter, User};
use serde_json::json;
use tests::{
    message::{ContactChange, moment},
    world::{QUEUE, World},
};

use super::{PATIENCE, assert_tally, contact, run, start, user, world};
use crate::replay::contactsync;

const BY_ATTRIBUTE: &str = r#"link.rules = [{ attribute = "extensionAttribute7" }]"#;
const ISSUER: &str = "https://idp.example";
const BY_IDENTITY: &str = r#"
[link]
rules = [
  { object_id = "adx_identity_username" },
  { identity = "new_sub", issuer = "https://idp.example" },
]
"#;
const SUB: &str = "new_sub";

/// A first name of a contact, without a word about its user.
fn named(number: u128, at: usize, name: &str) -> ContactChange {
    ContactChange::new(contact(number), moment(at)).set("firstname", name)
}

/// A user whose attribute holds the id of that contact.
fn owned_by(number: u128, of: u128) -> User {
    let attributes = json!({"extensionAttribute7": contact(of).to_string()});
    User::new(user(number)).with("onPremisesExtensionAttributes", attributes)
}

fn identified(number: u128, id: &str) -> User {
    User::new(user(number)).with_identity(Identity::federated(ISSUER, id))
}

fn given_name(world: &World, number: u128) -> Result<Option<String>> {
    Ok(world.user(user(number))?.text("givenName").map(str::to_owned))
}

/// A fault of questions only.
fn of_questions(fault: Fault) -> Fault {
    Fault { path: Some("$filter".into()), ..fault }
}

fn questions(world: &World) -> Vec<Entry> {
    let asked = |call: &Entry| call.path.contains("$filter") && call.method == "GET";
    world.graph.journal().into_iter().filter(asked).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_the_attribute_that_holds_the_contacts_id_and_asked_for_once() -> Result<()> {
    let world = world(0).await?;
    world.graph.add_user(owned_by(1, 1))?;
    world.graph.add_user(owned_by(2, 2))?;
    world.post_changes(&[named(1, 1, "Ada"), named(2, 1, "Grace")]).await?;
    let worker = start(&world, &[BY_ATTRIBUTE])?;
    world.drained(PATIENCE).await?;
    world.post_changes(&[named(1, 2, "Augusta")]).await?;
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "3 applied");
    assert_eq!(given_name(&world, 1)?.as_deref(), Some("Augusta"));
    assert_eq!(given_name(&world, 2)?.as_deref(), Some("Grace"));
    assert_eq!(questions(&world).len(), 2, "what was found is remembered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_an_identity_whatever_is_in_its_id_if_there_is_no_object_id() -> Result<()> {
    let world = world(2).await?;
    let odd = "o'neill' or c/issuer eq 'x";
    world.graph.add_user(identified(3, odd))?;
    let by_id = named(1, 1, "Ada").after("adx_identity_username", user(1).to_string()).after(SUB, "another");
    let by_sub = named(3, 1, "Rose").after("adx_identity_username", "").after(SUB, odd);
    let log = run(&world, &[BY_IDENTITY], &[by_id, by_sub]).await?;
    assert_tally(&log, "2 applied in 2 writes");
    assert_eq!(given_name(&world, 1)?.as_deref(), Some("Ada"));
    assert_eq!(given_name(&world, 3)?.as_deref(), Some("Rose"));
    assert_eq!(questions(&world).len(), 1);
    assert!(!log.contains("neill"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_are_nobody_and_both_are_named() -> Result<()> {
    let world = world(0).await?;
    world.graph.add_user(owned_by(1, 1))?;
    world.graph.add_user(owned_by(2, 1))?;
    let log = run(&world, &[BY_ATTRIBUTE], &[named(1, 1, "Ada")]).await?;
    assert_eq!(world.reasons()?, ["UserLinkAmbiguous"], "{log}");
    let text = &world.letters()?[0].description;
    assert!(text.contains(&user(1).to_string()) && text.contains(&user(2).to_string()), "{text}");
    assert_eq!(world.patches().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_and_then_a_dead_letter() -> Result<()> {
    let world = world(0).await?;
    world.post_changes(&[named(1, 1, "Ada"), named(2, 1, "Grace")]).await?;
    let worker = start(&world, &[BY_ATTRIBUTE, r#"retry.not_found_grace = "2s""#])?;
    world
        .until(PATIENCE, "both were asked for", |world| {
            let asked = questions(world).len();
            Ok((asked >= 2, format!("{asked} questions")))
        })
        .await?;
    world.graph.add_user(owned_by(2, 2))?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(given_name(&world, 2)?.as_deref(), Some("Grace"), "{log}");
    assert_eq!(world.reasons()?, ["UserNotFound"], "{log}");
    let text = &world.letters()?[0].description;
    assert!(text.contains(&contact(1).to_string()) && text.contains("extensionAttribute7"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_question_is_asked_again_after_the_time_and_costs_nothing() -> Result<()> {
    let world = world(0).await?;
    for number in 1..=3 {
        world.graph.add_user(owned_by(number, number))?;
    }
    let fault = Fault::status(429).retry_after(RetryAfter::Seconds(0.4)).times(2);
    world.graph.script(of_questions(fault));
    world.graph.script(of_questions(Fault::status(503).after(3)));
    let changes: Vec<_> = (1..=3).map(|number| named(number, 1, "Ada")).collect();
    let log = run(&world, &[BY_ATTRIBUTE], &changes).await?;
    assert_tally(&log, "3 applied in 3 writes");
    assert_tally(&log, "0 returned for later");
    assert_eq!(world.reasons()?, [""; 0]);
    let calls = questions(&world);
    let throttled: Vec<_> = calls.iter().filter(|call| call.status == Some(429)).collect();
    assert_eq!(throttled.len(), 2);
    for call in throttled {
        let again = |later: &&Entry| later.path == call.path && later.number > call.number;
        let next = calls.iter().find(again).expect("it is asked again");
        let after = next.at_ms - call.at_ms;
        assert!(after >= 380, "the next question came after {after} ms");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_question_holds_intake_and_costs_no_message() -> Result<()> {
    let world = world(0).await?;
    world.graph.add_user(owned_by(1, 1))?;
    world.graph.script(
        of_questions(Fault::status(403).code("Authorization_RequestDenied").lasting(Duration::from_secs(1)))
            .always(),
    );
    world.post_changes(&[named(1, 1, "Ada")]).await?;
    let mut worker = start(&world, &[BY_ATTRIBUTE])?;
    let page = worker.page_until("/readyz", |page| page.text.contains("link.rules")).await?;
    assert!(page.status == 503 && page.text.contains("User.Read.All"), "{page:?}");
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "1 applied in 1 writes");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_link_is_looked_up_anew_and_its_user_gets_everything() -> Result<()> {
    let world = world(0).await?;
    world.graph.add_user(identified(1, "ada"))?;
    world.graph.add_user(identified(2, "grace"))?;
    world.post_changes(&[named(9, 1, "Ada").after(SUB, "ada")]).await?;
    let worker = start(&world, &[BY_IDENTITY])?;
    world.drained(PATIENCE).await?;
    let moved = ContactChange::new(contact(9), moment(2)).set(SUB, "grace").before(SUB, "ada");
    let moved = moved.after(SUB, "grace").after("firstname", "Grace").after("lastname", "Hopper");
    world.post_changes(&[moved]).await?;
    world.drained(PATIENCE).await?;
    world.post_changes(&[named(9, 3, "G.").after(SUB, "grace")]).await?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(given_name(&world, 1)?.as_deref(), Some("Ada"));
    assert_eq!(given_name(&world, 2)?.as_deref(), Some("G."));
    assert_eq!(world.user(user(2))?.text("surname"), Some("Hopper"));
    assert_eq!(questions(&world).len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_looked_up_is_said_and_looked_up_on_demand() -> Result<()> {
    let world = world(0).await?;
    world.graph.add_user(owned_by(1, 1))?;
    world.post_changes(&[named(1, 1, "Ada")]).await?;
    let settings = world.layered(&[BY_ATTRIBUTE])?;
    let told = contactsync(&settings, "run --dry-run --once").await?;
    let question = format!("look up      the user whose extensionAttribute7 holds {}", contact(1));
    assert!(told.out.contains(&question), "{} {}", told.out, told.err);
    let told = contactsync(&settings, "run --dry-run --once --online").await?;
    assert!(
        told.out.contains(&format!("would write  user {}: givenName", user(1))),
        "{} {}",
        told.out,
        told.err
    );
    let body = world.folder().join("body.json");
    std::fs::write(&body, named(1, 1, "Ada").body())?;
    let told = contactsync(&settings, &format!("plan {}", body.display())).await?;
    assert!(told.out.contains("the user whose extensionAttribute7 holds"), "{} {}", told.out, told.err);
    let told = contactsync(&settings, &format!("apply {} --yes", body.display())).await?;
    assert_eq!(told.code, Some(0), "{} {}", told.out, told.err);
    assert_eq!(given_name(&world, 1)?.as_deref(), Some("Ada"));
    assert_eq!(world.bus.counts(QUEUE)?.active, 1);
    Ok(())
}
