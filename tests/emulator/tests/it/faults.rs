//! Scripted faults: each does what it says, where it says, as often as it says.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    bus::{Options, ServiceBus},
    faults::{Action, Only, Point, Rule},
    journal::Event,
};
use serde_amqp::Value;
use tokio::time::Instant;

use crate::client::{
    ACCEPTED, Client, DETACH, DISPOSITION, FLOW, Frame, Link, REJECTED, TRANSFER, described, encode, get,
    list, map, outcome, plain, symbol, text,
};

async fn start() -> Result<ServiceBus> {
    Ok(ServiceBus::start(crate::dialect::open(Options::default())).await?)
}

/// A client with a sender at 0, a receiver at 1 with credit, and `messages` sent.
async fn ready(bus: &ServiceBus, messages: u8) -> Result<Client> {
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "q")).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    for body in 0..messages {
        client.deliver(0, &plain(&[body])).await?;
    }
    client.flow(1, 0, 10, false).await?;
    Ok(client)
}

/// A message that is to appear in the far future.
fn scheduled(body: &[u8]) -> Vec<u8> {
    let at = Value::Timestamp(4_000_000_000_000_i64.into());
    let mut message = encode(&described(0x72, map([(symbol("x-opt-scheduled-enqueue-time"), at)])));
    message.extend(plain(body));
    message
}

fn condition(disposition: &Frame) -> String {
    text(&list(&list(disposition.field(4))[0])[0])
}

#[tokio::test]
async fn a_send_is_refused_as_often_as_scripted() -> Result<()> {
    let bus = start().await?;
    bus.faults().add(Rule::new(Point::Send, Action::Refuse("com.microsoft:server-busy".into())).times(2));
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "q")).await?;
    for _ in 0..2 {
        assert_eq!(condition(&client.deliver(0, &plain(b"a")).await?), "com.microsoft:server-busy");
    }
    assert_eq!(client.deliver(0, &plain(b"a")).await?.outcome(), ACCEPTED);
    assert_eq!(bus.counts("q")?.active, 1);
    Ok(())
}

#[tokio::test]
async fn a_withheld_echo_hides_a_settlement_that_was_done() -> Result<()> {
    let bus = start().await?;
    bus.faults().add(Rule::new(Point::Echo, Action::Withhold));
    let mut client = ready(&bus, 2).await?;
    let (first, second) = (client.until(TRANSFER).await?.number(1), client.until(TRANSFER).await?.number(1));
    client.settle(first, false, outcome(ACCEPTED)).await?;
    let echo = client.confirm(second, outcome(ACCEPTED)).await?;
    assert_eq!((echo.number(1), echo.number(2)), (second, second));
    assert_eq!(bus.counts("q")?.active, 0);
    Ok(())
}

#[tokio::test]
async fn a_late_echo_comes_after_those_that_were_asked_for_later() -> Result<()> {
    let bus = start().await?;
    let (never, soon) = (Duration::from_hours(1), Duration::from_millis(20));
    bus.faults().add(Rule::new(Point::Echo, Action::delay(never)));
    let mut client = ready(&bus, 3).await?;
    let mut next = async || anyhow::Ok(client.until(TRANSFER).await?.number(1));
    let (first, second, third) = (next().await?, next().await?, next().await?);
    client.settle(first, false, outcome(ACCEPTED)).await?;
    assert_eq!(client.confirm(second, outcome(ACCEPTED)).await?.number(1), second);
    bus.faults().add(Rule::new(Point::Echo, Action::delay(soon)));
    let asked = Instant::now();
    assert_eq!(client.confirm(third, outcome(ACCEPTED)).await?.number(1), third);
    assert!(asked.elapsed() >= soon);
    Ok(())
}

#[tokio::test]
async fn a_lock_lapses_just_before_the_settlement() -> Result<()> {
    let bus = start().await?;
    bus.faults().add(Rule::new(Point::Settle, Action::LapseLock).on("q"));
    let mut client = ready(&bus, 1).await?;
    let delivery = client.until(TRANSFER).await?.number(1);
    let echo = client.confirm(delivery, outcome(ACCEPTED)).await?;
    assert_eq!((echo.outcome(), condition(&echo)), (REJECTED, "com.microsoft:message-lock-lost".to_owned()));
    let again = client.until(TRANSFER).await?;
    assert_eq!(list(&again.section(0x70).expect("there is a header"))[4], Value::Uint(1));
    Ok(())
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_settlements() -> Result<()> {
    let bus = start().await?;
    bus.faults().add(Rule::new(Point::Echo, Action::Disconnect).skip(1));
    let mut client = ready(&bus, 2).await?;
    let (first, second) = (client.until(TRANSFER).await?.number(1), client.until(TRANSFER).await?.number(1));
    client.confirm(first, outcome(ACCEPTED)).await?;
    client.settle(second, false, outcome(ACCEPTED)).await?;
    assert!(client.is_cut().await);
    assert_eq!(bus.counts("q")?.active, 0, "the cut came after the work was done");
    Ok(())
}

#[tokio::test]
async fn links_are_detached_by_force_and_may_come_back() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus, 0).await?;
    client.write(FLOW, [0, 10, 0, 10].map(Value::Uint).to_vec(), &[]).await?;
    bus.journal().wait_for("credit", |event| matches!(event, Event::Credit { .. })).await?;
    bus.detach_links("q", "amqp:link:detach-forced")?;
    for _ in 0..2 {
        assert_eq!(client.until(DETACH).await?.condition(2), "amqp:link:detach-forced");
    }
    client.attach(&Link::sender(0, "q")).await?;
    assert_eq!(client.deliver(0, &plain(b"a")).await?.outcome(), ACCEPTED);
    Ok(())
}

#[tokio::test]
async fn the_service_goes_away_and_comes_back() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus, 1).await?;
    client.until(TRANSFER).await?;
    bus.go_away(Duration::from_hours(1));
    assert!(client.is_cut().await);
    assert!(Client::connect(bus.address()).await.is_err());
    bus.come_back();
    Client::connect(bus.address()).await?;
    // It also comes back by itself.
    bus.go_away(Duration::from_millis(20));
    while Client::connect(bus.address()).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bus.counts("q")?.locked, 1, "the lock outlives the connection");
    Ok(())
}

#[tokio::test]
async fn tokens_links_and_requests_are_refused_on_demand() -> Result<()> {
    let bus = start().await?;
    let refuse = |condition: &str| Action::Refuse(condition.to_owned());
    bus.faults().add(Rule::new(Point::Token, refuse("amqp:unauthorized-access")));
    bus.faults().add(Rule::new(Point::Attach, refuse("com.microsoft:entity-disabled")).on("q"));
    bus.faults().add(Rule::new(Point::Request, refuse("com.microsoft:server-busy")).on("peek-message"));
    let mut client = Client::connect(bus.address()).await?;
    client.attach_node(10, "$cbs").await?;
    assert_eq!(client.put_token(10, "q", "any").await?, 401);
    client.attach(&Link::sender(0, "q")).await?;
    assert_eq!(client.expect(DETACH).await?.condition(2), "com.microsoft:entity-disabled");
    client.attach_node(2, "q/$management").await?;
    let peek = [("operation", "com.microsoft:peek-message".into())];
    let body =
        map([("from-sequence-number".into(), Value::Long(1)), ("message-count".into(), Value::Int(1))]);
    for status in [503, 204] {
        let answer = client.ask(2, "id".into(), &peek, body.clone()).await?;
        let properties = answer.section(0x74).expect("answers have application properties");
        assert_eq!(get(&properties, "statusCode"), Some(&Value::Int(status)));
    }
    assert!(bus.faults().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_connection_is_cut_between_the_confirmation_of_a_send_and_the_settlement() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus, 1).await?;
    let delivery = client.until(TRANSFER).await?.number(1);
    bus.faults().add(Rule::new(Point::Sent, Action::Disconnect).only(Only::Scheduled));
    client.deliver(0, &plain(b"not meant")).await?;
    // Both are on their way at once, as with a client that does not wait.
    client.send(0, 0, &scheduled(b"copy")).await?;
    client.settle(delivery, false, outcome(ACCEPTED)).await?;
    assert_eq!(client.until(DISPOSITION).await?.outcome(), ACCEPTED, "the sender knows");
    assert!(client.is_cut().await);
    let counts = bus.counts("q")?;
    assert_eq!((counts.scheduled, counts.locked), (1, 2), "the copy is there, and nothing was settled");
    Ok(())
}

#[tokio::test]
async fn locks_lapse_and_links_end_after_a_copy_was_confirmed() -> Result<()> {
    let bus = start().await?;
    let mut client = ready(&bus, 1).await?;
    let delivery = client.until(TRANSFER).await?.number(1);
    bus.faults().add(Rule::new(Point::Sent, Action::LapseLock).only(Only::Scheduled));
    assert_eq!(client.deliver(0, &scheduled(b"copy")).await?.outcome(), ACCEPTED);
    let late = client.confirm(delivery, outcome(ACCEPTED)).await?;
    assert_eq!((late.outcome(), condition(&late)), (REJECTED, "com.microsoft:message-lock-lost".to_owned()));
    bus.faults().add(Rule::new(Point::Sent, Action::Detach("amqp:link:detach-forced".into())));
    assert_eq!(client.deliver(0, &plain(b"a")).await?.outcome(), ACCEPTED);
    assert_eq!(client.until(DETACH).await?.condition(2), "amqp:link:detach-forced");
    Ok(())
}

#[tokio::test]
async fn scheduling_is_refused_until_cleared_and_other_sends_are_not() -> Result<()> {
    let bus = start().await?;
    let too_large = Action::Refuse("amqp:link:message-size-exceeded".into());
    bus.faults().add(Rule::new(Point::Send, too_large).only(Only::Scheduled).always());
    let mut client = ready(&bus, 0).await?;
    for _ in 0..3 {
        let refused = client.deliver(0, &scheduled(b"copy")).await?;
        assert_eq!(condition(&refused), "amqp:link:message-size-exceeded");
        assert_eq!(client.deliver(0, &plain(b"a")).await?.outcome(), ACCEPTED);
    }
    bus.faults().clear();
    assert_eq!(client.deliver(0, &scheduled(b"copy")).await?.outcome(), ACCEPTED);
    Ok(())
}

#[tokio::test]
async fn the_right_to_send_may_be_missing_while_receiving_is_allowed() -> Result<()> {
    let bus = start().await?;
    let refuse = Action::Refuse("amqp:unauthorized-access".into());
    bus.faults().add(Rule::new(Point::Attach, refuse).on("q").only(Only::Sender).always());
    let mut client = Client::connect(bus.address()).await?;
    for handle in 0..2 {
        client.attach(&Link::sender(handle, "q")).await?;
        assert_eq!(client.expect(DETACH).await?.condition(2), "amqp:unauthorized-access");
    }
    assert_ne!(client.attach(&Link::receiver(2, "q")).await?.field(5), &Value::Null);
    Ok(())
}
