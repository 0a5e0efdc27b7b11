//! The demonstration ends well, its check bites, and it keeps away from what is not its own.

use std::process::Output;

use anyhow::{Context, Result};
use emulator::{
    broker::{Message, data_section},
    bus::{Options, ServiceBus},
    journal::{Event, Role},
};
use tests::world::QUEUE;
use tokio::process::Command;

async fn demo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments).envs(variables.iter().copied()).kill_on_drop(true);
    command.output().await.context("the demo cannot be started")
}

fn check_good(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Nothing was lost"), "{text}");
    text
}

#[tokio::test]
async fn the_demo_loses_nothing_and_says_what_happened() -> Result<()> {
    let text = check_good(&demo(&[], &[]).await?);
    let both = ["b2c", "external_id"].map(|preset| format!("preset = \"{preset}\""));
    let parts = [
        "Graph has the user's new name",
        "posted",
        "dead-lettered: BodyUndecodable",
        "UserNotFound",
        "signs in as ada@new.example",
    ];
    for part in parts.into_iter().chain(both.iter().map(|preset| &**preset)) {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_demo_fails_when_a_message_is_dropped() -> Result<()> {
    let output = demo(&["--drop-one"], &[]).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 messages are gone without having been settled"), "{text}");
    Ok(())
}

/// Who has exported the settings of a real installation must be able to try the demo.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_leaves_the_queue_of_an_exported_connection_string_alone() -> Result<()> {
    let real = ServiceBus::start(Options::default().queue(QUEUE)).await?;
    let body = data_section(b"worth keeping");
    real.broker(|broker, now| {
        broker.send(broker.resolve(QUEUE)?, vec![Message::of("real", "text/plain", body)], now)
    })?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("connection-string");
    std::fs::write(&file, real.connection_string())?;
    let exported = [
        ("CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING_FILE", file.to_str().context("a path of text")?),
        ("CONTACTSYNC__GRAPH__ROOT", "http://127.0.0.1:1"),
        ("CONTACTSYNC_CONFIG", "/nowhere/contactsync.toml"),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ];
    check_good(&demo(&[], &exported).await?);
    let left = real.contents(QUEUE)?;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].locked, left[0].delivery_count), (false, 0), "the message was touched");
    assert_eq!(real.counts(&format!("{QUEUE}/$DeadLetterQueue"))?.active, 0);
    let receivers = |event: &Event| matches!(event, Event::Attached { role: Role::Receiver, .. });
    assert_eq!(real.journal().count(receivers), 0, "somebody came to receive");
    Ok(())
}
