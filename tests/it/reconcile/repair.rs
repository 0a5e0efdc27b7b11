//! Whatever became of the messages, afterwards the directory is as the table says.

use anyhow::Result;
use emulator::dataverse::Options;
use serde_json::{Value, json};
use servicebus::{Outgoing, Queue};
use tests::{
    PATIENCE,
    message::ContactChange,
    quick::{contact, user},
};
use uuid::Uuid;

use super::RowWorld;

/// The body of a message from which Dataverse has cut everything.
fn cut(change: &ContactChange) -> Result<Vec<u8>> {
    let mut context: Value = serde_json::from_slice(&change.body())?;
    for member in ["InputParameters", "PostEntityImages", "PreEntityImages"] {
        context[member] = json!([]);
    }
    Ok(serde_json::to_vec(&context)?)
}

/// Contacts whose messages were lost, cut, bypassed, doubled and reordered, a user who was changed by somebody else, a user
/// who is gone, and one with two contacts.
async fn after_mishaps() -> Result<RowWorld> {
    let place = RowWorld::start(Options::default(), 8).await?;
    let mut posted = Vec::new();
    for number in 1..=5 {
        place.save(number, user(number), &format!("Ada {number}"))?;
        posted.push(place.message(number)?);
    }
    // 2: its next message is lost. 5: two messages come the other way round, and one of them twice.
    place.save(2, user(2), "Bea")?;
    place.save(5, user(5), "Eve")?;
    let newer = place.message(5)?;
    let older = posted.pop().expect("of 5");
    // 3: no step has seen it.
    posted.remove(2);
    posted.extend([newer.clone(), older, newer]);
    place.save(6, user(6), "Fay")?;
    place.save(7, Uuid::from_u128(0xdead), "Gus")?;
    place.save(8, user(8), "Hal")?;
    place.save(9, user(8), "Ida")?;
    let worker = place.world.start_worker(&place.beside_reconcile(&[])?)?;
    place.world.post_changes(&posted).await?;
    let sender = place.world.sender()?;
    let body = cut(&place.message(6)?)?.into();
    sender
        .send(Outgoing { content_type: Some("application/json".into()), body, ..Outgoing::default() })
        .await?;
    sender.close().await;
    place.world.drained(PATIENCE).await?;
    worker.stop().await?;
    // 4: somebody else changes the user.
    let Value::Object(other) = json!({"givenName": "Somebody"}) else { unreachable!("an object") };
    place.world.graph.write_user(user(4), other);
    Ok(place)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_messages_did_not_do_is_found_with_its_cause_and_applied_once() -> Result<()> {
    let place = after_mishaps().await?;
    let patches = place.world.patches().len();
    let told = place.reconcile(&[], "").await?.expect(1);
    let causes = [
        (2, "missed"),
        (3, "never-applied"),
        (4, "changed-elsewhere"),
        (6, "never-applied"),
        (7, "user-missing"),
        (8, "doubled"),
        (9, "doubled"),
    ];
    for (number, cause) in causes {
        assert_eq!(told.causes_of(number), [cause], "{number}: {}", told.text);
    }
    assert_eq!(told.events.len(), causes.len() + 1, "{}", told.text);
    let plan = told.event("plan");
    assert_eq!((&plan["contacts"], &plan["linked"], &plan["writes"]), (&json!(9), &json!(9), &json!(4)));
    for value in ["Bea", "King", "Somebody"] {
        assert!(!told.text.contains(value), "{}", told.text);
    }
    assert_eq!(place.world.patches().len(), patches, "a plan changes nothing");

    let worker = place.world.start_worker(&place.beside_reconcile(&[])?)?;
    let told = place.reconcile(&[], "--apply --max-changes 100% --rate 100").await?.expect(0);
    assert_eq!(told.event("applied")["posted"], json!(4), "{}", told.text);
    for (number, name) in [(1, "Ada 1"), (2, "Bea"), (3, "Ada 3"), (4, "Ada 4"), (5, "Eve"), (6, "Fay")] {
        assert_eq!(place.name(number)?.as_deref(), Some(name), "{}", told.text);
    }
    assert_eq!(place.world.patches().len(), patches + 4, "only differences are written");
    let told = place.reconcile(&[], "").await?.expect(1);
    assert_eq!(json!(told.causes()), json!({"doubled": 2, "user-missing": 1}), "nothing else is left");
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_is_filled_by_the_same_command_and_a_newer_message_stays() -> Result<()> {
    let place = RowWorld::start(Options::default(), 30).await?;
    for number in 1..=30 {
        place.save(number, user(number), "Old")?;
    }
    // While it is filled, a contact is changed, and its message is before the one of the row that was read.
    let told = place.reconcile(&[], "--apply --max-changes 3").await?.expect(1);
    assert!(told.text.contains("--max-changes allows 3"), "{}", told.text);
    place.save(30, user(30), "New")?;
    place.world.post_changes(&[place.message(30)?]).await?;
    let worker = place.world.start_worker(&place.beside_reconcile(&[])?)?;
    let told = place.reconcile(&[], "--apply --max-changes 100% --rate 500").await?.expect(0);
    place.world.drained(PATIENCE).await?;
    for number in 1..=30 {
        let name = if number == 30 { "New" } else { "Old" };
        assert_eq!(place.name(number)?.as_deref(), Some(name), "{number} {}", told.text);
    }
    let told = place.reconcile(&[], "").await?.expect(0);
    assert_eq!(told.event("plan")["equal"], json!(30), "{}", told.text);
    // Of contacts that were changed lately, only their own users are read.
    let told = place.reconcile(&[], "--since 1h").await?.expect(0);
    assert_eq!((&told.event("plan")["linked"], &told.event("plan")["users"]), (&json!(30), &json!(0)));
    worker.stop().await?;
    assert_eq!(place.world.reasons()?, Vec::<String>::new(), "{}", contact(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_not_as_the_filter_requires_is_left_alone() -> Result<()> {
    let place = RowWorld::start(Options::default(), 2).await?;
    for number in 1..=2 {
        place.save(number, user(number), "Ada")?;
    }
    let Value::Object(inactive) = json!({"statecode": 1, "statuscode": 2}) else { unreachable!("an object") };
    let saved = place.dataverse.write_contact(contact(2), &inactive);
    saved.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let active = "[filter]\nrequire = [\"statecode = 0\"]";
    let told = place.reconcile(&[active], "").await?.expect(1);
    assert_eq!((told.causes_of(1).len(), told.causes_of(2).len()), (1, 0), "{}", told.text);
    Ok(())
}
