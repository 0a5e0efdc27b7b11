//! Calls against a server of a few lines.

use std::{collections::VecDeque, io::Write, sync::Arc, time::Duration};

use async_trait::async_trait;
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{class::Class, retry::Ladder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use uuid::{Uuid, uuid};

use super::*;
use crate::{
    http_client::{self, Timeouts},
    identity::{self, Bearer, TokenProvider},
};

const ID: Uuid = uuid!("5531d753-95af-4711-a94e-000d3a11e605");
const MS: Duration = Duration::from_millis(1);

/// What the server does with one request.
enum Reply {
    /// Answers with this status, these header lines and this body.
    With(u16, &'static str, Vec<u8>),
    /// Hangs up without an answer.
    HangUp,
}

#[expect(clippy::needless_pass_by_value, reason = "documents and texts are made where they are sent")]
fn reply(status: u16, headers: &'static str, body: impl ToString) -> Reply {
    Reply::With(status, headers, body.to_string().into_bytes())
}

fn refusal(status: u16, code: &str) -> Reply {
    reply(status, "", json!({"error": {"code": code, "message": "words"}}))
}

/// A server that gives these answers, each on a connection of its own; its address, and what it heard.
async fn server(replies: impl FnOnce(&str) -> Vec<Reply>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let mut replies = VecDeque::from(replies(&address));
    let (heard, hearing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(reply) = replies.pop_front() {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let request = request(&mut stream).await;
            if heard.send(request).is_err() {
                return;
            }
            let Reply::With(status, headers, body) = reply else { continue };
            let lines = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(lines.as_bytes()).await.expect("written");
            // Whoever has read enough may close before all of it is written.
            drop(stream.write_all(&body).await);
        }
    });
    (address, hearing)
}

async fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("a request"));
    }
    let head = String::from_utf8(request).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.expect("a body");
    head + &String::from_utf8(body).expect("text")
}

/// Tokens that are numbered.
struct Tokens;

#[async_trait]
impl TokenProvider for Tokens {
    async fn token(&self) -> Result<Bearer, identity::Error> {
        Ok(Bearer::new("first", Timestamp::MAX).expect("a token"))
    }

    async fn renew(&self, refused: &Bearer) -> Result<Bearer, identity::Error> {
        assert_eq!(refused.text(), "first");
        Ok(Bearer::new("second", Timestamp::MAX).expect("a token"))
    }

    async fn forget(&self, _: &Bearer) {}
}

fn client(address: &str) -> Client {
    let timeouts = Timeouts { connect: Duration::from_secs(20), request: Duration::from_secs(20) };
    let http = http_client::Client::new(timeouts, None).expect("a client");
    let client = Client::new(&http, Arc::new(Tokens), &address.parse().expect("an address"));
    client.waiting(Ladder::fixed(MS, MS).with_tries(3))
}

fn heard(hearing: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| hearing.try_recv().ok()).collect()
}

#[track_caller]
fn says(request: &str, lines: &[&str]) {
    for line in lines {
        assert!(request.contains(&format!("{line}\r\n")), "{line} is not in {request}");
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Row {
    n: u32,
}

fn rows(numbers: &[u32], next: Option<String>) -> Reply {
    let value: Vec<_> = numbers.iter().map(|n| json!({"n": n})).collect();
    let mut page = json!({"value": value});
    if let Some(next) = next {
        page["@odata.nextLink"] = json!(next);
    }
    reply(200, "", page)
}

fn who() -> Value {
    json!({"@odata.context": "x", "BusinessUnitId": ID, "UserId": ID, "OrganizationId": ID})
}

#[tokio::test]
async fn a_read_says_what_the_web_api_wants_and_keeps_no_cookie() {
    let cookie = "set-cookie: ARRAffinity=abc; path=/\r\nx-ms-service-request-id: r-1\r\n";
    let (address, mut hearing) = server(|_| vec![reply(200, cookie, who()), reply(200, "", who())]).await;
    let client = client(&address);
    for _ in 0..2 {
        assert_eq!(client.who_am_i().await.expect("answered").user_id, ID);
    }
    let heard = heard(&mut hearing);
    for request in &heard {
        says(
            request,
            &[
                "GET /api/data/v9.2/WhoAmI HTTP/1.1",
                "authorization: Bearer first",
                "accept: application/json",
                "accept-encoding: gzip",
                "odata-maxversion: 4.0",
                "odata-version: 4.0",
                "if-none-match: null",
            ],
        );
        assert!(!request.to_ascii_lowercase().contains("cookie"), "{request}");
    }
}

#[tokio::test]
async fn the_organization_says_what_it_is_for_by_name_or_number() {
    for (kind, expected) in [
        (json!("Customer"), OrganizationType::Production),
        (json!(4), OrganizationType::Production),
        (json!("CustomerTest"), OrganizationType::NotProduction),
        (json!(6), OrganizationType::NotProduction),
        (json!("Monitoring"), OrganizationType::Unknown),
        (json!(null), OrganizationType::Unknown),
    ] {
        let detail =
            json!({"Detail": {"OrganizationId": ID, "FriendlyName": "Contoso", "OrganizationType": kind}});
        let (address, mut hearing) = server(|_| vec![reply(200, "", detail)]).await;
        let organization = client(&address).organization().await.expect("answered");
        assert_eq!((organization.organization_type, &*organization.friendly_name), (expected, "Contoso"));
        assert!(heard(&mut hearing)[0].contains("EndpointAccessType'Default')"), "one path, not cut");
    }
}

#[tokio::test]
async fn pages_are_followed_with_the_same_preference_until_there_is_none() {
    let (address, mut hearing) = server(|address| {
        let next = format!("{address}/api/data/v9.2/contacts?$select=n&$skiptoken=%253ccookie%2520");
        vec![rows(&[1, 2], Some(next)), rows(&[3], None)]
    })
    .await;
    let read: Vec<Row> = client(&address).rows("contacts?$select=n&$filter=n ne 0", 10).await.expect("read");
    assert_eq!(read, [Row { n: 1 }, Row { n: 2 }, Row { n: 3 }]);
    let heard = heard(&mut hearing);
    says(&heard[0], &["GET /api/data/v9.2/contacts?$select=n&$filter=n%20ne%200 HTTP/1.1"]);
    says(&heard[1], &["GET /api/data/v9.2/contacts?$select=n&$skiptoken=%253ccookie%2520 HTTP/1.1"]);
    for request in &heard {
        says(request, &["prefer: odata.maxpagesize=11"]);
    }
}

#[tokio::test]
async fn a_page_that_leads_elsewhere_or_back_ends_it_before_a_token_goes_there() {
    for (link, part) in [
        ("http://evil.example/api/data/v9.2/contacts", "leads away"),
        ("{address}/other/contacts", "leads away"),
        ("{address}/api/data/v9.1/contacts", "leads away"),
        ("{address}/api/data/v9.2/../../x", "leads away"),
        ("contacts?page=2", "leads away"),
        ("{address}/api/data/v9.2/contacts", "leads back"),
    ] {
        let (address, mut hearing) =
            server(|address| vec![rows(&[1], Some(link.replace("{address}", address)))]).await;
        let error = client(&address).rows::<Row>("contacts", 10).await.expect_err("refused");
        assert!(error.explained().contains(part), "{link}: {}", error.explained());
        assert_eq!(heard(&mut hearing).len(), 1, "{link}");
    }
}

#[tokio::test]
async fn more_rows_than_expected_are_an_error_or_told() {
    let (address, _hearing) = server(|_| vec![rows(&[1, 2, 3], None), rows(&[1, 2, 3], None)]).await;
    let client = client(&address);
    assert!(matches!(client.rows::<Row>("contacts", 2).await, Err(Error::TooMany { most: 2 })));
    assert_eq!(
        client.first_rows("contacts", 2).await.expect("read"),
        (vec![Row { n: 1 }, Row { n: 2 }], true)
    );
}

#[tokio::test]
async fn many_ids_are_asked_for_by_hundreds() {
    let ids: Vec<_> = (0..150_u128).map(Uuid::from_u128).collect();
    let (address, mut hearing) = server(|_| vec![rows(&[1], None), rows(&[2], None)]).await;
    let read = client(&address).rows_by_id::<Row>("contacts", "contactid", &ids, "n").await;
    assert_eq!(read.expect("read"), [Row { n: 1 }, Row { n: 2 }]);
    let counts: Vec<_> =
        heard(&mut hearing).iter().map(|request| request.matches("%2200000000-").count()).collect();
    assert_eq!(counts, [100, 50]);
}

#[tokio::test]
async fn answers_are_unpacked() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(who().to_string().as_bytes()).expect("packed");
    let body = encoder.finish().expect("packed");
    let (address, _hearing) = server(|_| vec![Reply::With(200, "content-encoding: gzip\r\n", body)]).await;
    assert_eq!(client(&address).who_am_i().await.expect("answered").user_id, ID);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (address, mut hearing) =
        server(|_| vec![reply(401, "", ""), reply(200, "", who()), reply(401, "", ""), reply(401, "", "")])
            .await;
    let client = client(&address);
    client.who_am_i().await.expect("by the fresh token");
    let error = client.who_am_i().await.expect_err("refused");
    assert_eq!((error.kind(), error.class()), (Some(Kind::Account), Class::Installation));
    let heard = heard(&mut hearing);
    assert_eq!(heard.len(), 4, "a refusal of the fresh token is for good");
    says(&heard[1], &["authorization: Bearer second"]);
}

#[tokio::test]
async fn what_passes_is_asked_again_and_what_is_for_good_is_not() {
    for (replies, calls) in [
        (vec![refusal(429, "0x80072322"), reply(503, "", "<html>"), reply(200, "", who())], 3),
        (vec![Reply::HangUp, refusal(500, "0x80040216"), reply(200, "", who())], 3),
        (vec![reply(429, "retry-after: 0\r\n", ""), reply(200, "", who())], 2),
    ] {
        let (address, mut hearing) = server(|_| replies).await;
        client(&address).who_am_i().await.expect("in the end");
        assert_eq!(heard(&mut hearing).len(), calls);
    }
    for (replies, calls) in [
        (vec![refusal(403, "0x80072560")], 1),
        (vec![reply(403, "content-type: text/html\r\n", "<html>")], 1),
        (vec![reply(200, "", "<html>")], 1),
        (vec![reply(429, "retry-after: 4000\r\n", "")], 1),
        (vec![reply(503, "", ""), reply(503, "", ""), reply(503, "", "")], 3),
    ] {
        let (address, mut hearing) = server(|_| replies).await;
        client(&address).who_am_i().await.expect_err("for good");
        assert_eq!(heard(&mut hearing).len(), calls);
    }
}

#[tokio::test]
async fn a_row_is_made_once_although_the_answer_is_lost() {
    for (reply, undecided) in [
        (Reply::HangUp, true),
        (refusal(500, "0x80040216"), true),
        (reply(504, "", ""), true),
        (reply(204, "", ""), true),
        (refusal(400, "0x80048d19"), false),
        (refusal(403, "0x80040220"), false),
    ] {
        let (address, mut hearing) = server(|_| vec![reply]).await;
        let error = client(&address).create("contacts", &json!({}), None).await.expect_err("not made");
        assert_eq!(matches!(error, Error::Undecided(_)), undecided, "{}", error.explained());
        assert_eq!(heard(&mut hearing).len(), 1);
    }
}

#[tokio::test]
async fn writes_say_what_the_web_api_wants() {
    let made = "odata-entityid: http://o/api/data/v9.2/contacts(5531d753-95af-4711-a94e-000d3a11e605)\r\n";
    let replies = vec![
        refusal(429, ""),
        reply(204, made, ""),
        reply(204, "", ""),
        reply(204, "", ""),
        reply(204, "", ""),
    ];
    let (address, mut hearing) = server(|_| replies).await;
    let client = client(&address);
    let body = json!({"name": "x"});
    assert_eq!(
        client.create("contacts", &body, Some("ours")).await.expect("made"),
        ID,
        "a limit is waited for"
    );
    client.update("contacts", ID, &body).await.expect("written");
    client.delete("contacts", ID).await.expect("deleted");
    client.act("AddSolutionComponent", &body).await.expect("done");
    let heard = heard(&mut hearing);
    let json_type = "content-type: application/json; charset=utf-8";
    says(&heard[1], &["POST /api/data/v9.2/contacts HTTP/1.1", "mscrm.solutionuniquename: ours", json_type]);
    assert!(heard[1].ends_with(r#"{"name":"x"}"#), "{}", heard[1]);
    let row = "/api/data/v9.2/contacts(5531d753-95af-4711-a94e-000d3a11e605) HTTP/1.1";
    says(&heard[2], &[&format!("PATCH {row}"), "if-match: *", json_type]);
    says(&heard[3], &[&format!("DELETE {row}")]);
    says(&heard[4], &["POST /api/data/v9.2/AddSolutionComponent HTTP/1.1"]);
}

#[tokio::test]
async fn a_row_that_is_not_there_is_as_good_as_deleted_and_is_not_made_by_an_update() {
    let replies = vec![refusal(404, "0x80040217"), refusal(404, "0x80060888"), refusal(404, "0x80040217")];
    let (address, _hearing) = server(|_| replies).await;
    let client = client(&address);
    client.delete("contacts", ID).await.expect("as good");
    assert_eq!(client.delete("nowhere", ID).await.expect_err("no table").kind(), Some(Kind::Configuration));
    assert_eq!(client.update("contacts", ID, &json!({})).await.expect_err("gone").kind(), Some(Kind::Gone));
}

#[tokio::test]
async fn an_environment_tells_its_tenant_without_a_token() {
    let header = "www-authenticate: Bearer authorization_uri=https://l.example/t-1/oauth2/authorize, resource_id=x\r\n\
                  date: Mon, 02 Mar 2026 08:00:00 GMT\r\n";
    let (address, mut hearing) = server(|_| vec![reply(401, header, "")]).await;
    let challenge = client(&address).challenge().await.expect("answered");
    assert_eq!((challenge.tenant.as_deref(), challenge.login.as_deref()), (Some("t-1"), Some("l.example")));
    assert!(challenge.date.is_some());
    assert!(!heard(&mut hearing)[0].contains("authorization"), "no token goes");
}

#[tokio::test]
async fn nothing_of_an_address_or_of_a_row_is_told() {
    let (address, _hearing) = server(|_| {
        vec![
            reply(200, "", json!({"UserId": "ada@example.com"})),
            Reply::HangUp,
            Reply::HangUp,
            Reply::HangUp,
        ]
    })
    .await;
    let client = client(&address);
    for _ in 0..2 {
        let told = client.row::<WhoAmI>("contacts?$filter=x eq 'ada'").await.expect_err("failed");
        for text in [told.explained(), format!("{told:?}")] {
            assert!(!text.contains("ada") && !text.contains("filter"), "{text}");
        }
    }
}
