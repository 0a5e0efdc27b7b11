//! `contactsync reconcile`, as the real binary, between a local Dataverse, Service Bus and Graph.

mod background;
mod changed;
mod held;
mod people;
mod refusals;
mod repair;
mod resumed;

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result};
use emulator::dataverse::value;
use serde_json::{Map, Value, json};
use tests::{binary, message::ContactChange, quick::contact};
use tokio::process::Command;

use crate::row_world::RowWorld;

/// How a command ended, and what it told.
struct Told {
    code: Option<i32>,
    events: Vec<Value>,
    text: String,
}

impl RowWorld {
    /// The same settings where what messages lack is left to reconcile.
    fn beside_reconcile(&self, layers: &[&str]) -> Result<PathBuf> {
        self.settings(&[&["dataverse.read_back = false"], layers].concat())
    }

    /// The message that a step posts of a contact as it is now.
    fn message(&self, number: u128) -> Result<ContactChange> {
        let row = self.dataverse.row("contact", contact(number)).context("the contact is there")?;
        let text = |name: &str| match row.get(name) {
            Some(value::Value::Text(text)) => json!(text),
            _ => Value::Null,
        };
        let (Some(value::Value::Long(version)), Some(value::Value::Moment(modified))) =
            (row.get("versionnumber"), row.get("modifiedon"))
        else {
            anyhow::bail!("the row has no version: {row:?}");
        };
        // Some milliseconds later than the row tells.
        let change = ContactChange::new(contact(number), modified.as_millisecond() + 345);
        let link = text("adx_identity_username");
        Ok(change
            .set("firstname", text("firstname"))
            .set("lastname", text("lastname"))
            .after("adx_identity_username", link)
            .row(u64::try_from(*version)?)
            .organization(self.dataverse.options().organization))
    }

    fn command(&self, layers: &[&str], arguments: &str) -> Result<Command> {
        let mut command = binary::command()?;
        command.arg("reconcile").args(arguments.split_whitespace()).args(["--json", "--config"]);
        command.arg(self.beside_reconcile(layers)?).current_dir(self.world.folder());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    async fn reconcile(&self, layers: &[&str], arguments: &str) -> Result<Told> {
        let output = self.command(layers, arguments)?.output().await?;
        Told::of(&output)
    }
}

impl Told {
    fn of(output: &std::process::Output) -> Result<Self> {
        let out = String::from_utf8_lossy(&output.stdout);
        let events =
            out.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("lines of JSON")?;
        let text = format!("{out}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { code: output.status.code(), events, text })
    }

    #[track_caller]
    fn event(&self, kind: &str) -> &Value {
        let event = self.events.iter().find(|event| event["event"] == kind);
        event.unwrap_or_else(|| panic!("no {kind} in {}", self.text))
    }

    /// Causes and how many contacts have them.
    #[track_caller]
    fn causes(&self) -> Map<String, Value> {
        let causes = self.event("plan")["causes"].as_array().cloned().unwrap_or_default();
        causes
            .into_iter()
            .map(|one| (one["cause"].as_str().unwrap_or_default().to_owned(), one["contacts"].clone()))
            .collect()
    }

    /// The causes of one contact.
    fn causes_of(&self, number: u128) -> Vec<String> {
        let id = json!(contact(number));
        let events =
            self.events.iter().filter(|event| event["event"] == "difference" && event["contact"] == id);
        let causes = events.flat_map(|event| event["differences"].as_array().cloned().unwrap_or_default());
        let mut causes: Vec<_> =
            causes.map(|one| one["cause"].as_str().unwrap_or_default().to_owned()).collect();
        causes.dedup();
        causes
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }
}
