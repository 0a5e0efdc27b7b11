//! Nothing that a sender chooses gets into what operators, monitors and support see.

use anyhow::Result;
use emulator::graph::User;
use serde_json::{Value as Json, json};
use servicebus::{ApplicationValue, Outgoing};
use tests::{
    PATIENCE,
    message::moment,
    quick::{QUICK, user},
    world::{Options, World},
};

use super::{letter, post};
use crate::{otlp::Receiver, replay::change};

const MARKER: &str = "PrivateMarker";

/// What a sender writes wherever a text can stand.
fn words() -> String {
    format!("{MARKER} ada@example.test\n")
}

/// A message whose ids and properties are words of the sender.
fn message(body: &Json) -> Outgoing {
    let text = || ApplicationValue::from(&*words());
    let names = [
        "DeadLetterReason",
        "DeadLetterErrorDescription",
        "contactsync-original-id",
        "contactsync-code",
        "contactsync-target",
        "contactsync-replay-id",
        "contactsync-replayed-reason",
        "traceparent",
        "Diagnostic-Id",
    ];
    let mut properties: Vec<_> = names.into_iter().map(|name| (name, text())).collect();
    let name = words();
    properties.push((&*name, text()));
    Outgoing {
        message_id: Some(words().into()),
        correlation_id: Some(words().into()),
        subject: Some(words().into()),
        ..letter(body.to_string().as_bytes(), &properties)
    }
}

/// The change of a user, bent by what a test wants of it.
fn bent(number: u128, bend: impl FnOnce(&mut Json)) -> Outgoing {
    let change = change(number, moment(1_000)).set("firstname", words());
    let mut body: Json = serde_json::from_slice(&change.body()).expect("JSON");
    bend(&mut body);
    message(&body)
}

/// One message for each place where a body holds a text of the sender.
fn messages() -> Vec<Outgoing> {
    let mut all = vec![
        bent(1, |_| {}),
        bent(2, |body| body["OrganizationName"] = json!(words())),
        bent(3, |body| body["MessageName"] = json!(words())),
        bent(4, |body| {
            body["PrimaryEntityName"] = json!(words());
            body["InputParameters"][0]["value"]["LogicalName"] = json!(words());
        }),
        bent(5, |body| body["InputParameters"][0]["value"]["__type"] = json!(words())),
        bent(6, |body| body["InputParameters"][0]["key"] = json!(words())),
        bent(7, |body| {
            let attributes =
                body["InputParameters"][0]["value"]["Attributes"].as_array_mut().expect("a list");
            attributes.push(json!({"key": words(), "value": {"__type": words(), "Value": words()}}));
            attributes.push(json!({"key": "lastname", "value": {"__type": words(), "Value": words()}}));
        }),
        bent(8, |body| body["OperationCreatedOn"] = json!(words())),
        bent(9, |body| body[words()] = json!(words())),
        bent(10, |body| body["OrganizationId"] = json!(words())),
        bent(11, |body| body["PostEntityImages"] = json!([{"key": words(), "value": words()}])),
        // A user whom nobody knows.
        bent(99, |_| {}),
    ];
    let long = format!("{MARKER}{}", "A".repeat(100_000));
    all.push(Outgoing {
        correlation_id: Some(long.clone().into()),
        subject: Some(long.into()),
        body: words().into_bytes().into(),
        ..message(&json!(null))
    });
    all
}

async fn check(format: &str) -> Result<()> {
    let world = World::start(Options::default()).await?;
    for number in 1..=11 {
        world.graph.add_user(User::new(user(number)).with("displayName", "Portal user"))?;
    }
    let messages = messages();
    let count = messages.len();
    post(&world, messages).await?;
    let receiver = Receiver::start().await?;
    let telemetry = format!("[telemetry]\nlog_level = \"debug\"\nlog_format = \"{format}\"\n");
    let layers = [QUICK, &telemetry, &receiver.settings()];
    let mut worker = world.start_worker(&world.layered(&layers)?)?;
    world.drained(PATIENCE).await?;
    let mut seen = Vec::new();
    for path in ["/metrics", "/readyz", "/status.json", "/"] {
        seen.push((path, worker.page(path).await?.text));
    }
    let log = worker.stop().await?;
    let lines = log.lines().filter(|line| line.contains("message.sequence")).count();
    assert!(lines >= count, "{lines} lines tell of {count} messages: {log}");
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 5_000, "a line of the log has {longest} bytes");
    seen.push(("the log", log));
    seen.push(("traces", format!("{:?}", receiver.spans())));
    seen.push(("exported metrics", format!("{:?}", receiver.metrics())));
    let letters = world.letters()?;
    assert!(letters.len() >= 5, "{letters:?}");
    for letter in letters {
        seen.push(("a dead letter", format!("{} {}", letter.reason, letter.description)));
    }
    for (place, text) in seen {
        assert!(!text.is_empty(), "{place} is empty");
        assert_eq!(text.lines().find(|line| line.contains(MARKER)), None, "in {place}");
    }
    let written = world.user(user(1))?;
    assert!(
        written.text("givenName").is_some_and(|name| name.contains(MARKER)),
        "the marker went where it belongs"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_a_sender_is_seen_in_documents() -> Result<()> {
    check("json").await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_a_sender_is_seen_in_text() -> Result<()> {
    check("text").await
}
