//! The status page of a real worker in a real, headless browser: healthy, paused, and with the breaker open.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use emulator::graph::{Fault, User};
use tests::{
    message::{ContactChange, moment},
    world::{Options, Worker, World},
};
use tokio::{process::Command, time::timeout};
use uuid::Uuid;

/// Probes are so far apart that the page is looked at in between.
const SETTINGS: &str = "[throttle]\nfirst_probe = \"10m\"\nlongest_probe = \"10m\"\n[retry]\ntries = 100\n\
                        first_delay = \"20ms\"\nlongest_delay = \"100ms\"\n";

#[expect(clippy::print_stdout, reason = "a program for people and continuous integration")]
#[tokio::main]
async fn main() -> Result<()> {
    check("Healthy", None, &["applied to the user", "12"]).await?;
    check(
        "Paused",
        Some(Fault::unauthorized().always()),
        &["What to do: ", "Grant the app", "Since ", "Next try at "],
    )
    .await?;
    check(
        "Breaker open",
        Some(Fault::status(503).patches().always()),
        &["What to do: ", "disturbed", ": 503 ", "Next try at "],
    )
    .await?;
    println!("The page shows a worker that is healthy, paused, and with the breaker open.");
    Ok(())
}

/// A worker in a world with this fault must show this headline, and these parts.
async fn check(headline: &str, fault: Option<Fault>, parts: &[&str]) -> Result<()> {
    let world = World::start(Options::default()).await?;
    let mut changes = Vec::new();
    for number in 1..=12_u128 {
        let user = Uuid::from_u128(0x5555_1111_2222_4333_8444_0000_0000_0000 + number);
        world.graph.add_user(User::new(user))?;
        let change = ContactChange::new(Uuid::from_u128(number), moment(1)).set("firstname", "Ada");
        changes.push(change.set("adx_identity_username", user.to_string()));
    }
    if let Some(fault) = fault {
        world.graph.script(fault);
    }
    world.post_changes(&changes).await?;
    let mut worker = world.start_worker(&world.layered(&[SETTINGS])?)?;
    let state = headline.to_lowercase().replace(' ', "_").replace("healthy", "open");
    let wanted = format!("\"state\":\"{state}\"");
    let settled = if headline == "Healthy" { "\"applied\":12" } else { "" };
    worker
        .page_until("/status.json", |page| page.text.contains(&wanted) && page.text.contains(settled))
        .await?;
    let seen = browse(&mut worker).await?;
    ensure!(seen.contains(&format!(">{headline}</h2>")), "no headline {headline} in:\n{seen}");
    ensure!(seen.contains("as of "), "the page was not refreshed:\n{seen}");
    for part in parts {
        ensure!(seen.contains(part), "{part} is missing in:\n{seen}");
    }
    Ok(())
}

/// The page as the browser has it after its script has run.
async fn browse(worker: &mut Worker) -> Result<String> {
    let profile = tempfile::TempDir::new()?;
    let mut browser = Command::new("chromium");
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=3000", "--dump-dom"])
        .arg(worker.address().await?)
        .kill_on_drop(true);
    let output = timeout(Duration::from_mins(2), browser.output()).await.context("the browser hangs")??;
    ensure!(output.status.success(), "the browser failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
