//! Settling, renewing, and losing locks.

use std::time::Duration;

use anyhow::{Context, Result};
use emulator::{
    broker::{self, EntityOptions},
    bus::{Options, ServiceBus},
    faults::{Action, Point, Rule},
    journal::Event,
};
use servicebus::{Queue, RenewError, SettleError, Settlement, amqp::AmqpQueue};
use shared::reason::{DeadLetter, DeadLetterReason};

use super::{DEAD, QUEUE, is_broker, receive, receive_one, requests, send, settings, settled, start};

#[tokio::test]
async fn abandoning_counts_as_a_failed_delivery_and_giving_back_does_not() -> Result<()> {
    let (_bus, queue) = start().await?;
    send(&queue, 1).await?;
    for (settlement, count) in [
        (Settlement::Release, 0),
        (Settlement::Abandon, 0),
        (Settlement::Release, 1),
        (Settlement::Complete, 1),
    ] {
        queue.set_credit(1);
        let delivery = receive_one(&queue).await?;
        assert_eq!(delivery.message.delivery_count.0, count, "before {}", settlement.as_str());
        delivery.settle(settlement).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_carries_its_reason_and_can_be_received_from_the_sub_queue() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 1).await?;
    queue.set_credit(1);
    let letter =
        DeadLetter::new(DeadLetterReason::UserLinkInvalid, "column adx_identity_username is no GUID");
    receive_one(&queue).await?.settle(tests::client::dead_lettered(&letter)).await?;
    assert_eq!((bus.counts(QUEUE)?.active, bus.counts(DEAD)?.active), (0, 1));

    let dead = AmqpQueue::open(&settings(&bus)?.dead_letters())?;
    dead.set_credit(1);
    let delivery = receive_one(&dead).await?;
    assert_eq!(delivery.message.properties.text("DeadLetterReason"), Some("UserLinkInvalid"));
    let description = delivery.message.properties.text("DeadLetterErrorDescription");
    assert_eq!(description, Some("column adx_identity_username is no GUID"));
    delivery.settle(Settlement::Complete).await?;
    settled(&bus, broker::Settled::Completed, 1).await?;
    Ok(())
}

#[tokio::test]
async fn many_locks_are_renewed_in_one_request() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 20).await?;
    queue.set_credit(20);
    let deliveries = receive(&queue, 20).await?;
    bus.skip_time(Duration::from_secs(10));
    let locks: Vec<_> = deliveries.iter().map(|delivery| delivery.lock).collect();
    for answer in queue.renew(&locks).await {
        answer?;
    }
    assert_eq!(requests(&bus, "renew-lock"), 1);
    Ok(())
}

#[tokio::test]
async fn a_lost_lock_among_others_is_told_apart() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 5).await?;
    queue.set_credit(5);
    let deliveries = receive(&queue, 5).await?;
    bus.lapse_locks(QUEUE, Some(deliveries[3].message.sequence.0))?;
    let locks: Vec<_> = deliveries.iter().map(|delivery| delivery.lock).collect();
    let answers = queue.renew(&locks).await;
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(matches!(answer, Err(RenewError::LockLost)), index == 3, "{answer:?}");
        assert_eq!(answer.is_ok(), index != 3, "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn settling_under_a_lapsed_lock_says_so() -> Result<()> {
    // Long enough for the message to be there before it is over.
    let lock_duration = Duration::from_secs(3);
    let options = EntityOptions { lock_duration, ..EntityOptions::default() };
    let bus = ServiceBus::start(Options::default().queue_with(QUEUE, options)).await?;
    let settings = settings(&bus)?;
    // A little less, as the two ends of a lock are measured with a message between them.
    settings.times.lock_length_is(lock_duration / 2);
    let queue = AmqpQueue::open(&settings)?;
    send(&queue, 1).await?;
    queue.set_credit(1);
    let delivery = receive_one(&queue).await?;
    let lapsed = |event: &Event| is_broker(event, |event| matches!(event, broker::Event::LockLapsed { .. }));
    bus.journal().wait_for("a lapsed lock", lapsed).await?;
    let outcome = delivery.settle(Settlement::Complete).await;
    assert!(matches!(outcome, Err(SettleError::LockLost)), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn a_dropped_delivery_is_counted_and_comes_again() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 1).await?;
    queue.set_credit(2);
    drop(receive_one(&queue).await?);
    assert_eq!(queue.dropped(), 1);
    assert_eq!(bus.lapse_locks(QUEUE, None)?, 1);
    let again = receive_one(&queue).await?;
    assert_eq!(again.message.delivery_count.0, 1);
    again.settle(Settlement::Complete).await?;
    assert_eq!(queue.dropped(), 1);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_the_locks_as_they_were() -> Result<()> {
    let (bus, queue) = start().await?;
    send(&queue, 1).await?;
    queue.set_credit(1);
    let delivery = receive_one(&queue).await?;
    bus.faults().add(Rule::new(Point::Reply, Action::Withhold).on("renew-lock").always());
    // Only what has to be given up is given up soon.
    let mut impatient = settings(&bus)?;
    impatient.timing.request = Duration::from_millis(100);
    let renewing = AmqpQueue::open_without_intake(&impatient)?;
    let answer = renewing.renew(&[delivery.lock]).await.pop().context("one answer")?;
    assert!(matches!(answer, Err(RenewError::Failed(_))), "{answer:?}");
    delivery.settle(Settlement::Complete).await?;
    settled(&bus, broker::Settled::Completed, 1).await?;
    Ok(())
}
