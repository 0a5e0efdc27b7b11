//! Batches on the wire.

use serde_json::{Value as Json, json};

use super::{ADA, BOB, House, started};
use crate::{dataverse::Fault, graph::tests::client::Answer};

fn part(request: &str, body: &Json) -> String {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    format!(
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{request} HTTP/1.1\r\n\
         Content-Type: application/json\r\n\r\n{text}\r\n"
    )
}

fn change_set(requests: &[(&str, Json)]) -> String {
    let mut text = "--b\r\nContent-Type: multipart/mixed; boundary=\"c\"\r\n\r\n".to_owned();
    for (number, (request, body)) in requests.iter().enumerate() {
        let part = format!(
            "--c\r\nContent-Type: application/http\r\nContent-ID: {}\r\n\r\n{request} HTTP/1.1\r\n\
             Content-Type: application/json\r\n\r\n{body}\r\n",
            number + 1
        );
        text.push_str(&part);
    }
    text + "--c--\r\n\r\n"
}

async fn send(house: &mut House, parts: &[String], prefer: &str) -> Answer {
    let body = format!("{}--b--\r\n", parts.concat());
    let headers = [("content-type", "multipart/mixed; boundary=b"), ("prefer", prefer)];
    house.api.send_text("POST", "$batch", &headers, &body).await
}

fn statuses(answer: &Answer) -> Vec<u16> {
    let lines = answer.text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.map(|line| line[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn urls_may_be_absolute_rooted_or_relative() {
    let mut house = started().await;
    house.contact(ADA, &json!({"lastname": "Ada"}));
    let absolute = format!("GET {}/contacts({ADA})?$select=lastname", house.api.root);
    let parts = [
        part(&absolute, &Json::Null),
        part(&format!("GET /api/data/v9.2/contacts({ADA})?$select=lastname"), &Json::Null),
        part(&format!("GET contacts({ADA})?$select=lastname"), &Json::Null),
    ];
    let answer = send(&mut house, &parts, "").await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![200, 200, 200]));
    assert!(answer.header("content-type").unwrap().starts_with("multipart/mixed; boundary=batchresponse_"));
    assert_eq!(answer.text.matches("\"lastname\":\"Ada\"").count(), 3);
    assert!(!answer.text.replace("\r\n", "").contains('\n'), "lines end in CRLF");
    let seen = house.dataverse.journal();
    let flags: Vec<bool> = seen.iter().rev().take(4).map(|entry| entry.in_batch).collect();
    assert_eq!(flags, [false, true, true, true], "parts stand before their envelope");
}

#[tokio::test]
async fn a_batch_stops_at_its_first_failure_and_is_then_one_itself() {
    let mut house = started().await;
    let parts = [
        part("POST contacts", &json!({"contactid": ADA})),
        part("GET nowhere", &Json::Null),
        part("POST contacts", &json!({"contactid": BOB})),
    ];
    let answer = send(&mut house, &parts, "").await;
    assert_eq!((answer.status, statuses(&answer)), (400, vec![204, 404]));
    assert!(answer.text.contains("REQ_ID: "));
    assert_eq!(house.dataverse.rows("contact").len(), 1, "what came before stays done");
    let parts = [part("GET nowhere", &Json::Null), part("POST contacts", &json!({"contactid": BOB}))];
    let answer = send(&mut house, &parts, "odata.continue-on-error").await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![404, 204]));
    assert_eq!(house.dataverse.rows("contact").len(), 2);
}

#[tokio::test]
async fn a_change_set_is_all_or_nothing_and_knows_its_own_rows() {
    let mut house = started().await;
    let good = change_set(&[
        ("POST contacts", json!({"lastname": "Ada", "contactid": ADA})),
        ("PATCH $1", json!({"firstname": "Augusta"})),
        ("POST adx_externalidentities", json!({"adx_username": "u", "adx_contactid@odata.bind": "$1"})),
    ]);
    let answer = send(&mut house, &[good], "").await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![204, 204, 204]), "{}", answer.text);
    assert!(answer.text.contains("Content-ID: 3") && answer.text.contains("changesetresponse_"));
    let row = house.api.get(&format!("contacts({ADA})?$expand=adx_contact_externalidentity")).await.json();
    assert_eq!(row["firstname"], "Augusta");
    assert_eq!(row["adx_contact_externalidentity"].as_array().unwrap().len(), 1);
    let bad = change_set(&[("POST contacts", json!({"contactid": BOB})), ("PATCH $1", json!({"nope": 1}))]);
    let answer = send(&mut house, &[bad], "").await;
    assert_eq!((answer.status, statuses(&answer)), (400, vec![400]));
    assert!(house.dataverse.row("contact", BOB).is_none());
    let get = change_set(&[("GET contacts", Json::Null)]);
    assert_eq!(send(&mut house, &[get], "").await.status, 400);
}

#[tokio::test]
async fn line_feeds_alone_are_taken_and_what_is_no_batch_is_refused() {
    let mut house = started().await;
    let body = format!("{}--b--\n", part("GET contacts", &Json::Null)).replace("\r\n", "\n");
    let headers = [("content-type", "multipart/mixed;boundary=\"b\"")];
    assert_eq!(house.api.send_text("POST", "$batch", &headers, &body).await.status, 200);
    for (mime, body) in [("application/json", "{}"), ("multipart/mixed; boundary=b", "nothing")] {
        let answer = house.api.send_text("POST", "$batch", &[("content-type", mime)], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "0x80060888"), "{mime}");
    }
    let many = part("GET contacts", &Json::Null).repeat(1001);
    assert_eq!(send(&mut house, &[many], "").await.status, 400);
    let nested = [part("POST $batch", &Json::Null)];
    assert_eq!(send(&mut house, &nested, "").await.status, 400);
}

#[tokio::test]
async fn a_fault_can_strike_one_part() {
    let mut house = started().await;
    house.dataverse.script(Fault::throttled(crate::dataverse::Limit::Requests, 7).in_batch().skip(1));
    let parts = [part("GET contacts", &Json::Null), part("GET contacts", &Json::Null)];
    let answer = send(&mut house, &parts, "odata.continue-on-error").await;
    assert_eq!(statuses(&answer), [200, 429]);
    assert!(answer.text.contains("Retry-After: 7"));
}
