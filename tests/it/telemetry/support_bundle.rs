//! `contactsync support-bundle` as its real binary: all that helps is in the file, and nothing of a person.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use emulator::graph;
use serde_json::Value;
use tests::{
    binary,
    world::{DEAD_LETTERS, Worker, World},
};

use super::{
    PATIENCE, QUICK, change,
    privacy::{MARKER, marked},
    world,
};

/// A world in which one contact was written and another became a dead letter, both full of markers.
async fn marked_world() -> Result<(World, Worker)> {
    let world = world(1).await?;
    world.post_changes(&[marked(change(1, 1), "Applied"), marked(change(99, 1), "Ghost")]).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK, "[telemetry]\nlog_level = \"debug\"\n"])?)?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    world.drained(PATIENCE).await?;
    ensure!(world.bus.counts(DEAD_LETTERS)?.active == 1);
    Ok((world, worker))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_holds_what_helps_and_no_value_of_anybody() -> Result<()> {
    let (world, mut worker) = marked_world().await?;
    let log = world.folder().join("worker.log");
    std::fs::write(&log, worker.log()?)?;
    let file = world.folder().join("bundle.json");
    let output = binary::command()?
        .arg("support-bundle")
        .arg("--config")
        .arg(world.settings("")?)
        .arg("--worker")
        .arg(worker.address().await?)
        .arg("--log")
        .arg(&log)
        .arg(&file)
        .output()
        .await?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(std::fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600);

    let text = std::fs::read_to_string(&file)?;
    let bundle: Value = serde_json::from_str(&text)?;
    for part in ["settings", "check", "checkOnline", "status", "deadLetters"] {
        let output = bundle[part]["output"].as_object();
        ensure!(output.is_some_and(|output| !output.is_empty()), "{part}: {}", bundle[part]);
    }
    ensure!(bundle["checkOnline"]["exitCode"] == 0, "{}", bundle["checkOnline"]);
    let lines = |part: &Value| part.as_array().map_or(0, Vec::len);
    ensure!(lines(&bundle["metrics"]["output"]) > 100 && lines(&bundle["log"]) > 3, "{text}");
    ensure!(text.contains("UserNotFound") && text.contains(env!("CARGO_PKG_VERSION")), "{text}");

    for secret in [MARKER, graph::DEFAULT_SECRET, "SharedAccessKey=", "WORKER_KEY"] {
        ensure!(!text.contains(secret), "{secret} is in the bundle");
    }
    ensure!(worker.log()?.contains("UserNotFound"), "the log that was searched tells of the dead letter");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_had_is_said_and_the_rest_is_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("broken.toml");
    std::fs::write(&settings, "[service_bus]\nqueu = \"contacts\"\n")?;
    let command = || -> Result<_> {
        let mut command = binary::command()?;
        command.arg("support-bundle").arg("--config").arg(&settings).arg("-");
        Ok(command)
    };
    let output = command()?.output().await?;
    ensure!(output.status.success(), "{output:?}");
    let bundle: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(bundle["check"]["exitCode"] == 78, "{}", bundle["check"]);
    ensure!(bundle["check"]["output"]["findings"].to_string().contains("queu"), "{}", bundle["check"]);
    ensure!(bundle["status"]["errors"].to_string().contains("queu"), "{}", bundle["status"]);
    let failure = bundle["metrics"]["failure"].as_str().context("a reason")?;
    ensure!(failure.contains("queu"), "{failure}");

    let output = command()?.arg("--offline").output().await?;
    let bundle: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(bundle.get("status").is_none() && bundle["settings"]["exitCode"] == 78, "{bundle}");
    Ok(())
}
