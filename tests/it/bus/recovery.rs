//! Coming back after losses, and what is said in the meantime.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use emulator::{
    broker::{self, EntityOptions},
    bus::{Options, ServiceBus},
    faults::{Action, Point, Rule},
    journal::{Event, Mark},
};
use jiff::{SignedDuration, Timestamp};
use servicebus::{
    ConnectionString, Error, LinkState, NamespaceCredential, Peek, Queue, SasKey, SettleError, Settlement,
    Token, TokenSource,
    amqp::{AmqpQueue, Settings},
};
use shared::{
    class::Class,
    ids::SequenceNumber,
    reason::{DeadLetter, DeadLetterReason},
};
use tokio::time::timeout;

use super::{
    DEAD, PATIENCE, QUEUE, ready, receive, receive_one, requests, send, settings, settled, start, start_with,
};

#[tokio::test]
async fn after_a_broken_connection_old_deliveries_are_settled_and_new_ones_come() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 4).await?;
    queue.set_credit(3);
    let mut old = receive(&queue, 3).await?;
    let mark = bus.journal().mark();
    bus.drop_connections();
    bus.journal().wait_after(mark, "a new connection", |event| matches!(event, Event::Opened { .. })).await?;
    let letter = DeadLetter::new(DeadLetterReason::WrongEntity, "test");
    for settlement in [Settlement::Complete, Settlement::Abandon, tests::client::dead_lettered(&letter)] {
        old.remove(0).settle(settlement).await?;
    }
    assert_eq!(requests(&bus, "update-disposition"), 3);
    assert_eq!((bus.counts(QUEUE)?.active, bus.counts(DEAD)?.active), (2, 1));
    queue.set_credit(2);
    for delivery in receive(&queue, 2).await? {
        delivery.settle(Settlement::Complete).await?;
    }
    settled(&bus, broker::Settled::Completed, 3).await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_closed_by_the_service_is_opened_again() -> Result<()> {
    let (bus, queue) = start().await?;
    ready(&queue).await?;
    queue.set_credit(1);
    let mark = bus.journal().mark();
    bus.close_connections("amqp:connection:forced");
    bus.journal().wait_after(mark, "a new connection", |event| matches!(event, Event::Opened { .. })).await?;
    send(&queue, 1).await?;
    receive_one(&queue).await?.settle(Settlement::Complete).await?;
    Ok(())
}

#[tokio::test]
async fn while_the_service_is_away_the_state_says_so_and_recovers() -> Result<()> {
    let (bus, queue) = start().await?;
    ready(&queue).await?;
    bus.go_away(Duration::from_hours(1));
    let mut state = queue.state();
    timeout(PATIENCE, state.wait_for(|state| matches!(state, LinkState::Failed { .. }))).await??;
    let error = timeout(PATIENCE, queue.receive()).await?.expect_err("nothing can come");
    assert_eq!(error.class(), Class::Transient);
    bus.come_back();
    ready(&queue).await
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_reported_and_picked_up_once_it_does() -> Result<()> {
    let bus = ServiceBus::start(Options::default()).await?;
    let queue = AmqpQueue::open(&settings(&bus)?)?;
    let error = timeout(PATIENCE, queue.receive()).await?.expect_err("no such queue");
    assert_eq!(error.class(), Class::Installation, "{error}");
    bus.broker(|broker, now| broker.add_queue(QUEUE, EntityOptions::default(), now))?;
    ready(&queue).await
}

#[tokio::test]
async fn a_wrong_key_is_a_fault_of_the_installation() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let parsed = ConnectionString::parse(&bus.connection_string().replace("SAS_KEY_VALUE", "wrong"))?;
    let queue = AmqpQueue::open(&Settings::from_connection_string(&parsed, QUEUE, servicebus::clock::now))?;
    let error = timeout(PATIENCE, queue.receive()).await?.expect_err("refused");
    assert_eq!(error.class(), Class::Installation, "{error}");
    let state = queue.state().borrow().clone();
    assert!(matches!(state, LinkState::Failed { .. }), "{state:?}");
    Ok(())
}

/// Tokens that live for a moment.
struct ShortLived(SasKey);

#[async_trait::async_trait]
impl TokenSource for ShortLived {
    async fn token(&self, resource: &str, now: Timestamp) -> Result<Token, Error> {
        let token = self.0.token(resource, now).await?;
        // The signature lasts longer than we are told, so that only our own renewal is seen.
        let expires = now.checked_add(SignedDuration::from_millis(400)).unwrap_or(token.expires);
        Ok(Token { expires, ..token })
    }
}

#[tokio::test]
async fn tokens_are_renewed_on_the_same_connection_before_they_end() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let mut settings = settings(&bus)?;
    let parsed = ConnectionString::parse(&bus.connection_string())?;
    let NamespaceCredential::Key(key) = parsed.credential else { anyhow::bail!("a key was expected") };
    settings.tokens = Arc::new(ShortLived(key));
    let queue = AmqpQueue::open(&settings)?;
    ready(&queue).await?;
    let token = |event: &Event| matches!(event, Event::Token { status: 202, .. });
    bus.journal().wait_nth(4, Mark::START, PATIENCE, "four tokens", token).await?;
    assert_eq!(bus.connections().len(), 1);
    assert_eq!(bus.journal().count(|event| matches!(event, Event::Detached { .. })), 0);
    Ok(())
}

#[tokio::test]
async fn a_sending_link_that_was_detached_while_idle_is_attached_again() -> Result<()> {
    let (bus, queue) = start().await?;
    for count in 1..=5 {
        send(&queue, 1).await?;
        assert_eq!(bus.counts(QUEUE)?.active, count);
        let mark = bus.journal().mark();
        bus.detach_links(QUEUE, "amqp:link:detach-forced")?;
        let detached = |event: &Event| matches!(event, Event::Detached { address, .. } if address == QUEUE);
        bus.journal().wait_after(mark, "a detached link", detached).await?;
    }
    Ok(())
}

/// A client that would wait for an answer longer than a test does.
fn patient(bus: &ServiceBus) -> Result<AmqpQueue> {
    let mut settings = settings(bus)?;
    settings.timing.request = 6 * PATIENCE;
    Ok(AmqpQueue::open(&settings)?)
}

#[tokio::test]
async fn a_send_that_is_cut_off_is_tried_again_at_once() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let queue = patient(&bus)?;
    bus.faults().add(Rule::new(Point::Send, Action::Disconnect));
    timeout(PATIENCE, send(&queue, 1)).await??;
    assert_eq!(bus.counts(QUEUE)?.active, 1);
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_cut_off_is_asked_again_at_once() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let queue = patient(&bus)?;
    send(&queue, 1).await?;
    for point in [Point::Request, Point::Reply] {
        bus.faults().add(Rule::new(point, Action::Disconnect));
        let peeked = timeout(PATIENCE, queue.peek(SequenceNumber(1), 1)).await??;
        assert_eq!(peeked.len(), 1);
    }
    assert!(bus.faults().is_empty());
    Ok(())
}

#[tokio::test]
async fn nothing_is_lost_while_links_and_connections_break_again_and_again() -> Result<()> {
    const COUNT: usize = 300;
    let options = EntityOptions {
        lock_duration: Duration::from_secs(1),
        max_delivery_count: 1_000,
        ..EntityOptions::default()
    };
    let (bus, queue) = start_with(options).await?;
    send(&queue, COUNT).await?;
    let (mut rounds, mut seen) = (0, BTreeSet::new());
    let consume = async {
        while bus.counts(QUEUE)?.active > 0 {
            queue.set_credit(20);
            // Nothing comes while the locks of lost completions have not lapsed.
            match timeout(Duration::from_millis(100), queue.receive()).await {
                Ok(Ok(deliveries)) => {
                    rounds += 1;
                    if rounds % 4 == 0 && rounds < 60 {
                        break_something(&bus, rounds / 4)?;
                    }
                    for delivery in deliveries {
                        seen.insert(delivery.message.sequence);
                        // A lost lock is no loss: the message comes again.
                        if let Err(SettleError::Failed(error)) = delivery.settle(Settlement::Complete).await {
                            anyhow::bail!("a settlement failed: {error}");
                        }
                    }
                }
                Ok(Err(error)) => assert_eq!(error.class(), Class::Transient, "{error}"),
                Err(_) => {}
            }
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, consume).await.context("the queue is not empty")??;
    assert_eq!(seen.len(), COUNT);
    assert_eq!(bus.counts(DEAD)?.active, 0);
    Ok(())
}

fn break_something(bus: &ServiceBus, turn: usize) -> Result<()> {
    match turn % 4 {
        0 => bus.drop_connections(),
        1 => bus.detach_links(QUEUE, "amqp:link:detach-forced")?,
        2 => bus.close_connections("amqp:connection:forced"),
        _ => bus.go_away(Duration::from_millis(50)),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_client_ends_the_queue_instead_of_leaving_it_silent() -> Result<()> {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    let clock = || {
        assert!(!BROKEN.load(Ordering::Relaxed), "the clock of this test is broken");
        servicebus::clock::now()
    };
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let queue = AmqpQueue::open(&Settings { clock, ..settings(&bus)? })?;
    queue.set_credit(1);
    send(&queue, 1).await?;
    let delivery = receive_one(&queue).await?;
    BROKEN.store(true, Ordering::Relaxed);
    // The settlement fails with the client; the message comes again to the next one.
    drop(tokio::spawn(delivery.settle(Settlement::Complete)).await);
    let ended = timeout(PATIENCE, queue.receive()).await?;
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
    Ok(())
}
