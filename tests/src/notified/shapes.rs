//! What receivers insist on.

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::receiver::Request;

/// Whether one of the signatures is by this key, as the specification of Standard Webhooks says.
pub fn check_signature(request: &Request, key: &str) -> Result<()> {
    let key = STANDARD.decode(key.strip_prefix("whsec_").context("whsec_")?)?;
    let (id, time) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let now = servicebus::clock::now().as_second();
    ensure!((now - time.parse::<i64>()?).abs() < 300, "the time of {time} is not now");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(format!("{id}.{time}.").as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let signatures = request.header("webhook-signature");
    ensure!(signatures.split(' ').any(|one| one == expected), "{signatures} has no {expected}");
    Ok(())
}

/// Whether it is a `CloudEvent` 1.0 in structured form. Returns its data.
pub fn check_event(request: &Request) -> Result<Value> {
    ensure!(request.header("content-type") == "application/cloudevents+json", "{:?}", request.headers);
    let event = request.json()?;
    ensure!(event["specversion"] == "1.0" && event["datacontenttype"] == "application/json", "{event}");
    ensure!(event["id"] == request.header("webhook-id"), "{event}");
    for member in ["source", "type"] {
        ensure!(event[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {event}");
    }
    event["time"].as_str().context("a time")?.parse::<jiff::Timestamp>()?;
    ensure!(event["data"].is_object(), "{event}");
    Ok(event["data"].clone())
}

/// Whether it is an adaptive card as a flow of Teams posts it. Returns its text.
pub fn check_card(request: &Request) -> Result<String> {
    ensure!(request.header("content-type") == "application/json", "{:?}", request.headers);
    ensure!(request.body.len() < 28_000, "{} bytes", request.body.len());
    let message = request.json()?;
    ensure!(message["type"] == "message", "{message}");
    let [attachment] = message["attachments"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one attachment: {message}");
    };
    ensure!(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", "{attachment}");
    let card = &attachment["content"];
    ensure!(card["type"] == "AdaptiveCard" && card["version"] == "1.4", "{card}");
    let mut texts = Vec::new();
    for element in card["body"].as_array().context("a body")? {
        match element["type"].as_str() {
            Some("TextBlock") => texts.push(element["text"].as_str().context("a text")?.to_owned()),
            Some("FactSet") => {
                for fact in element["facts"].as_array().context("facts")? {
                    let part = |name: &str| fact[name].as_str().context("title and value");
                    texts.push(format!("{}: {}", part("title")?, part("value")?));
                }
            }
            _ => anyhow::bail!("no element of version 1.4 that we use: {element}"),
        }
    }
    for action in card["actions"].as_array().into_iter().flatten() {
        ensure!(action["type"] == "Action.OpenUrl", "{action}");
        action["url"].as_str().context("an address")?.parse::<reqwest::Url>()?;
    }
    Ok(texts.join("\n"))
}

/// Whether they are blocks that Slack takes. Returns their text.
pub fn check_blocks(request: &Request) -> Result<String> {
    let message = request.json()?;
    ensure!(message["text"].as_str().is_some_and(|text| !text.is_empty()), "{message}");
    let blocks = message["blocks"].as_array().context("blocks")?;
    ensure!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    let mut texts = Vec::new();
    for block in blocks {
        let (text, longest) = match block["type"].as_str() {
            Some("header") => {
                ensure!(block["text"]["type"] == "plain_text", "{block}");
                (&block["text"]["text"], 150)
            }
            Some("section") => (&block["text"]["text"], 3_000),
            Some("context") => (&block["elements"][0]["text"], 3_000),
            _ => anyhow::bail!("no block that we use: {block}"),
        };
        let text = text.as_str().context("a text")?;
        ensure!((1..=longest).contains(&text.chars().count()), "{text}");
        texts.push(text.to_owned());
    }
    Ok(texts.join("\n"))
}
