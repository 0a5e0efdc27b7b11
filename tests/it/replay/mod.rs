//! Dead letters seen, put back and taken out, by the real binary over TCP.

mod chosen;
mod copies;
mod crashes;
mod listing;
mod outcomes;
mod previews;
mod safety;

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use emulator::broker::{Message, Mode, Verb, View, data_section};
use serde_amqp::Value;
use serde_json::Value as Json;
use tests::{
    PATIENCE, binary,
    message::ContactChange,
    quick::{GUARDED, QUICK, contact, user},
    world::{DEAD_LETTERS, QUEUE, World},
};
use tokio::process::Command;

/// A change of one contact that links to the user of the same number.
pub(crate) fn change(number: u128, millis: i64) -> ContactChange {
    ContactChange::new(contact(number), millis).after("adx_identity_username", user(number).to_string())
}

/// A message to be made a dead letter. Clones share the body.
#[derive(Clone)]
pub(crate) struct Dead {
    id: String,
    body: Bytes,
    reason: String,
    properties: Vec<(&'static str, &'static str)>,
}

impl Dead {
    pub(crate) fn new(id: impl Into<String>, body: impl Into<Vec<u8>>, reason: &str) -> Self {
        let body = data_section(&body.into());
        Self { id: id.into(), body, reason: reason.into(), properties: Vec::new() }
    }

    fn message(&self) -> Message {
        Message::of(&self.id, "application/json", self.body.clone())
    }
}

/// Puts dead letters straight into the broker, as a worker would have left them.
pub(crate) fn bury(world: &World, letters: &[Dead]) -> Result<()> {
    for letters in letters.chunks(500) {
        world.bus.broker(|broker, now| -> Result<()> {
            let queue = broker.resolve(QUEUE)?;
            broker.send(queue, letters.iter().map(Dead::message).collect(), now)?;
            let taken = broker.receive(queue, Mode::PeekLock, letters.len(), now)?;
            ensure!(taken.len() == letters.len(), "the queue held something else");
            for (delivery, letter) in taken.iter().zip(letters) {
                let text =
                    |(name, text): &(&str, &str)| ((*name).to_owned(), Value::String((*text).to_owned()));
                let verb = Verb::DeadLetter {
                    reason: Some(letter.reason.clone()),
                    description: Some("in a test".to_owned()),
                    properties: letter.properties.iter().map(text).collect(),
                };
                broker.settle(queue, delivery.token, verb, now)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// The events that `--json` printed.
    fn events(&self, kind: &str) -> Vec<Json> {
        let events = self.out.lines().map(|line| serde_json::from_str::<Json>(line).expect("a line of JSON"));
        events.filter(|event| event["event"] == kind).collect()
    }

    fn summary(&self) -> Json {
        self.events("summary").pop().unwrap_or_else(|| panic!("no summary\n{}\n{}", self.out, self.err))
    }
}

pub(crate) fn command(settings: &Path, arguments: &str) -> Result<Command> {
    let mut command = binary::command()?;
    command.args(arguments.split_whitespace()).arg("--config").arg(settings);
    command.current_dir(settings.parent().context("a folder")?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

pub(crate) async fn contactsync(settings: &Path, arguments: &str) -> Result<Done> {
    let output = command(settings, arguments)?.output().await.context("the command cannot be started")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

fn property(view: &View, name: &str) -> Option<String> {
    match view.message.property(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Long(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// Ids of the originals, in the order of the queue.
pub(crate) fn ids(world: &World, address: &str) -> Result<Vec<String>> {
    let original = |view: &View| {
        property(view, "contactsync-original-id").or_else(|| view.message.message_id()).unwrap_or_default()
    };
    Ok(world.bus.contents(address)?.iter().map(original).collect())
}

/// Nothing is locked, and no delivery has counted as failed.
pub(crate) fn assert_untouched(world: &World) -> Result<()> {
    for view in world.bus.contents(DEAD_LETTERS)? {
        assert!(!view.locked && view.delivery_count == 0, "{} was touched", view.sequence);
    }
    Ok(())
}
