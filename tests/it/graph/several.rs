//! Messages about several contacts: each is written by itself, and one dead letter names those that failed.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use servicebus::{Outgoing, Queue as _};

use super::{PATIENCE, contact, start, user, world};

/// The captured shape of a message about several contacts.
const SHAPE: &str = include_str!("../../fixtures/contexts/contact-updatemultiple.json");

fn body(links: &[Value]) -> Result<Vec<u8>> {
    let mut context: Value = serde_json::from_str(SHAPE)?;
    let entities = &mut context["InputParameters"][0]["value"]["Entities"];
    let mut shape = entities[0].take();
    let members = (1..).zip(links).map(|(number, link)| {
        shape["Id"] = json!(contact(number));
        shape["Attributes"] =
            json!([{"key": "firstname", "value": "Ada"}, {"key": "adx_identity_username", "value": link}]);
        shape.clone()
    });
    *entities = members.collect();
    Ok(serde_json::to_vec(&context)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_graph_or_the_planner_refuses_are_named_after_the_others_are_written() -> Result<()> {
    let world = world(4).await?;
    let sender = world.sender()?;
    // The second cannot be planned, and Graph does not know the user of the third.
    let links = [json!(user(1)), json!("ada"), json!(user(9)), json!(user(4))];
    let message = Outgoing {
        message_id: Some("several".into()),
        content_type: Some("application/json".into()),
        body: body(&links)?.into(),
        ..Outgoing::default()
    };
    sender.send(message).await.context("the message could not be posted")?;
    sender.close().await;
    let worker = start(&world, &[])?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    for number in [1, 4] {
        assert_eq!(world.user(user(number))?.text("givenName"), Some("Ada"), "{log}");
    }
    let letters = world.letters()?;
    assert_eq!(letters.len(), 1, "{log}");
    assert_eq!(letters[0].reason, "UserLinkInvalid");
    let text = &letters[0].description;
    let second = format!("number 2 (contact {}): UserLinkInvalid", contact(2));
    let third = format!("number 3 (contact {}): UserNotFound", contact(3));
    assert!(
        text.starts_with("2 of the contacts") && text.contains(&second) && text.contains(&third),
        "{text}"
    );
    Ok(())
}
