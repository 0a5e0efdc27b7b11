//! `$batch`: twenty calls in one envelope, each with its own fate.

use std::collections::{HashMap, HashSet};

use hyper::{
    Method, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue},
};
use rand::seq::SliceRandom;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    call::Call,
    journal::Kind,
    refusal::Refusal,
    reply::{Body, Reply, Verdict},
    state::{Handled, State},
};

const MOST_ITEMS: usize = 20;

/// One item. Fields that nobody knows are tolerated, because Microsoft's libraries send some.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    depends_on: Option<Vec<String>>,
}

impl Item {
    /// The item on which this one waits; there is at most one.
    fn dependency(&self) -> Option<String> {
        self.depends_on.as_ref()?.first().map(|id| id.to_lowercase())
    }
}

impl State {
    /// Takes a batch apart and answers its items in no particular order.
    pub(super) fn batch(&mut self, call: &Call, now: Instant) -> Result<Handled, Refusal> {
        let items = items(&call.object()?)?;
        let mut statuses: HashMap<String, u16> = HashMap::new();
        let mut responses = Vec::with_capacity(items.len());
        for item in in_order(items)? {
            let failed =
                item.dependency().and_then(|id| statuses.get(&id)).is_some_and(|status| *status >= 400);
            let reply = if failed { dependency_failed() } else { self.item(call, &item, now) };
            statuses.insert(item.id.to_lowercase(), reply.status.as_u16());
            responses.push(response(&item.id, reply));
        }
        responses.shuffle(&mut rand::rng());
        Ok(Handled::new(Kind::Batch, Reply::json(StatusCode::OK, json!({ "responses": responses }))))
    }

    fn item(&mut self, envelope: &Call, item: &Item, now: Instant) -> Reply {
        let call = match item_call(envelope, item) {
            Ok(call) => call,
            Err(refusal) => return refusal.into_reply(&super::reply::Ids::of(&envelope.headers)),
        };
        let strike = self.strike(&call, now);
        match self.answer(&call, strike.as_ref(), now) {
            Verdict::Reply(reply) => reply,
            // An item has no connection of its own that could break; a gateway would say this.
            Verdict::Reset | Verdict::Hang => Reply::empty(StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

fn items(body: &Map<String, Value>) -> Result<Vec<Item>, Refusal> {
    let list = body.get("requests").and_then(Value::as_array);
    let list = list.ok_or_else(|| Refusal::unreadable("Invalid batch payload format."))?;
    if list.is_empty() || list.len() > MOST_ITEMS {
        let message = format!("Number of batch request steps must be between 1 and {MOST_ITEMS}.");
        return Err(Refusal::unreadable(message));
    }
    let read = |item: &Value| {
        Item::deserialize(item)
            .map_err(|error| Refusal::unreadable(format!("Invalid batch request: {error}.")))
    };
    let items = list.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut ids = HashSet::new();
    if let Some(twice) = items.iter().find(|item| item.id.is_empty() || !ids.insert(item.id.to_lowercase())) {
        let message = format!("The request id '{}' is empty or not unique in the batch.", twice.id);
        return Err(Refusal::unreadable(message));
    }
    Ok(items)
}

/// Sorts items so that each comes after the one that it depends on.
fn in_order(items: Vec<Item>) -> Result<Vec<Item>, Refusal> {
    let several = |item: &Item| item.depends_on.as_ref().is_some_and(|ids| ids.len() > 1);
    if items.iter().any(several) {
        return Err(Refusal::unreadable("A batch request can depend on one other request only."));
    }
    let mut sorted: Vec<Item> = Vec::with_capacity(items.len());
    let mut waiting = items;
    while !waiting.is_empty() {
        let done: HashSet<String> = sorted.iter().map(|item| item.id.to_lowercase()).collect();
        let ready = |item: &Item| item.dependency().is_none_or(|id| done.contains(&id));
        let (now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(ready);
        if now.is_empty() {
            return Err(Refusal::unreadable("A batch request depends on an unknown request or on itself."));
        }
        sorted.extend(now);
        waiting = later;
    }
    Ok(sorted)
}

/// The call that an item stands for; it borrows the envelope's token and host.
fn item_call(envelope: &Call, item: &Item) -> Result<Call, Refusal> {
    let malformed =
        |what: &str| Refusal::unreadable(format!("Invalid {what} in batch request '{}'.", item.id));
    let uri = item_uri(envelope, &item.url).ok_or_else(|| malformed("url"))?;
    if uri.path().ends_with("/$batch") {
        return Err(Refusal::unreadable("A batch cannot contain another batch."));
    }
    let method: Method = item.method.to_uppercase().parse().map_err(|_| malformed("method"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &item.headers {
        let name: HeaderName = name.parse().map_err(|_| malformed("header"))?;
        let value = HeaderValue::from_str(value).map_err(|_| malformed("header"))?;
        headers.insert(name, value);
    }
    for name in [AUTHORIZATION, HOST] {
        if let Some(value) = envelope.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if !item.body.is_null() && !headers.contains_key(CONTENT_TYPE) {
        return Err(Refusal::unreadable("Entity only allows writes with a JSON Content-Type header."));
    }
    let body = if item.body.is_null() { String::new() } else { item.body.to_string() };
    Ok(Call { method, uri, headers, body: body.into(), secure: envelope.secure, item: Some(item.id.clone()) })
}

/// The address of an item, which is relative to the version root of the envelope.
///
/// Microsoft's Python library leaves the whole address in place; its scheme and host are ignored.
fn item_uri(envelope: &Call, url: &str) -> Option<Uri> {
    if url.contains("://") {
        let absolute: Uri = url.parse().ok()?;
        return absolute.path_and_query()?.as_str().parse().ok();
    }
    let root = if envelope.uri.path().starts_with("/beta") { "/beta" } else { "/v1.0" };
    let slash = if url.starts_with('/') { "" } else { "/" };
    format!("{root}{slash}{url}").parse().ok()
}

fn dependency_failed() -> Reply {
    let message = "A request that this request depends on has failed.";
    let error = json!({ "code": "FailedDependency", "message": message });
    Reply::json(StatusCode::FAILED_DEPENDENCY, json!({ "error": error }))
}

fn response(id: &str, reply: Reply) -> Value {
    let mut response = json!({ "id": id, "status": reply.status.as_u16() });
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let mut headers: Map<String, Value> =
        reply.headers.iter().map(|(name, value)| (capitalised(name.as_str()), json!(text(value)))).collect();
    match reply.body {
        Body::Empty => {}
        Body::Json(value) => {
            headers.insert("Content-Type".to_owned(), json!("application/json"));
            response["body"] = value;
        }
        Body::Other(mime, bytes) => {
            headers.insert("Content-Type".to_owned(), json!(mime));
            response["body"] = json!(String::from_utf8_lossy(&bytes));
        }
    }
    response["headers"] = Value::Object(headers);
    response
}

/// Graph writes the headers of items with capitals, and clients have come to look for `Retry-After`.
fn capitalised(name: &str) -> String {
    if name.starts_with("x-") || name.ends_with("request-id") {
        return name.to_owned();
    }
    let upper = |part: &str| part[..1].to_uppercase() + &part[1..];
    name.split('-').filter(|part| !part.is_empty()).map(upper).collect::<Vec<_>>().join("-")
}
