//! What travels: sending, scheduling, peeking.

use anyhow::Result;
use bytes::Bytes;
use emulator::{
    broker,
    bus::{Options, ServiceBus},
    faults::{Action, Point, Rule},
    journal::{Event, Role},
};
use jiff::{SignedDuration, Timestamp};
use servicebus::{
    ApplicationValue, Damage, Error, Outgoing, Peek, Peeked, PeekedState, Queue, Settlement, UnreadableBody,
    amqp::AmqpQueue,
};
use shared::{
    class::Class,
    ids::SequenceNumber,
    reason::{DeadLetter, DeadLetterReason},
};
use std::time::Duration;

use super::{DEAD, QUEUE, numbered, receive, receive_one, send, settings, settled, start};

#[tokio::test]
async fn a_message_sent_is_received_as_it_was_and_gone_when_completed() -> Result<()> {
    let (bus, queue) = start().await?;
    let message = Outgoing {
        message_id: Some("id-1".into()),
        correlation_id: Some("operation".into()),
        content_type: Some("application/json".into()),
        properties: [("attempt", ApplicationValue::I32(2)), ("origin", "replay".into())]
            .into_iter()
            .collect(),
        body: Bytes::from_static(b"{\"a\":1}"),
        ..Outgoing::default()
    };
    queue.send(message.clone()).await?;
    queue.set_credit(1);
    let delivery = receive_one(&queue).await?;
    let received = &delivery.message;
    assert_eq!(received.body, Ok(message.body));
    assert_eq!(received.message_id, message.message_id);
    assert_eq!(received.correlation_id, message.correlation_id);
    assert_eq!(received.content_type, message.content_type);
    assert_eq!(received.properties, message.properties);
    assert_eq!((received.sequence, received.delivery_count.0), (SequenceNumber(1), 0));
    // Nobody has told the length of its lock, and it has just been enqueued.
    assert_eq!(queue.lock_length(), Duration::from_secs(5));
    delivery.settle(Settlement::Complete).await?;
    settled(&bus, broker::Settled::Completed, 1).await?;
    assert_eq!(bus.counts(QUEUE)?.active, 0);
    Ok(())
}

#[tokio::test]
async fn a_scheduled_message_appears_at_its_time() -> Result<()> {
    let (bus, queue) = start().await?;
    queue.set_credit(1);
    let at = servicebus::clock::now().checked_add(SignedDuration::from_secs(60))?;
    queue.schedule(numbered(1), at).await?;
    assert_eq!((bus.counts(QUEUE)?.active, bus.counts(QUEUE)?.scheduled), (0, 1));
    let peeked = queue.peek(SequenceNumber(1), 10).await?;
    assert_eq!(peeked.len(), 1);
    assert_eq!(peeked[0].state, PeekedState::Scheduled);
    assert_eq!(peeked[0].scheduled_for.map(Timestamp::as_second), Some(at.as_second()));
    bus.skip_time(Duration::from_secs(61));
    assert_eq!(receive_one(&queue).await?.message.message_id.as_deref(), Some("m1"));
    Ok(())
}

#[tokio::test]
async fn peeking_shows_locked_and_waiting_messages_from_a_number_on() -> Result<()> {
    let (_bus, queue) = start().await?;
    assert_eq!(queue.peek(SequenceNumber(1), 10).await?, []);
    send(&queue, 4).await?;
    queue.set_credit(2);
    let _locked = receive(&queue, 2).await?;
    let ids = |peeked: &[Peeked]| -> Vec<String> {
        peeked.iter().filter_map(|peeked| peeked.message.message_id.as_deref().map(str::to_owned)).collect()
    };
    assert_eq!(ids(&queue.peek(SequenceNumber(1), 3).await?), ["m0", "m1", "m2"]);
    assert_eq!(ids(&queue.peek(SequenceNumber(3), 10).await?), ["m2", "m3"]);
    Ok(())
}

#[tokio::test]
async fn a_busy_service_is_reported_as_throttling_and_a_refused_message_is_not_tried_again() -> Result<()> {
    let (bus, queue) = start().await?;
    let busy = Action::Refuse("com.microsoft:server-busy".into());
    bus.faults().add(Rule::new(Point::Send, busy));
    let error = queue.send(numbered(1)).await.expect_err("busy");
    assert!(matches!(error.class(), Class::Throttled { retry_after: Some(_) }), "{error}");
    let body = Bytes::from(vec![0; 300 * 1024]);
    let error = queue.send(Outgoing { body, ..Outgoing::default() }).await.expect_err("too large");
    assert_eq!(error.class(), Class::Permanent, "{error}");
    // The link was none the worse for it.
    send(&queue, 1).await?;
    assert_eq!(bus.counts(QUEUE)?.active, 1);
    Ok(())
}

#[tokio::test]
async fn without_intake_nothing_is_attached_before_it_is_needed() -> Result<()> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let queue = AmqpQueue::open_without_intake(&settings(&bus)?)?;
    assert!(matches!(queue.receive().await, Err(Error::Closed)));
    send(&queue, 1).await?;
    assert_eq!(queue.peek(SequenceNumber(1), 1).await?.len(), 1);
    queue.close().await;
    let receiver = |event: &Event| matches!(event, Event::Attached { address, role: Role::Receiver, .. } if address == QUEUE);
    assert_eq!(bus.journal().count(receiver), 0);
    Ok(())
}

#[tokio::test]
async fn a_large_message_travels_in_many_frames() -> Result<()> {
    let (_bus, queue) = start().await?;
    let body: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for _ in 0..3 {
        queue.send(Outgoing { body: body.clone().into(), ..Outgoing::default() }).await?;
    }
    queue.set_credit(3);
    for delivery in receive(&queue, 3).await? {
        assert_eq!(delivery.message.body.as_deref(), Ok(&*body));
        delivery.settle(Settlement::Complete).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_handed_over_and_can_be_dead_lettered() -> Result<()> {
    let (bus, queue) = start().await?;
    let bodies: [&'static [u8]; 2] = [
        // A sequence section with an empty list, and a section that does not exist.
        &[0x00, 0x53, 0x76, 0x45],
        &[0x00, 0x53, 0x7f, 0x40],
    ];
    bus.broker(|broker, now| {
        let target = broker.resolve(QUEUE)?;
        let messages =
            bodies.map(|body| broker::Message { body: Bytes::from_static(body), ..Default::default() });
        broker.send(target, messages.into(), now)
    })?;
    queue.set_credit(2);
    let expected = [UnreadableBody::Sequence, UnreadableBody::Message(Damage::Section)];
    for (delivery, expected) in receive(&queue, 2).await?.into_iter().zip(expected) {
        assert_eq!(delivery.message.body, Err(expected));
        let letter = DeadLetter::new(DeadLetterReason::BodyUndecodable, &expected.to_string());
        delivery.settle(tests::client::dead_lettered(&letter)).await?;
    }
    assert_eq!((bus.counts(QUEUE)?.active, bus.counts(DEAD)?.active), (0, 2));
    Ok(())
}

#[tokio::test]
async fn the_largest_message_that_the_queue_takes_comes_out_again() -> Result<()> {
    let (bus, queue) = start().await?;
    // What the service adds to a message on its way out does not count against the limit.
    let mut size = 256 * 1024;
    let sent = loop {
        let message = Outgoing { body: vec![7; size].into(), ..Outgoing::default() };
        match queue.send(message.clone()).await {
            Ok(()) => break message,
            Err(error) => assert_eq!(error.class(), Class::Permanent, "{error}"),
        }
        size -= 8;
    };
    queue.set_credit(1);
    let delivery = receive_one(&queue).await?;
    assert_eq!(delivery.message.body, Ok(sent.body));
    let letter = DeadLetter::new(DeadLetterReason::BodyUndecodable, &"long ".repeat(1_000));
    delivery.settle(tests::client::dead_lettered(&letter)).await?;

    let dead = AmqpQueue::open(&settings(&bus)?.dead_letters())?;
    dead.set_credit(1);
    receive_one(&dead).await?.settle(Settlement::Complete).await?;
    Ok(())
}
