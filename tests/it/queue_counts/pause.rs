//! `contactsync pause` and `resume` as the real binary, beside a real worker.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use emulator::{
    broker::{self, EntityOptions, EntityStatus},
    sas::{self, Claims},
};
use serde_json::{Value, json};
use tests::{
    PATIENCE, binary,
    quick::{QUICK, renamed, world},
    world::{DEAD_LETTERS, Options, QUEUE, World, signal},
};

async fn command(world: &World, arguments: &[&str]) -> Result<Output> {
    let (name, rest) = arguments.split_first().expect("a command");
    let mut command = binary::command()?;
    command.arg(name).arg("--config").arg(world.settings("")?).args(rest).kill_on_drop(true);
    Ok(command.output().await?)
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn waiting(world: &World) -> Result<usize> {
    Ok(world.bus.contents(QUEUE)?.len())
}

fn status(world: &World) -> Result<EntityStatus> {
    Ok(world
        .bus
        .broker(|broker, _| Ok::<_, broker::Error>(broker.options(broker.resolve(QUEUE)?)?.status))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_from_a_pause_until_it_is_resumed_and_nothing_is_lost() -> Result<()> {
    let world = world(2).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    world.drained(PATIENCE).await?;

    let paused = command(&world, &["pause"]).await?;
    ensure!(paused.status.success() && text(&paused).contains("contactsync resume"), "{paused:?}");
    ensure!(status(&world)? == EntityStatus::ReceiveDisabled);
    let page = worker.page_until("/readyz", |page| page.text.contains("somebody paused it")).await?;
    ensure!(page.status == 503 && page.text.contains("contactsync resume"), "{page:?}");
    // Senders go on, and what they send waits.
    world.post_changes(&[renamed(2, 2, "Grace")]).await?;
    ensure!(waiting(&world)? == 1);
    let again = command(&world, &["pause", "--json"]).await?;
    let told: Value = serde_json::from_slice(&again.stdout)?;
    ensure!(told == json!({ "queue": QUEUE, "paused": true, "changed": false }), "{told}");
    ensure!(waiting(&world)? == 1);

    let resumed = command(&world, &["resume"]).await?;
    ensure!(resumed.status.success(), "{resumed:?}");
    ensure!(status(&world)? == EntityStatus::Active);
    world.drained(PATIENCE).await?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    ensure!(world.bus.counts(DEAD_LETTERS)?.active == 0);
    ensure!(text(&command(&world, &["resume"]).await?).contains("was not paused"));
    Ok(())
}

#[tokio::test]
async fn a_pause_for_a_time_ends_by_itself_and_one_that_is_stopped_stays() -> Result<()> {
    let world = world(0).await?;
    let output = command(&world, &["pause", "--for", "1s"]).await?;
    ensure!(output.status.success() && text(&output).contains("hands out messages again"), "{output:?}");
    ensure!(status(&world)? == EntityStatus::Active);

    let mut command = binary::command()?;
    command.arg("pause").arg("--config").arg(world.settings("")?).args(["--for", "7d"]);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    world
        .until(PATIENCE, "the queue is paused", |world| {
            let now = status(world)?;
            Ok((now == EntityStatus::ReceiveDisabled, format!("{now:?}")))
        })
        .await?;
    signal("TERM", child.id().context("a process")?).await?;
    let output = child.wait_with_output().await?;
    ensure!(output.status.code() == Some(1) && text(&output).contains("still paused"), "{output:?}");
    ensure!(status(&world)? == EntityStatus::ReceiveDisabled);
    Ok(())
}

#[tokio::test]
async fn a_status_that_somebody_else_set_stays_as_it_is() -> Result<()> {
    let world = world(0).await?;
    for status_of_others in [EntityStatus::Disabled, EntityStatus::SendDisabled] {
        world.bus.broker(|broker, _| {
            let target = broker.resolve(QUEUE)?;
            let options = EntityOptions { status: status_of_others, ..broker.options(target)?.clone() };
            broker.set_options(target, options)
        })?;
        for name in ["pause", "resume"] {
            let output = command(&world, &[name]).await?;
            ensure!(output.status.code() == Some(1), "{output:?}");
            ensure!(text(&output).contains("which contactsync did not set"), "{output:?}");
            ensure!(status(&world)? == status_of_others);
        }
    }
    Ok(())
}

#[tokio::test]
async fn settings_of_the_queue_and_its_counts_are_the_same_afterwards() -> Result<()> {
    let world = world(0).await?;
    let described = || {
        world.bus.broker(|broker, _| {
            let target = broker.resolve(QUEUE)?;
            Ok::<_, broker::Error>(broker.options(target)?.clone())
        })
    };
    let mut odd = described()?;
    odd.lock_duration = Duration::from_secs(47);
    odd.max_delivery_count = 23;
    odd.forward_dead_letters_to = Some("elsewhere".to_owned());
    world.bus.broker(|broker, now| {
        broker.add_queue("elsewhere", EntityOptions::default(), now)?;
        let target = broker.resolve(QUEUE)?;
        broker.set_options(target, odd.clone())
    })?;
    ensure!(command(&world, &["pause"]).await?.status.success());
    ensure!(
        described()? == EntityOptions { status: EntityStatus::ReceiveDisabled, ..odd.clone() },
        "{:?}",
        described()
    );
    ensure!(command(&world, &["resume"]).await?.status.success());
    ensure!(described()? == odd);
    Ok(())
}

#[tokio::test]
async fn a_key_without_the_right_is_told_what_it_lacks() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let rule = sas::Rule { name: "worker".into(), claims: Claims::LISTEN, ..sas::Rule::default() };
    world.bus.set_rules(vec![rule.clone()]);
    let connection = world.bus.connection_string_for(&rule);
    let settings = world.layered(&[&format!("service_bus.connection_string = \"{connection}\"")])?;
    let output = binary::command()?.arg("pause").arg("--config").arg(settings).output().await?;
    ensure!(
        output.status.code() == Some(1) && text(&output).contains("it needs the right Manage"),
        "{output:?}"
    );
    Ok(())
}
