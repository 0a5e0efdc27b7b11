//! Microsoft Teams, by a flow of Workflows: an adaptive card in the envelope that such a flow expects.

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

/// Teams takes about 28 KB; what is longer fails inside the flow, where nobody sees it.
const LONGEST: usize = 27_000;

pub(super) struct Teams {
    poster: Poster,
    url: SecretUrl,
}

impl Teams {
    pub(super) fn new(poster: Poster, url: SecretUrl) -> Self {
        Self { poster, url }
    }

    pub(super) async fn send(
        &self,
        message: &NotifyMessage,
        now: Timestamp,
    ) -> Result<String, NotifyFailure> {
        let posted =
            self.poster.post(self.url.expose(), content("application/json"), card(message), now).await?;
        // Accepted means that the flow was started. What it then does shows in its run history only.
        posted.judge()
    }
}

/// The card, with as much in it as fits.
fn card(message: &NotifyMessage) -> Vec<u8> {
    let mut most = message.items.len();
    loop {
        let text = whole(&message.cut(most)).to_string().into_bytes();
        if text.len() < LONGEST || most == 0 {
            return text;
        }
        most -= 1;
    }
}

fn whole(message: &NotifyMessage) -> Value {
    let mut body = vec![block(&message.subject, json!({ "size": "Medium", "weight": "Bolder" }))];
    for item in &message.items {
        body.extend(item_blocks(item));
    }
    body.extend(message.rest().iter().chain(&message.lines).map(|line| block(line, json!({}))));
    body.push(block(
        &format!("contactsync {}, {}", env!("CARGO_PKG_VERSION"), message.environment),
        json!({ "size": "Small", "isSubtle": true }),
    ));
    let open = |title: &str, url: &str| json!({ "type": "Action.OpenUrl", "title": title, "url": url });
    let runbook =
        message.items.iter().find(|item| item.has_link()).map(|item| open("Runbook", &item.runbook));
    let page = message.page.as_deref().map(|page| open("Status page", page));
    let actions: Vec<_> = [page, runbook].into_iter().flatten().collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": body,
    });
    if !actions.is_empty() {
        card["actions"] = json!(actions);
    }
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
    });
    json!({ "type": "message", "attachments": [attachment] })
}

fn item_blocks(item: &NotifyItem) -> [Value; 2] {
    let color = match item.mark() {
        "resolved" => "Good",
        "critical" => "Attention",
        "warning" => "Warning",
        _ => "Default",
    };
    let target = if item.target.is_empty() { String::new() } else { format!("target {}: ", item.target) };
    let said = format!("{}: {target}{}", item.mark(), item.text);
    // The runbook is a button.
    let facts = item.facts().into_iter().filter(|(name, _)| *name != "Runbook" || !item.has_link());
    let facts: Vec<_> =
        facts.map(|(title, value)| json!({ "title": title, "value": plain(&value) })).collect();
    let facts = json!({ "type": "FactSet", "facts": facts });
    [block(&said, json!({ "color": color, "separator": true, "spacing": "Medium" })), facts]
}

fn block(text: &str, more: Value) -> Value {
    let mut block = json!({ "type": "TextBlock", "text": plain(text), "wrap": true });
    if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
        block.extend(more);
    }
    block
}

/// Text that is shown as it is: cards read a part of Markdown, and names of columns and settings have underscores.
fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut plain, character| {
        if matches!(character, '\\' | '*' | '_' | '[' | ']' | '`' | '~') {
            plain.push('\\');
        }
        plain.push(character);
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::tests::sample;

    #[test]
    fn a_card_is_in_its_envelope_and_shows_text_as_it_is() {
        let card: Value = serde_json::from_slice(&card(&sample(2))).expect("JSON");
        let content = &card["attachments"][0]["content"];
        assert_eq!((&card["type"], &content["type"]), (&json!("message"), &json!("AdaptiveCard")));
        let body = content["body"].as_array().expect("blocks");
        assert_eq!(body[0]["text"], r"\[contactsync prod\] a \*b\*");
        assert_eq!(body[1]["text"], r"critical: a \*b\* \_c\_ \[d\](e) <f> & g0");
        assert_eq!(body[3]["color"], "Good");
        assert_eq!(content["actions"][1]["url"], "https://wiki.example/runbook#heading");
    }

    #[test]
    fn a_card_is_never_longer_than_teams_takes() {
        let mut message = sample(12);
        for item in &mut message.items {
            item.text = "_".repeat(3_000);
        }
        let text = card(&message);
        assert!(text.len() < LONGEST, "{} bytes", text.len());
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("more, which the status page shows"), "{text}");
    }
}
