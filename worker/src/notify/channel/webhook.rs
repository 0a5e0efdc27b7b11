//! Any receiver of webhooks: a `CloudEvent` in structured form, signed as Standard Webhooks has it.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::json;

use super::post::{Poster, content};
use crate::{
    notify::{failure::NotifyFailure, message::NotifyMessage},
    settings::{SecretUrl, WebhookKey},
};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

pub(super) struct Webhook {
    poster: Poster,
    url: SecretUrl,
    keys: Vec<WebhookKey>,
}

impl Webhook {
    pub(super) fn new(poster: Poster, url: SecretUrl, keys: Vec<WebhookKey>) -> Self {
        Self { poster, url, keys }
    }

    pub(super) async fn send(
        &self,
        message: &NotifyMessage,
        now: Timestamp,
    ) -> Result<String, NotifyFailure> {
        let body = event(message);
        let headers = self
            .headers(message, &body, now)
            .ok_or_else(|| NotifyFailure::never("the headers cannot be formed"))?;
        self.poster.post(self.url.expose(), headers, body, now).await?.judge()
    }

    /// The id is the same for every try, the time is that of this one.
    fn headers(&self, message: &NotifyMessage, body: &[u8], now: Timestamp) -> Option<HeaderMap> {
        let mut headers = content("application/cloudevents+json");
        let (id, time) = (message.id.to_string(), now.as_second().to_string());
        if !self.keys.is_empty() {
            let signatures: Vec<_> = self.keys.iter().map(|key| signature(key, &id, &time, body)).collect();
            headers.insert(SIGNATURE, HeaderValue::try_from(signatures.join(" ")).ok()?);
        }
        headers.insert(ID, HeaderValue::try_from(id).ok()?);
        headers.insert(TIMESTAMP, HeaderValue::try_from(time).ok()?);
        Some(headers)
    }
}

fn event(message: &NotifyMessage) -> Vec<u8> {
    let environment: String = url::form_urlencoded::byte_serialize(message.environment.as_bytes()).collect();
    let kind = match message.state {
        "digest" => "dev.contactsync.digest.v1",
        "test" => "dev.contactsync.test.v1",
        _ => "dev.contactsync.alert.v1",
    };
    let event = json!({
        "specversion": "1.0",
        "id": message.id,
        "source": format!("/contactsync/{environment}"),
        "type": kind,
        "time": format!("{:.0}", message.at),
        "datacontenttype": "application/json",
        "data": message.data(),
    });
    event.to_string().into_bytes()
}

/// `v1,` and base64 of the HMAC-SHA256 of id, time and body.
fn signature(key: &WebhookKey, id: &str, time: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let mut signed = hmac::Context::with_key(&key);
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        signed.update(part);
    }
    format!("v1,{}", STANDARD.encode(signed.sign()))
}
