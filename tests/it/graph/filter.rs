//! Changes that do not count, and contacts that sign in by other ways than this directory: completed, and counted.

use anyhow::Result;
use serde_json::{Value, json};
use servicebus::{Outgoing, Queue as _};
use tests::{
    message::{ContactChange, moment},
    world::{Worker, World},
};
use uuid::Uuid;

use super::{PATIENCE, assert_tally, contact, linked, start, user, world};

/// As whom something writes back into Dataverse.
const WRITER: Uuid = Uuid::from_u128(0xabc);

/// A first name of a contact of this state, and what else the message says.
fn named(number: u128, state: Value, extra: &[(&str, Value)]) -> Result<Vec<u8>> {
    let change = ContactChange::new(contact(number), moment(1))
        .set("firstname", "Ada")
        .after("adx_identity_username", user(number).to_string())
        .after("statecode", state);
    let mut context: Value = serde_json::from_slice(&change.body())?;
    for (member, value) in extra {
        context[*member] = value.clone();
    }
    Ok(serde_json::to_vec(&context)?)
}

fn state(value: i32) -> Value {
    json!({"__type": "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": value})
}

async fn post(world: &World, bodies: Vec<Vec<u8>>) -> Result<()> {
    let sender = world.sender()?;
    for body in bodies {
        let content_type = Some("application/json".into());
        sender.send(Outgoing { content_type, body: body.into(), ..Outgoing::default() }).await?;
    }
    sender.close().await;
    Ok(())
}

async fn assert_counted(worker: &mut Worker, reason: &str, times: f64) -> Result<()> {
    let name = format!(r#"contactsync_messages_total{{outcome="unchanged",reason="{reason}"}}"#);
    let value = worker.metrics().await?.value(&name);
    assert!((value - times).abs() < f64::EPSILON, "{reason}: {value}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filter_keeps_out_is_completed_and_counted_by_its_reason() -> Result<()> {
    let filter = format!(
        "[filter]\ninitiating_users = [\"{WRITER}\"]\nmax_depth = 2\nrequire = [\"statecode = 0\"]\n\
         operations = [\"update\"]\n"
    );
    let world = world(6).await?;
    let bodies = vec![
        named(1, state(0), &[("InitiatingUserId", json!(WRITER))])?,
        named(2, state(0), &[("Depth", json!(3))])?,
        named(3, state(1), &[])?,
        named(4, state(0), &[("MessageName", json!("Create"))])?,
        named(5, state(0), &[("Depth", json!(2))])?,
    ];
    post(&world, bodies).await?;
    // Nobody can tell whether this one counts.
    world.post_changes(&[super::change(6, 1).set("firstname", "Ada")]).await?;
    let mut worker = start(&world, &[&filter])?;
    world.drained(PATIENCE).await?;
    for reason in ["initiating-user-ignored", "too-deep", "filter-not-met", "operation-switched-off"] {
        assert_counted(&mut worker, reason, 1.0).await?;
    }
    assert_tally(&worker.stop().await?, "1 applied in 1 writes");
    assert_eq!(world.user(user(5))?.text("givenName"), Some("Ada"));
    assert_eq!(world.reasons()?, ["ColumnMissing"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_others_that_are_ignored_cost_no_message_and_hold_nobody() -> Result<()> {
    let world = world(201).await?;
    let of = |number: u128, link: &str| linked(number, 1, link).set("firstname", "Ada");
    let mut changes: Vec<_> = (1..=100).map(|number| of(number, "ada")).collect();
    changes.extend((101..=200).map(|number| of(number, "ada@example.com")));
    world.post_changes(&changes).await?;
    let mut worker = start(&world, &[r#"link.on_foreign = "ignore""#])?;
    world.drained(PATIENCE).await?;
    // Somebody is warned, because a wrong column looks like this, too.
    let page = worker.page_until("/readyz", |page| page.text.contains("warning, link_unseen")).await?;
    assert!(
        page.status == 200 && page.text.contains("200 with a link that link.on_foreign ignores"),
        "{page:?}"
    );
    assert_counted(&mut worker, "foreign-link-name", 100.0).await?;
    assert_counted(&mut worker, "foreign-link-address", 100.0).await?;
    let ours = of(201, "").after("adx_identity_username", user(201).to_string());
    let ours = ContactChange { columns: vec![("firstname", json!("Grace"))], ..ours };
    world.post_changes(&[ours]).await?;
    world.drained(PATIENCE).await?;
    worker.page_until("/readyz", |page| page.text == "ready\n").await?;
    let log = worker.stop().await?;
    assert_tally(&log, "1 applied in 1 writes");
    assert_eq!(world.reasons()?, [""; 0]);
    assert_eq!(world.user(user(201))?.text("givenName"), Some("Grace"));
    assert!(!log.contains("ada@example.com"), "{log}");
    Ok(())
}
