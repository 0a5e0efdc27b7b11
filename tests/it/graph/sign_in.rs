//! The preset for Azure AD B2C: the address goes to `otherMails` and to the sign-in address of local users, and
//! `mail`, which keeps ten values for life, is never touched.

use anyhow::Result;
use emulator::graph::{Identity, User};
use serde_json::json;
use tests::{message::ContactChange, world::World};
use uuid::Uuid;

use super::{B2C, b2c_world, change, run, user};

const DOMAIN: &str = "contoso.onmicrosoft.com";

fn local(addresses: &[&str]) -> User {
    addresses.iter().fold(User::new(user(1)), |user, address| user.with_identity(Identity::email(address)))
}

fn email(at: usize, address: &str) -> ContactChange {
    change(1, at).before("adx_identity_username", user(1).to_string()).set("emailaddress1", address)
}

/// Signs in, social accounts, and the principal name, in the order of the directory.
fn identities(world: &World, id: Uuid) -> Result<Vec<(String, String)>> {
    let user = world.user(id)?;
    Ok(user.identities.iter().map(|one| (one.sign_in_type.clone(), one.issuer_assigned_id.clone())).collect())
}

fn principal() -> (String, String) {
    ("userPrincipalName".to_owned(), format!("{}@{DOMAIN}", user(1)))
}

fn signs_in(kind: &str, id: &str) -> (String, String) {
    (kind.to_owned(), id.to_owned())
}

fn assert_mail_was_never_written(world: &World) {
    assert!(!world.patches().iter().any(|patch| patch.changed().any(|property| property == "mail")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_address_follows_the_contact_and_everything_else_stays() -> Result<()> {
    let before = local(&["old@example.com"])
        .with("mail", "never@example.com")
        .with_identity(Identity::federated("google.com", "118"))
        .with_identity(Identity::federated("facebook.com", "fb-7"));
    let world = b2c_world([before]).await?;
    let log = run(&world, &[B2C], &[email(1, " new@example.com ")]).await?;
    assert_eq!(
        identities(&world, user(1))?,
        [
            signs_in("emailAddress", "new@example.com"),
            signs_in("federated", "118"),
            signs_in("federated", "fb-7"),
            principal()
        ],
        "{log}"
    );
    let ada = world.user(user(1))?;
    assert_eq!(ada.get("otherMails"), json!(["new@example.com"]));
    assert_eq!(ada.text("mail"), Some("never@example.com"));
    assert_eq!(world.patches().len(), 1, "one write carries both places");
    assert_mail_was_never_written(&world);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_social_accounts_only_keeps_them_and_gets_the_address_as_another_mail() -> Result<()> {
    let social = User::new(user(1)).with_identity(Identity::federated("google.com", "118"));
    let world = b2c_world([social]).await?;
    let log = run(&world, &[B2C], &[email(1, "new@example.com")]).await?;
    assert_eq!(identities(&world, user(1))?, [signs_in("federated", "118"), principal()], "{log}");
    assert_eq!(world.user(user(1))?.get("otherMails"), json!(["new@example.com"]));
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_the_one_before_the_change_is_replaced() -> Result<()> {
    let world = b2c_world([local(&["other@example.com", "Old@Example.com"])]).await?;
    let log = run(&world, &[B2C], &[email(1, "new@example.com").before("emailaddress1", "old@example.com")])
        .await?;
    assert_eq!(
        identities(&world, user(1))?,
        [
            signs_in("emailAddress", "other@example.com"),
            signs_in("emailAddress", "new@example.com"),
            principal()
        ],
        "{log}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_without_a_clue_none_is_touched_and_a_person_is_told() -> Result<()> {
    for previous in [None, Some("stranger@example.com")] {
        let world = b2c_world([local(&["a@example.com", "b@example.com"])]).await?;
        let mut changed = email(1, "new@example.com");
        if let Some(previous) = previous {
            changed = changed.before("emailaddress1", previous);
        }
        let log = run(&world, &[B2C], &[changed]).await?;
        assert_eq!(world.reasons()?, ["SignInAmbiguous"], "{log}");
        assert_eq!(world.patches().len(), 0);
        assert!(!world.letters()?[0].description.contains("example.com"), "personal data");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_there_already_leaves_the_identities_alone() -> Result<()> {
    let world = b2c_world([local(&["Ada@Example.com"])]).await?;
    run(&world, &[B2C], &[email(1, "ada@example.com")]).await?;
    assert_eq!(identities(&world, user(1))?[0], signs_in("emailAddress", "Ada@Example.com"));
    assert!(!world.patches().iter().any(|patch| patch.changed().any(|property| property == "identities")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_changes_of_address_reach_an_account_that_takes_ten_values_of_mail() -> Result<()> {
    let world = b2c_world([local(&["v0@example.com"])]).await?;
    let worker = super::start(&world, &[B2C])?;
    for at in 1..=20 {
        let address = format!("v{at}@example.com");
        world.post_changes(&[email(at, &address)]).await?;
        let is_there = |user: &User| user.sign_in_addresses().any(|found| found == address);
        world.graph.wait_for_user(user(1), super::PATIENCE, is_there).await?;
    }
    world.drained(super::PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    assert_mail_was_never_written(&world);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_address_leaves_the_user_able_to_sign_in() -> Result<()> {
    let world =
        b2c_world([local(&["ada@example.com"]).with("otherMails", json!(["ada@example.com"]))]).await?;
    let emptied = change(1, 1).set("emailaddress1", serde_json::Value::Null).set("firstname", "Ada");
    let log = run(&world, &[B2C], &[emptied]).await?;
    let ada = world.user(user(1))?;
    assert_eq!(ada.text("givenName"), Some("Ada"), "{log}");
    assert_eq!(ada.sign_in_addresses().collect::<Vec<_>>(), ["ada@example.com"]);
    assert_eq!(ada.get("otherMails"), json!(["ada@example.com"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_lag_behind_do_not_keep_the_newest_address_out() -> Result<()> {
    let world = b2c_world([local(&["v0@example.com"])]).await?;
    world.graph.set_stale_reads(std::time::Duration::from_secs(5));
    let worker = super::start(&world, &[B2C])?;
    for (at, address) in ["v1@example.com", "v2@example.com", "v3@example.com"].into_iter().enumerate() {
        world.post_changes(&[email(at, address)]).await?;
        let is_there = |user: &User| user.sign_in_addresses().eq([address]);
        world.graph.wait_for_user(user(1), super::PATIENCE, is_there).await?;
    }
    world.drained(super::PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(
        identities(&world, user(1))?,
        [signs_in("emailAddress", "v3@example.com"), principal()],
        "{log}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_comes_back_is_written_although_a_lagging_read_still_shows_it() -> Result<()> {
    let world = b2c_world([local(&["a@example.com"])]).await?;
    world.graph.set_stale_reads(std::time::Duration::from_secs(5));
    let worker = super::start(&world, &[B2C])?;
    for (at, address) in ["b@example.com", "a@example.com"].into_iter().enumerate() {
        world.post_changes(&[email(at, address)]).await?;
        world
            .graph
            .wait_for_user(user(1), super::PATIENCE, |user| user.get("otherMails") == json!([address]))
            .await?;
    }
    world.drained(super::PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(
        identities(&world, user(1))?,
        [signs_in("emailAddress", "a@example.com"), principal()],
        "{log}"
    );
    Ok(())
}
