//! `run --dry-run`: everything is told, nothing is touched.

use std::process::Stdio;

use anyhow::{Context, Result};
use emulator::broker::Counts;
use tests::{
    PATIENCE, binary,
    message::ContactChange,
    quick::{contact, linked},
    world::{QUEUE, World},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};
use uuid::Uuid;

use super::{USER, contactsync, text, world};

/// A change of the user, of a contact without a user, and of one whose link is no id.
fn changes() -> [ContactChange; 3] {
    let change = |at, link: &str| linked(1, at, link).set("firstname", "Ada").set("lastname", "Lovelace");
    [change(1, &USER.to_string()), change(2, ""), change(3, "ada")]
}

async fn dry_run(world: &World, arguments: &[&str]) -> Result<String> {
    let settings = world.layered(&[])?;
    let settings = settings.to_str().context("a path of text")?;
    let arguments = [&["run", "--dry-run", "--once", "--config", settings], arguments].concat();
    let output = contactsync(world.folder(), &arguments, &[]).await?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("Lovelace"), "{}", text(&output.stderr));
    Ok(without_jobs(text(&output.stdout)))
}

/// By what each message can be found again.
fn told_ids() -> String {
    format!("  (contact {}, job ID)", contact(1))
}

/// Without the ids of system jobs, which no two bodies have in common.
fn without_jobs(text: &str) -> String {
    let mut parts = text.split(", job ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (job, rest) = part.split_at(36);
        assert!(Uuid::try_parse(job).is_ok(), "{job}");
        text + ", job ID" + rest
    })
}

fn untouched(world: &World, before: Counts) -> Result<()> {
    assert_eq!(world.bus.counts(QUEUE)?, before);
    assert_eq!(world.reasons()?, Vec::<String>::new());
    assert_eq!(world.patches().len(), 0);
    let delivered = world.bus.contents(QUEUE)?.iter().map(|view| view.delivery_count).max();
    assert_eq!(delivered, Some(0), "no delivery was counted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_told_by_names_and_none_is_touched() -> Result<()> {
    let world = world().await?;
    world.post_changes(&changes()).await?;
    let before = world.bus.counts(QUEUE)?;
    let told = dry_run(&world, &[]).await?;
    let ids = told_ids();
    assert_eq!(
        told,
        format!(
            "1       would write  user {USER}: givenName, surname{ids}\n\
             2       nothing      the contact has no user: its link column is empty{ids}\n\
             3       dead letter  UserLinkInvalid: adx_identity_username is not the object id of a user (a GUID); set it \
             to the object id, or clear it if the contact does not sign in through this directory{ids}\n\
             Looked at 3 messages and took none. 1 writes to 1 users (fewer where changes of one user meet), 1 messages \
             that need nothing, 1 that would be dead letters.\n"
        )
    );
    untouched(&world, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_shown_to_those_who_ask_and_graph_is_asked_on_demand() -> Result<()> {
    let world = world().await?;
    world.post_changes(&changes()[..1]).await?;
    let before = world.bus.counts(QUEUE)?;
    let told = dry_run(&world, &["--values", "--online"]).await?;
    let first = told.lines().next().unwrap_or_default();
    let ids = told_ids();
    assert_eq!(
        first,
        format!(
            "1       would write  user {USER}: givenName = \"Ada\", surname = \"Lovelace\"; Graph has surname already{ids}"
        )
    );
    untouched(&world, before)?;
    let json = dry_run(&world, &["--json", "--online"]).await?;
    let mut lines = json.lines().map(serde_json::from_str::<serde_json::Value>);
    let first = lines.next().context("a line")??;
    assert_eq!(first["writes"][0]["already"], serde_json::json!(["surname"]));
    assert_eq!(first["writes"][0]["properties"], serde_json::json!(["givenName", "surname"]));
    assert!(!json.contains("Lovelace"), "{json}");
    assert_eq!(lines.next().context("a summary")??["summary"]["writes"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_production_it_follows_what_comes_until_it_is_told_to_stop() -> Result<()> {
    let world = world().await?;
    let settings = world.layered(&[])?;
    let mut child = binary::command()?
        .args(["run", "--dry-run", "--config"])
        .arg(&settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
    let [write, nothing, _] = changes();
    for (change, expected) in [(write, "1       would write"), (nothing, "2       nothing")] {
        world.post_changes(&[change]).await?;
        let line = timeout(PATIENCE, lines.next_line()).await??.context("a line")?;
        assert!(line.starts_with(expected), "{line}");
    }
    let id = child.id().context("it runs")?;
    tests::world::signal("TERM", id).await?;
    let line = timeout(PATIENCE, lines.next_line()).await??.context("a summary")?;
    assert!(line.starts_with("Looked at 2 messages and took none."), "{line}");
    assert!(timeout(PATIENCE, child.wait()).await??.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_a_dry_run_are_for_dry_runs_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for option in ["--once", "--values", "--online", "--json"] {
        let output = contactsync(folder.path(), &["run", option], &[]).await?;
        assert_eq!(output.status.code(), Some(2), "{option}");
    }
    Ok(())
}
