//! The encrypted way to the service.

use std::fs;

use anyhow::{Context, Result};
use emulator::{
    bus::{Options, ServiceBus},
    journal::Event,
};
use servicebus::{
    ConnectionString, Error, LinkState, Queue, Settlement,
    amqp::{AmqpQueue, Settings},
};
use shared::class::Class;
use tokio::time::timeout;

use super::{PATIENCE, QUEUE, receive_one, send};

async fn start() -> Result<(ServiceBus, Settings)> {
    let bus = ServiceBus::start(Options::default().queue(QUEUE).tls()).await?;
    let parsed = ConnectionString::parse(&bus.tls_connection_string().context("tls was asked for")?)?;
    assert!(parsed.endpoint.tls && !parsed.emulator);
    let settings = Settings::from_connection_string(&parsed, QUEUE, servicebus::clock::now);
    Ok((bus, settings))
}

#[tokio::test]
async fn a_private_certificate_authority_is_trusted_when_its_file_is_given() -> Result<()> {
    let (bus, settings) = start().await?;
    let folder = tempfile::tempdir()?;
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, bus.ca_pem())?;
    let queue = AmqpQueue::open(&Settings { ca_file: Some(ca), ..settings })?;
    send(&queue, 1).await?;
    queue.set_credit(1);
    receive_one(&queue).await?.settle(Settlement::Complete).await?;
    queue.close().await;
    assert_eq!(bus.counts(QUEUE)?.active, 0);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_fault_of_the_installation() -> Result<()> {
    let (bus, settings) = start().await?;
    // The system's store may be empty where this runs; another authority stands in for it.
    let folder = tempfile::tempdir()?;
    let other = ServiceBus::start(Options::default().tls()).await?;
    let ca = folder.path().join("other.pem");
    fs::write(&ca, other.ca_pem())?;
    let queue = AmqpQueue::open(&Settings { ca_file: Some(ca), ..settings })?;
    let error = timeout(PATIENCE, queue.receive()).await?.expect_err("not trusted");
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Installation);
    assert!(matches!(&*queue.state().borrow(), LinkState::Failed { .. }));
    assert_eq!(bus.journal().count(|event| matches!(event, Event::Opened { .. })), 0);
    Ok(())
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_at_once() -> Result<()> {
    let (_bus, settings) = start().await?;
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nothing")?;
    for (path, expected) in
        [(&empty, "holds no certificate"), (&folder.path().join("none.pem"), "cannot be read")]
    {
        let error = AmqpQueue::open(&Settings { ca_file: Some(path.clone()), ..settings.clone() })
            .err()
            .context("must be refused")?;
        assert!(shared::reason::chain(&error).contains(expected), "{error}");
        assert_eq!(error.class(), Class::Installation);
    }
    Ok(())
}
