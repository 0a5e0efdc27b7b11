//! `verify --fire`: one contact from Dataverse to its user.

use std::process::Stdio;

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::json;
use tests::quick::user;
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

use super::{Ground, text};

const CONTACT: Uuid = Uuid::from_u128(0xc1);
const USER: Uuid = user(1);

/// A registered environment with a contact that has a user, and nothing in the queue.
async fn linked() -> Result<Ground> {
    let ground = Ground::new().await?;
    let person =
        User::new(USER).with("givenName", "Ada").with("surname", "King").with("mail", "ada@example.com");
    ground.place.world.graph.add_user(person)?;
    let contact = json!({
        "firstname": "Ada", "lastname": "King", "emailaddress1": "ada@example.com",
        "adx_identity_username": USER.to_string(),
    });
    ground.write("contacts", CONTACT, &contact)?;
    ground.register().await?;
    Ok(ground)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_followed_to_its_user() -> Result<()> {
    let ground = linked().await?;
    let contact = CONTACT.to_string();
    let mut child = ground
        .command(&["verify", "--fire", &contact])?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
    let mut said = Vec::new();
    let mut worker = None;
    while let Some(line) = lines.next_line().await? {
        // The worker begins once the message was seen: it would take it before anybody can look.
        if line.starts_with("message") {
            worker = Some(ground.place.world.start_worker(&ground.settings)?);
        }
        said.push(line);
    }
    let status = child.wait().await?;
    let all = said.join("\n");
    assert!(status.success(), "{all}");
    let places: Vec<_> = ["written", "message", "taken", "user", "It arrived."]
        .iter()
        .map(|word| said.iter().position(|line| line.starts_with(word)))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{all}");
    assert!(!all.contains("Ada"), "no values");
    worker.context("the message was seen")?.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_is_told_by_how_far_it_came() -> Result<()> {
    let ground = linked().await?;
    let contact = CONTACT.to_string();
    let fire = ["verify", "--wait", "3s", "--fire", &contact];
    let (code, told) = ground.told(&fire).await?;
    let fired = &told["fire"];
    assert_eq!((code, &fired["arrived"]), (Some(1), &json!(false)), "{told:#}");
    assert!(fired["messageMs"].is_u64() && fired["takenMs"].is_null(), "{told:#}");

    // A wrong key: the job fails, and says why.
    ground.write("serviceendpoints", ground.endpoint()?, &json!({"saskey": "wrong"}))?;
    let failed = ground.run(&fire).await?;
    let said = text(&failed.stdout);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("failed with 0x8004417"), "{said}");

    // A step that does not fire leaves no trace, and that is said.
    let step = ground.step("Update")?;
    ground.write("sdkmessageprocessingsteps", step, &json!({"statecode": 1, "statuscode": 2}))?;
    let (code, told) = ground.told(&fire).await?;
    assert_eq!((code, &told["fire"]["messageMs"]), (Some(1), &json!(null)), "{told:#}");
    Ok(())
}
