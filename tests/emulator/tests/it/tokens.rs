//! Tokens: who gets in, what for, and until when.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    access::Entra,
    broker::{Mode, Time},
    bus::{Options, Patience, ServiceBus},
    journal::Event,
    sas::{Claims, Rule, sign},
};
use serde_amqp::Value;

use crate::client::{ACCEPTED, Client, DETACH, FLOW, Link, TRANSFER, get, list, plain, uuid};

const HOUR: Duration = Duration::from_hours(1);

fn rule(name: &str, claims: Claims) -> Rule {
    Rule { name: name.to_owned(), key: format!("key of {name}"), claims, entity: None }
}

async fn start() -> Result<ServiceBus> {
    let mut options = Options::default().queue("q").queue("other");
    options.access.rules =
        vec![rule("all", Claims::ALL), rule("send", Claims::SEND), rule("listen", Claims::LISTEN)];
    Ok(ServiceBus::start(options).await?)
}

fn token(bus: &ServiceBus, rule: &Rule, uri: &str, life: Duration) -> String {
    let now: Time = bus.broker(|_, now| now);
    sign(uri, rule, now + life)
}

/// A client with the token node at handles 10 and 11.
async fn connect(bus: &ServiceBus) -> Result<Client> {
    let mut client = Client::connect(bus.address()).await?;
    client.attach_node(10, "$cbs").await?;
    Ok(client)
}

/// The condition with which a link is refused; nothing if it is not.
async fn refusal(client: &mut Client, link: Link<'_>) -> Result<Option<String>> {
    let answer = client.attach(&link).await?;
    let end = if link.receiver { answer.field(5) } else { answer.field(6) };
    Ok(if *end == Value::Null { Some(client.expect(DETACH).await?.condition(2)) } else { None })
}

#[tokio::test]
async fn a_claim_opens_its_own_kind_of_link_on_its_own_entity() -> Result<()> {
    let bus = start().await?;
    let unauthorized = Some("amqp:unauthorized-access".to_owned());
    for (name, claims, sends, listens) in [
        ("all", Claims::ALL, true, true),
        ("send", Claims::SEND, true, false),
        ("listen", Claims::LISTEN, false, true),
    ] {
        let mut client = connect(&bus).await?;
        let allowed = |refused: Option<String>, expected: bool, what: &str| {
            let expected = if expected { None } else { unauthorized.clone() };
            assert_eq!(refused, expected, "{name}: {what}");
        };
        allowed(refusal(&mut client, Link::sender(0, "q")).await?, false, "without a token");
        let good = token(&bus, &rule(name, claims), "amqp://localhost/q", HOUR);
        assert_eq!(client.put_token(10, "sb://localhost/q", &good).await?, 202);
        allowed(refusal(&mut client, Link::sender(0, "q")).await?, sends, "send");
        allowed(refusal(&mut client, Link::receiver(1, "q/$DeadLetterQueue")).await?, listens, "listen");
        allowed(refusal(&mut client, Link::sender(2, "other")).await?, false, "another entity");
        allowed(refusal(&mut client, Link::sender(3, "q/$management")).await?, true, "management");
    }
    Ok(())
}

#[tokio::test]
async fn bad_tokens_are_answered_with_401() -> Result<()> {
    let bus = start().await?;
    let all = rule("all", Claims::ALL);
    let mut client = connect(&bus).await?;
    let forged = Rule { key: "guess".to_owned(), ..all.clone() };
    for bad in [
        token(&bus, &forged, "sb://localhost/q", HOUR),
        token(&bus, &all, "sb://localhost/q", Duration::ZERO),
        token(&bus, &all, "sb://localhost/other", HOUR),
        token(&bus, &rule("nobody", Claims::ALL), "sb://localhost/q", HOUR),
        "eyJ.eyJ.sig".to_owned(),
        String::new(),
    ] {
        assert_eq!(client.put_token(10, "sb://localhost/q", &bad).await?, 401, "{bad}");
    }
    let root = token(&bus, &all, "sb://localhost", HOUR);
    assert_eq!(client.put_token(10, "sb://localhost/q", &root).await?, 202);
    Ok(())
}

#[tokio::test]
async fn the_answer_repeats_the_message_id_in_its_own_type() -> Result<()> {
    let bus = start().await?;
    let mut client = connect(&bus).await?;
    for id in [uuid([7; 16]), Value::Ulong(7), "seven".into()] {
        let put = [("operation", "put-token".into()), ("name", "q".into())];
        let answer = client.ask(10, id.clone(), &put, "bad".into()).await?;
        let properties = list(&answer.section(0x73).expect("answers have properties"));
        assert_eq!(properties[5], id);
        let status = answer.section(0x74).expect("answers have application properties");
        assert_eq!(get(&status, "status-code"), Some(&Value::Int(401)));
    }
    Ok(())
}

#[tokio::test]
async fn a_lapsed_token_detaches_the_links_and_a_fresh_one_keeps_them() -> Result<()> {
    let bus = start().await?;
    let all = rule("all", Claims::ALL);
    let mut client = connect(&bus).await?;
    client.put_token(10, "sb://localhost/q", &token(&bus, &all, "sb://localhost/q", HOUR)).await?;
    client.attach(&Link::sender(0, "q")).await?;
    bus.skip_time(HOUR / 2);
    client.put_token(10, "sb://localhost/q", &token(&bus, &all, "sb://localhost/q", HOUR)).await?;
    bus.skip_time(HOUR * 3 / 4);
    assert_eq!(client.deliver(0, &plain(b"still here")).await?.outcome(), ACCEPTED);
    bus.skip_time(HOUR / 2);
    let detach = client.until(DETACH).await?;
    assert_eq!((detach.number(0), detach.condition(2)), (0, "amqp:unauthorized-access".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_connection_without_token_or_link_is_given_up() -> Result<()> {
    // Long enough to say hello on a busy machine.
    let short = Duration::from_secs(2);
    let no_token = Patience { token: short, ..Patience::default() };
    let bus = ServiceBus::start(Options { patience: no_token, ..Options::default() }.queue("q")).await?;
    assert!(connect(&bus).await?.is_cut().await);
    let no_link = Patience { first_link: short, ..Patience::default() };
    let bus = ServiceBus::start(Options { patience: no_link, ..Options::default() }.queue("q")).await?;
    let mut client = Client::connect(bus.address()).await?;
    assert_eq!(client.until(0x18).await?.condition(0), "amqp:connection:forced");
    Ok(())
}

#[tokio::test]
async fn an_idle_link_is_detached_and_a_busy_one_is_not() -> Result<()> {
    let patience = Patience { idle_link: Duration::from_millis(100), ..Patience::default() };
    let bus = ServiceBus::start(crate::dialect::open(Options { patience, ..Options::default() })).await?;
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    let detach = client.until(DETACH).await?;
    assert_eq!(detach.condition(2), "amqp:link:detach-forced");
    bus.journal().wait_for("a detached link", |event| matches!(event, Event::Detached { .. })).await?;
    Ok(())
}

#[tokio::test]
async fn entra_tokens_are_taken_when_somebody_vouches_for_them() -> Result<()> {
    let mut options = Options::default().queue("q");
    options.access.entra = Entra::checked(|token| (token == "good").then_some(HOUR));
    let bus = ServiceBus::start(options).await?;
    let mut client = connect(&bus).await?;
    assert_eq!(client.put_token(10, "amqp://localhost/q", "bad").await?, 401);
    assert_eq!(client.put_token(10, "amqp://localhost/q", "good").await?, 202);
    client.attach(&Link::sender(0, "q")).await?;
    client.until(FLOW).await?;
    assert_eq!(client.deliver(0, &plain(b"a")).await?.outcome(), ACCEPTED);
    let taken = bus.broker(|broker, now| {
        let target = broker.resolve("q")?;
        broker.receive(target, Mode::ReceiveAndDelete, 1, now)
    })?;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].view.delivery_count, 0);
    Ok(())
}

#[tokio::test]
async fn the_management_node_answers_on_the_link_that_is_named() -> Result<()> {
    let bus = ServiceBus::start(crate::dialect::open(Options::default())).await?;
    let mut client = Client::connect(bus.address()).await?;
    client.attach_node(0, "q/$management").await?;
    client.attach(&Link::receiver(5, "q/$management")).await?;
    client.flow(5, 0, 10, false).await?;
    for (reply_to, handle) in [(Value::Null, 1), ("link-5".into(), 5)] {
        let mut message = crate::client::encode(&crate::client::described(
            0x73,
            Value::List(vec![Value::Ulong(1), Value::Null, Value::Null, Value::Null, reply_to]),
        ));
        message.extend(plain(b""));
        client.send(0, 0, &message).await?;
        let answer = client.until(TRANSFER).await?;
        assert_eq!(answer.number(0), handle);
        let status = answer.section(0x74).expect("answers have application properties");
        assert_eq!(get(&status, "statusCode"), Some(&Value::Int(501)), "an unknown operation");
    }
    Ok(())
}
