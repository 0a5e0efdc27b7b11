//! Sessions on the wire.

use std::time::Duration;

use anyhow::Result;
use emulator::broker::EntityOptions;
use emulator::bus::{Options, ServiceBus};
use serde_amqp::Value;

use crate::client::{
    ACCEPTED, Client, DETACH, Link, TRANSFER, described, get, in_session, inner, list, map, outcome, plain,
    symbol, text,
};

const FILTER: &str = "com.microsoft:session-filter";

async fn start() -> Result<ServiceBus> {
    let options = EntityOptions { requires_session: true, ..EntityOptions::default() };
    Ok(ServiceBus::start(crate::dialect::open(Options::default().queue_with("s", options))).await?)
}

fn session_link(handle: u32, wanted: Value, wait: u32) -> Link<'static> {
    let filter = map([(symbol(FILTER), wanted)]);
    let properties = map([(symbol("com.microsoft:timeout"), Value::Uint(wait))]);
    Link { filter, properties, ..Link::receiver(handle, "s") }
}

/// A client with a sender at handle 0.
async fn connect(bus: &ServiceBus) -> Result<Client> {
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "s")).await?;
    Ok(client)
}

#[tokio::test]
async fn the_answer_names_the_session_in_the_form_in_which_it_was_asked_for() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    client.deliver(0, &in_session("first", b"a")).await?;
    client.deliver(0, &in_session("second", b"b")).await?;
    let answered = |attach: &crate::client::Frame| {
        let filter = list(attach.field(5)).get(7).cloned().unwrap_or_default();
        get(&filter, FILTER).cloned().unwrap_or_default()
    };
    let attach = client.attach(&session_link(1, Value::Null, 1_000)).await?;
    assert_eq!(answered(&attach), "first".into());
    let asked = described(0x0000_0137_0000_000c, "second".into());
    let attach = client.attach(&session_link(2, asked.clone(), 1_000)).await?;
    assert_eq!(answered(&attach), asked);
    client.flow(2, 0, 10, false).await?;
    let delivery = client.until(TRANSFER).await?;
    assert_eq!(delivery.section(0x75).map(inner), Some(Value::Binary(b"b".to_vec().into())));
    assert_eq!(client.confirm(delivery.number(1), outcome(ACCEPTED)).await?.outcome(), ACCEPTED);
    Ok(())
}

#[tokio::test]
async fn a_held_session_is_refused_and_free_again_when_its_link_closes() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    client.attach(&session_link(1, "x".into(), 1_000)).await?;
    client.attach(&session_link(2, "x".into(), 1_000)).await?;
    assert_eq!(client.expect(DETACH).await?.condition(2), "com.microsoft:session-cannot-be-locked");
    client.write(DETACH, vec![Value::Uint(1), Value::Bool(true)], &[]).await?;
    client.until(DETACH).await?;
    let attach = client.attach(&session_link(2, "x".into(), 1_000)).await?;
    assert_ne!(attach.field(5), &Value::Null);
    Ok(())
}

#[tokio::test]
async fn the_next_free_session_is_waited_for() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    client.send_attach(&session_link(1, Value::Null, 60_000)).await?;
    client.deliver(0, &in_session("late", b"a")).await?;
    // The answer to the send came first: the link was waiting until then.
    let attach = client.until(crate::client::ATTACH).await?;
    assert_ne!(attach.field(5), &Value::Null);
    client.attach(&session_link(2, Value::Null, 20)).await?;
    assert_eq!(client.expect(DETACH).await?.condition(2), "com.microsoft:timeout");
    Ok(())
}

#[tokio::test]
async fn a_lapsed_session_lock_detaches_its_link() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    client.deliver(0, &in_session("x", b"a")).await?;
    client.attach(&session_link(1, "x".into(), 1_000)).await?;
    client.flow(1, 0, 1, false).await?;
    client.until(TRANSFER).await?;
    bus.skip_time(Duration::from_mins(1));
    let detach = client.until(DETACH).await?;
    assert_eq!(detach.condition(2), "com.microsoft:session-lock-lost");
    assert_eq!(bus.contents("s")?[0].delivery_count, 1);
    Ok(())
}

#[tokio::test]
async fn closing_a_session_link_gives_its_messages_back_uncounted() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    client.deliver(0, &in_session("x", b"a")).await?;
    client.attach(&session_link(1, "x".into(), 1_000)).await?;
    client.flow(1, 0, 1, false).await?;
    client.until(TRANSFER).await?;
    client.write(DETACH, vec![Value::Uint(1), Value::Bool(true)], &[]).await?;
    client.until(DETACH).await?;
    let view = &bus.contents("s")?[0];
    assert_eq!((view.locked, view.delivery_count), (false, 0));
    Ok(())
}

#[tokio::test]
async fn sessions_are_demanded_where_they_are_required_and_refused_elsewhere() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    client.attach(&Link::receiver(1, "s")).await?;
    let detach = client.expect(DETACH).await?;
    assert_eq!(detach.condition(2), "amqp:not-allowed");
    assert!(text(&list(detach.field(2))[1]).contains("requires sessions"));
    client.attach(&Link { address: "q", ..session_link(2, Value::Null, 10) }).await?;
    assert_eq!(client.expect(DETACH).await?.condition(2), "amqp:not-allowed");
    let refused = client.deliver(0, &plain(b"no session")).await?;
    assert_eq!(text(&list(&list(refused.field(4))[0])[0]), "amqp:not-allowed");
    Ok(())
}
