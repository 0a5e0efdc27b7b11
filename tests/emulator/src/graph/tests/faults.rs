//! What goes wrong by script.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::client::Client;
use super::{ADA, BOB, SOON, path, started};
use crate::graph::{Fault, Graph, Options, Page, RetryAfter, Scope, User};

async fn patched(graph: &Graph, client: &mut Client) -> (u16, bool) {
    let city = format!("City {}", Uuid::new_v4());
    let answer = client.patch(&path(ADA), &json!({ "city": city })).await;
    (answer.status, graph.user(ADA).unwrap().text("city") == Some(&city))
}

#[tokio::test]
async fn a_status_strikes_once_and_nothing_is_applied() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let number = graph.script(Fault::status(503));
    assert_eq!(patched(&graph, &mut client).await, (503, false));
    assert_eq!(patched(&graph, &mut client).await, (204, true));
    let entry = graph.wait_for_entry(SOON, |entry| entry.fault == Some(number)).await.unwrap();
    assert_eq!((entry.status, entry.applied, entry.user), (Some(503), false, Some(ADA)));
    assert!(graph.pending_faults().is_empty());
}

#[tokio::test]
async fn a_write_may_have_happened_although_the_gateway_timed_out() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::status(504).but_applied());
    assert_eq!(patched(&graph, &mut client).await, (504, true));
    assert_eq!(graph.counters().writes, 1);
}

#[tokio::test]
async fn a_connection_is_reset_before_or_after_the_write() {
    for (fault, applied) in [(Fault::reset(), false), (Fault::reset_after_apply(), true)] {
        let graph = started(Options::default()).await;
        let mut client = Client::new(&graph).await;
        graph.script(fault.patches());
        let broken = client.try_call("PATCH", &path(ADA), &json!({"city": "Oslo"})).await;
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(graph.user(ADA).unwrap().text("city") == Some("Oslo"), applied);
        let entry = graph.wait_for_entry(SOON, |entry| entry.method == "PATCH").await.unwrap();
        assert_eq!((entry.status, entry.applied), (None, applied));
        assert_eq!(graph.counters().unanswered, 1);
        assert_eq!(patched(&graph, &mut Client::new(&graph).await).await, (204, true));
    }
}

#[tokio::test]
async fn retry_after_comes_as_integer_fraction_date_or_nonsense() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    for (after, header) in [
        (RetryAfter::Seconds(7.0), "7"),
        (RetryAfter::Seconds(0.5), "0.5"),
        (RetryAfter::Text("soon".into()), "soon"),
    ] {
        graph.script(Fault::status(429).retry_after(after));
        assert_eq!(client.get(&path(ADA)).await.header("retry-after"), Some(header));
    }
    graph.script(Fault::status(503).retry_after(RetryAfter::DateIn(2)));
    let answer = client.get(&path(ADA)).await;
    let date = answer.header("retry-after").unwrap();
    assert!(date.len() == "Sat, 31 Jan 2026 12:00:00 GMT".len() && date.ends_with(" GMT"), "{date}");
}

#[tokio::test]
async fn gateways_answer_with_html_or_nothing() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::status(502).body(Page::Html));
    let html = client.get(&path(ADA)).await;
    assert_eq!((html.status, html.header("content-type")), (502, Some("text/html")));
    assert!(html.text.starts_with("<html>"));
    graph.script(Fault::status(504).body(Page::Empty));
    let empty = client.get(&path(ADA)).await;
    assert_eq!(empty.header("x-ms-resource-unit"), Some("1"));
    assert_eq!((empty.status, empty.text.as_str()), (504, ""));
    graph.script(Fault::status(418).body(Page::Json(json!({"tea": true}))));
    assert_eq!(client.get(&path(ADA)).await.json(), json!({"tea": true}));
}

#[tokio::test]
async fn each_status_brings_the_code_that_usually_goes_with_it() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    for (fault, status, code) in [
        (Fault::unauthorized(), 401, "InvalidAuthenticationToken"),
        (Fault::concurrency_violation(409), 409, "Directory_ConcurrencyViolation"),
        (Fault::concurrency_violation(400), 400, "Directory_ConcurrencyViolation"),
        (Fault::status(500), 500, "Service_InternalServerError"),
        (Fault::status(503).code("Request_ThrottledTemporarily"), 503, "Request_ThrottledTemporarily"),
        (Fault::status(504), 504, "UnknownError"),
    ] {
        graph.script(fault);
        let answer = client.patch(&path(ADA), &json!({"city": "Oslo"})).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    assert_eq!(client.patch(&path(ADA), &json!({"city": "Oslo"})).await.status, 204);
}

#[tokio::test]
async fn faults_choose_their_victims() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::status(500).user(BOB).method("get").after(1).times(2));
    graph.script(Fault::status(502).every(2).times(1).user(ADA));
    let mut statuses = Vec::new();
    for id in [BOB, ADA, BOB, ADA, BOB, ADA, BOB] {
        statuses.push(client.get(&path(id)).await.status);
    }
    assert_eq!(statuses, [200, 200, 500, 502, 500, 200, 200]);
}

#[tokio::test]
async fn an_outage_lasts_for_its_time_or_until_it_is_cleared() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::status(503).always());
    for _ in 0..3 {
        assert_eq!(client.get(&path(ADA)).await.status, 503);
    }
    graph.clear_faults();
    assert_eq!(client.get(&path(ADA)).await.status, 200);
    graph.script(Fault::status(503).lasting(Duration::ZERO));
    assert_eq!(client.get(&path(ADA)).await.status, 200);
}

#[tokio::test]
async fn a_delayed_call_takes_effect_late() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::delay(Duration::from_millis(40)));
    let start = Instant::now();
    assert_eq!(client.patch(&path(ADA), &json!({"city": "Oslo"})).await.status, 204);
    assert!(start.elapsed() >= Duration::from_millis(40));
    let journal = graph.journal();
    assert!(journal[1].at_ms - journal[0].at_ms >= 39, "{journal:?}");
}

#[tokio::test]
async fn a_delayed_call_may_take_effect_at_once() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::delay(Duration::from_hours(1)).but_applied());
    let (target, body) = (path(ADA), json!({"city": "Oslo"}));
    tokio::select! {
        answer = client.patch(&target, &body) => panic!("answered: {answer:?}"),
        user = graph.wait_for_user(ADA, SOON, |user| user.text("city") == Some("Oslo")) => assert!(user.is_ok()),
    }
}

#[tokio::test]
async fn a_hanging_call_is_written_down_and_never_answered() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::hang());
    let target = path(ADA);
    let call = client.try_call("GET", &target, &Value::Null);
    tokio::select! {
        answer = call => panic!("answered: {answer:?}"),
        entry = graph.wait_for_entry(SOON, |entry| entry.fault.is_some()) => assert_eq!(entry.unwrap().status, None),
    }
}

#[tokio::test]
async fn latency_holds_every_answer_back() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.set_latency(Duration::from_millis(30));
    let start = Instant::now();
    assert_eq!(client.get(&path(ADA)).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_new_user_is_unknown_for_a_while() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let (soon, later) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let delay = Duration::from_millis(20);
    graph.set_visible_after(Duration::from_hours(1));
    graph.add_user(User::new(later)).unwrap();
    graph.set_visible_after(delay);
    let start = Instant::now();
    graph.add_user(User::new(soon)).unwrap();
    while client.patch(&path(soon), &json!({"city": "x"})).await.status == 404 {
        assert!(start.elapsed() < SOON);
    }
    assert!(start.elapsed() >= delay);
    assert_eq!(client.get(&path(soon)).await.status, 200);
    assert_eq!(client.get(&path(later)).await.status, 404);
    assert_eq!(client.patch(&path(later), &json!({"city": "x"})).await.status, 404);
}

#[tokio::test]
async fn reads_lag_behind_writes_by_the_set_time() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.set_stale_reads(Duration::from_mins(1));
    for city in ["Oslo", "Rome"] {
        assert_eq!(client.patch(&path(ADA), &json!({ "city": city })).await.status, 204);
        assert_eq!(client.get(&format!("{}?$select=city", path(ADA))).await.json()["city"], Value::Null);
    }
    assert_eq!(graph.user(ADA).unwrap().text("city"), Some("Rome"));
    graph.set_stale_reads(Duration::ZERO);
    client.patch(&path(BOB), &json!({"city": "Bonn"})).await;
    assert_eq!(client.get(&format!("{}?$select=city", path(BOB))).await.json()["city"], "Bonn");
}

#[tokio::test]
async fn two_requests_with_the_same_client_request_id_are_two_requests() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let bearer = format!("Bearer {}", client.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("client-request-id", "same"),
        ("retry-attempt", "1"),
    ];
    for _ in 0..2 {
        client.send("PATCH", &path(ADA), &headers, r#"{"city":"Oslo"}"#).await.unwrap();
    }
    let journal = graph.journal();
    let same = journal.iter().filter(|entry| entry.client_request_id == "same" && entry.applied);
    assert_eq!(same.count(), 2);
    assert_eq!(journal.last().unwrap().retry_attempt.as_deref(), Some("1"));
    assert_eq!((graph.counters().writes, graph.counters().effective_writes), (2, 1));
}

#[tokio::test]
async fn the_token_endpoint_has_faults_of_its_own() {
    let graph = started(Options::default()).await;
    let mut client = Client::without_token(&graph).await;
    graph.script(Fault::token_error(90_033));
    graph.script(Fault::token_status(429).retry_after(RetryAfter::Seconds(3.0)));
    graph.script(Fault::reset().on(Scope::Token));
    let first = client.post_form("/x/oauth2/v2.0/token", "").await;
    assert_eq!((first.status, first.json()["error"].as_str()), (400, Some("temporarily_unavailable")));
    assert_eq!(first.json()["error_codes"], json!([90_033]));
    let second = client.post_form("/x/oauth2/v2.0/token", "").await;
    assert_eq!((second.status, second.text.as_str(), second.header("retry-after")), (429, "", Some("3")));
    assert!(client.send("POST", "/x/oauth2/v2.0/token", &[], "").await.is_err());
    assert_eq!(graph.counters().token_errors, 3);
}
