//! What is believed of the counts, and what takes their place.

use std::sync::Arc;

use anyhow::{Context, Result};
use emulator::{
    access::Access,
    bus::{Options, ServiceBus},
    faults::{Action, Point, Rule, Wrong},
    sas::{self, Claims},
};
use jiff::{SignedDuration, Timestamp};
use servicebus::{
    ConnectionString, Outgoing, Queue, QueueCounts,
    admin::{self, AdminClient},
    amqp::{AmqpQueue, Settings},
};
use shared::reason::{DeadLetter, DeadLetterReason};
use worker::operate::backlog::{BacklogReading, Oldest, Reader, SampleLimits, UnknownKind};

const QUEUE: &str = "contacts";

/// A service, somebody who sends, and a reader with the rights of `rule`.
struct Bench {
    bus: ServiceBus,
    queue: AmqpQueue,
    reader: Reader,
}

impl Bench {
    async fn start(claims: Claims, thoroughness: SampleLimits) -> Result<Self> {
        Self::start_at(servicebus::clock::now, claims, thoroughness).await
    }

    /// The same with a clock of the reader's own.
    async fn start_at(clock: fn() -> Timestamp, claims: Claims, thoroughness: SampleLimits) -> Result<Self> {
        let own = sas::Rule { name: "reader".into(), claims, ..sas::Rule::default() };
        let access = Access { rules: vec![sas::Rule::default(), own.clone()], ..Access::default() };
        let bus = ServiceBus::start(Options { access, ..Options::default().queue(QUEUE) }).await?;
        let queue = AmqpQueue::open(&settings(&bus.connection_string())?)?;
        let text = bus.connection_string_for(&own);
        let parsed = ConnectionString::parse(&text)?;
        let root = admin::root(&parsed.endpoint).context("no address")?;
        let http = tests::client::http_client()?;
        let admin = AdminClient::new(http, &root, QUEUE, parsed.credential.source(), servicebus::clock::now);
        let looking = AmqpQueue::open_without_intake(&settings(&text)?)?;
        let (head, dead) = (looking.browser(), looking.dead_letter_browser());
        let reader = Reader::new(Arc::new(admin), head, dead, thoroughness, clock);
        Ok(Self { bus, queue, reader })
    }

    async fn send(&self, count: usize) -> Result<()> {
        for number in 0..count {
            let id = Some(format!("m{number}").into());
            self.queue.send(Outgoing { message_id: id, body: "x".into(), ..Outgoing::default() }).await?;
        }
        Ok(())
    }

    fn fault(&self, wrong: Wrong, times: u32) {
        self.bus.faults().add(Rule::new(Point::Admin, Action::Http(wrong)).times(times));
    }
}

/// To this clock all messages of a test have only just come, however slow the machine is.
fn an_hour_earlier() -> Timestamp {
    servicebus::clock::now() - SignedDuration::from_hours(1)
}

/// To this clock all messages of a test have been there for a while.
fn a_minute_later() -> Timestamp {
    servicebus::clock::now() + SignedDuration::from_mins(1)
}

fn settings(connection_string: &str) -> Result<Settings> {
    let parsed = ConnectionString::parse(connection_string)?;
    Ok(Settings::from_connection_string(&parsed, QUEUE, servicebus::clock::now))
}

#[track_caller]
fn known(reading: &BacklogReading) -> QueueCounts {
    match &reading.counts {
        Ok(known) => *known,
        Err(unknown) => panic!("unknown: {unknown}"),
    }
}

#[track_caller]
fn unknown(reading: &BacklogReading) -> (UnknownKind, String) {
    match &reading.counts {
        Ok(known) => panic!("known: {known:?}"),
        Err(unknown) => (unknown.kind, unknown.why.to_string()),
    }
}

#[tokio::test]
async fn an_empty_queue_is_known_to_be_empty() -> Result<()> {
    let bench = Bench::start(Claims::ALL, SampleLimits::GAUGES).await?;
    let reading = bench.reader.read().await;
    let expected = QueueCounts {
        active: Some(0),
        dead_letter: Some(0),
        scheduled: Some(0),
        transfer: Some(0),
        size_bytes: Some(0),
        ..QueueCounts::default()
    };
    assert_eq!((known(&reading), reading.oldest), (expected, Oldest::NoneWaits));
    Ok(())
}

#[tokio::test]
async fn waiting_locked_scheduled_and_dead_messages_are_counted_apart() -> Result<()> {
    let bench = Bench::start(Claims::ALL, SampleLimits::PERSON).await?;
    bench.send(4).await?;
    bench.queue.set_credit(2);
    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(bench.queue.receive().await?);
    }
    let letter = DeadLetter::new(DeadLetterReason::WrongEntity, "an account");
    held.remove(0).settle(tests::client::dead_lettered(&letter)).await?;
    let later = servicebus::clock::now().checked_add(SignedDuration::from_hours(1))?;
    bench.queue.schedule(Outgoing { body: "y".into(), ..Outgoing::default() }, later).await?;
    let reading = bench.reader.read().await;
    let known = known(&reading);
    assert_eq!((known.active, known.dead_letter, known.scheduled), (Some(3), Some(1), Some(1)));
    assert!(known.size_bytes.is_some_and(|bytes| bytes > 0) && !known.lower_bound);
    assert!(matches!(reading.oldest, Oldest::Since(_)));
    assert_eq!(reading.reasons.seen.get("WrongEntity"), Some(&1));
    Ok(())
}

#[tokio::test]
async fn zeros_are_not_believed_while_messages_have_been_there_for_a_while() -> Result<()> {
    let bench = Bench::start_at(a_minute_later, Claims::ALL, SampleLimits::GAUGES).await?;
    bench.send(3).await?;
    bench.fault(Wrong::Zeros, 2);
    let reading = bench.reader.read().await;
    assert_eq!(unknown(&reading).0, UnknownKind::Contradicted);
    assert!(matches!(reading.oldest, Oldest::Since(_)), "what was seen is told all the same");
    assert_eq!(known(&bench.reader.read().await).active, Some(3), "and it passes");
    Ok(())
}

#[tokio::test]
async fn a_zero_that_a_second_question_corrects_leaves_no_doubt() -> Result<()> {
    let bench = Bench::start_at(a_minute_later, Claims::ALL, SampleLimits::GAUGES).await?;
    bench.send(3).await?;
    bench.fault(Wrong::Zeros, 1);
    assert_eq!(known(&bench.reader.read().await).active, Some(3));
    Ok(())
}

#[tokio::test]
async fn a_message_that_came_after_the_count_is_no_contradiction() -> Result<()> {
    let bench = Bench::start_at(an_hour_earlier, Claims::ALL, SampleLimits::GAUGES).await?;
    bench.send(1).await?;
    bench.fault(Wrong::Zeros, 1);
    assert_eq!(known(&bench.reader.read().await).active, Some(0));
    assert!(bench.bus.faults().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_contradicts_a_zero_too() -> Result<()> {
    let bench = Bench::start(Claims::ALL, SampleLimits::GAUGES).await?;
    bench.send(1).await?;
    bench.queue.set_credit(1);
    let letter = DeadLetter::new(DeadLetterReason::WrongEntity, "an account");
    for delivery in bench.queue.receive().await? {
        delivery.settle(tests::client::dead_lettered(&letter)).await?;
    }
    bench.fault(Wrong::Zeros, 2);
    assert_eq!(unknown(&bench.reader.read().await).0, UnknownKind::Contradicted);
    Ok(())
}

#[tokio::test]
async fn while_throttled_nothing_is_known() -> Result<()> {
    let bench = Bench::start(Claims::ALL, SampleLimits::GAUGES).await?;
    bench.send(2).await?;
    bench.fault(Wrong::Status(429), 1);
    let reading = bench.reader.read().await;
    let (kind, why) = unknown(&reading);
    assert!(matches!(kind, UnknownKind::Throttled { .. }));
    assert_eq!(why, "the management interface is throttled");
    assert!(matches!(reading.oldest, Oldest::Since(_)), "looking needs no management interface");
    Ok(())
}

#[tokio::test]
async fn who_may_only_listen_counts_by_looking_and_says_that_there_may_be_more() -> Result<()> {
    let few = SampleLimits { count: 5, reasons: 0 };
    let bench = Bench::start(Claims::LISTEN, few).await?;
    bench.send(4).await?;
    let known = |reading: BacklogReading| known(&reading);
    let seen = known(bench.reader.read().await);
    assert_eq!((seen.active, seen.dead_letter, seen.scheduled), (Some(4), Some(0), Some(0)));
    assert_eq!((seen.transfer, seen.size_bytes, seen.lower_bound), (None, None, true));
    bench.send(20).await?;
    assert_eq!(known(bench.reader.read().await).active, Some(5), "no more than were looked at");
    Ok(())
}

#[tokio::test]
async fn a_failure_that_passes_does_not_turn_counts_into_lower_bounds() -> Result<()> {
    let few = SampleLimits { count: 2, reasons: 0 };
    let bench = Bench::start(Claims::ALL, few).await?;
    bench.send(9).await?;
    assert_eq!(known(&bench.reader.read().await).active, Some(9));
    for status in [404, 500] {
        bench.fault(Wrong::Status(status), 1);
        unknown(&bench.reader.read().await);
    }
    Ok(())
}

#[tokio::test]
async fn who_may_neither_manage_nor_listen_knows_nothing() -> Result<()> {
    let bench = Bench::start(Claims::default(), SampleLimits::GAUGES).await?;
    let reading = bench.reader.read().await;
    let (kind, why) = unknown(&reading);
    assert_eq!((kind, reading.oldest), (UnknownKind::Failed, Oldest::Unknown));
    assert!(why.contains("Manage") && why.contains("nor can anybody look"), "{why}");
    Ok(())
}
