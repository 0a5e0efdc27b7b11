//! Addresses of people: lists keep what is not the contact's, who signs in with a code is moved too, and an address that
//! somebody else has keeps back nothing but itself.

use std::time::Duration;

use anyhow::Result;
use emulator::graph::{Fault, Identity, Profile, User};
use serde_json::{Value, json};
use tests::{
    message::ContactChange,
    world::{Options, World},
};
use uuid::Uuid;

use super::{B2C, GUARDED, PATIENCE, assert_tally, b2c_world, change, run, start, user, world_with};

/// What an installation on Entra External ID sets.
const EXTERNAL_ID: &str = r#"mapping.preset = "external_id""#;

async fn external_world(users: impl IntoIterator<Item = User>) -> Result<World> {
    let mut options = Options::default();
    options.graph.profile = Profile::ExternalId;
    let world = world_with(options, 0).await?;
    for user in users {
        world.graph.add_user(user)?;
    }
    Ok(world)
}

/// The contact of a user gets this address.
fn moved(number: u128, at: usize, from: &str, to: &str) -> ContactChange {
    change(number, at)
        .before("adx_identity_username", user(number).to_string())
        .before("emailaddress1", from)
        .set("emailaddress1", to)
}

fn local(number: u128, address: &str) -> User {
    User::new(user(number)).with_identity(Identity::email(address))
}

fn signs_in(world: &World, id: Uuid) -> Result<Vec<(String, String)>> {
    let identities = world.user(id)?.identities;
    let named = identities.into_iter().filter(|one| one.sign_in_type != "userPrincipalName");
    Ok(named.map(|one| (one.issuer, one.issuer_assigned_id)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_mails_keep_what_is_not_the_contacts() -> Result<()> {
    let has = json!(["x@example.com", "Old@Example.com", "y@example.com"]);
    let world = b2c_world([local(1, "old@example.com").with("otherMails", has)]).await?;
    let log = run(&world, &[B2C], &[moved(1, 1, "old@example.com", "new@example.com")]).await?;
    let kept = json!(["x@example.com", "new@example.com", "y@example.com"]);
    assert_eq!(world.user(user(1))?.get("otherMails"), kept, "{log}");

    // Another run knows nothing of the first one, and this message has no pre image.
    let unimaged = change(1, 2).before("adx_identity_username", user(1).to_string());
    let log = run(&world, &[B2C], &[unimaged.set("emailaddress1", "z@example.com")]).await?;
    let all = json!(["z@example.com", "x@example.com", "new@example.com", "y@example.com"]);
    assert_eq!(world.user(user(1))?.get("otherMails"), all, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn to_empty_the_address_takes_out_the_contacts_only_and_nothing_without_a_clue() -> Result<()> {
    let clearing = r#"
        [mapping]
        preset = "custom"
        rows = [
            { column = "emailaddress1", property = "otherMails" },
            { column = "firstname", property = "givenName" },
        ]"#;
    let has = || json!(["x@example.com", "ada@example.com"]);
    let emptied = |at| change(1, at).set("emailaddress1", Value::Null).set("firstname", format!("Ada {at}"));
    let world = b2c_world([User::new(user(1)).with("otherMails", has())]).await?;
    let log = run(&world, &[clearing], &[emptied(1)]).await?;
    assert_eq!(world.reasons()?, ["ColumnMissing"], "{log}");
    let ada = world.user(user(1))?;
    assert_eq!((ada.get("otherMails"), ada.text("givenName")), (has(), Some("Ada 1")), "the name is written");

    let known = emptied(2).before("emailaddress1", "ada@example.com");
    let log = run(&world, &[clearing], &[known.before("adx_identity_username", user(1).to_string())]).await?;
    assert_eq!(world.user(user(1))?.get("otherMails"), json!(["x@example.com"]), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_with_a_code_follows_the_contact_and_an_invited_guest_does_not() -> Result<()> {
    let code = |number: u128, address: &str| {
        let social = Identity::federated("google.com", &format!("118{number}"));
        User::new(user(number)).with_identity(Identity::code(address)).with_identity(social)
    };
    let world = external_world([
        code(1, "one@example.com"),
        code(2, "two@example.com").with("userType", "Guest"),
        local(3, "three@example.com").with_identity(Identity::code("three@example.com")),
    ])
    .await?;
    let changes = [
        moved(1, 1, "one@example.com", "first@example.com"),
        moved(2, 1, "two@example.com", "second@example.com"),
        moved(3, 1, "three@example.com", "third@example.com"),
    ];
    let log = run(&world, &[EXTERNAL_ID], &changes).await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    let pair = |issuer: &str, id: &str| (issuer.to_owned(), id.to_owned());
    let domain = "contoso.onmicrosoft.com";
    assert_eq!(
        signs_in(&world, user(1))?,
        [pair("mail", "first@example.com"), pair("google.com", "1181")],
        "{log}"
    );
    assert_eq!(signs_in(&world, user(2))?, [pair("mail", "two@example.com"), pair("google.com", "1182")]);
    assert_eq!(
        signs_in(&world, user(3))?,
        [pair(domain, "third@example.com"), pair("mail", "third@example.com")]
    );
    let first = world.user(user(1))?;
    assert_eq!(first.text("mail"), Some("first@example.com"));
    assert_eq!(first.get("otherMails"), json!(["first@example.com"]));
    assert_eq!(world.patches().len(), 3, "one write a person");
    Ok(())
}

/// One message with a name and an address that user 2 has, or had before he was deleted.
async fn refused(world: &World, layers: &[&str]) -> Result<String> {
    let taking = moved(1, 1, "ada@example.com", "taken@example.com").set("firstname", "Ada");
    let log = run(world, layers, &[taking]).await?;
    assert_eq!(world.reasons()?, ["IdentityConflict"], "{log}");
    let ada = world.user(user(1))?;
    assert_eq!(ada.text("givenName"), Some("Ada"), "the rest is written: {log}");
    assert_eq!(ada.sign_in_addresses().collect::<Vec<_>>(), ["ada@example.com"]);
    assert_eq!(ada.get("otherMails"), json!([]), "no other address either");
    let description = world.letters()?[0].description.clone();
    assert!(!description.contains('@') && !log.contains("taken@"), "personal data: {description}");
    Ok(description)
}

async fn taken_world() -> Result<World> {
    b2c_world([local(1, "ada@example.com"), local(2, "taken@example.com")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_somebody_has_keeps_back_only_itself_and_he_is_named() -> Result<()> {
    let without_details = || {
        let message = "Another object with the same value for property identities already exists.";
        Fault::status(400).message(message).patches().property("identities").always()
    };
    for (deleted, silent) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = taken_world().await?;
        if deleted {
            world.graph.delete_user(user(2));
        }
        if silent {
            world.graph.script(without_details());
        }
        let told = refused(&world, &[B2C, GUARDED]).await?;
        let whom = format!("{}user {}", if deleted { "deleted " } else { "" }, user(2));
        assert!(told.contains(&whom), "{deleted} {silent}: {told}");
    }
    // Graph may not let us look for him.
    let world = taken_world().await?;
    world.graph.script(without_details());
    let mut search = Fault::status(400).code("Request_UnsupportedQuery").always();
    search.path = Some("filter".to_owned());
    world.graph.script(search);
    assert!(refused(&world, &[B2C]).await?.contains("it could not be found out to whom"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_guard_the_mark_does_not_cover_an_address_that_was_not_written() -> Result<()> {
    let world = taken_world().await?;
    refused(&world, &[B2C, GUARDED]).await?;
    world.graph.purge_user(user(2));
    // Older than what was refused, and newer than all that was written.
    let older = moved(1, 0, "ada@example.com", "older@example.com");
    let log = run(&world, &[B2C, GUARDED], &[older]).await?;
    let ada = world.user(user(1))?;
    assert_eq!(ada.sign_in_addresses().collect::<Vec<_>>(), ["older@example.com"], "{log}");
    assert_eq!(ada.text("givenName"), Some("Ada"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_handed_on_is_taken_as_soon_as_it_is_free() -> Result<()> {
    let world = taken_world().await?;
    // Whoever gets the address is refused before its holder's own change is even read.
    let worker = start(&world, &[B2C])?;
    world.post_changes(&[moved(1, 1, "ada@example.com", "taken@example.com")]).await?;
    let conflict = |entry: &emulator::graph::Entry| entry.method == "PATCH" && entry.status == Some(400);
    world.graph.wait_for_entry(PATIENCE, conflict).await?;
    world.post_changes(&[moved(2, 2, "taken@example.com", "moved@example.com")]).await?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    assert_eq!(world.user(user(1))?.sign_in_addresses().collect::<Vec<_>>(), ["taken@example.com"]);
    assert_eq!(world.user(user(2))?.sign_in_addresses().collect::<Vec<_>>(), ["moved@example.com"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_lags_behind_our_own_writes_is_no_ambiguity() -> Result<()> {
    let both = local(1, "v0@example.com").with_identity(Identity::email("other@example.com"));
    let world = b2c_world([both.with("otherMails", json!(["x@example.com", "v0@example.com"]))]).await?;
    world.graph.set_stale_reads(Duration::from_mins(5));
    let worker = start(&world, &[B2C])?;
    for at in 1..=5 {
        let (from, to) = (format!("v{}@example.com", at - 1), format!("v{at}@example.com"));
        world.post_changes(&[moved(1, at, &from, &to)]).await?;
        let is_there = |user: &User| user.sign_in_addresses().any(|found| found == to);
        world.graph.wait_for_user(user(1), PATIENCE, is_there).await?;
    }
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    let ada = world.user(user(1))?;
    assert_eq!(ada.sign_in_addresses().collect::<Vec<_>>(), ["v5@example.com", "other@example.com"]);
    assert_eq!(ada.get("otherMails"), json!(["x@example.com", "v5@example.com"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_there_already_is_unchanged_and_not_applied() -> Result<()> {
    let has = local(1, "Ada@Example.com").with("otherMails", json!(["ada@example.com"]));
    for layers in [&[B2C][..], &[B2C, GUARDED]] {
        let world = b2c_world([has.clone()]).await?;
        let log = run(&world, layers, &[change(1, 1).set("emailaddress1", "ada@example.com")]).await?;
        assert_tally(&log, "0 applied");
        assert_tally(&log, "1 needed no write");
        assert!(log.contains("already-there"), "{log}");
        assert!(
            !world
                .patches()
                .iter()
                .any(|patch| patch.changed().any(|property| property != "onPremisesExtensionAttributes"))
        );
    }
    Ok(())
}
