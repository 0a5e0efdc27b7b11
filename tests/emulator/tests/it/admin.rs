//! The HTTP interface.

use std::time::Duration;

use anyhow::{Context as _, Result};
use emulator::{
    broker::Time,
    bus::{Options, ServiceBus},
    sas::{Claims, Rule, sign},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends one request on a connection of its own and returns status and body.
pub(crate) async fn call(
    authority: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(authority).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).context("no status")?.parse()?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

pub(crate) fn authority(bus: &ServiceBus) -> String {
    bus.admin_url().trim_start_matches("http://").to_owned()
}

fn authorization(bus: &ServiceBus, rule: &Rule) -> String {
    let now: Time = bus.broker(|_, now| now);
    format!("Authorization: {}\r\n", sign("https://localhost/", rule, now + Duration::from_mins(1)))
}

#[tokio::test]
async fn health_is_said_without_a_token_on_every_port() -> Result<()> {
    let bus = ServiceBus::start(Options::default()).await?;
    for authority in [authority(&bus), bus.address().to_string()] {
        let (status, body) = call(&authority, "GET", "/health", "", "").await?;
        assert_eq!(status, 200);
        assert!(body.contains("\"healthy\""), "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_is_made_described_and_removed() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue("q")).await?;
    let (at, auth) = (authority(&bus), authorization(&bus, &Rule::default()));
    let entry = "<entry xmlns='http://www.w3.org/2005/Atom'><content><QueueDescription><LockDuration>PT20S\
                 </LockDuration><MaxDeliveryCount>4</MaxDeliveryCount></QueueDescription></content></entry>";
    let (status, _) = call(&at, "PUT", "/a/b?api-version=2021-05", &auth, entry).await?;
    assert_eq!(status, 201);
    assert_eq!(call(&at, "PUT", "/a/b?api-version=2021-05", &auth, entry).await?.0, 409);
    let (status, body) = call(&at, "GET", "/a/b", &auth, "").await?;
    assert_eq!(status, 200);
    for expected in
        ["<title type=\"text\">a/b</title>", "<LockDuration>PT20S</LockDuration>", "ActiveMessageCount>0<"]
    {
        assert!(body.contains(expected), "{expected} is not in {body}");
    }
    let (_, body) = call(&at, "GET", "/$Resources/Queues?$skip=1&$top=1", &auth, "").await?;
    assert_eq!((body.matches("<entry").count(), body.contains(">q</title>")), (1, true));
    let update = format!("{auth}If-Match: *\r\n");
    assert_eq!(call(&at, "PUT", "/a/b", &update, &entry.replace("PT20S", "PT30S")).await?.0, 200);
    assert_eq!(
        bus.broker(|broker, _| broker.options(broker.resolve("a/b")?).cloned())?.lock_duration.as_secs(),
        30
    );
    assert_eq!(call(&at, "DELETE", "/a/b", &auth, "").await?.0, 200);
    assert_eq!(call(&at, "GET", "/a/b", &auth, "").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn managing_needs_the_claim() -> Result<()> {
    let listen = Rule { name: "listen".to_owned(), claims: Claims::LISTEN, ..Rule::default() };
    let mut options = Options::default().queue("q");
    options.access.rules.push(listen.clone());
    let bus = ServiceBus::start(options).await?;
    let at = authority(&bus);
    assert_eq!(call(&at, "GET", "/q", "", "").await?.0, 401);
    let (status, body) = call(&at, "GET", "/q", &authorization(&bus, &listen), "").await?;
    assert_eq!(status, 401);
    assert!(body.starts_with("<Error><Code>401</Code>"), "{body}");
    Ok(())
}

#[tokio::test]
async fn faults_and_actions_are_given_over_http() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue("q")).await?;
    let at = authority(&bus);
    let json = "Content-Type: application/json\r\n";
    let fault = r#"{"at":"settle","action":"lapse-lock","on":"q","times":2}"#;
    assert_eq!(call(&at, "POST", "/$emulator/faults", json, fault).await?.0, 204);
    let busy = r#"[{"at":"send","action":{"refuse":"com.microsoft:server-busy"}}]"#;
    assert_eq!(call(&at, "POST", "/$emulator/faults", json, busy).await?.0, 204);
    assert_eq!(bus.faults().len(), 2);
    assert_eq!(call(&at, "POST", "/$emulator/faults", json, r#"{"at":"never"}"#).await?.0, 400);
    assert_eq!(call(&at, "DELETE", "/$emulator/faults", "", "").await?.0, 204);
    assert!(bus.faults().is_empty());
    for (action, status) in [("skip?millis=10", 204), ("lapse?address=q", 204), ("lapse", 400), ("x", 404)] {
        assert_eq!(call(&at, "POST", &format!("/$emulator/{action}"), "", "").await?.0, status, "{action}");
    }
    let (_, body) = call(&at, "GET", "/$emulator/queues", "", "").await?;
    assert!(body.contains("\"q/$DeadLetterQueue\""), "{body}");
    let (_, body) = call(&at, "GET", "/$emulator/journal?after=0", "", "").await?;
    assert!(body.contains("\"next\""), "{body}");
    Ok(())
}
