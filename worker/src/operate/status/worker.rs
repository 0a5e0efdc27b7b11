//! Asks a worker for its `/status.json`.

use std::time::Duration;

use serde_json::Value;
use shared::{shown::brief, target::TargetName};
use url::Url;

use crate::{http_client, identity::Clients, status_page::StatusPage};

/// Longest words of a neighbour that are shown, in characters.
const LONGEST_WORDS: usize = 500;
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How long an answer is waited for: whoever it is for sits in front of a screen.
const BRIEF: Duration = Duration::from_secs(3);

/// Where to ask a worker.
pub(crate) struct WorkerSource {
    clients: Clients,
    url: Url,
    /// Which of its targets is asked about, if it has several.
    target: Option<TargetName>,
}

impl WorkerSource {
    /// The worker whose pages are below `base`, and which of its targets is asked about.
    #[must_use]
    pub(crate) fn new(clients: Clients, base: &Url, target: Option<&TargetName>) -> Self {
        let mut url = base.clone();
        if !url.path().ends_with("/status.json") {
            let path = format!("{}/status.json", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Self { clients, url, target: target.cloned() }
    }

    /// The address that is asked.
    #[must_use]
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Asks; the refusal is text for people.
    pub(crate) async fn ask(&self) -> Result<StatusPage, String> {
        let mut url = self.url.clone();
        if let Some(target) = &self.target {
            url.query_pairs_mut().append_pair("target", target.as_str());
        }
        let asked = self.clients.http.direct().get(url).timeout(BRIEF).send().await;
        let mut response = asked.map_err(|error| innermost(&error.without_url()))?;
        let body = http_client::body(&mut response, LONGEST_ANSWER).await;
        let body = body.map_err(|error| innermost(&error.without_url()))?.ok_or_else(|| {
            format!("the answer is longer than {LONGEST_ANSWER} bytes, so it is none of a worker")
        })?;
        let status = response.status().as_u16();
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
fn read(body: &[u8]) -> Option<StatusPage> {
    let mut told: Value = serde_json::from_str(&String::from_utf8_lossy(body)).ok()?;
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
        let page = read(text.as_bytes()).expect("lenient");
        assert_eq!((page.state.as_str(), page.rates.writes, page.locks_lost), ("open", 2.5, 0));
        assert_eq!(read(b"[1]").map(|page| page.state), None);
    }

    #[test]
    fn a_neighbour_does_not_command_the_terminal() {
        let page = read(br#"{"state": "a\u001b[2J\nb", "deadLetters": {"c\u202e": 1}}"#).expect("lenient");
        assert_eq!(page.state, r"a\u{1b}[2J\u{a}b");
        assert_eq!(page.dead_letters.keys().collect::<Vec<_>>(), [r"c\u{202e}"]);
    }
}
