//! The digest of a day. That it is due is shown by what was told before a restart, so that no test waits for a time of the day.

use std::path::PathBuf;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::{
    PATIENCE,
    notified::{Request, TellReceiver, check_blocks, check_card, check_event, check_signature},
    quick::{GUARDED, world},
    world::{LEASED, World},
};

use super::{HOOK, KEY, MAILBOX, SLACK, TEAMS, every_kind, mail_server, settings, unreadable, webhook};

/// Names of the channels of [`every_kind`].
const CHANNELS: [&str; 5] = ["hook", "chat", "slack", "mail", "graph"];

/// A digest that has been due for half a day, and is not due again before another half, for a worker that was told to have
/// sent its last one two days ago.
fn overdue(world: &World, file: &str) -> Result<(String, PathBuf)> {
    let now = servicebus::clock::now();
    let told = now - SignedDuration::from_hours(48);
    let channels =
        CHANNELS.map(|name| (name.to_owned(), json!({ "groups": [], "digestTold": told.to_string() })));
    let state = world.folder().join(file);
    std::fs::write(
        &state,
        json!({ "form": 1, "channels": serde_json::Map::from_iter(channels) }).to_string(),
    )?;
    let at = (now - SignedDuration::from_hours(12)).strftime("%H:%M").to_string();
    Ok((format!("[notify]\ndigest = \"{at}\"\nstate_file = \"{}\"\n", state.display()), state))
}

fn is_digest(event: &Request) -> bool {
    check_event(event).is_ok_and(|data| data["state"] == "digest")
}

/// Waits until an event came that is meant, beside those that are not.
async fn event(receiver: &TellReceiver, is_meant: impl Fn(&Request) -> bool) -> Result<Request> {
    let mut count = 1;
    loop {
        let events = receiver.until(HOOK, count).await?;
        if let Some(event) = events.iter().find(|event| is_meant(event)) {
            return Ok(event.clone());
        }
        count = events.len() + 1;
    }
}

fn is_about(reason: &'static str) -> impl Fn(&Request) -> bool {
    move |event| check_event(event).is_ok_and(|data| data["items"][0]["name"] == reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_goes_to_every_channel_once_and_not_again_after_a_restart() -> Result<()> {
    let world = world(0).await?;
    let (receiver, mail) = (TellReceiver::start().await?, mail_server(&world).await?);
    let (digest, state) = overdue(&world, "told.json")?;
    let settings = settings(&world, &[&every_kind(&world, &receiver, &mail)?, &digest])?;
    let first = world.start_worker(&settings)?;
    for place in [TEAMS, SLACK, HOOK, MAILBOX] {
        receiver.until(place, 1).await.with_context(|| first.log().unwrap_or_default())?;
    }
    mail.until(1).await?;
    first.stop().await?;

    let got = receiver.got(HOOK);
    check_signature(&got[0], KEY)?;
    let data = check_event(&got[0])?;
    assert_eq!(
        (&data["state"], &got[0].json()?["type"]),
        (&"digest".into(), &"dev.contactsync.digest.v1".into())
    );
    let lines = data["lines"].as_array().context("lines")?;
    assert!(
        lines.iter().any(|line| line.as_str().is_some_and(|line| line.contains(" messages received, "))),
        "{data}"
    );
    for text in [
        check_card(&receiver.got(TEAMS)[0])?,
        check_blocks(&receiver.got(SLACK)[0])?,
        mail.mails()[0].text.clone(),
    ] {
        assert!(text.contains(" messages received, "), "{text}");
    }
    assert!(
        mail.mails()[0].header("Subject").starts_with("[contactsync test] digest since "),
        "{:?}",
        mail.mails()
    );
    let kept: Value = serde_json::from_slice(&std::fs::read(&state)?)?;
    for name in CHANNELS {
        let told: Timestamp = kept["channels"][name]["digestTold"].as_str().context("told")?.parse()?;
        assert!(
            servicebus::clock::now().duration_since(told) < SignedDuration::from_hours(1),
            "{name}: {kept}"
        );
    }

    world.store(unreadable(1))?;
    let second = world.start_worker(&settings)?;
    event(&receiver, is_about("BodyUndecodable")).await?;
    second.stop().await?;
    assert_eq!(receiver.got(HOOK).iter().filter(|event| is_digest(event)).count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_the_writer_tells_the_digest() -> Result<()> {
    let world = world(0).await?;
    let receiver = TellReceiver::start().await?;
    let mut replicas = Vec::new();
    for (file, role) in [("first.json", "writer"), ("second.json", "standby")] {
        let (digest, _) = overdue(&world, file)?;
        let mut worker =
            world.start_worker(&settings(&world, &[&webhook(&receiver), GUARDED, LEASED, &digest])?)?;
        worker.becomes(role).await?;
        replicas.push(worker);
    }
    let (other, writer) = (replicas.pop().context("two")?, replicas.pop().context("two")?);
    event(&receiver, is_digest).await?;
    // What the writer tells afterwards shows that both had their turn.
    world.store(unreadable(1))?;
    event(&receiver, is_about("BodyUndecodable")).await?;
    world.drained(PATIENCE).await?;
    other.stop().await?;
    writer.stop().await?;
    let digests: Vec<_> = receiver.got(HOOK).into_iter().filter(is_digest).collect();
    assert_eq!(digests.len(), 1, "{digests:?}");
    assert!(check_event(&digests[0])?["lines"][0].is_string(), "it says something");
    Ok(())
}
