//! `check --message`: what one captured body says about the settings; `check --online`: what the waiting ones do.

use anyhow::Result;
use serde_json::Value;
use tests::{
    message::{ContactChange, moment},
    quick::contact,
    world::{QUEUE, World},
};

use super::{USER, check, contactsync, text, world};

const WRONG: &str = r#"mapping.link_column = "adx_username""#;
const TEMPLATE: &str = r#"
[mapping]
preset = "custom"
rows = [{ template = "{firstname} {lastname}", property = "displayName", on_null = "keep" }]
"#;

fn change() -> ContactChange {
    ContactChange::new(contact(1), moment(1)).set("firstname", "Ada")
}

fn linked() -> ContactChange {
    change().after("adx_identity_username", USER.to_string()).after("lastname", "Lovelace")
}

/// What a body is judged to be: the code, and results with their texts.
async fn judged(world: &World, layers: &[&str], body: &[u8]) -> Result<(Option<i32>, String)> {
    let settings = world.layered(layers)?;
    let file = world.folder().join("body");
    std::fs::write(&file, body)?;
    let arguments = [
        "check",
        "--config",
        settings.to_str().unwrap_or_default(),
        "--message",
        file.to_str().unwrap_or_default(),
    ];
    let output = contactsync(world.folder(), &arguments, &[]).await?;
    let told = text(&output.stdout).to_owned();
    let json = contactsync(world.folder(), &[&arguments[..], &["--json"]].concat(), &[]).await?;
    let json: Value = serde_json::from_slice(&json.stdout)?;
    assert_eq!(json["ok"] == true, output.status.success(), "{json:#}");
    assert!(json["message"].as_array().is_some_and(|probes| !probes.is_empty()), "{json:#}");
    assert!(!told.contains("Lovelace") && !told.contains(&USER.to_string()), "values are told: {told}");
    Ok((output.status.code(), told))
}

/// A body is judged with this code, in these words among others.
async fn check_body(world: &World, layer: &str, body: &[u8], code: i32, parts: &[&str]) -> Result<()> {
    let (seen, told) = judged(world, &[layer], body).await?;
    assert_eq!(seen, Some(code), "{told}");
    for part in parts {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_tells_whether_the_settings_can_work() -> Result<()> {
    let world = world().await?;
    let (world, link) = (&world, "adx_identity_username");
    let good =
        ["adx_identity_username holds a GUID, in the post image", "firstname: in the target", "givenName"];
    check_body(world, "", &linked().body(), 0, &good).await?;
    let wrong = ["adx_username never holds a user", "set mapping.link_column = \"adx_identity_username\""];
    check_body(world, WRONG, &linked().body(), 1, &wrong).await?;
    let lacking = change().after("lastname", "Lovelace");
    let parts = ["neither in the target nor in an image", "add the column to the image of the step"];
    check_body(world, "", &lacking.body(), 1, &parts).await?;
    let parts = ["there is no post image of the contact", "no image came along"];
    check_body(world, "", &change().body(), 1, &parts).await?;
    let parts = ["warning  link", "the contact has no user"];
    check_body(world, "", &change().after(link, Value::Null).body(), 0, &parts).await?;
    let parts = ["holds text that is no object id"];
    check_body(world, "", &change().set(link, "ada").body(), 1, &parts).await?;
    let pre = change().before(link, USER.to_string());
    let parts = ["holds a GUID, in the pre image", "pre image PreImage with 1 columns"];
    check_body(world, "", &pre.body(), 0, &parts).await?;
    let parts = ["lastname: nowhere, and displayName needs it", "ColumnMissing"];
    check_body(world, TEMPLATE, &change().after(link, USER.to_string()).body(), 1, &parts).await?;
    check_body(world, "", b"hello", 1, &["neither JSON nor XML"]).await?;
    let foreign = r#"filter.organizations = ["00000000-0000-4000-8000-000000000007"]"#;
    check_body(world, foreign, &linked().body(), 1, &["is not in filter.organizations"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_dataverse_cut_is_told_as_such() -> Result<()> {
    let world = world().await?;
    let mut body: Value = serde_json::from_slice(&linked().body())?;
    body["InputParameters"] = serde_json::json!([]);
    body["PostEntityImages"] = serde_json::json!([]);
    let (code, told) = judged(&world, &[], &serde_json::to_vec(&body)?).await?;
    assert!(code == Some(1) && told.contains("whose columns Dataverse has removed"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_tells_whether_the_link_is_right() -> Result<()> {
    let world = world().await?;
    assert_eq!(check(&world, &[], &[], &[]).await?.probe("waiting messages").0, "ok");
    let unlinked = change().after("lastname", "Lovelace");
    world.post_changes(&vec![unlinked; 25]).await?;
    let told = check(&world, &[], &[], &[]).await?;
    assert_eq!(told.probe("link").0, "warning");
    assert!(told.probe("link").1.contains("looked at 25 changes"), "{:?}", told.probe("link"));
    assert_eq!(told.probe("mapped columns").0, "warning");
    assert!(told.probe("mapped columns").1.contains("emailaddress1 in none of 25 messages"));

    world.post_changes(&[linked()]).await?;
    let told = check(&world, &[], &[], &[]).await?;
    assert_eq!(
        told.probe("link"),
        ("ok", "adx_identity_username shows the user in 1 of 26 changes that need it", "")
    );
    let told = check(&world, &[WRONG], &[], &[]).await?;
    assert_eq!((told.code, told.probe("link").0), (Some(1), "failed"));
    assert!(told.probe("link").2.contains("set mapping.link_column = \"adx_identity_username\""));
    assert!(!told.told.to_string().contains("Lovelace"), "values are told");
    let contents = world.bus.contents(QUEUE)?;
    assert!(
        contents.len() == 26 && contents.iter().all(|view| view.delivery_count == 0),
        "nothing was taken"
    );
    Ok(())
}
