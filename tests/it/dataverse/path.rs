//! A person changes a contact in Dataverse, and the user in the directory has it.

use anyhow::Result;
use emulator::{dataverse::pipeline::format::Format, graph::User};
use serde_json::json;
use tests::{
    PATIENCE,
    organization::Organization,
    quick::{QUICK, contact, user},
    world::{Options, World},
};

async fn check_path(format: Format) -> Result<()> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("givenName", "Ada").with("surname", "Byron"))?;
    let organization = Organization::start(&world).await?;
    let link = json!({"adx_identity_username": user(1).to_string(), "firstname": "Ada", "lastname": "Byron"});
    organization.change(contact(1), &link).await?;
    organization.register(&world, format)?;
    let worker = world.start_worker(&world.settings(QUICK)?)?;

    organization.change(contact(1), &json!({"firstname": "Augusta", "lastname": "King"})).await?;
    let is_king =
        |user: &User| user.text("surname") == Some("King") && user.text("givenName") == Some("Augusta");
    world.graph.wait_for_user(user(1), PATIENCE, is_king).await?;

    // The link is not in the request, so it can only come from the image.
    organization.change(contact(1), &json!({"firstname": null})).await?;
    world.graph.wait_for_user(user(1), PATIENCE, |user| user.text("surname") == Some("King")).await?;
    organization.delete(contact(1)).await?;
    organization.dataverse.wait_for_rows("asyncoperation", PATIENCE, <[_]>::is_empty).await?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert!(world.bus.contents(tests::world::DEAD_LETTERS)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_change_by_the_web_api_reaches_the_user_in_binary_xml() -> Result<()> {
    check_path(Format::Binary).await
}

#[tokio::test]
async fn a_change_by_the_web_api_reaches_the_user_in_json() -> Result<()> {
    check_path(Format::Json).await
}

#[tokio::test]
async fn a_change_by_the_web_api_reaches_the_user_in_text_xml() -> Result<()> {
    check_path(Format::Text).await
}
