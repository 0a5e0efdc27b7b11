//! The client of the management interface against the local one.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use emulator::{
    broker::{EntityOptions, EntityStatus},
    bus::{Options, ServiceBus, Subscription},
    faults::{Action, Point, Rule, Wrong},
    sas::{self, Claims},
};
use servicebus::{
    ConnectionString, FixedToken, Outgoing, Queue, QueueCounts,
    admin::{self, AdminClient, Describe, Description, Error, Status},
    amqp::{self, AmqpQueue},
};
use shared::class::Class;

const QUEUE: &str = "team/contacts";

fn client(connection_string: &str, address: &str) -> Result<AdminClient> {
    let parsed = ConnectionString::parse(connection_string)?;
    let root = admin::root(&parsed.endpoint).context("no address")?;
    let http = tests::client::http_client()?;
    Ok(AdminClient::new(http, &root, address, parsed.credential.source(), servicebus::clock::now))
}

fn settings(bus: &ServiceBus) -> Result<amqp::Settings> {
    let parsed = ConnectionString::parse(&bus.connection_string())?;
    Ok(amqp::Settings::from_connection_string(&parsed, QUEUE, servicebus::clock::now))
}

async fn start(options: EntityOptions) -> Result<ServiceBus> {
    let subscription = Subscription { name: "portal".into(), options: options.clone(), rules: Vec::new() };
    Ok(ServiceBus::start(Options::default().queue_with(QUEUE, options).topic("changes", vec![subscription]))
        .await?)
}

async fn describe(bus: &ServiceBus, address: &str) -> Result<Result<Description, Error>> {
    Ok(client(&bus.connection_string(), address)?.describe().await)
}

/// What is told of an empty queue.
fn nothing() -> QueueCounts {
    let none = Some(0);
    QueueCounts {
        active: none,
        dead_letter: none,
        scheduled: none,
        transfer: none,
        size_bytes: none,
        ..QueueCounts::default()
    }
}

fn fault(bus: &ServiceBus, wrong: Wrong) {
    bus.faults().add(Rule::new(Point::Admin, Action::Http(wrong)).on(QUEUE));
}

#[tokio::test]
async fn settings_and_counts_are_those_of_the_queue() -> Result<()> {
    let options = EntityOptions {
        lock_duration: Duration::from_secs(90),
        max_delivery_count: 7,
        default_ttl: Some(Duration::from_hours(24)),
        duplicate_window: Some(Duration::from_mins(10)),
        dead_letter_on_expiry: true,
        requires_session: true,
        forward_dead_letters_to: Some("changes".into()),
        ..EntityOptions::default()
    };
    let bus = start(options).await?;
    let described = describe(&bus, QUEUE).await??;
    let properties = described.properties;
    assert_eq!(properties.lock_duration, Some(Duration::from_secs(90)));
    assert_eq!(properties.max_delivery_count, Some(7));
    assert_eq!(properties.default_ttl, Some(Duration::from_hours(24)));
    assert_eq!(properties.duplicate_detection, Some(true));
    assert_eq!(properties.duplicate_window, Some(Duration::from_mins(10)));
    assert_eq!(properties.dead_letters_expired, Some(true));
    assert_eq!(properties.requires_session, Some(true));
    assert_eq!(properties.status, Status::Active);
    assert_eq!(properties.max_size_megabytes, Some(100));
    assert_eq!(properties.forward_to, None);
    assert_eq!(properties.forward_dead_letters_to.as_deref(), Some("changes"));
    assert_eq!(described.counts, Some(nothing()));
    Ok(())
}

#[tokio::test]
async fn a_subscription_is_described_too() -> Result<()> {
    let bus = start(EntityOptions {
        default_ttl: None,
        status: EntityStatus::Disabled,
        ..EntityOptions::default()
    })
    .await?;
    let properties = describe(&bus, "changes/Subscriptions/portal").await??.properties;
    assert_eq!(properties.default_ttl, None);
    assert_eq!(properties.status, Status::Disabled);
    assert_eq!(properties.duplicate_detection, None);
    Ok(())
}

#[tokio::test]
async fn a_key_that_may_only_listen_is_told_what_it_lacks() -> Result<()> {
    let listen = sas::Rule { name: "listen".into(), claims: Claims::LISTEN, ..sas::Rule::default() };
    let mut options = Options::default().queue(QUEUE);
    options.access.rules.push(listen.clone());
    let bus = ServiceBus::start(options).await?;
    let error = client(&bus.connection_string_for(&listen), QUEUE)?.describe().await.expect_err("refused");
    assert!(matches!(error, Error::Denied { status: 401, .. }), "{error:?}");
    assert_eq!(error.class(), Class::Installation);
    assert_eq!(
        error.to_string(),
        "the management interface answered 401: Manage claim is required; it needs the right Manage, or the role \
         Azure Service Bus Data Owner"
    );
    Ok(())
}

#[tokio::test]
async fn a_key_of_the_queue_alone_is_enough() -> Result<()> {
    let own = sas::Rule { name: "own".into(), entity: Some(QUEUE.into()), ..sas::Rule::default() };
    let mut options = Options::default().queue(QUEUE);
    options.access.rules.push(own.clone());
    let bus = ServiceBus::start(options).await?;
    assert!(client(&bus.connection_string_for(&own), QUEUE)?.describe().await?.counts.is_some());
    Ok(())
}

#[tokio::test]
async fn each_kind_of_failure_is_told_from_the_others() -> Result<()> {
    let bus = start(EntityOptions::default()).await?;
    for status in [429, 503] {
        fault(&bus, Wrong::Status(status));
        let error = describe(&bus, QUEUE).await?.expect_err("throttled");
        assert!(matches!(error.class(), Class::Throttled { .. }), "{status}: {error}");
    }
    fault(&bus, Wrong::Status(500));
    let error = describe(&bus, QUEUE).await?.expect_err("failed");
    assert!(matches!(error, Error::Failed { status: 500, .. }), "{error:?}");
    let error = describe(&bus, "nowhere").await?.expect_err("not there");
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    // Nobody listens on the reserved port 1, and nobody else can come to.
    let port = format!("localhost:{};", bus.address().port());
    let away = bus.connection_string().replace(&port, "localhost:1;");
    let error = client(&away, QUEUE)?.describe().await.expect_err("nobody listens");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(!shared::reason::chain(&error).contains("SAS_KEY_VALUE"));
    Ok(())
}

#[tokio::test]
async fn another_server_at_that_address_makes_no_sense() -> Result<()> {
    let bus = start(EntityOptions::default()).await?;
    let root = format!("{}/$emulator/", bus.admin_url()).parse()?;
    let tokens = Arc::new(FixedToken::new("SharedAccessSignature sr=a&sig=b".to_owned().into()));
    let client =
        AdminClient::new(tests::client::http_client()?, &root, "queues", tokens, servicebus::clock::now);
    let error = client.describe().await.expect_err("JSON is no entry");
    assert!(matches!(error, Error::Senseless { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn zeros_of_a_throttled_service_come_through_as_it_said_them() -> Result<()> {
    let bus = start(EntityOptions::default()).await?;
    let sender = AmqpQueue::open_without_intake(&settings(&bus)?)?;
    sender.send(Outgoing { body: "a".into(), ..Outgoing::default() }).await?;
    assert_eq!(describe(&bus, QUEUE).await??.counts.and_then(|counts| counts.active), Some(1));
    fault(&bus, Wrong::Zeros);
    let described = describe(&bus, QUEUE).await??;
    assert_eq!(described.counts, Some(nothing()));
    assert!(bus.faults().is_empty());
    Ok(())
}
