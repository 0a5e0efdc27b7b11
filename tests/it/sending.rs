//! `contactsync send`, as the real binary.

use std::path::Path;

use anyhow::{Context, Result};
use tests::{
    binary,
    world::{Options, QUEUE, World},
};

/// The same change in the three formats of Dataverse.
const FORMATS: [(&str, &str); 3] =
    [("json", "application/json"), ("xml", "application/xml"), ("msbin1", "application/msbin1")];

struct Sent {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn send(world: &World, arguments: &[&str]) -> Result<Sent> {
    let contexts = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contexts");
    let mut command = binary::command()?;
    command.arg("send").args(arguments).arg("--config").arg(world.settings("")?).current_dir(contexts);
    let output = command.kill_on_drop(true).output().await.context("contactsync cannot be started")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Sent { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_format_arrive_in_order_as_dataverse_announces_them() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let files = FORMATS.map(|(ending, _)| format!("contact-update-portal-identity.{ending}"));
    let sent = send(&world, &files.each_ref().map(String::as_str)).await?;
    assert_eq!(sent.code, Some(0), "{}", sent.err);
    assert_eq!(sent.out.lines().count(), 3, "{}", sent.out);
    let stored = world.bus.contents(QUEUE)?;
    assert_eq!(stored.len(), 3);
    for ((line, (_, media_type)), view) in sent.out.lines().zip(FORMATS).zip(&stored) {
        let id = view.message.message_id().context("has an id")?;
        assert!(line.contains(media_type) && line.ends_with(&id), "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_is_sent_only_if_asked_for() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let good = "contact-update-portal-identity.json";
    // The manifest of a package is none of the formats.
    let bad = "../../Cargo.toml";
    let refused = send(&world, &[good, bad]).await?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("nothing was sent") && refused.err.contains("--anyway"), "{}", refused.err);
    assert_eq!(world.bus.contents(QUEUE)?.len(), 0);
    let sent = send(&world, &[good, bad, "--anyway", "--json"]).await?;
    assert_eq!((sent.code, world.bus.contents(QUEUE)?.len()), (Some(0), 2), "{}", sent.err);
    let told: Vec<serde_json::Value> =
        sent.out.lines().map(serde_json::from_str).collect::<Result<_, _>>().context(sent.out.clone())?;
    assert_eq!((&told[0]["contentType"], &told[1]["contentType"]), (&"application/json".into(), &().into()));
    Ok(())
}
