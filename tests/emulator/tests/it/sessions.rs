//! Sessions on the wire.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    broker::{EntityOptions, Event as Broker, Time},
    bus::{Options, ServiceBus},
    journal::Event,
};
use serde_amqp::Value;

use crate::client::{
    ACCEPTED, CLOSE, Client, DETACH, END, Link, REJECTED, TRANSFER, described, get, in_session, inner, list,
    map, outcome, plain, symbol, text, uuid,
};

const FILTER: &str = "com.microsoft:session-filter";

/// A bus with the session queue `s`.
pub(crate) async fn start() -> Result<ServiceBus> {
    start_with(EntityOptions::default().lock_duration).await
}

async fn start_with(lock_duration: Duration) -> Result<ServiceBus> {
    let options = EntityOptions { requires_session: true, lock_duration, ..EntityOptions::default() };
    Ok(ServiceBus::start(crate::dialect::open(Options::default().queue_with("s", options))).await?)
}

pub(crate) fn session_link(handle: u32, wanted: Value, wait: u32) -> Link<'static> {
    let filter = map([(symbol(FILTER), wanted)]);
    let properties = map([(symbol("com.microsoft:timeout"), Value::Uint(wait))]);
    Link { filter, properties, ..Link::receiver(handle, "s") }
}

/// Until when the session `x` is locked.
pub(crate) fn locked_until(bus: &ServiceBus) -> Option<Time> {
    bus.broker(|broker, _| broker.session_locked_until(broker.resolve("s").ok()?, "x"))
}

/// The state of the session `x`.
fn stored(bus: &ServiceBus) -> Option<Vec<u8>> {
    let state = bus.broker(|broker, _| broker.stored_session_state(broker.resolve("s").ok()?, "x"))?;
    Some(state.to_vec())
}

/// A client with `$management` at handle 10.
pub(crate) async fn connect_as(bus: &ServiceBus, container: &str) -> Result<Client> {
    let mut client = Client::connect_as(bus.address(), container).await?;
    client.attach_node(10, "s/$management").await?;
    Ok(client)
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

/// A request about the session `x`.
pub(crate) struct Ask<'a> {
    pub(crate) operation: &'a str,
    pub(crate) link: Option<&'a str>,
    pub(crate) session: &'a str,
    pub(crate) state: Value,
    pub(crate) token: [u8; 16],
}

pub(crate) const ASK: Ask<'static> =
    Ask { operation: "renew-session-lock", link: None, session: "x", state: Value::Null, token: [1; 16] };

impl Ask<'_> {
    /// Sends it on the node at handle 10.
    pub(crate) async fn send(&self, client: &mut Client) -> Result<()> {
        let mut properties = vec![("operation", format!("com.microsoft:{}", self.operation).into())];
        properties.extend(self.link.map(|link| ("associated-link-name", link.into())));
        let session = if self.session.is_empty() { Value::Null } else { self.session.into() };
        let body = map([
            ("session-id".into(), session),
            ("session-state".into(), self.state.clone()),
            ("disposition-status".into(), "completed".into()),
            ("lock-tokens".into(), Value::Array(vec![uuid(self.token)].into())),
            ("sequence-numbers".into(), Value::Array(vec![Value::Long(1)].into())),
        ]);
        client.request(10, "id".into(), &properties, body).await
    }

    /// Sends it and returns the status of the answer, and the condition if there is one.
    pub(crate) async fn of(&self, client: &mut Client) -> Result<(i32, Option<String>)> {
        self.send(client).await?;
        Ok(status(&client.until(TRANSFER).await?))
    }
}

/// The status of an answer, and the condition if there is one.
pub(crate) fn status(answer: &crate::client::Frame) -> (i32, Option<String>) {
    let properties = answer.section(0x74).expect("answers have application properties");
    let Some(Value::Int(status)) = get(&properties, "statusCode") else {
        panic!("no status: {properties:?}")
    };
    (*status, get(&properties, "errorCondition").map(text))
}

pub(crate) fn lost() -> (i32, Option<String>) {
    (410, Some("com.microsoft:session-lock-lost".to_owned()))
}

async fn asked(client: &mut Client, operation: &str, link: Option<&str>) -> Result<(i32, Option<String>)> {
    let state = Value::Binary(b"mine".to_vec().into());
    Ask { operation, link, state, ..ASK }.of(client).await
}

#[tokio::test]
async fn only_the_link_that_holds_a_session_renews_it_or_sees_its_state() -> Result<()> {
    const OWN: [&str; 3] = ["set-session-state", "get-session-state", "renew-session-lock"];
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
            assert_eq!(asked(&mut holder, operation, Some(link)).await?, lost(), "{operation} {link}");
        }
    }
    for operation in OWN.into_iter().chain(["update-disposition", "receive-by-sequence-number"]) {
        for link in [None, Some("link-1")] {
            assert_eq!(asked(&mut other, operation, link).await?, lost(), "{operation} {link:?}");
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
    let before = locked_until(&bus);
    assert!(before.is_some());
    bus.skip_time(Duration::from_secs(1));
    for link in [None, Some("link-1")] {
        assert_eq!(asked(&mut first, "renew-session-lock", link).await?, lost());
    }
    assert_eq!(locked_until(&bus), before);
    assert_eq!(asked(&mut first, "set-session-state", None).await?, lost());
    assert_eq!(stored(&bus), None);
    Ok(())
}

#[tokio::test]
async fn a_named_session_is_had_before_there_is_any_message_for_as_long_as_the_queue_says() -> Result<()> {
    let bus = start_with(Duration::from_secs(30)).await?;
    let mut holder = connect(&bus).await?;
    let before = bus.broker(|_, now| now);
    let attach = holder.attach(&session_link(1, "x".into(), 1_000)).await?;
    let after = bus.broker(|_, now| now);
    let until = locked_until(&bus).expect("it is held");
    assert!((before + Duration::from_secs(30)..=after + Duration::from_secs(30)).contains(&until));
    let told = get(attach.field(13), "com.microsoft:locked-until-utc");
    assert_eq!(told, Some(&Value::Long(until.ticks())));
    // It is refused although the other one would wait.
    let mut other = connect(&bus).await?;
    other.attach(&session_link(1, "x".into(), 60_000)).await?;
    assert_eq!(other.expect(DETACH).await?.condition(2), "com.microsoft:session-cannot-be-locked");
    Ok(())
}

#[tokio::test]
async fn a_session_is_free_at_once_whatever_ends() -> Result<()> {
    let bus = start().await?;
    let mut next = connect(&bus).await?;
    for (handle, code) in (1..).zip([DETACH, END, CLOSE]) {
        let mut holder = connect(&bus).await?;
        holder.attach(&session_link(1, "x".into(), 1_000)).await?;
        let fields = if code == DETACH { vec![Value::Uint(1), Value::Bool(true)] } else { Vec::new() };
        holder.write(code, fields, &[]).await?;
        holder.until(code).await?;
        let attach = next.attach(&session_link(handle, "x".into(), 1_000)).await?;
        assert_ne!(attach.field(5), &Value::Null, "{code:#x}");
        next.write(DETACH, vec![Value::Uint(handle), Value::Bool(true)], &[]).await?;
        next.until(DETACH).await?;
    }
    let mut holder = connect(&bus).await?;
    holder.attach(&session_link(1, "x".into(), 1_000)).await?;
    let mark = bus.journal().mark();
    drop(holder);
    let released = |event: &Event| matches!(event, Event::Broker(Broker::SessionReleased { .. }));
    bus.journal().wait_after(mark, "the release", released).await?;
    assert_ne!(next.attach(&session_link(9, "x".into(), 1_000)).await?.field(5), &Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_link_that_asks_for_no_messages_is_told_when_its_session_lapses() -> Result<()> {
    let bus = start_with(Duration::from_millis(100)).await?;
    let mut client = connect(&bus).await?;
    client.attach(&session_link(1, "x".into(), 1_000)).await?;
    assert_eq!(client.until(DETACH).await?.condition(2), "com.microsoft:session-lock-lost");
    Ok(())
}

#[tokio::test]
async fn the_state_outlives_release_lapse_and_loss_until_it_is_null() -> Result<()> {
    let bus = start().await?;
    let state = |answer: &crate::client::Frame| {
        let body = answer.section(0x77).expect("the answer has a body");
        get(&body, "session-state").cloned()
    };
    let mut client = connect_as(&bus, "a").await?;
    let mut known = Value::Null;
    for (handle, end) in (1..).zip(["release", "lapse", "loss"]) {
        client.attach(&session_link(handle, "x".into(), 1_000)).await?;
        Ask { operation: "get-session-state", ..ASK }.send(&mut client).await?;
        assert_eq!(state(&client.until(TRANSFER).await?), Some(known), "before the {end}");
        known = Value::Binary(end.as_bytes().to_vec().into());
        let set = Ask { operation: "set-session-state", state: known.clone(), ..ASK };
        assert_eq!(set.of(&mut client).await?, (200, None));
        match end {
            "release" => client.write(DETACH, vec![Value::Uint(handle), Value::Bool(true)], &[]).await?,
            "lapse" => bus.skip_time(Duration::from_mins(2)),
            _ => drop(bus.free_session("s", "x")?),
        }
        if end != "loss" {
            client.until(DETACH).await?;
        }
    }
    assert_eq!(stored(&bus).as_deref(), Some(&b"loss"[..]));
    client.attach(&session_link(7, "x".into(), 1_000)).await?;
    assert_eq!(Ask { operation: "set-session-state", ..ASK }.of(&mut client).await?, (200, None));
    Ask { operation: "get-session-state", ..ASK }.send(&mut client).await?;
    assert_eq!(state(&client.until(TRANSFER).await?), Some(Value::Null));
    assert_eq!(stored(&bus), None);
    Ok(())
}

#[tokio::test]
async fn a_message_of_a_session_is_settled_only_by_who_holds_that_session() -> Result<()> {
    let bus = start().await?;
    let mut holder = connect_as(&bus, "a").await?;
    holder.attach(&Link::sender(0, "s")).await?;
    holder.deliver(0, &in_session("x", b"one")).await?;
    holder.deliver(0, &in_session("x", b"two")).await?;
    holder.attach(&session_link(1, "x".into(), 1_000)).await?;
    holder.flow(1, 0, 2, false).await?;
    let (one, two) = (holder.until(TRANSFER).await?, holder.until(TRANSFER).await?);
    let Value::Binary(tag) = one.field(2) else { panic!("no tag: {one:?}") };
    let token = uuid::Uuid::from_bytes_le(tag.as_slice().try_into()?).into_bytes();
    let settle = |session| Ask { operation: "update-disposition", session, token, ..ASK };
    let mut other = connect_as(&bus, "b").await?;
    other.attach(&session_link(1, "y".into(), 1_000)).await?;
    for session in ["x", "y", ""] {
        assert_eq!(settle(session).of(&mut other).await?, lost(), "{session:?}");
    }
    assert_eq!(settle("x").of(&mut holder).await?, (200, None));
    bus.free_session("s", "x")?;
    holder.settle(two.number(1), false, outcome(ACCEPTED)).await?;
    let late = holder.news().await?;
    assert_eq!((late.number(1), late.outcome()), (two.number(1), REJECTED));
    assert_eq!(text(&list(&list(late.field(4))[0])[0]), "com.microsoft:session-lock-lost");
    assert_eq!(bus.counts("s")?.active, 1);
    Ok(())
}
