//! Words of others: on terminals, in logs, as marks of ours, and those that must not come back out.

mod marks;
mod mouth;
mod secrets;
mod terminal;

use std::{ffi::OsStr, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use emulator::broker::{Mode, Verb};
use serde_amqp::Value;
use servicebus::{ApplicationValue, Outgoing, Queue};
use tests::{
    binary,
    world::{DEAD_LETTERS, QUEUE, World},
};
use tokio::process::Command;

/// What a command said and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{:?}\n{:?}", self.out, self.err);
        self
    }
}

/// The binary in a folder, with arguments of any kind.
fn command<A: AsRef<OsStr>>(folder: &Path, arguments: &[A]) -> Result<Command> {
    let mut command = binary::command()?;
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

async fn said(command: &mut Command) -> Result<Said> {
    let output = command.output().await.context("contactsync cannot be started")?;
    let text = |bytes| String::from_utf8(bytes).context("what is said is text");
    Ok(Said { code: output.status.code(), out: text(output.stdout)?, err: text(output.stderr)? })
}

/// Runs the binary with these settings until it ends.
async fn contactsync(settings: &Path, arguments: &[&str]) -> Result<Said> {
    let folder = settings.parent().context("a folder")?;
    said(command(folder, arguments)?.arg("--config").arg(settings)).await
}

/// A message of which everything but the body is of the sender's choice.
fn letter(body: &[u8], properties: &[(&str, ApplicationValue)]) -> Outgoing {
    Outgoing {
        message_id: Some(uuid::Uuid::new_v4().to_string().into()),
        content_type: Some("application/json".into()),
        properties: properties.iter().map(|(name, value)| (*name, value.clone())).collect(),
        body: body.to_vec().into(),
        ..Outgoing::default()
    }
}

/// Posts messages, as any sender does.
async fn post(world: &World, messages: Vec<Outgoing>) -> Result<()> {
    let sender = world.sender()?;
    for message in messages {
        sender.send(message).await.context("a message could not be posted")?;
    }
    sender.close().await;
    Ok(())
}

/// Dead-letters what lies in the queue, as a consumer that is not ours does.
fn bury(world: &World, reason: Option<&str>) -> Result<()> {
    world.bus.broker(|broker, now| -> Result<()> {
        let queue = broker.resolve(QUEUE)?;
        let taken = broker.receive(queue, Mode::PeekLock, 1_000, now)?;
        ensure!(!taken.is_empty(), "the queue is empty");
        for delivery in taken {
            let reason = reason.map(ToOwned::to_owned);
            let verb = Verb::DeadLetter { description: reason.clone(), reason, properties: Vec::new() };
            broker.settle(queue, delivery.token, verb, now)?;
        }
        Ok(())
    })
}

/// A property of every dead letter, oldest first.
fn of_letters(world: &World, name: &str) -> Result<Vec<Option<Value>>> {
    let letters = world.bus.contents(DEAD_LETTERS)?;
    Ok(letters.iter().map(|view| view.message.property(name).cloned()).collect())
}
