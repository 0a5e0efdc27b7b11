//! What `contactsync explain` says, held against what the services have seen.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use emulator::{broker, broker::Side, graph::Entry, journal::Event};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    binary,
    world::{QUEUE, World},
};

/// Runs `explain` with these arguments. Returns its exit code, what it printed and what it said aside.
pub async fn run(settings: &Path, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = binary::command()?;
    command.arg("explain").args(arguments).arg("--config").arg(settings).kill_on_drop(true);
    let output = command.output().await.context("contactsync cannot be started")?;
    let text = |bytes| String::from_utf8(bytes).context("what is said is text");
    Ok((output.status.code(), text(output.stdout)?, text(output.stderr)?))
}

/// What the journals alone tell of an id.
pub async fn journal(settings: &Path, id: Uuid) -> Result<Value> {
    let (code, out, err) = run(settings, &[&id.to_string(), "--offline", "--json"]).await?;
    ensure!(matches!(code, Some(0 | 1)), "{code:?} {err}");
    Ok(serde_json::from_str::<Value>(&out)?["journal"].clone())
}

/// A layer of the settings by which a journal is kept in a folder of the world.
pub fn kept(world: &World) -> Result<(String, PathBuf)> {
    let folder = world.folder().join("journal");
    std::fs::create_dir_all(&folder)?;
    Ok((format!("journal.path = {:?}", folder.display().to_string()), folder))
}

/// How the stories agree with what the services have seen.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What is told otherwise than it was.
    pub wrong: Vec<String>,
    /// What was and is not told.
    pub untold: Vec<String>,
    /// Calls and deliveries that are told as they were.
    pub told: usize,
}

impl Comparison {
    /// Holds the stories of these users and contacts against the journals of the services.
    pub async fn of(world: &World, settings: &Path, users: &[Uuid], contacts: &[Uuid]) -> Result<Self> {
        let mut comparison = Self::default();
        let patches = world.patches();
        for user in users {
            let story = journal(settings, *user).await?;
            let seen: Vec<_> =
                patches.iter().filter(|patch| patch.path.contains(&user.to_string())).collect();
            comparison.calls(&user.to_string(), &story, &seen);
        }
        let ends = ends(world);
        for contact in contacts {
            let story = journal(settings, *contact).await?;
            comparison.messages(&story, &ends);
        }
        Ok(comparison)
    }

    /// The writes of a user, in order, against the calls that Graph has seen.
    fn calls(&mut self, user: &str, story: &Value, seen: &[&Entry]) {
        let mut last = String::new();
        let mut told: Vec<(String, String)> = Vec::new();
        for write in list(&story["writes"]) {
            let begun = text(&write["begun"]);
            let ended = write["ended"].as_str();
            if begun < last || ended.is_some_and(|ended| ended < &*begun) {
                self.wrong.push(format!("a write of {user} is out of order: {write}"));
            }
            last = begun;
            let calls = list(&write["calls"]).filter(|call| call["method"] == "PATCH");
            told.extend(calls.map(|call| (text(&call["clientRequestId"]), text(&call["status"]))));
        }
        let mut told = told.into_iter().peekable();
        for call in seen {
            let Some((_, status)) = told.next_if(|(id, _)| *id == call.client_request_id) else {
                self.untold.push(format!("call {} of {user}: {:?}", call.number, call.status));
                continue;
            };
            let same = match call.status {
                Some(number) => number.to_string() == status,
                None => status.parse::<u16>().is_err(),
            };
            if same { self.told += 1 } else { self.wrong.push(format!("{user}: {status} for {call:?}")) }
        }
        self.wrong
            .extend(told.map(|(id, status)| format!("{user}: Graph has not seen {id}, {status}, there")));
    }

    /// The deliveries of each message of a contact, and its end, against those that the broker has seen.
    fn messages(&mut self, story: &Value, ends: &BTreeMap<i64, Seen>) {
        for message in list(&story["messages"]) {
            let number = message["message"].as_i64().unwrap_or_default();
            let Some(seen) = ends.get(&number) else {
                self.wrong.push(format!("the queue has not seen message {number}"));
                continue;
            };
            let deliveries = list(&message["deliveries"]).count();
            if deliveries > seen.deliveries {
                self.wrong.push(format!("message {number} was not delivered {deliveries} times: {seen:?}"));
            }
            if deliveries < seen.deliveries {
                self.untold.push(format!("message {number}: {deliveries} deliveries of {seen:?}"));
            }
            let end = match message["outcome"].as_str() {
                Some("applied" | "stale" | "unchanged" | "returned" | "copied") => Some("completed"),
                Some("dead_lettered") => Some("dead_lettered"),
                _ => None,
            };
            match (end, seen.end) {
                (Some(told), Some(end)) if told == end => self.told += 1,
                (None, Some(end)) => self.untold.push(format!("message {number} is {end}: {message}")),
                (None, None) => {}
                (told, end) => self.wrong.push(format!("message {number} is told {told:?} and is {end:?}")),
            }
        }
    }
}

/// What the broker has seen of a message.
#[derive(Clone, Debug, Default)]
struct Seen {
    deliveries: usize,
    end: Option<&'static str>,
}

/// Whether the services have forgotten nothing of what they have seen, so that it can be compared.
#[must_use]
pub fn is_remembered(world: &World) -> bool {
    let (bus, graph) = (world.bus.journal(), world.graph.journal());
    bus.mark().number() == bus.all().len() as u64 && graph.first().is_none_or(|first| first.number == 1)
}

/// Every message of the queue, by its number.
fn ends(world: &World) -> BTreeMap<i64, Seen> {
    let mut ends: BTreeMap<i64, Seen> = BTreeMap::new();
    let ours = |place: &broker::Place| place.entity() == QUEUE && place.side() == Side::Main;
    for event in world.bus.journal().all() {
        let Event::Broker(event) = event else { continue };
        match event {
            broker::Event::Delivered { place, sequence, .. } if ours(&place) => {
                ends.entry(sequence).or_default().deliveries += 1;
            }
            broker::Event::Settled { place, sequence, how: broker::Settled::Completed } if ours(&place) => {
                ends.entry(sequence).or_default().end = Some("completed");
            }
            broker::Event::DeadLettered { place, sequence, .. } if ours(&place) => {
                ends.entry(sequence).or_default().end = Some("dead_lettered");
            }
            _ => {}
        }
    }
    ends
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
