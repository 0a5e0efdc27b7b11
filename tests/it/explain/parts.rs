//! Each part is told by itself: what cannot be asked says so, and the rest is shown.

use anyhow::Result;
use serde_json::{Value, json};
use tests::explained;

use super::{PATIENCE, contact, renamed, settings, text, user, world};

async fn document(
    settings: &std::path::Path,
    id: super::Uuid,
    more: &[&str],
) -> Result<(Option<i32>, Value)> {
    let (code, out, err) = explained::run(settings, &[&[&*id.to_string(), "--json"], more].concat()).await?;
    Ok((code, serde_json::from_str(&out).map_err(|error| anyhow::anyhow!("{error}: {out}{err}"))?))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_what_is_dead_and_how_the_user_is_now_stand_beside_the_story() -> Result<()> {
    let world = world(1).await?;
    let settings = settings(&world, &[])?;
    world.post_changes(&[renamed(1, 1, "Ada"), renamed(1, 2, &"x".repeat(65))]).await?;
    let worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    world.post_changes(&[renamed(1, 3, "Grace"), renamed(2, 1, "Other")]).await?;

    let (code, told) = document(&settings, contact(1), &[]).await?;
    assert_eq!((code, &told["is"]), (Some(0), &json!(["contact"])));
    assert_eq!(told["queue"]["messages"].as_array().map(Vec::len), Some(1), "{told:#}");
    assert_eq!(told["queue"]["messages"][0]["wouldBe"]["outcome"], "write");
    let letter = &told["deadLetters"]["messages"][0];
    assert_eq!(
        (&letter["reason"], &letter["contacts"]),
        (&json!("ValueInvalid"), &json!([contact(1).to_string()]))
    );
    assert!(letter["job"].is_string(), "{letter}");
    let directory = &told["directory"][0];
    assert_eq!((&directory["user"], &directory["exists"]), (&json!(user(1).to_string()), &json!(true)));
    assert_eq!(directory["mark"]["versions"][0]["property"], "givenName", "{directory}");
    assert_eq!(
        told["journal"]["writes"][0]["user"],
        json!(user(1).to_string()),
        "the messages tell who it is"
    );

    // The same by the job that posted the dead letter.
    let job = letter["job"].as_str().unwrap_or_default().parse()?;
    let (code, told) = document(&settings, job, &[]).await?;
    assert_eq!((code, &told["is"]), (Some(0), &json!(["job"])));
    assert_eq!(told["journal"]["messages"][0]["outcome"], "dead_lettered");

    let told = text(&settings, contact(1), &[]).await?;
    for part in [
        "Journal\n",
        "Queue\n",
        "Dead letters\n",
        "Directory\n",
        "PATCH 204 request-id",
        "applied",
        "would be: write",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_says_so_and_the_rest_is_told() -> Result<()> {
    let world = world(1).await?;
    let settings_of = |layers: &[&str]| settings(&world, layers);
    let good = settings_of(&[])?;
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    let worker = world.start_worker(&good)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;

    let secret = settings_of(&["identity.client_secret = \"wrong\""])?;
    let (code, told) = document(&secret, user(1), &[]).await?;
    assert_eq!((code, told["journal"]["messages"][0]["outcome"].as_str()), (Some(0), Some("applied")));
    assert!(told["directory"]["unknown"].is_string() && told["directory"]["remedy"].is_string(), "{told:#}");
    assert_eq!(told["queue"]["messages"], json!([]));

    let elsewhere = settings_of(&["journal.path = \"/nowhere/at/all\""])?;
    let (code, told) = document(&elsewhere, user(1), &[]).await?;
    assert_eq!((code, &told["directory"][0]["exists"]), (Some(0), &json!(true)));
    assert!(told["journal"]["unknown"].is_string(), "{told:#}");
    let folder = world.folder().join("journal").display().to_string();
    let (code, told) = document(&elsewhere, user(1), &["--offline", "--journal", &folder]).await?;
    assert_eq!((code, &told["queue"], &told["is"]), (Some(0), &Value::Null, &json!(["user"])));

    // The journal alone needs neither queue nor secret.
    let path = world.folder().join("only.toml");
    std::fs::write(&path, format!("journal.path = {folder:?}\n"))?;
    let (code, told) = document(&path, user(1), &["--offline"]).await?;
    assert_eq!((code, &told["journal"]["messages"][0]["outcome"]), (Some(0), &json!("applied")));
    let (code, _) = document(&path, user(77), &["--offline"]).await?;
    assert_eq!(code, Some(1), "nothing is known of him");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_written_costs_no_message_and_is_seen() -> Result<()> {
    let world = world(1).await?;
    let settings = settings(&world, &["journal.path = \"/nowhere/at/all\""])?;
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    let worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"));
    assert_eq!(log.matches("the journal cannot be written").count(), 1, "{log}");
    Ok(())
}
