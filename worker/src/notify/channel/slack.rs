//! Slack, by an incoming webhook: blocks, and a text for notifications.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::post::{Poster, content};
use crate::{
    notify::{
        failure::NotifyFailure,
        message::{NotifyItem, NotifyMessage},
    },
    settings::SecretUrl,
};

/// Longest text of a header and of a section, in characters.
const HEADER: usize = 150;
const SECTION: usize = 3_000;

pub(super) struct Slack {
    poster: Poster,
    url: SecretUrl,
}

impl Slack {
    pub(super) fn new(poster: Poster, url: SecretUrl) -> Self {
        Self { poster, url }
    }

    pub(super) async fn send(
        &self,
        message: &NotifyMessage,
        now: Timestamp,
    ) -> Result<String, NotifyFailure> {
        let body = payload(message).to_string().into_bytes();
        self.poster.post(self.url.expose(), content("application/json"), body, now).await?.judge()
    }
}

fn payload(message: &NotifyMessage) -> Value {
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&message.subject, HEADER) } }),
    ];
    blocks.extend(message.items.iter().map(|item| section(&said(item))));
    blocks.extend(message.rest().iter().chain(&message.lines).map(|line| section(&escaped(line))));
    let mut end = format!("contactsync {}, {}", env!("CARGO_PKG_VERSION"), escaped(&message.environment));
    if let Some(page) = &message.page {
        end = format!("{end} · {}", link(page, "status page"));
    }
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": cut(&end, SECTION) }] }));
    // Slack takes 50.
    blocks.truncate(50);
    json!({ "text": escaped(&message.subject), "blocks": blocks })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(text, SECTION) } })
}

fn said(item: &NotifyItem) -> String {
    let target =
        if item.target.is_empty() { String::new() } else { format!("target {}: ", escaped(&item.target)) };
    let mut said = format!("*{}*: {target}{}", item.mark(), escaped(&item.text));
    for (name, value) in item.facts() {
        let value = if name == "Runbook" && item.has_link() { link(&value, "open") } else { escaped(&value) };
        said = format!("{said}\n{name}: {value}");
    }
    said
}

fn link(url: &str, text: &str) -> String {
    // An address has no blanks and angle brackets; a bar would end it.
    format!("<{}|{text}>", escaped(url).replace('|', "%7C"))
}

/// The three signs that Slack gives a meaning to.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most - 1) {
        Some((place, _)) if text.chars().count() > most => format!("{}…", &text[..place]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::tests::sample;

    #[test]
    fn signs_with_a_meaning_are_escaped_and_bounds_are_kept() {
        let mut message = sample(12);
        message.items[3].text = "<&>".repeat(2_000);
        let payload = payload(&message);
        let blocks = payload["blocks"].as_array().expect("blocks");
        assert_eq!(blocks.len(), 14);
        assert_eq!(
            blocks[1]["text"]["text"],
            "*critical*: a *b* _c_ [d](e) &lt;f&gt; &amp; g0\nSince: 1970-01-01 00:00 UTC\nTo do: mend it\nRunbook: \
             <https://wiki.example/runbook#heading|open>"
        );
        for block in blocks {
            let text = block["text"]["text"].as_str().unwrap_or_default();
            assert!(text.chars().count() <= SECTION, "{text}");
        }
    }
}
