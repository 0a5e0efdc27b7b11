//! A dead letter that a person sends again with a tool of Azure, old as it is, is tried like a new message.

use anyhow::Result;
use emulator::{
    broker::{Message, data_section},
    graph::Fault,
};
use jiff::SignedDuration;
use serde_amqp::Value;
use tests::{PATIENCE, quick::QUICK, world::QUEUE};

use super::{at, names, world};

/// So many hours ago, as copies carry it.
fn ago(hours: i64) -> Value {
    Value::Long((servicebus::clock::now() - SignedDuration::from_hours(hours)).as_millisecond())
}

/// Sends a message that was first seen two days ago, while Graph does not succeed at first.
async fn check(properties: Vec<(&str, Value)>) -> Result<()> {
    let world = world("Old", "Old").await?;
    world.graph.script(Fault::status(503).patches().times(3));
    let mut known = vec![
        ("contactsync-attempt", Value::Long(7)),
        ("contactsync-first-seen", ago(48)),
        ("contactsync-sequence", Value::Long(3)),
        ("contactsync-original-id", Value::String("m-1".to_owned())),
    ];
    known.extend(properties);
    let body = data_section(&at(1).set("firstname", "Ada").body());
    let mut message = Message::of("m-2", "application/json", body);
    message.application_properties =
        known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    world.store(vec![message])?;
    let patient = "retry.tries = 2\nretry.max_age = \"1h\"\nretry.first_return = \"10ms\"\nretry.longest_return = \"50ms\"";
    let worker = world.start_worker(&world.layered(&[QUICK, patient])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new(), "{log}");
    assert_eq!((names(&world)?.0.as_str(), world.bus.counts(QUEUE)?.active), ("Ada", 0), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_reason_that_the_tool_has_copied() -> Result<()> {
    check(vec![("DeadLetterReason", Value::String("RetryBudgetExhausted".to_owned()))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_reason_by_when_the_copy_was_due() -> Result<()> {
    check(vec![("contactsync-due", ago(47))]).await
}
