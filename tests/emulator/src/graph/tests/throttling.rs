//! The quota as a client meets it.

use serde_json::json;
use tokio::time::Instant;

use super::{ADA, client::Client, path, started};
use crate::graph::{DEFAULT_CLIENT_ID, Options, RetryAfterForm, Throttle};

fn three_writes(scale: f64) -> Options {
    let throttle = Throttle {
        writes: Some(3),
        overdraft: 1.0,
        retry_after: RetryAfterForm::Fraction,
        percentage_header: true,
        ..Throttle::real_quota(scale)
    };
    Options { throttle, ..Options::default() }
}

#[tokio::test]
async fn a_429_says_how_long_to_wait_and_which_limit_was_met() {
    let began = Instant::now();
    let graph = started(three_writes(1.0)).await;
    let mut client = Client::new(&graph).await;
    for _ in 0..3 {
        assert_eq!(client.patch(&path(ADA), &json!({"city": "Oslo"})).await.status, 204);
    }
    let answer = client.patch(&path(ADA), &json!({"city": "Rome"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "TooManyRequests"));
    assert_eq!(answer.json()["error"]["innerError"]["code"], "429");
    // Four writes from a full bucket of three: two must flow back, at one in fifty seconds, less the time since then.
    let wait: f64 = answer.header("retry-after").unwrap().parse().unwrap();
    let since = began.elapsed().as_secs_f64();
    assert!((100.0 - since - 0.1..=100.1).contains(&wait), "{wait} after {since}");
    let scope = format!("Tenant_Application/Write/{DEFAULT_CLIENT_ID}/{}", graph.tenant().id);
    assert_eq!(answer.header("x-ms-throttle-scope"), Some(scope.as_str()));
    assert_eq!(answer.header("x-ms-throttle-information"), Some("WriteLimitExceeded"));
    assert_eq!(graph.user(ADA).unwrap().text("city"), Some("Oslo"));
    assert_eq!((graph.counters().throttled, graph.counters().writes), (1, 3));
    assert_eq!(client.get(&path(ADA)).await.status, 200, "reads cost no writes");
}

#[tokio::test]
async fn the_percentage_appears_above_eighty_and_only_when_switched_on() {
    let graph = started(three_writes(1.0)).await;
    let mut client = Client::new(&graph).await;
    let header = "x-ms-throttle-limit-percentage";
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(client.patch(&path(ADA), &json!({"city": "Oslo"})).await.header(header).map(str::to_owned));
    }
    assert_eq!(seen, [None, None, Some("1.00".to_owned())]);
    graph.set_throttle(Throttle { percentage_header: false, ..three_writes(1.0).throttle });
    for _ in 0..3 {
        assert_eq!(client.patch(&path(ADA), &json!({"city": "Oslo"})).await.header(header), None);
    }
}

#[tokio::test]
async fn every_answer_names_its_cost() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    for (target, units) in [
        (path(ADA), "1"),
        (format!("{}?$select=id", path(ADA)), "1"),
        ("/v1.0/users".to_owned(), "2"),
        ("/v1.0/users?$select=id".to_owned(), "1"),
        ("/v1.0/users?$top=5".to_owned(), "1"),
    ] {
        assert_eq!(client.get(&target).await.header("x-ms-resource-unit"), Some(units), "{target}");
    }
    let body = json!({"ids": [ADA]});
    let plain = client.post("/v1.0/directoryObjects/getByIds", &body).await;
    let selected = client.post("/v1.0/directoryObjects/getByIds?$select=id", &body).await;
    assert_eq!(plain.header("x-ms-resource-unit"), Some("5"));
    assert_eq!(selected.header("x-ms-resource-unit"), Some("2"));
}
