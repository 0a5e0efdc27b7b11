//! When people are told, and how often.

use anyhow::{Context, Result};
use emulator::graph::Fault;
use serde_json::Value;
use tests::{
    PATIENCE,
    notified::{Reply, Request, TellReceiver, check_blocks, check_card, check_event, check_signature},
    quick::{renamed, world},
    world::{Worker, World},
};

use super::{
    HOOK, KEY, MAILBOX, SLACK, TEAMS, every_kind, mail_server, settings, unreadable, webhook,
    writer_and_standby,
};

/// What the events tell: the state of each, and the names of what is in it.
fn told(events: &[Request]) -> Result<Vec<(String, Vec<String>)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |event: &Request| {
        check_signature(event, KEY)?;
        let data = check_event(event)?;
        let items = data["items"].as_array().context("items")?;
        let names = items.iter().map(|item| format!("{} {}", text(&item["state"]), text(&item["name"])));
        Ok((text(&data["state"]), names.collect()))
    };
    events.iter().map(one).collect()
}

fn pair(state: &str, names: &[&str]) -> (String, Vec<String>) {
    (state.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
}

/// Waits until the worker says so at `/readyz`.
async fn is_ready(worker: &mut Worker, ready: bool) -> Result<()> {
    worker.page_until("/readyz", |page| (page.status == 200) == ready).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_its_end_are_two_messages_by_every_channel() -> Result<()> {
    let world = world(1).await?;
    let (receiver, mail) = (TellReceiver::start().await?, mail_server(&world).await?);
    let settings = settings(&world, &[&every_kind(&world, &receiver, &mail)?])?;
    world.graph.script(Fault::unauthorized().always());
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    let mut worker = world.start_worker(&settings)?;
    for place in [TEAMS, SLACK, HOOK, MAILBOX] {
        receiver.until(place, 1).await.with_context(|| worker.log().unwrap_or_default())?;
    }
    mail.until(1).await?;
    world.graph.clear_faults();
    is_ready(&mut worker, true).await?;
    for place in [TEAMS, SLACK, HOOK, MAILBOX] {
        receiver.until(place, 2).await?;
    }
    mail.until(2).await?;
    let log = worker.stop().await?;

    let events = receiver.got(HOOK);
    assert_eq!(told(&events)?, [pair("firing", &["firing intake"]), pair("resolved", &["resolved intake"])]);
    let [first, last] = [0, 1].map(|place| check_event(&events[place]));
    let (first, last) = (first?, last?);
    assert_eq!((&first["key"], &last["number"]), (&last["key"], &1.into()));
    assert_eq!(first["items"][0]["runbook"], "https://wiki.example/runbook.md#contactsyncintakepaused");
    assert_eq!((&first["environment"], &first["severity"]), (&"test".into(), &"critical".into()));

    let cards = receiver.got(TEAMS);
    let texts = cards.iter().map(check_card).collect::<Result<Vec<_>>>()?;
    assert!(texts[0].contains("critical: intake is paused") && texts[0].contains("To do: "), "{texts:?}");
    assert!(texts[1].contains("resolved: over: intake is paused"), "{texts:?}");
    let blocks = receiver.got(SLACK).iter().map(check_blocks).collect::<Result<Vec<_>>>()?;
    assert!(blocks[0].contains("*critical*: intake is paused"), "{blocks:?}");

    let posted = receiver.got(MAILBOX);
    assert!(posted.iter().all(|request| request.header("authorization").starts_with("Bearer ")));
    let message = posted[0].json()?;
    assert_eq!(message["saveToSentItems"], false);
    assert_eq!(message["message"]["toRecipients"][0]["emailAddress"]["address"], "ops@contoso.example");
    assert!(
        message["message"]["subject"]
            .as_str()
            .is_some_and(|text| text.starts_with("[contactsync test] intake"))
    );

    let mails = mail.mails();
    assert_eq!(mails[0].to, ["ops@contoso.example", "second@contoso.example"]);
    assert!(mails.iter().all(|mail| mail.tls && mail.from == "contactsync@contoso.example"), "{mails:?}");
    assert_eq!(mails[0].auth, Some(("PLAIN".to_owned(), "\0contactsync\0p4ssword".to_owned())));
    assert_eq!(mails[0].header("Auto-Submitted"), "auto-generated");
    assert_eq!(
        (mails[0].header("In-Reply-To"), mails[1].header("In-Reply-To")),
        ("", mails[0].header("Message-ID"))
    );
    assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));

    let counts = [TEAMS, SLACK, HOOK, MAILBOX].map(|place| receiver.got(place).len());
    assert_eq!((counts, mails.len()), ([2; 4], 2), "exactly two by each");
    for secret in ["s3cret", "p4ssword", KEY, "ops@contoso.example"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_ten_thousand_dead_letters_is_at_most_three_messages() -> Result<()> {
    const FLOOD: usize = 10_000;
    let world = world(0).await?;
    let receiver = TellReceiver::start().await?;
    world.store(unreadable(FLOOD))?;
    // Longer than a busy machine ever pauses between two of them, so that the flood is one.
    let waits = "[notify]\ngroup_interval = \"20s\"\n[telemetry]\nqueue_interval = \"1s\"\n";
    let mut worker = world.start_worker(&settings(&world, &[&webhook(&receiver), waits])?)?;
    world.drained(PATIENCE).await?;
    let ends = |request: &Request| check_event(request).is_ok_and(|data| data["state"] == "resolved");
    let mut count = 1;
    while !receiver.until(HOOK, count).await?.iter().any(ends) {
        count += 1;
    }
    let metrics = worker.metrics().await?;
    worker.stop().await?;
    let events = receiver.got(HOOK);
    let seen = told(&events)?;
    assert!(events.len() <= 3, "{seen:?}");
    let last = check_event(events.last().context("an event")?)?;
    assert_eq!(last["items"].as_array().map(Vec::len), Some(1), "nobody else made dead letters: {seen:?}");
    assert_eq!(
        (&last["items"][0]["name"], &last["items"][0]["count"]),
        (&"BodyUndecodable".into(), &FLOOD.into())
    );
    let sent = metrics.value("contactsync_notifications_total{kind=\"webhook\",result=\"sent\"}");
    assert!((sent - 2.0).abs() < 1.5, "{sent}");
    assert_eq!(world.letters()?.len(), FLOOD);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_hangs_delays_neither_messages_nor_other_channels_nor_the_end() -> Result<()> {
    let world = world(20).await?;
    let receiver = TellReceiver::start().await?;
    receiver.script(TEAMS, [Reply::Hang]);
    let chat = format!(
        "{}\n[[notify.channel]]\nname = \"chat\"\nkind = \"teams\"\nurl = \"{}{TEAMS}\"\n",
        webhook(&receiver),
        receiver.root
    );
    let mut worker = world.start_worker(&settings(&world, &[&chat])?)?;
    world.store(unreadable(1))?;
    receiver.until(TEAMS, 1).await?;
    // While that one waits for its answer:
    world.post_changes(&(1..=20).map(|number| renamed(number, 1, "Ada")).collect::<Vec<_>>()).await?;
    world.drained(PATIENCE).await?;
    receiver.until(HOOK, 1).await?;
    // Given up after three tries, it is told on the page and by whoever still listens.
    worker
        .page_until("/status.json", |page| page.text.contains("nobody can be told by the channel chat"))
        .await?;
    let warned =
        |request: &Request| check_event(request).is_ok_and(|data| data.to_string().contains("\"notify\""));
    let mut count = 1;
    while !receiver.until(HOOK, count).await?.iter().any(warned) {
        count += 1;
    }
    let failed = "contactsync_notifications_total{kind=\"teams\",result=\"failed\"}";
    assert!(worker.metrics().await?.value(failed) > 0.5);
    let log = worker.stop().await?;
    assert!(log.contains("nobody could be told") && !log.contains("/workflows/"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_the_writer_tells() -> Result<()> {
    let world = world(1).await?;
    let receiver = TellReceiver::start().await?;
    let [writer, mut other] = writer_and_standby(&world, &receiver).await?;
    world.store(unreadable(1))?;
    let events = receiver.until(HOOK, 2).await?;
    let expected =
        [pair("firing", &["firing BodyUndecodable"]), pair("resolved", &["resolved BodyUndecodable"])];
    assert_eq!(told(&events)?, expected);
    let sent = "contactsync_notifications_total{kind=\"webhook\",result=\"sent\"}";
    assert!(other.metrics().await?.value(sent) < 0.5, "the other one said nothing");
    other.stop().await?;
    writer.stop().await?;
    assert_eq!(receiver.got(HOOK).len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_not_told_again_after_a_restart() -> Result<()> {
    let world: World = world(1).await?;
    let receiver = TellReceiver::start().await?;
    let state = world.folder().join("told.json");
    let kept = format!("notify.state_file = \"{}\"\n", state.display());
    let settings = settings(&world, &[&webhook(&receiver), &kept])?;
    world.graph.script(Fault::unauthorized().always());
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    let first = world.start_worker(&settings)?;
    receiver.until(HOOK, 1).await?;
    world.until(PATIENCE, "the file", |_| Ok((state.exists(), String::new()))).await?;
    first.kill().await?;
    std::fs::remove_file(settings.with_extension("log"))?;
    let mut second = world.start_worker(&settings)?;
    second.page_until("/readyz", |page| page.text.contains("not ready, intake")).await?;
    world.graph.clear_faults();
    is_ready(&mut second, true).await?;
    let events = receiver.until(HOOK, 2).await?;
    second.stop().await?;
    assert_eq!(told(&events)?, [pair("firing", &["firing intake"]), pair("resolved", &["resolved intake"])]);
    let keys =
        events.iter().map(|event| Ok(check_event(event)?["key"].clone())).collect::<Result<Vec<_>>>()?;
    assert_eq!(keys[0], keys[1], "it is one conversation");
    Ok(())
}
