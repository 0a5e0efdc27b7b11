//! A worker as it tells about itself on `/status.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::shown::brief;
use url::Url;

use crate::{http_client, identity::Clients};

/// What a worker tells, as far as it is shown here. Fields that are missing or new do no harm: worker and command may
/// be of different versions.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct WorkerView {
    /// Its version.
    pub version: String,
    /// Where its messages come from.
    pub queue: String,
    /// When it started.
    pub started: String,
    /// Shortest name of how things are.
    pub state: String,
    /// Whether it can work.
    pub ready: bool,
    /// What it checks.
    pub checks: Vec<CheckView>,
    /// What must be seen to, though it works.
    pub warnings: Vec<CheckView>,
    /// What happened a second, over the last minute.
    pub rates: Rates,
    /// Dead letters by reason since it started.
    pub dead_letters: BTreeMap<String, u64>,
    /// Calls to Graph.
    pub writes: Writes,
    /// Writes under way.
    pub in_flight: f64,
    /// Messages held under lock.
    pub held: f64,
    /// Users to whom a write is owed.
    pub lanes_waiting: f64,
    /// Locks lost since it started.
    pub locks_lost: u64,
    /// The last hour.
    pub history: History,
}

/// One thing that a worker checks.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CheckView {
    /// What.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong.
    pub says: Option<String>,
    /// What to do.
    pub remedy: Option<String>,
}

/// What happened a second.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Rates {
    /// Messages received.
    pub received: f64,
    /// Messages settled.
    pub settled: f64,
    /// Calls that write.
    pub writes: f64,
}

/// Calls to Graph since the worker started, and how many are allowed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Writes {
    /// All of them.
    pub calls: u64,
    /// Those answered with 429.
    pub throttled_calls: u64,
    /// Share of the budget that Graph allows at present.
    pub budget_ratio: f64,
    /// Writes a second that are allowed at present.
    pub budget_per_second: f64,
}

/// Samples, oldest first; none where nothing was known.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct History {
    /// How old each is.
    pub age_seconds: Vec<u64>,
    /// Messages in the queue.
    pub active: Vec<Option<u64>>,
}

/// Longest words of a neighbour that are shown, in characters.
const LONGEST_WORDS: usize = 500;

/// Where to ask a worker.
pub struct WorkerSource {
    clients: Clients,
    url: Url,
}

impl WorkerSource {
    /// The worker whose pages are below `base`.
    #[must_use]
    pub fn new(clients: Clients, base: &Url) -> Self {
        let mut url = base.clone();
        if !url.path().ends_with("/status.json") {
            let path = format!("{}/status.json", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Self { clients, url }
    }

    /// The address that is asked.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks; the refusal is text for people.
    pub async fn ask(&self) -> Result<WorkerView, String> {
        let answer = http_client::get(&self.clients.http, &self.url).await;
        let (status, body) = answer.map_err(|error| innermost(&error))?;
        if status != 200 {
            return Err(format!("it answered {status}; is it a contactsync worker?"));
        }
        read(&body).ok_or_else(|| "its answer is not that of a contactsync worker".to_owned())
    }
}

/// The first cause, which is what a person can act on: the layers above it only say that a call failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    brief(&cause.to_string(), LONGEST_WORDS).into_owned()
}

/// What a worker tells, whoever it is that tells it: its words take one line each and command nothing.
fn read(body: &str) -> Option<WorkerView> {
    let mut told: Value = serde_json::from_str(body).ok()?;
    tame(&mut told);
    serde_json::from_value(told).ok()
}

fn tame(told: &mut Value) {
    match told {
        Value::String(text) => *text = brief(text, LONGEST_WORDS).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(tame),
        Value::Object(fields) => {
            let tamed = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                tame(&mut value);
                (brief(&name, LONGEST_WORDS).into_owned(), value)
            });
            *fields = tamed.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_version_is_read_as_far_as_it_goes() {
        let text =
            r#"{"version": "9", "state": "open", "new": {"a": [1]}, "rates": {"writes": 2.5, "other": 1}}"#;
        let view = read(text).expect("lenient");
        assert_eq!((view.state.as_str(), view.rates.writes, view.locks_lost), ("open", 2.5, 0));
        assert_eq!(read("[1]").map(|view| view.state), None);
    }

    #[test]
    fn a_neighbour_does_not_command_the_terminal() {
        let view = read(r#"{"state": "a\u001b[2J\nb", "dead_letters": {"c\u202e": 1}}"#).expect("lenient");
        assert_eq!(view.state, r"a\u{1b}[2J\u{a}b");
        assert_eq!(view.dead_letters.keys().collect::<Vec<_>>(), [r"c\u{202e}"]);
    }
}
