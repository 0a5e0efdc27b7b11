//! `$batch`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{ADA, BOB, client::Client, started};
use crate::graph::{Fault, Kind, Options, RetryAfter, Scope, Throttle};

fn patch(id: &str, user: uuid::Uuid, body: &Value) -> Value {
    json!({
        "id": id, "method": "PATCH", "url": format!("/users/{user}"),
        "headers": {"content-type": "application/json"}, "body": body,
    })
}

fn get(id: &str, user: uuid::Uuid) -> Value {
    json!({"id": id, "method": "GET", "url": format!("/users/{user}")})
}

async fn send(client: &mut Client, items: &[Value]) -> HashMap<String, Value> {
    let answer = client.post("/v1.0/$batch", &json!({ "requests": items })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    let responses = json["responses"].as_array().unwrap();
    assert_eq!(responses.len(), items.len());
    responses.iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone())).collect()
}

#[tokio::test]
async fn every_item_has_its_own_fate() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let items = [
        patch("a", ADA, &json!({"city": "Oslo"})),
        patch("b", BOB, &json!({"city": ""})),
        get("c", BOB),
        get("d", uuid::Uuid::nil()),
        json!({"id": "e", "method": "GET", "url": format!("users/{ADA}?$select=id"), "unknown": 1}),
        json!({"id": "f", "method": "GET", "url": format!("https://graph.microsoft.com/v1.0/users/{ADA}")}),
    ];
    let answers = send(&mut client, &items).await;
    let status = |id: &str| answers[id]["status"].as_u64().unwrap();
    assert_eq!(["a", "b", "c", "d", "e", "f"].map(status), [204, 400, 200, 404, 200, 200]);
    assert_eq!(answers["a"].get("body"), None);
    assert_eq!(answers["b"]["body"]["error"]["details"][0]["target"], "city");
    assert_eq!(answers["c"]["body"]["businessPhones"], json!(["1"]));
    assert_eq!(graph.user(ADA).unwrap().text("city"), Some("Oslo"));
    let kinds: Vec<Kind> = graph.journal().iter().map(|entry| entry.kind).skip(1).collect();
    assert!(kinds[..6].iter().all(|kind| *kind == Kind::BatchItem) && kinds[6..] == [Kind::Batch]);
    assert_eq!((graph.counters().writes, graph.counters().reads, graph.counters().batches), (1, 3, 1));
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let items: Vec<Value> = (0..20).map(|n| get(&n.to_string(), ADA)).collect();
    let sent: Vec<Value> = items.iter().map(|item| item["id"].clone()).collect();
    let answer = client.post("/v1.0/$batch", &json!({ "requests": items })).await.json();
    let got: Vec<Value> =
        answer["responses"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(got.len(), 20);
    // One chance in 20! that shuffling leaves everything in its place.
    assert_ne!(got, sent);
}

#[tokio::test]
async fn a_malformed_envelope_is_refused_as_a_whole() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let many: Vec<Value> = (0..21).map(|n| get(&n.to_string(), ADA)).collect();
    let depending =
        |id: &str, on: Value| json!({"id": id, "method": "GET", "url": "/users", "dependsOn": on});
    for (what, requests) in [
        ("too many", json!(many)),
        ("none", json!([])),
        ("no list", json!("x")),
        ("same id", json!([get("a", ADA), get("A", ADA)])),
        ("no id", json!([{"method": "GET", "url": "/users"}])),
        ("no method", json!([{"id": "1", "url": "/users"}])),
        ("unknown dependency", json!([depending("1", json!(["2"]))])),
        ("itself", json!([depending("1", json!(["1"]))])),
        ("two dependencies", json!([get("1", ADA), get("2", ADA), depending("3", json!(["1", "2"]))])),
    ] {
        let answer = client.post("/v1.0/$batch", &json!({ "requests": requests })).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "BadRequest"), "{what}");
    }
    assert_eq!(graph.counters().reads, 0);
}

#[tokio::test]
async fn an_item_without_content_type_and_a_nested_batch_are_refused_alone() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let items = [
        json!({"id": "1", "method": "PATCH", "url": format!("/users/{ADA}"), "body": {"city": "Oslo"}}),
        json!({"id": "2", "method": "POST", "url": "/$batch", "headers": {"Content-Type": "application/json"},
               "body": {"requests": []}}),
        get("3", ADA),
    ];
    let answers = send(&mut client, &items).await;
    assert_eq!(["1", "2", "3"].map(|id| answers[id]["status"].as_u64().unwrap()), [400, 400, 200]);
    assert_eq!(graph.user(ADA).unwrap().text("city"), None);
}

#[tokio::test]
async fn what_depends_on_a_failure_fails_too() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let after = |item: Value, on: &str| {
        let mut item = item;
        item["dependsOn"] = json!([on]);
        item
    };
    let items = [
        after(patch("3", ADA, &json!({"city": "Rome"})), "2"),
        after(patch("2", ADA, &json!({"city": "Bonn"})), "1"),
        patch("1", ADA, &json!({"city": ""})),
        after(get("5", ADA), "4"),
        patch("4", ADA, &json!({"state": "x"})),
    ];
    let answers = send(&mut client, &items).await;
    let status = |id: &str| answers[id]["status"].as_u64().unwrap();
    assert_eq!(["1", "2", "3", "4", "5"].map(status), [400, 424, 424, 204, 200]);
    assert_eq!(graph.user(ADA).unwrap().text("city"), None);
}

#[tokio::test]
async fn items_count_one_by_one_against_the_quota() {
    let throttle = Throttle { writes: Some(2), ..Throttle::real_quota(1.0) };
    let graph = started(Options { throttle, ..Options::default() }).await;
    let mut client = Client::new(&graph).await;
    let items: Vec<Value> = (0..4).map(|n| patch(&n.to_string(), ADA, &json!({"city": "Oslo"}))).collect();
    let answers = send(&mut client, &items).await;
    let throttled: Vec<&Value> = answers.values().filter(|one| one["status"] == 429).collect();
    assert_eq!(throttled.len(), 2);
    for one in throttled {
        let wait: u32 = one["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
        assert!(wait > 0);
    }
}

#[tokio::test]
async fn faults_strike_single_items_and_envelopes() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::status(429).on(Scope::BatchItem).user(BOB).retry_after(RetryAfter::Seconds(2.0)));
    let answers = send(&mut client, &[get("1", ADA), get("2", BOB)]).await;
    assert_eq!(["1", "2"].map(|id| answers[id]["status"].as_u64().unwrap()), [200, 429]);
    assert_eq!(answers["2"]["headers"]["Retry-After"], "2");
    graph.script(Fault::status(503));
    let answer = client.post("/v1.0/$batch", &json!({"requests": [get("1", ADA)]})).await;
    assert_eq!(answer.status, 503);
}
