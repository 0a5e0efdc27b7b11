//! What tests do to a world, and what they ask of it afterwards.

use std::path::PathBuf;

use anyhow::Context;
use emulator::graph::{Entry, Kind, User};
use servicebus::{Outgoing, Queue};
use toml::Table;
use uuid::Uuid;

use crate::{
    message::ContactChange,
    world::{DEAD_LETTERS, World},
};

/// A dead letter as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The stable reason.
    pub reason: String,
    /// What happened and what to do.
    pub description: String,
    /// The body, as far as it is text.
    pub body: String,
}

impl Letter {
    /// Whether it is about this contact.
    #[must_use]
    pub fn is_about(&self, contact: Uuid) -> bool {
        self.body.contains(&contact.to_string())
    }
}

/// Posts changes in this order by this sender, which is closed then.
pub async fn post_by(sender: &impl Queue, changes: &[ContactChange]) -> anyhow::Result<()> {
    for change in changes {
        let message = Outgoing {
            message_id: Some(Uuid::new_v4().to_string().into()),
            content_type: Some("application/json".into()),
            body: change.body().into(),
            ..Outgoing::default()
        };
        sender.send(message).await.context("a change could not be posted")?;
    }
    sender.close().await;
    Ok(())
}

impl World {
    /// Writes a settings file: the usual one with these layers over it, the later the stronger. A layer may
    /// name keys of any section.
    pub fn layered(&self, layers: &[&str]) -> anyhow::Result<PathBuf> {
        let path = self.settings("")?;
        let mut settings: Table = std::fs::read_to_string(&path)?.parse()?;
        for layer in layers {
            overlay(&mut settings, layer.parse().context("a layer of the settings is no TOML")?);
        }
        std::fs::write(&path, toml::to_string(&settings)?)?;
        Ok(path)
    }

    /// Posts changes in this order, as a client over TCP.
    pub async fn post_changes(&self, changes: &[ContactChange]) -> anyhow::Result<()> {
        post_by(&self.sender()?, changes).await
    }

    /// The dead letters, oldest first.
    pub fn letters(&self) -> anyhow::Result<Vec<Letter>> {
        let letters = self.bus.contents(DEAD_LETTERS)?;
        let text = |view: &emulator::broker::View, name| match view.message.property(name) {
            Some(serde_amqp::Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        Ok(letters
            .iter()
            .map(|view| Letter {
                reason: text(view, "DeadLetterReason"),
                description: text(view, "DeadLetterErrorDescription"),
                body: String::from_utf8_lossy(&view.message.body).into_owned(),
            })
            .collect())
    }

    /// The reasons of the dead letters, oldest first.
    pub fn reasons(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.letters()?.into_iter().map(|letter| letter.reason).collect())
    }

    /// Calls to Graph, tokens aside, in the order in which they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Entry> {
        self.graph.journal().into_iter().filter(|entry| entry.kind == Kind::Graph).collect()
    }

    /// The `PATCH`es among them, whatever was answered.
    #[must_use]
    pub fn patches(&self) -> Vec<Entry> {
        self.calls().into_iter().filter(|entry| entry.method == "PATCH").collect()
    }

    /// A user as the directory has him now.
    pub fn user(&self, id: Uuid) -> anyhow::Result<User> {
        self.graph.user(id).with_context(|| format!("there is no user {id}"))
    }
}

fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => overlay(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}
