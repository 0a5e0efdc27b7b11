//! What goes wrong by script.

use std::{io::ErrorKind, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{ADA, BOB, SOON, client::Client, path, started};
use crate::graph::{Clocks, Fault, Graph, Options, Page, RetryAfter, Scope, User};

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
async fn held_calls_wait_until_they_are_let_go_and_none_is_held_afterwards() {
    for release_over_http in [false, true] {
        let graph = started(Options::default()).await;
        let (mut first, mut second) = (Client::new(&graph).await, Client::new(&graph).await);
        let mut door = Client::without_token(&graph).await;
        graph.script(Fault::hold().patches());
        let (ada, bob, body) = (path(ADA), path(BOB), json!({"city": "Oslo"}));
        let both = async { tokio::join!(first.patch(&ada, &body), second.patch(&bob, &body)) };
        let release = async {
            while graph.held() < 2 {
                tokio::task::yield_now().await;
            }
            assert_eq!(graph.counters().writes, 0, "nothing takes effect while it is held");
            if release_over_http {
                assert_eq!(door.call("POST", "/__release", &Value::Null).await.status, 204);
            } else {
                graph.release();
            }
        };
        let ((one, other), ()) = tokio::join!(both, release);
        assert_eq!((one.status, other.status, graph.held()), (204, 204, 0));
        assert_eq!(first.patch(&ada, &json!({"city": "Rome"})).await.status, 204);
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

#[tokio::test]
async fn somebody_on_the_way_answers_with_any_status_and_none_of_graphs_headers() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    for status in [200, 202, 302, 403, 404, 502] {
        for known in [false, true] {
            let page = Fault::page(status).header("location", "https://portal.example.test/");
            graph.script(if known { Fault::status(status).body(Page::Html) } else { page });
            let answer = client.patch(&path(ADA), &json!({"city": "Oslo"})).await;
            assert_eq!((answer.status, answer.header("content-type")), (status, Some("text/html")));
            assert_eq!(answer.header("request-id").is_some(), known, "{status}");
            assert_eq!(answer.header("x-ms-resource-unit").is_some(), known, "{status}");
            assert_eq!(answer.header("location").is_some(), !known);
        }
    }
    assert_eq!((graph.counters().writes, graph.user(ADA).unwrap().text("city")), (0, None));
}

#[tokio::test]
async fn json_and_text_come_as_scripted_though_they_are_not_graphs() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::status(200).body(Page::Json(json!({"status": "ok"}))).without_graph_headers());
    let json = client.get(&path(ADA)).await;
    assert_eq!((json.status, json.json(), json.header("request-id")), (200, json!({"status": "ok"}), None));
    let text = Page::Text { mime: "application/json".into(), text: "<html>".into() };
    graph.script(Fault::status(200).body(text));
    let answer = client.get(&path(ADA)).await;
    assert_eq!((answer.header("content-type"), answer.text.as_str()), (Some("application/json"), "<html>"));
}

#[tokio::test]
async fn any_code_comes_with_any_status() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    for (status, code) in [(400, "serviceUnavailable"), (403, "TooManyRequests"), (404, "generalException")] {
        graph.script(Fault::status(status).code(code).message("Later.").target("city"));
        let answer = client.patch(&path(ADA), &json!({"city": "Oslo"})).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        let error = &answer.json()["error"];
        assert_eq!((&error["message"], &error["details"][0]["target"]), (&json!("Later."), &json!("city")));
    }
}

#[tokio::test]
async fn a_property_that_nobody_registered_is_refused_whoever_is_written() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::unregistered("extensionAttribute15"));
    let marked = json!({"city": "Oslo", "extensionAttribute15": "v1"});
    for (id, body, status) in [
        (ADA, &marked, 400),
        (ADA, &json!({"city": "extensionAttribute15"}), 204),
        (BOB, &json!({"extensionAttribute15": null}), 400),
        (ADA, &marked, 400),
    ] {
        let answer = client.patch(&path(id), body).await;
        assert_eq!(answer.status, status, "{body}");
        if status == 400 {
            let error = &answer.json()["error"];
            assert_eq!(error["details"][0]["target"], "extensionAttribute15");
            assert!(error["message"].as_str().unwrap().contains("does not exist as a declared property"));
        }
    }
    assert_eq!(client.get(&path(ADA)).await.status, 200);
}

#[tokio::test]
async fn a_user_is_refused_for_ever_and_others_are_not() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.script(Fault::of_user(BOB, 500, "Service_InternalServerError"));
    for _ in 0..3 {
        let refused = client.patch(&path(BOB), &json!({"city": "Oslo"})).await;
        assert_eq!((refused.status, refused.code().as_str()), (500, "Service_InternalServerError"));
        assert_eq!(patched(&graph, &mut client).await, (204, true));
    }
    assert_eq!(graph.pending_faults().len(), 1);
}

#[tokio::test]
async fn the_clocks_of_graph_and_of_the_authority_are_wrong_each_by_itself() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let ahead = |date: &str| {
        let date = jiff::fmt::rfc2822::parse(date).unwrap();
        date.timestamp().as_second() - crate::clock::now().as_second()
    };
    graph.set_clocks(Clocks { graph_s: 7_200, authority_s: -7_200 });
    let of_graph = ahead(client.get(&path(ADA)).await.header("date").unwrap());
    graph.script(Fault::page(502));
    let of_page = ahead(client.get(&path(ADA)).await.header("date").unwrap());
    let token = client.post_form("/x/oauth2/v2.0/token", "").await;
    let of_authority = ahead(token.header("date").unwrap());
    // Hours against minutes, so that a slow machine makes no difference.
    for (found, wanted) in [(of_graph, 7_200), (of_page, 7_200), (of_authority, -7_200)] {
        assert!((found - wanted).abs() < 600, "{found} s ahead instead of {wanted}");
    }
    client.post("/__settings", &json!({"clocks": {}})).await;
    assert!(ahead(client.get(&path(ADA)).await.header("date").unwrap()).abs() < 600);
}

#[tokio::test]
async fn every_new_kind_of_fault_can_be_scripted_in_json() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let page = json!({"answer": {"error": {"status": 202, "body": "html", "graph_headers": false}}});
    let text =
        json!({"answer": {"error": {"status": 200, "body": {"text": {"mime": "text/plain", "text": "hi"}}}}});
    let property = json!({"property": "city", "answer": {"error": {"status": 400, "target": "city"}}});
    client.post("/__faults", &json!([page, text, property])).await;
    let first = client.patch(&path(ADA), &json!({"country": "NO"})).await;
    assert_eq!((first.status, first.header("request-id")), (202, None));
    assert_eq!(client.get(&path(ADA)).await.text, "hi");
    assert_eq!(client.patch(&path(ADA), &json!({"country": "NO"})).await.status, 204);
    let last = client.patch(&path(ADA), &json!({"city": "Oslo"})).await;
    assert_eq!((last.status, &last.json()["error"]["details"][0]["target"]), (400, &json!("city")));
}
