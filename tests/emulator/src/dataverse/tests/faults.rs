//! Faults on demand, limits, and the headers of every answer.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::{ADA, SOON, contacts, started};
use crate::dataverse::{Answer, Fault, Limit, Limits};

#[tokio::test]
async fn each_limit_has_its_code_its_sentence_and_a_retry_after() {
    let mut house = started().await;
    for (limit, code, sentence) in [
        (
            Limit::Requests,
            "0x80072322",
            "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
        ),
        (
            Limit::Time,
            "0x80072321",
            "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.",
        ),
        (Limit::Concurrency, "0x80072326", "Number of concurrent requests exceeded the limit of 52."),
    ] {
        house.dataverse.script(Fault::throttled(limit, 3));
        let answer = house.api.get("contacts").await;
        assert_eq!(
            (answer.status, answer.code().as_str(), answer.header("retry-after")),
            (429, code, Some("3"))
        );
        assert_eq!(answer.json()["error"]["message"], sentence);
        assert_eq!(house.api.get("contacts").await.status, 200);
    }
}

#[tokio::test]
async fn a_limit_that_is_kept_refuses_by_itself() {
    let mut house = started().await;
    house.dataverse.set_limits(Limits { on: true, requests: 2, ..Limits::default() });
    assert_eq!([house.api.get("WhoAmI").await.status, house.api.get("WhoAmI").await.status], [200, 200]);
    let refused = house.api.get("WhoAmI").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "0x80072322"));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    house.dataverse.set_limits(Limits::default());
    assert_eq!(house.api.get("WhoAmI").await.status, 200);
}

#[tokio::test]
async fn scripted_faults_strike_what_they_name_as_often_as_they_say() {
    let mut house = started().await;
    house.dataverse.script(Fault::new(Answer::Unauthorized).path("contacts"));
    assert_eq!(house.api.get("WhoAmI").await.status, 200);
    let answer = house.api.get("contacts").await;
    assert_eq!((answer.status, answer.header("www-authenticate").is_some()), (401, true));
    house.dataverse.script(Fault::new(Answer::Unavailable).skip(1).times(2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(house.api.get("contacts").await.status);
    }
    assert_eq!(seen, [200, 503, 503, 200]);
    house.dataverse.script(Fault::new(Answer::Unavailable).always());
    let page = house.api.get("contacts").await;
    assert_eq!(page.header("content-type"), Some("text/html"));
    house.dataverse.clear_faults();
    let error = Answer::Error { status: 500, code: 0x8004_0255, message: "aborted".to_owned() };
    house.dataverse.script(Fault::new(error).method("POST").after_apply());
    let answer = house.api.post("contacts", &json!({"contactid": ADA})).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "0x80040255"));
    assert!(house.dataverse.row("contact", ADA).is_some(), "it took effect all the same");
}

#[tokio::test]
async fn a_repeated_next_link_leads_back_to_where_the_client_is() {
    let mut house = started().await;
    contacts(&house.dataverse, 5);
    let first = house.api.prefer("contacts?$select=lastname", "odata.maxpagesize=2").await.json();
    let next = first["@odata.nextLink"].as_str().unwrap();
    house.dataverse.script(Fault::new(Answer::RepeatedNextLink));
    let second = house.api.prefer(next, "odata.maxpagesize=2").await.json();
    assert_eq!(second["@odata.nextLink"], json!(next));
}

#[tokio::test]
async fn a_slow_answer_is_slow_and_a_dropped_connection_is_written_down() {
    let mut house = started().await;
    house.dataverse.script(Fault::delay(Duration::from_millis(60)));
    let began = Instant::now();
    assert_eq!(house.api.get("WhoAmI").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(60));
    house.dataverse.script(Fault::new(Answer::Reset));
    let mut api = house.reader(super::Privileges::new()).await;
    let struck = tokio::spawn(async move { api.get("WhoAmI").await.status });
    assert!(struck.await.is_err(), "there is no answer");
    let entry = house.dataverse.wait_for_entry(SOON, |entry| entry.fault == Some(2)).await.unwrap();
    assert_eq!(entry.status, None);
}

#[tokio::test]
async fn administration_mode_lets_only_administrators_in() {
    let mut house = started().await;
    let mut api = house.reader(super::Privileges::new()).await;
    house.dataverse.set_administration_mode(true);
    let answer = api.get("WhoAmI").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "0x8004a104"));
    assert_eq!(house.api.get("WhoAmI").await.status, 200);
}

#[tokio::test]
async fn every_answer_has_the_headers_of_a_real_one() {
    let mut house = started().await;
    let answer = house.api.get("contacts").await;
    assert_eq!(answer.header("content-type"), Some("application/json; odata.metadata=minimal"));
    for (name, part) in [
        ("odata-version", "4.0"),
        ("cache-control", "no-cache"),
        ("x-ms-ratelimit-burst-remaining-xrm-requests", "5999"),
        ("x-ms-ratelimit-time-remaining-xrm-requests", ".00"),
        ("x-ms-dop-hint", "4"),
        ("set-cookie", "ReqClientId"),
    ] {
        assert!(answer.header(name).unwrap_or_default().contains(part), "{name}: {:?}", answer.header(name));
    }
    assert!(answer.header("x-ms-ratelimit-time-remaining-xrm-requests").unwrap().starts_with("1,"));
    assert!(answer.header("x-ms-service-request-id").unwrap().len() >= 36);
    let zipped =
        house.api.send("GET", "contacts", &[("accept-encoding", "gzip, deflate")], &Json::Null).await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(zipped.bytes[..3], [0x1f, 0x8b, 8]);
    let annotated = house.api.prefer("nowhere", "odata.include-annotations=\"*\"").await.json();
    assert_eq!(annotated["error"]["@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus"], "0");
}

#[tokio::test]
async fn doors_steer_it_without_a_token() {
    let mut house = started().await;
    let root = house.dataverse.http_url();
    let fault = json!({"path": "contacts", "answer": {"throttled": {"limit": "time", "retry_after": 9}}});
    assert_eq!(house.api.post(&format!("{root}/__faults"), &fault).await.status, 200);
    assert_eq!(house.api.get("contacts").await.header("retry-after"), Some("9"));
    let settings = json!({"tracked": [], "secured": ["contact.firstname"], "administration_mode": false});
    assert_eq!(house.api.post(&format!("{root}/__settings"), &settings).await.status, 200);
    assert_eq!(house.api.post(&format!("{root}/__settings"), &json!({"secured": ["x"]})).await.status, 400);
    let journal = house.api.get(&format!("{root}/__journal?since=0")).await.json();
    assert_eq!(journal.as_array().unwrap().len(), 1);
    assert_eq!(journal[0]["code"], "0x80072321");
}
