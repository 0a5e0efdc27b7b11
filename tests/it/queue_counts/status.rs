//! `contactsync status` as its real binary, over pipes.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use emulator::faults::{Action, Point, Rule, Wrong};
use serde_json::Value;
use servicebus::{Outgoing, Queue};
use tests::{
    binary,
    world::{Options, QUEUE, World},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// Nobody listens on the reserved port 1.
const NO_WORKER: &str = "http://127.0.0.1:1/";

async fn world(messages: usize) -> Result<World> {
    let world = World::start(Options::default()).await?;
    let sender = world.sender()?;
    for _ in 0..messages {
        sender.send(Outgoing { body: "x".into(), ..Outgoing::default() }).await?;
    }
    sender.close().await;
    Ok(world)
}

fn command(world: &World, arguments: &[&str]) -> Result<Command> {
    let mut command = binary::command()?;
    command.arg("status").arg("--config").arg(world.settings("")?).args(arguments);
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

async fn status(world: &World, arguments: &[&str]) -> Result<Output> {
    Ok(command(world, arguments)?.args(["--worker", NO_WORKER]).output().await?)
}

#[tokio::test]
async fn a_person_gets_a_table_and_is_told_that_no_worker_answers() -> Result<()> {
    let world = world(3).await?;
    let output = status(&world, &[]).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{text}");
    let waiting = text.lines().find_map(|line| line.trim().strip_prefix("waiting or locked"));
    ensure!(waiting.map(str::trim) == Some("3"), "{text}");
    ensure!(text.contains(&format!("No worker answers at {NO_WORKER}status.json")), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_script_gets_null_and_a_failure_for_what_is_unknown() -> Result<()> {
    let world = world(3).await?;
    let read = |output: &Output| serde_json::from_slice::<Value>(&output.stdout);
    let output = status(&world, &["--json"]).await?;
    ensure!(output.status.success() && read(&output)?["messages"]["active"] == 3, "{output:?}");
    world.bus.faults().add(Rule::new(Point::Admin, Action::Http(Wrong::Status(429))).on(QUEUE));
    let output = status(&world, &["--json"]).await?;
    let told = read(&output)?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&told["messages"]["active"], &told["countsKnown"]), (&Value::Null, &Value::Bool(false)));
    assert_eq!(told["countsUnknownBecause"], "the management interface is throttled");
    Ok(())
}

#[tokio::test]
async fn watching_over_a_pipe_gives_a_line_each_time_until_asked_to_stop() -> Result<()> {
    let world = world(2).await?;
    let mut watching = command(&world, &["--watch", "--every", "1s", "--worker", NO_WORKER])?
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(watching.stdout.take().context("piped")?).lines();
    for _ in 0..2 {
        let line = lines.next_line().await?.context("it goes on")?;
        ensure!(line.contains(" active 2 scheduled 0 dead 0 ") && !line.contains('\u{1b}'), "{line}");
    }
    let id = watching.id().context("it runs")?;
    tests::world::signal("TERM", id).await?;
    ensure!(watching.wait().await?.success());
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() -> Result<()> {
    let world = world(0).await?;
    let output = command(&world, &["--worker", "ftp://worker/"])?.output().await?;
    let text = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1));
    ensure!(text.contains("ftp://worker/ is not an address that starts with http:// or https://"), "{text}");
    Ok(())
}
