//! Sessions on the wire.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    broker::EntityOptions,
    bus::{Options, ServiceBus},
};
use serde_amqp::Value;

use crate::client::{
    ACCEPTED, Client, DETACH, Link, TRANSFER, described, get, in_session, inner, list, map, outcome, plain,
    symbol, text, uuid,
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

/// What the service answers to an operation on the session `x`: the status, and the condition if there is one.
async fn asked(client: &mut Client, operation: &str, link: Option<&str>) -> Result<(i32, Option<String>)> {
    let mut properties = vec![("operation", format!("com.microsoft:{operation}").into())];
    properties.extend(link.map(|link| ("associated-link-name", link.into())));
    let token = Value::Array(vec![uuid([1; 16])].into());
    let body = map([
        ("session-id".into(), "x".into()),
        ("session-state".into(), Value::Binary(b"mine".to_vec().into())),
        ("disposition-status".into(), "completed".into()),
        ("lock-tokens".into(), token),
        ("sequence-numbers".into(), Value::Array(vec![Value::Long(1)].into())),
    ]);
    let answer = client.ask(10, "id".into(), &properties, body).await?;
    let properties = answer.section(0x74).expect("answers have application properties");
    let Some(Value::Int(status)) = get(&properties, "statusCode") else {
        panic!("no status: {properties:?}")
    };
    Ok((*status, get(&properties, "errorCondition").map(text)))
}

#[tokio::test]
async fn only_the_link_that_holds_a_session_renews_it_or_sees_its_state() -> Result<()> {
    const OWN: [&str; 3] = ["set-session-state", "get-session-state", "renew-session-lock"];
    let lost = (410, Some("com.microsoft:session-lock-lost".to_owned()));
    let bus = start().await?;
    let mut holder = connect(&bus).await?;
    holder.attach(&session_link(1, "x".into(), 1_000)).await?;
    holder.attach(&session_link(2, "y".into(), 1_000)).await?;
    holder.attach_node(10, "s/$management").await?;
    let mut other = connect(&bus).await?;
    other.attach(&session_link(1, "z".into(), 1_000)).await?;
    other.attach_node(10, "s/$management").await?;
    for operation in OWN {
        for link in [None, Some("link-1")] {
            assert_eq!(asked(&mut holder, operation, link).await?, (200, None), "{operation} {link:?}");
        }
        // Another link of the same connection, and one that is not there.
        for link in ["link-2", "link-7"] {
            assert_eq!(asked(&mut holder, operation, Some(link)).await?, lost, "{operation} {link}");
        }
    }
    for operation in OWN.into_iter().chain(["update-disposition", "receive-by-sequence-number"]) {
        for link in [None, Some("link-1")] {
            assert_eq!(asked(&mut other, operation, link).await?, lost, "{operation} {link:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_lost_a_session_cannot_prolong_the_lock_of_its_next_holder() -> Result<()> {
    let bus = start().await?;
    let mut first = connect(&bus).await?;
    first.attach(&session_link(1, "x".into(), 1_000)).await?;
    first.attach_node(10, "s/$management").await?;
    bus.skip_time(Duration::from_mins(2));
    let mut next = connect(&bus).await?;
    next.attach(&session_link(1, "x".into(), 1_000)).await?;
    let until = |bus: &ServiceBus| {
        bus.broker(|broker, _| broker.session_locked_until(broker.resolve("s").ok()?, "x"))
    };
    let before = until(&bus);
    assert!(before.is_some());
    let (status, condition) = asked(&mut first, "renew-session-lock", Some("link-1")).await?;
    assert_eq!((status, condition.as_deref()), (410, Some("com.microsoft:session-lock-lost")));
    assert_eq!(until(&bus), before);
    Ok(())
}
