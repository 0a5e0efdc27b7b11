//! The Service Bus client against the local Service Bus: settlement, credit, locks, and coming back.

mod credit;
mod messages;
mod recovery;
mod sessions;
mod settlement;
mod tls;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use emulator::{
    broker::{self, EntityOptions},
    bus::{Options, ServiceBus},
    journal::{Event, Mark},
};
use servicebus::{
    ConnectionString, Delivery, LinkState, Outgoing, Queue,
    amqp::{AmqpQueue, Settings},
};
use shared::retry::Ladder;
use tests::PATIENCE;
use tokio::time::timeout;

const QUEUE: &str = "contacts";
const DEAD: &str = "contacts/$DeadLetterQueue";

async fn start() -> Result<(ServiceBus, AmqpQueue)> {
    start_with(EntityOptions::default()).await
}

async fn start_with(options: EntityOptions) -> Result<(ServiceBus, AmqpQueue)> {
    let bus = ServiceBus::start(Options::default().queue_with(QUEUE, options)).await?;
    let queue = AmqpQueue::open(&settings(&bus)?)?;
    Ok((bus, queue))
}

fn settings(bus: &ServiceBus) -> Result<Settings> {
    let parsed = ConnectionString::parse(&bus.connection_string())?;
    let mut settings = Settings::from_connection_string(&parsed, QUEUE, servicebus::clock::now);
    settings.timing.connect = PATIENCE;
    settings.timing.request = PATIENCE;
    settings.timing.close = PATIENCE;
    settings.timing.reconnect = Ladder::fixed(Duration::from_millis(100), Duration::from_millis(200));
    Ok(settings)
}

fn numbered(number: usize) -> Outgoing {
    Outgoing {
        message_id: Some(format!("m{number}").into()),
        body: format!("{number}").into(),
        ..Outgoing::default()
    }
}

async fn send(queue: &AmqpQueue, count: usize) -> Result<()> {
    for number in 0..count {
        queue.send(numbered(number)).await?;
    }
    Ok(())
}

/// Receives until there are `count` deliveries.
async fn receive(queue: &AmqpQueue, count: usize) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    let all = async {
        while deliveries.len() < count {
            deliveries.extend(queue.receive().await?);
        }
        anyhow::Ok(())
    };
    let result = timeout(PATIENCE, all).await;
    let seen = deliveries.len();
    result.with_context(|| format!("{seen} of {count} messages came"))??;
    Ok(deliveries)
}

async fn receive_one(queue: &AmqpQueue) -> Result<Delivery> {
    let mut deliveries = receive(queue, 1).await?;
    ensure!(deliveries.len() == 1, "one message was expected, {} came", deliveries.len());
    deliveries.pop().context("one was there")
}

async fn ready(queue: &AmqpQueue) -> Result<()> {
    timeout(PATIENCE, queue.state().wait_for(|state| *state == LinkState::Ready))
        .await
        .context("not ready")??;
    Ok(())
}

fn is_broker(event: &Event, wanted: impl FnOnce(&broker::Event) -> bool) -> bool {
    matches!(event, Event::Broker(event) if wanted(event))
}

fn is_settled(event: &Event, wanted: broker::Settled) -> bool {
    is_broker(event, |event| matches!(event, broker::Event::Settled { how, .. } if *how == wanted))
}

fn is_delivered(event: &Event) -> bool {
    is_broker(event, |event| matches!(event, broker::Event::Delivered { .. }))
}

async fn settled(bus: &ServiceBus, how: broker::Settled, count: usize) -> Result<()> {
    let what = format!("{count} messages {how:?}");
    bus.journal().wait_nth(count, Mark::START, PATIENCE, &what, |event| is_settled(event, how)).await?;
    Ok(())
}

fn requests(bus: &ServiceBus, wanted: &str) -> usize {
    bus.journal().count(|event| matches!(event, Event::Request { operation, .. } if operation == wanted))
}
