//! Rows that are read where messages do not say enough: the real worker between a local Dataverse, Service Bus and Graph.

mod lacking;
mod outage;
mod overtaken;
mod refused;

use anyhow::{Result, ensure};
use emulator::dataverse::Entry;
use serde_json::{Value, json};
use servicebus::{Outgoing, Queue};
use tests::{message::ContactChange, quick::contact};
use uuid::Uuid;

use crate::row_world::RowWorld;

/// A user of whom the directory knows nothing.
const NOBODY: Uuid = Uuid::from_u128(0xdead_0000_2222_4333_8444_0000_0000_0000);
/// Long after whatever a test posts: milliseconds since 1970.
const LATE: i64 = 4_000_000_000_000;

impl RowWorld {
    /// A change of a contact that is long past, and sets a first name that it has no more.
    fn old(&self, number: u128) -> ContactChange {
        let change = ContactChange::new(contact(number), 1_700_000_000_000);
        change.set("firstname", "Old").organization(self.dataverse.options().organization)
    }

    /// The same, with its user in an image.
    fn linked(&self, number: u128, link: Uuid) -> ContactChange {
        self.old(number).after("adx_identity_username", link.to_string())
    }

    async fn post(&self, bodies: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
        let sender = self.world.sender()?;
        for body in bodies {
            let message = Outgoing {
                content_type: Some("application/json".into()),
                body: body.into(),
                ..Outgoing::default()
            };
            sender.send(message).await?;
        }
        sender.close().await;
        Ok(())
    }

    #[track_caller]
    fn named(&self, number: u128, name: &str) {
        let is = self.name(number).expect("the user is there");
        assert_eq!(is.as_deref(), Some(name), "user {number}");
    }

    /// Questions about rows that were asked, with as many rows each as were answered.
    fn questions(&self) -> Vec<Entry> {
        self.dataverse.journal().into_iter().filter(|entry| entry.path.contains("CRM.In(")).collect()
    }

    fn no_letters(&self) -> Result<()> {
        let letters = self.world.letters()?;
        ensure!(letters.is_empty(), "{letters:?}");
        Ok(())
    }
}

/// The body of a message from which Dataverse has cut everything.
fn cut(change: &ContactChange) -> Result<Vec<u8>> {
    let mut context: Value = serde_json::from_slice(&change.body())?;
    for member in ["InputParameters", "PostEntityImages", "PreEntityImages"] {
        context[member] = json!([]);
    }
    Ok(serde_json::to_vec(&context)?)
}

/// The body of one message about several contacts.
fn several(changes: &[ContactChange]) -> Result<Vec<u8>> {
    let mut context = Value::Null;
    let mut entities = Vec::new();
    for change in changes {
        context = serde_json::from_slice(&change.body())?;
        entities.push(context["InputParameters"][0]["value"].clone());
    }
    context["MessageName"] = json!("UpdateMultiple");
    context["PrimaryEntityId"] = json!(Uuid::nil());
    context["PostEntityImages"] = json!([]);
    context["InputParameters"] = json!([{"key": "Targets", "value": {
        "__type": "EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts",
        "Entities": entities, "EntityName": "contact",
    }}]);
    Ok(serde_json::to_vec(&context)?)
}
