//! The dialect rule by rule, and a proof that each deliberate breach breaks its own rule and no other.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::ValueEnum;
use emulator::{
    breakage::Breakage,
    broker::{EntityOptions, Side},
    bus::{Options, ServiceBus},
};
use serde_amqp::{Value, primitives::Binary};

use crate::client::{
    ACCEPTED, CLOSE, Client, DETACH, DISPOSITION, FLOW, Link, REJECTED, RELEASED, TRANSFER, dead_letter,
    described, encode, get, in_session, list, map, outcome, plain, symbol, text, uuid,
};

const HEADER: u64 = 0x70;
const DELIVERY_ANNOTATIONS: u64 = 0x71;
const PROPERTIES: u64 = 0x73;

pub(crate) fn open(options: Options) -> Options {
    let mut options = options.queue("q");
    options.access.enforced = false;
    options
}

async fn start() -> Result<ServiceBus> {
    Ok(ServiceBus::start(open(Options::default())).await?)
}

/// A client with a sender at handle 0 and a receiver at handle 1.
async fn ready(bus: &ServiceBus) -> Result<Client> {
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "q")).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    Ok(client)
}

#[tokio::test]
async fn attach_is_answered_with_everything_that_clients_index_into() -> Result<()> {
    let bus = start().await?;
    let mut client = Client::connect(bus.address()).await?;
    let address = "amqps://localhost:5671/Q";
    let answer = client.attach(&Link::sender(3, address)).await?;
    assert_eq!(text(&list(answer.field(6))[0]), address, "the address comes back as it was written");
    assert_eq!(answer.field(10), &Value::Ulong(262_144));
    let credit = client.expect(FLOW).await?;
    assert_eq!((credit.number(4), credit.number(5)), (3, 0));
    assert!(credit.number(6) >= 100);
    let answer = client.attach(&Link::receiver(4, "/q/$deadletterqueue")).await?;
    assert_eq!(answer.field(9), &Value::Uint(0), "a server that sends says where its count starts");
    Ok(())
}

#[tokio::test]
async fn a_link_to_nowhere_is_refused_with_a_null_end_and_a_detach() -> Result<()> {
    let bus = start().await?;
    let mut client = Client::connect(bus.address()).await?;
    let answer = client.attach(&Link::sender(0, "nowhere")).await?;
    assert_eq!(answer.field(6), &Value::Null);
    let detach = client.expect(DETACH).await?;
    assert_eq!(detach.condition(2), "amqp:not-found");
    assert!(text(&list(detach.field(2))[1]).contains("The messaging entity"));
    let answer = client.attach(&Link::receiver(1, "nowhere")).await?;
    assert_eq!(answer.field(5), &Value::Null);
    assert_eq!(client.expect(DETACH).await?.condition(2), "amqp:not-found");
    Ok(())
}

#[tokio::test]
async fn a_large_message_goes_both_ways_in_many_frames() -> Result<()> {
    let bus = start().await?;
    let mut client = Client::connect_with(bus.address(), 1 << 20, 1_024).await?;
    client.attach(&Link::sender(0, "q")).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    let message = plain(&vec![7; 10_000]);
    let (first, rest) = message.split_at(4_000);
    let start = |more| {
        let tag = Value::Binary(Binary::from(vec![1]));
        vec![Value::Uint(0), Value::Uint(0), tag, Value::Uint(0), Value::Bool(false), Value::Bool(more)]
    };
    client.write(TRANSFER, start(true), first).await?;
    client.write(TRANSFER, vec![Value::Uint(0)], rest).await?;
    assert_eq!(client.until(DISPOSITION).await?.outcome(), ACCEPTED);
    client.flow(1, 0, 1, false).await?;
    let mut whole = client.until(TRANSFER).await?;
    assert_eq!(whole.field(5), &Value::Bool(true));
    loop {
        let next = client.expect(TRANSFER).await?;
        assert!(next.payload.len() < 1_024, "a frame is larger than the client takes");
        whole.payload.extend(&next.payload);
        if next.field(5) != &Value::Bool(true) {
            break;
        }
    }
    assert_eq!(whole.section(0x75), Some(Value::Binary(Binary::from(vec![7; 10_000]))));
    Ok(())
}

#[tokio::test]
async fn a_batch_becomes_its_messages_and_is_answered_once() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus).await?;
    let batch: Vec<u8> = [b"a", b"b", b"c"].iter().flat_map(|body| plain(&plain(*body))).collect();
    client.send(0, 0x8001_3700, &batch).await?;
    let answer = client.until(DISPOSITION).await?;
    assert_eq!((answer.outcome(), answer.number(1), answer.number(2)), (ACCEPTED, 0, 0));
    assert_eq!(bus.counts("q")?.active, 3);
    Ok(())
}

#[tokio::test]
async fn too_large_a_message_is_rejected_and_the_link_lives_on() -> Result<()> {
    let options = EntityOptions { max_message_size: 1_000, ..EntityOptions::default() };
    let bus = ServiceBus::start(open(Options::default().queue_with("small", options))).await?;
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "small")).await?;
    let answer = client.deliver(0, &plain(&[0; 2_000])).await?;
    assert_eq!(answer.outcome(), REJECTED);
    let error = list(&list(answer.field(4))[0]);
    assert_eq!((text(&error[0]), error.len()), ("amqp:link:message-size-exceeded".to_owned(), 3));
    assert_eq!(client.deliver(0, &plain(&[0; 10])).await?.outcome(), ACCEPTED);
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_refused_although_it_comes_in_many_frames() -> Result<()> {
    let options = EntityOptions { max_message_size: 1_000, ..EntityOptions::default() };
    let bus = ServiceBus::start(open(Options::default().queue_with("small", options))).await?;
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "small")).await?;
    let message = plain(&[0; 5_000]);
    let tag = Value::Binary(Binary::from(vec![1]));
    let first =
        vec![Value::Uint(0), Value::Uint(0), tag, Value::Uint(0), Value::Bool(false), Value::Bool(true)];
    let mut next = vec![Value::Uint(0)];
    client.write(TRANSFER, first, &message[..900]).await?;
    next.extend([Value::Null, Value::Null, Value::Null, Value::Null, Value::Bool(true)]);
    client.write(TRANSFER, next.clone(), &message[900..3_000]).await?;
    next[5] = Value::Bool(false);
    client.write(TRANSFER, next, &message[3_000..]).await?;
    assert_eq!(client.until(DISPOSITION).await?.outcome(), REJECTED);
    assert_eq!(bus.counts("small")?.active, 0);
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_beyond_credit_or_the_session_window() -> Result<()> {
    let bus = start().await?;
    let mut client = Client::connect_with(bus.address(), 2, 65_536).await?;
    client.attach(&Link::sender(0, "q")).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    for body in 0..5 {
        client.deliver(0, &plain(&[body])).await?;
    }
    let window = |seen: u32, window: u32, count: u32, credit: u32| {
        [seen, window, 5, 1 << 20, 1, count, credit].map(Value::Uint).to_vec()
    };
    client.write(FLOW, window(0, 2, 0, 4), &[]).await?;
    for _ in 0..2 {
        client.until(TRANSFER).await?;
    }
    // The window is used up; the echo that is asked for comes without a transfer before it.
    let mut echo = window(0, 2, 2, 2);
    echo.extend([Value::Null, Value::Bool(false), Value::Bool(true)]);
    client.write(FLOW, echo, &[]).await?;
    client.expect(FLOW).await?;
    client.write(FLOW, window(2, 10, 2, 2), &[]).await?;
    for _ in 0..2 {
        client.until(TRANSFER).await?;
    }
    assert_eq!(bus.counts("q")?.locked, 4, "the fifth message was given no credit");
    Ok(())
}

#[tokio::test]
async fn drain_is_answered_with_the_credit_given_back() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus).await?;
    client.deliver(0, &plain(b"only")).await?;
    client.flow(1, 0, 10, true).await?;
    client.until(TRANSFER).await?;
    let drained = client.until(FLOW).await?;
    assert_eq!((drained.number(5), drained.number(6)), (10, 0));
    assert_eq!(drained.field(8), &Value::Bool(true));
    Ok(())
}

#[tokio::test]
async fn settling_first_is_applied_and_not_answered() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus).await?;
    client.deliver(0, &plain(b"a")).await?;
    client.flow(1, 0, 1, false).await?;
    let delivery = client.until(TRANSFER).await?.number(1);
    client.settle(delivery, true, outcome(ACCEPTED)).await?;
    client.write(CLOSE, Vec::new(), &[]).await?;
    client.expect(CLOSE).await?;
    assert_eq!(bus.counts("q")?.active, 0);
    Ok(())
}

#[tokio::test]
async fn receive_and_delete_removes_the_message_as_it_is_sent() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus).await?;
    client.deliver(0, &plain(b"a")).await?;
    client.attach(&Link { settle_mode: 1, ..Link::receiver(2, "q") }).await?;
    client.flow(2, 0, 1, false).await?;
    assert_eq!(client.until(TRANSFER).await?.field(4), &Value::Bool(true));
    assert_eq!(bus.counts("q")?.active, 0);
    Ok(())
}

#[tokio::test]
async fn a_lost_lock_is_said_to_be_lost_on_link_and_node() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus).await?;
    client.attach_node(2, "q/$management").await?;
    client.deliver(0, &plain(b"a")).await?;
    client.flow(1, 0, 1, false).await?;
    let delivery = client.until(TRANSFER).await?;
    let annotations = delivery.section(DELIVERY_ANNOTATIONS).expect("the lock token is annotated");
    let token = get(&annotations, "x-opt-lock-token").cloned().expect("there is a lock token");
    bus.lapse_locks("q", None)?;
    let answer = client.confirm(delivery.number(1), outcome(ACCEPTED)).await?;
    assert_eq!(answer.outcome(), REJECTED);
    assert_eq!(text(&list(&list(answer.field(4))[0])[0]), "com.microsoft:message-lock-lost");
    let renew = [("operation", "com.microsoft:renew-lock".into())];
    let tokens = Value::Array(vec![token].into());
    let body = map([("lock-tokens".into(), tokens)]);
    let answer = client.ask(2, "id".into(), &renew, body).await?;
    let properties = answer.section(0x74).expect("answers have properties");
    assert_eq!(get(&properties, "statusCode"), Some(&Value::Int(410)));
    assert_eq!(get(&properties, "errorCondition"), Some(&symbol("com.microsoft:message-lock-lost")));
    Ok(())
}

/// Rules that an observer finds broken.
async fn broken_rules(breakage: Option<Breakage>) -> Result<BTreeSet<&'static str>> {
    let sessions = EntityOptions { requires_session: true, ..EntityOptions::default() };
    let options = Options { breakage, ..Options::default() }.queue_with("sessions", sessions);
    let bus = ServiceBus::start(open(options)).await?;
    let mut broken = BTreeSet::new();
    let mut see = |rule: &'static str, kept: bool| {
        if !kept {
            broken.insert(rule);
        }
    };
    let mut client = Client::connect(bus.address()).await?;
    let attach = client.attach(&Link::sender(0, "q")).await?;
    see("max-message-size", matches!(attach.field(10), Value::Ulong(_)));
    // Whatever comes next is answered in order, so a flow that is not here will not come.
    client.attach_node(2, "$cbs").await?;
    let id = uuid(*b"0123456789abcdef");
    let put = [("operation", "put-token".into()), ("name", "q".into())];
    let answer = client.ask(2, id.clone(), &put, "token".into()).await?;
    see("correlation-id", list_section(answer.section(PROPERTIES)).get(5) == Some(&id));
    see("sender-credit", grants_credit(&bus).await?);
    client.deliver(0, &plain(b"a")).await?;
    client.deliver(0, &plain(b"b")).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    client.flow(1, 0, 2, false).await?;
    let (first, second) = (client.until(TRANSFER).await?, client.until(TRANSFER).await?);
    see("delivery-ids", second.number(1) == first.number(1) + 1);
    see("delivery-count", list_section(first.section(HEADER)).get(4) == Some(&Value::Uint(0)));
    let id = list_section(first.section(PROPERTIES)).first().cloned().unwrap_or_default();
    see("message-id", id != Value::Null);
    let annotations = first.section(DELIVERY_ANNOTATIONS).unwrap_or_default();
    if let (Value::Binary(tag), Some(Value::Uuid(token))) =
        (first.field(2), get(&annotations, "x-opt-lock-token"))
    {
        see("tag-length", tag.len() == 16);
        let expected = uuid::Uuid::from_bytes(*token.as_inner()).to_bytes_le();
        see("tag-order", tag.len() != 16 || tag[..] == expected);
    }
    client.settle(first.number(1), true, outcome(RELEASED)).await?;
    client.settle(second.number(1), false, dead_letter("Why")).await?;
    // The refusal of a link shows what errors look like, and marks the point where an echo should have come.
    client.send_attach(&Link::sender(9, "nowhere")).await?;
    let mut echo = None;
    let detach = loop {
        let frame = client.next().await?;
        match frame.code {
            DISPOSITION => echo = Some(frame),
            DETACH => break frame,
            _ => {}
        }
    };
    see("three-field-errors", list(detach.field(2)).len() == 3);
    see("echo", echo.is_some());
    if let Some(echo) = echo {
        see("echo-settled", echo.field(3) == &Value::Bool(true));
        see("echo-without-error", list(echo.field(4)).is_empty());
    }
    see("released", bus.contents("q")?[0].delivery_count == 0);
    client.attach(&Link::sender(5, "sessions")).await?;
    client.deliver(5, &in_session("s", b"x")).await?;
    let filter = map([(symbol("com.microsoft:session-filter"), "s".into())]);
    let attach = client.attach(&Link { filter, ..Link::receiver(6, "sessions") }).await?;
    let until = get(attach.field(13), "com.microsoft:locked-until-utc").cloned().unwrap_or_default();
    see("locked-until", matches!(until, Value::Long(ticks) if ticks > 600_000_000_000_000_000));
    assert_eq!(bus.broker(|broker, _| broker.counts(broker.resolve("q")?.on(Side::DeadLetter)))?.active, 1);
    Ok(broken)
}

/// Whether a sender gets credit without asking.
async fn grants_credit(bus: &ServiceBus) -> Result<bool> {
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "q")).await?;
    client.write(CLOSE, Vec::new(), &[]).await?;
    Ok(client.next().await?.code == FLOW)
}

fn list_section(section: Option<Value>) -> Vec<Value> {
    section.map(|value| list(&value)).unwrap_or_default()
}

#[tokio::test]
async fn each_breakage_breaks_its_own_rule_and_no_other() -> Result<()> {
    assert_eq!(broken_rules(None).await?, BTreeSet::new());
    for breakage in Breakage::value_variants() {
        let rule = match breakage {
            Breakage::EchoWithheld => "echo",
            Breakage::EchoUnsettled => "echo-settled",
            Breakage::DeadLetterEchoError => "echo-without-error",
            Breakage::TwoFieldErrors => "three-field-errors",
            Breakage::NoMaxMessageSize => "max-message-size",
            Breakage::NoDeliveryCount => "delivery-count",
            Breakage::ShortTags => "tag-length",
            Breakage::TagOrder => "tag-order",
            Breakage::DeliveryGaps => "delivery-ids",
            Breakage::CorrelationAsString => "correlation-id",
            Breakage::LockedUntilTimestamp => "locked-until",
            Breakage::NoSenderCredit => "sender-credit",
            Breakage::NoMessageId => "message-id",
            Breakage::ReleasedCounts => "released",
            other => panic!("{other:?} has no rule"),
        };
        assert_eq!(broken_rules(Some(*breakage)).await?, BTreeSet::from([rule]), "{breakage:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus).await?;
    client.write(0x99, Vec::new(), &[]).await?;
    assert_eq!(client.until(CLOSE).await?.condition(0), "amqp:connection:framing-error");
    let undecodable = encode(&described(0x73, Value::Null));
    let mut client = ready(&bus).await?;
    assert_eq!(client.deliver(0, &undecodable[..2]).await?.outcome(), REJECTED);
    Ok(())
}
