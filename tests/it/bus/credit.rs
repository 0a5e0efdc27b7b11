//! How many messages are out, and what becomes of them on pause and close.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use emulator::{
    broker,
    bus::{Options, ServiceBus},
    journal::{Event, Mark},
};
use servicebus::{Error, Queue, Settlement, amqp::AmqpQueue};
use tokio::time::timeout;

use super::{
    PATIENCE, QUEUE, is_delivered, is_settled, ready, receive, receive_one, requests, send, settings,
    settled, start,
};

#[tokio::test]
async fn no_more_messages_are_out_than_there_is_credit() -> Result<()> {
    const CREDIT: usize = 8;
    const COUNT: usize = 100;
    let (bus, queue) = start().await?;
    send(&queue, COUNT).await?;
    let mut done = BTreeSet::new();
    while done.len() < COUNT {
        queue.set_credit(u32::try_from(CREDIT)?);
        for delivery in receive(&queue, 1).await? {
            done.insert(delivery.message.message_id.clone());
            delivery.settle(Settlement::Complete).await?;
        }
    }
    settled(&bus, broker::Settled::Completed, COUNT).await?;
    let (mut out, mut most) = (0_usize, 0);
    for event in bus.journal().all() {
        if is_delivered(&event) {
            out += 1;
        } else if is_settled(&event, broker::Settled::Completed) {
            out -= 1;
        }
        most = most.max(out);
    }
    // Completions are on their way while the next messages come, so twice the credit is the bound seen from there.
    assert!((2..=2 * CREDIT).contains(&most), "{most} messages were out at once");
    Ok(())
}

#[tokio::test]
async fn a_detached_link_is_attached_again_on_the_same_connection_with_the_same_credit() -> Result<()> {
    let (bus, queue) = start().await?;
    queue.set_credit(7);
    let credit = |event: &Event| matches!(event, Event::Credit { credit: 7, drain: false, .. });
    bus.journal().wait_for("credit", credit).await?;
    for condition in ["amqp:link:detach-forced", "amqp:internal-error", "amqp:unauthorized-access"] {
        let mark = bus.journal().mark();
        bus.detach_links(QUEUE, condition)?;
        bus.journal().wait_after(mark, "credit on the new link", credit).await?;
    }
    assert_eq!(bus.connections().len(), 1);
    send(&queue, 1).await?;
    receive_one(&queue).await?.settle(Settlement::Complete).await?;
    Ok(())
}

#[tokio::test]
async fn lowering_the_credit_gives_untouched_messages_back() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 5).await?;
    queue.set_credit(5);
    bus.journal().wait_nth(5, Mark::START, PATIENCE, "five deliveries", is_delivered).await?;
    queue.set_credit(0);
    settled(&bus, broker::Settled::Released, 5).await?;
    queue.set_credit(5);
    for delivery in receive(&queue, 5).await? {
        assert_eq!(delivery.message.delivery_count.0, 0);
        delivery.settle(Settlement::Complete).await?;
    }
    settled(&bus, broker::Settled::Completed, 5).await?;
    Ok(())
}

#[tokio::test]
async fn credit_that_was_taken_back_brings_nothing_until_it_is_given_again() -> Result<()> {
    let (bus, queue) = start().await?;
    queue.set_credit(10);
    bus.journal().wait_for("credit", |event| matches!(event, Event::Credit { credit: 10, .. })).await?;
    queue.set_credit(0);
    bus.journal().wait_for("a drain", |event| matches!(event, Event::Credit { drain: true, .. })).await?;
    send(&queue, 3).await?;
    queue.set_credit(1);
    let delivery = receive_one(&queue).await?;
    assert_eq!(bus.journal().count(is_delivered), 1);
    // Over the link that was drained and replaced no settlement is lost either.
    delivery.settle(Settlement::Complete).await?;
    settled(&bus, broker::Settled::Completed, 1).await?;
    Ok(())
}

#[tokio::test]
async fn deliveries_of_a_replaced_link_are_still_settled_over_it() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 2).await?;
    queue.set_credit(5);
    let old = receive(&queue, 2).await?;
    queue.set_credit(0);
    bus.journal().wait_for("a drain", |event| matches!(event, Event::Credit { drain: true, .. })).await?;
    let mark = bus.journal().mark();
    queue.set_credit(5);
    let attached = |event: &Event| matches!(event, Event::Attached { address, .. } if address == QUEUE);
    bus.journal().wait_after(mark, "a new link", attached).await?;
    for delivery in old {
        delivery.settle(Settlement::Complete).await?;
    }
    settled(&bus, broker::Settled::Completed, 2).await?;
    assert_eq!(requests(&bus, "update-disposition"), 0);
    let detached = |event: &Event| matches!(event, Event::Detached { address, .. } if address == QUEUE);
    bus.journal().wait_after(mark, "the end of the old link", detached).await?;
    Ok(())
}

#[tokio::test]
async fn closing_gives_back_what_was_not_handed_over_and_waits_for_the_rest() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 3).await?;
    queue.set_credit(1);
    let held = receive_one(&queue).await?;
    queue.set_credit(2);
    bus.journal().wait_nth(3, Mark::START, PATIENCE, "three deliveries", is_delivered).await?;
    let queue = Arc::new(queue);
    let closing = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.close().await }
    });
    settled(&bus, broker::Settled::Released, 2).await?;
    assert!(!closing.is_finished(), "one message is not settled yet");
    held.settle(Settlement::Complete).await?;
    timeout(PATIENCE, closing).await??;
    settled(&bus, broker::Settled::Completed, 1).await?;
    assert!(matches!(queue.receive().await, Err(Error::Closed)));
    bus.journal()
        .wait_for("the end of the connection", |event| matches!(event, Event::Closed { .. }))
        .await?;
    assert_eq!(bus.counts(QUEUE)?.ready, 2);
    Ok(())
}

#[tokio::test]
async fn closing_does_not_wait_for_a_service_that_is_away() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let mut settings = settings(&bus)?;
    settings.timing.close = Duration::from_millis(100);
    let queue = AmqpQueue::open(&settings)?;
    ready(&queue).await?;
    bus.go_away(Duration::from_hours(1));
    timeout(PATIENCE, queue.close()).await.context("close hangs")?;
    Ok(())
}
