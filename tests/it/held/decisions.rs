//! What is held and what flows, how it is told, and what comes of letting through and taking out.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;
use servicebus::{ApplicationValue, Outgoing, Queue};
use tests::{
    PATIENCE,
    quick::{self, renamed, user, world},
    world::QUEUE,
};

use super::{CLERK, IMPORTER, MOST, held, json, mended, named, row, settings, settled};
use crate::replay::contactsync;

/// Rows of the import, and users who are changed beside it.
const ROWS: u128 = 300;
const BESIDE: u128 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_import_is_held_aside_and_everything_else_flows() -> Result<()> {
    let world = world(ROWS + BESIDE).await?;
    let settings = settings(&world, &[])?;
    let mut worker = world.start_worker(&settings)?;
    let mut changes: Vec<_> = (1..=ROWS).map(row).collect();
    // Others are changed by the clerk; some of the import as well, and he knows better.
    changes.extend((ROWS + 1..=ROWS + BESIDE).map(|number| renamed(number, 1, "Ada").by(CLERK)));
    changes.extend((ROWS - BESIDE + 1..=ROWS).map(mended));
    // Another property of the import flows, as long as it is of few.
    changes.extend((1..=5).map(|number| renamed(number, 2, "Grace").by(IMPORTER)));
    world.post_changes(&changes).await?;
    let rows = usize::try_from(ROWS)?;
    settled(&world, rows - MOST).await?;
    assert_eq!(named(&world, ROWS, "Wrong"), MOST, "as many as allowed, and no more");
    assert_eq!(named(&world, ROWS, "Right"), usize::try_from(BESIDE)?, "newer than what is held");
    for number in (1..=5).chain(ROWS + 1..=ROWS + BESIDE) {
        assert!(world.user(user(number))?.text("givenName").is_some(), "{number}");
    }

    // Everybody who looks is told.
    let count = rows - MOST;
    let line = format!("\ncontactsync_mass_change_messages {count}\n");
    let page = worker.page_until("/metrics", |page| page.text.contains(&line)).await?;
    assert!(page.text.contains("contactsync_warning{kind=\"mass_change\"} 1"), "{}", page.text);
    assert!(page.text.contains("contactsync_mass_change_streams 1"), "{}", page.text);
    assert!(page.text.contains(&format!("contactsync_mass_change_peak {MOST}")), "{}", page.text);
    let ready = worker.page("/readyz").await?;
    assert_eq!(ready.status, 200, "a worker that holds something aside is ready: {ready:?}");
    assert!(ready.text.contains("contactsync held list"), "{}", ready.text);
    let status: serde_json::Value = serde_json::from_str(&worker.page("/status.json").await?.text)?;
    let told = &status["heldAside"];
    assert_eq!((&told["messages"], &told["streams"]), (&json!(count), &json!(1)), "{told}");
    assert_eq!(told["largest"][0]["author"], json!(format!("user:{IMPORTER}")));
    assert_eq!(told["largest"][0]["property"], json!("surname"));

    let list = json(held(&settings, "list --json").await?);
    let stream = &list["streams"][0];
    assert_eq!((&list["messages"], &stream["messages"]), (&json!(count), &json!(count)), "{list}");
    assert_eq!((&stream["kind"], &stream["author"]), (&json!("rewritten"), &json!({"user": IMPORTER})));
    let text = held(&settings, "list").await?.expect(0).out;
    assert!(text.contains(&format!("{count} messages are held aside")), "{text}");
    let each = held(&settings, &format!("list --each --user {}", user(ROWS))).await?.expect(0).out;
    assert!(
        each.contains(&quick::contact(ROWS).to_string()) && each.contains("1 message is held aside"),
        "{each}"
    );

    // Nobody has said yes, and then somebody has.
    let asked = held(&settings, "approve --all").await?.expect(1);
    assert!(asked.out.contains("--yes does it"), "{}", asked.out);
    assert_eq!(world.bus.counts(QUEUE)?.scheduled, count);
    held(&settings, "approve --yes").await?.expect(1);
    let approved = json(held(&settings, "approve --all --yes --rate 2000 --json").await?);
    assert_eq!(approved, json!({"approved": count, "gone": 0, "failed": null}));
    world.drained(PATIENCE).await?;
    assert_eq!(named(&world, ROWS, "Wrong"), rows - usize::try_from(BESIDE)?);
    assert_eq!(named(&world, ROWS, "Right"), usize::try_from(BESIDE)?, "what is newer stays");
    worker
        .page_until("/metrics", |page| page.text.contains("\ncontactsync_mass_change_messages 0\n"))
        .await?;

    // The rest of the import flows, because its stream was let through.
    world
        .post_changes(&(1..=ROWS).map(|number| row(number).set("firstname", "Eve")).collect::<Vec<_>>())
        .await?;
    settled(&world, rows - MOST).await.context("another property is held by itself")?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_let_through_flows_on() -> Result<()> {
    let world = world(120).await?;
    let settings = settings(&world, &[])?;
    let worker = world.start_worker(&settings)?;
    world.post_changes(&(1..=60).map(row).collect::<Vec<_>>()).await?;
    settled(&world, 60 - MOST).await?;
    json(held(&settings, &format!("approve --by {IMPORTER} --yes --rate 2000 --json")).await?);
    world.drained(PATIENCE).await?;
    world.post_changes(&(61..=120).map(row).collect::<Vec<_>>()).await?;
    world.drained(PATIENCE).await?;
    assert_eq!(named(&world, 120, "Wrong"), 120);
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_is_exported_and_never_written() -> Result<()> {
    let world = world(60).await?;
    let settings = settings(&world, &[])?;
    let worker = world.start_worker(&settings)?;
    let blank = |number| quick::change(number, 1_000).set("lastname", serde_json::Value::Null).by(IMPORTER);
    world.post_changes(&(1..=60).map(|number| row(number).by(CLERK)).take(MOST).collect::<Vec<_>>()).await?;
    world.drained(PATIENCE).await?;
    world.post_changes(&(1..=60).rev().map(blank).collect::<Vec<_>>()).await?;
    settled(&world, 60 - MOST).await?;
    assert_eq!(named(&world, 60, "Wrong"), MOST, "those who have a name are not reached");
    held(&settings, "reject --kind blanked").await?.expect(1);
    let file = world.folder().join("rejected.jsonl");
    let arguments = format!("reject --kind blanked --yes --json --export {}", file.display());
    let rejected = json(held(&settings, &arguments).await?);
    assert_eq!(rejected["rejected"], json!(60 - MOST), "{rejected}");
    world.drained(PATIENCE).await?;
    assert_eq!(fs::read_to_string(&file)?.lines().count(), 60 - MOST);
    assert_eq!(named(&world, 60, "Wrong"), MOST);
    // Rejected by mistake: the file is one that replay takes.
    let dry = contactsync(&settings, &format!("replay --dry-run --from {}", file.display())).await?.expect(0);
    assert!(dry.out.contains("surname"), "{}", dry.out);
    let none = held(&settings, "list").await?.expect(0);
    assert_eq!(none.out, "Nothing is held aside.\n");
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_due_without_a_decision_is_held_again() -> Result<()> {
    let world = world(1).await?;
    // Not even where the guard is off by now.
    let settings = world.layered(&[quick::QUICK, quick::GUARDED])?;
    let sender = world.sender()?;
    let properties = [
        ("contactsync-attempt", ApplicationValue::I64(1)),
        ("contactsync-held-since", ApplicationValue::I64(1_700_000_000_000)),
        ("contactsync-held-for", format!("user:{IMPORTER} surname=rewritten").as_str().into()),
    ];
    let message = Outgoing {
        content_type: Some("application/json".into()),
        properties: properties.into_iter().collect(),
        body: row(1).body().into(),
        ..Outgoing::default()
    };
    sender.send(message).await?;
    sender.close().await;
    let worker = world.start_worker(&settings)?;
    settled(&world, 1).await?;
    let list = json(held(&settings, "list --json").await?);
    assert_eq!(
        list["streams"][0]["since"],
        json!("2023-11-14T22:13:20Z"),
        "since then, and not anew: {list}"
    );
    assert_eq!(named(&world, 1, "Wrong"), 0);
    json(held(&settings, "approve --property surname --yes --json").await?);
    world.drained(PATIENCE).await?;
    assert_eq!(named(&world, 1, "Wrong"), 1);
    worker.stop().await?;
    Ok(())
}
