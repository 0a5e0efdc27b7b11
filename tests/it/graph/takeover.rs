//! Whoever edits a contact, or sends in its place, does not take over users who are none of his business.

use anyhow::{Context, Result};
use emulator::graph::{DEFAULT_CLIENT_ID, Identity, User};
use serde_json::{Value, json};
use servicebus::{Outgoing, Queue as _};
use shared::reason::DeadLetterReason::{
    self, LinkAndAddressTogether, SignInAmbiguous, UserNotAllowed, UserOfAnotherContact,
};
use tests::{
    message::{ContactChange, moment},
    world::{DEAD_LETTERS, World},
};
use uuid::Uuid;

use super::{B2C, GUARDED, b2c_world, contact, run, start, user, world};
use crate::replay::contactsync;

const LINK: &str = "adx_identity_username";
const MAIL: &str = "emailaddress1";
const EVIL: &str = "attacker@evil.test";
const ALICE: &str = "alice@example.com";

const PREVIOUS: &str = r#"link.match = "previous""#;
const OWNED: &str = r#"link.owner_attribute = "extensionAttribute14""#;

/// Alice, who signs in with her own address.
fn alice() -> User {
    User::new(user(1)).with_identity(Identity::email(ALICE)).with("otherMails", json!([ALICE]))
}

/// A contact that nobody has linked with anybody; 1 is Alice's, 2 the attacker's.
fn of(number: u128, at: usize) -> ContactChange {
    ContactChange::new(contact(number), moment(at))
}

/// The attacker's contact names Alice as its user, with every mapped column.
fn taking(at: usize) -> ContactChange {
    of(2, at).set(LINK, alices()).set(MAIL, EVIL).set("firstname", "Eve").set("lastname", "Liddell")
}

fn alices() -> String {
    user(1).to_string()
}

fn signs_in(world: &World) -> Result<Vec<String>> {
    Ok(world.user(user(1))?.sign_in_addresses().map(str::to_owned).collect())
}

/// Everything that a takeover would change is as it was, and one dead letter tells, without an address in it.
fn assert_kept(world: &World, log: &str, name: &str) -> Result<()> {
    assert_eq!(signs_in(world)?, [ALICE], "{name}: {log}");
    assert_eq!(world.user(user(1))?.get("otherMails"), json!([ALICE]), "{name}: {log}");
    assert_reason(world, LinkAndAddressTogether, name)
}

fn assert_reason(world: &World, reason: DeadLetterReason, name: &str) -> Result<()> {
    assert_eq!(world.reasons()?, [reason.as_str()], "{name}");
    let text = &world.letters()?[0].description;
    assert!(!text.contains('@'), "{name}: {text}");
    Ok(())
}

/// The same change as another pipeline message.
fn renamed(change: &ContactChange, name: &str) -> Result<Vec<u8>> {
    let mut context: Value = serde_json::from_slice(&change.body())?;
    context["MessageName"] = json!(name);
    Ok(serde_json::to_vec(&context)?)
}

async fn run_bodies(world: &World, layers: &[&str], bodies: Vec<Vec<u8>>) -> Result<String> {
    let sender = world.sender()?;
    for body in bodies {
        let content_type = Some("application/json".into());
        sender.send(Outgoing { content_type, body: body.into(), ..Outgoing::default() }).await?;
    }
    sender.close().await;
    run(world, layers, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_brings_the_link_writes_names_and_moves_no_address() -> Result<()> {
    let taking = || taking(1);
    let shown =
        |change: ContactChange| change.after(LINK, alices()).after(MAIL, EVIL).after("firstname", "Eve");
    let cases = [
        ("with a pre image", taking().before(MAIL, "other@example.com").before(LINK, user(2).to_string())),
        ("linked with nobody before", taking().before(LINK, Value::Null)),
        ("without a pre image", shown(taking())),
        ("without any image", taking()),
        ("the link alone", shown(of(2, 1).set(LINK, alices())).before(LINK, user(2).to_string())),
        (
            "by something else",
            shown(of(2, 1).set(MAIL, EVIL).set("firstname", "Eve")).before(LINK, user(2).to_string()),
        ),
    ];
    for (name, change) in &cases {
        let world = b2c_world([alice()]).await?;
        let log = run(&world, &[B2C], std::slice::from_ref(change)).await?;
        assert_kept(&world, &log, name)?;
        assert_eq!(world.user(user(1))?.text("givenName"), Some("Eve"), "{name}: names are written");
    }
    for name in ["Create", "Upsert", "UpdateSomehow"] {
        let world = b2c_world([alice()]).await?;
        let log = run_bodies(&world, &[B2C], vec![renamed(&taking(), name)?]).await?;
        assert_kept(&world, &log, name)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_the_guard_or_merged_with_honest_ones_moves_no_address_either() -> Result<()> {
    let honest = |at: usize, address: &str| {
        of(1, at).set(MAIL, address).before(LINK, alices()).before(MAIL, ALICE).set("lastname", "Liddell")
    };
    let world = b2c_world([alice()]).await?;
    let taking = taking(50);
    let log =
        run(&world, &[B2C, GUARDED], &[honest(1, "a1@example.com"), taking, honest(99, "a2@example.com")])
            .await?;
    assert_eq!(signs_in(&world)?, ["a2@example.com"], "{log}");
    let alice = world.user(user(1))?;
    assert_eq!((alice.text("givenName"), alice.text("surname")), (Some("Eve"), Some("Liddell")));
    // Older than what Alice has herself, it has nothing left to say; alone it is told.
    let reasons = world.reasons()?;
    assert!(reasons.iter().all(|reason| reason == LinkAndAddressTogether.as_str()), "{reasons:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_registration_and_for_social_accounts_there_is_nothing_to_keep_back() -> Result<()> {
    let linking = |address: &str| {
        let named = of(1, 1).set("firstname", "Alice").set("lastname", "Liddell");
        named.set(LINK, alices()).set(MAIL, address).before(LINK, Value::Null)
    };
    let world = b2c_world([User::new(user(1)).with_identity(Identity::email(ALICE))]).await?;
    run(&world, &[B2C], &[linking("Alice@Example.com")]).await?;
    assert_eq!((world.reasons()?, signs_in(&world)?), (Vec::new(), vec![ALICE.to_owned()]));
    assert_eq!(world.user(user(1))?.get("otherMails"), json!(["Alice@Example.com"]));
    assert_eq!(world.patches().len(), 1, "in one write");

    let social = User::new(user(1)).with_identity(Identity::federated("google.com", "118"));
    let world = b2c_world([social]).await?;
    run(&world, &[B2C], &[linking("new@example.com")]).await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    assert_eq!(world.user(user(1))?.get("otherMails"), json!(["new@example.com"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_match_previous_an_address_moves_only_from_the_contacts_own() -> Result<()> {
    let moving = |number: u128, at: usize, from: &str, to: &str| {
        of(number, at)
            .set(MAIL, to)
            .set("firstname", format!("n{at}"))
            .before(LINK, alices())
            .before(MAIL, from)
    };
    // A chain, whether it is merged or not: each address was written for this contact, or is the one before.
    let world = b2c_world([alice()]).await?;
    let chain =
        [(ALICE, "b@example.com"), ("b@example.com", "c@example.com"), ("c@example.com", "d@example.com")];
    let chain: Vec<_> = (1..).zip(chain).map(|(at, (from, to))| moving(1, at, from, to)).collect();
    let log = run(&world, &[B2C, PREVIOUS], &chain).await?;
    assert_eq!(
        (world.reasons()?, signs_in(&world)?),
        (Vec::new(), vec!["d@example.com".to_owned()]),
        "{log}"
    );

    // The second step of a takeover: the link was moved before, and now the address would follow.
    let log = run(&world, &[B2C, PREVIOUS], &[moving(2, 60, "other@example.com", EVIL)]).await?;
    assert_eq!(signs_in(&world)?, ["d@example.com"], "{log}");
    assert_reason(&world, SignInAmbiguous, "the second step")?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("n60"), "the rest is written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_belongs_to_the_contact_that_came_first() -> Result<()> {
    let named = |number: u128, at: usize, name: &str| {
        of(number, at).set(LINK, alices()).set("firstname", name).before(LINK, alices())
    };
    let owner = |world: &World| -> Result<Value> {
        Ok(world.user(user(1))?.get("onPremisesExtensionAttributes")["extensionAttribute14"].clone())
    };
    let world = world(1).await?;
    let log = run(&world, &[OWNED], &[named(1, 1, "Alice")]).await?;
    assert_eq!(owner(&world)?, json!(contact(1).to_string()), "{log}");
    assert_eq!(world.patches().len(), 1, "in the same write");

    // Merged with the honest one, and by itself.
    let both = [named(2, 2, "Eve"), named(1, 3, "Alicia"), named(2, 4, "Eve")];
    let log = run(&world, &[OWNED, GUARDED], &both).await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Alicia"), "{log}");
    assert!(world.reasons()?.iter().all(|reason| reason == UserOfAnotherContact.as_str()), "{log}");
    assert_eq!(owner(&world)?, json!(contact(1).to_string()));

    // A person decides otherwise.
    std::fs::write(world.folder().join("eve.json"), named(2, 9, "Eve").body()).context("a body")?;
    let settings = world.layered(&[OWNED])?;
    let refused = contactsync(&settings, "apply eve.json --yes").await?.expect(1);
    assert!(refused.out.contains("the user belongs to another contact"), "{}", refused.out);
    contactsync(&settings, "apply eve.json --yes --overrule").await?.expect(0);
    assert_eq!(
        (owner(&world)?, world.user(user(1))?.text("givenName")),
        (json!(contact(2).to_string()), Some("Eve"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_whom_the_filter_does_not_let_through_are_not_written() -> Result<()> {
    let filter = r#"filter.local_issuer = "contoso.onmicrosoft.com""#;
    let guests = r#"filter.user_type = "Guest""#;
    let named = of(1, 1).set(LINK, alices()).set("firstname", "Eve").set("jobtitle", "x");
    for (name, layers, admin) in [
        // So look administrators: no account of their own but the principal name.
        ("no local account", &[filter][..], User::new(user(1)).administrator()),
        ("another kind", &[guests], User::new(user(1)).with("userType", "Member")),
    ] {
        let world = world(0).await?;
        world.graph.add_user(admin)?;
        let log = run(&world, layers, std::slice::from_ref(&named)).await?;
        assert_reason(&world, UserNotAllowed, name)?;
        assert_eq!(world.patches().len(), 0, "{log}");
    }
    let world = b2c_world([alice()]).await?;
    run(&world, &[filter], &[named]).await?;
    assert_eq!((world.reasons()?, world.patches().len()), (Vec::new(), 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_has_to_be_confirmed_waits_until_it_is() -> Result<()> {
    const CONFIRMED: &str = "adx_identity_emailaddress1confirmed";
    let rows = format!(
        "[mapping]\npreset = \"custom\"\nrows = [{{ column = \"{MAIL}\", property = \"signInEmail\", on_null = \"keep\", \
         require = \"{CONFIRMED}\" }}]"
    );
    let shown = |at: usize, confirmed: bool| {
        of(1, at).before(LINK, alices()).after(LINK, alices()).after(MAIL, EVIL).after(CONFIRMED, confirmed)
    };
    let world = b2c_world([alice()]).await?;
    let log = run(&world, &[&rows], &[shown(1, false).set(MAIL, EVIL)]).await?;
    assert_eq!((world.reasons()?, signs_in(&world)?), (Vec::new(), vec![ALICE.to_owned()]), "{log}");
    let log = run(&world, &[&rows], &[shown(2, true).set(CONFIRMED, true)]).await?;
    assert_eq!((world.reasons()?, signs_in(&world)?), (Vec::new(), vec![EVIL.to_owned()]), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preview_tells_what_would_be_kept_back() -> Result<()> {
    let world = b2c_world([alice()]).await?;
    let taking = taking(1);
    let settings = world.layered(&[B2C])?;
    std::fs::write(world.folder().join("taking.json"), taking.body()).context("a body")?;
    let plan = contactsync(&settings, "plan taking.json").await?.expect(0);
    assert!(plan.out.contains("only if the user signs in with this address already"), "{}", plan.out);
    let checked = contactsync(&settings, "check --message taking.json").await?;
    assert!(checked.out.contains("moves no sign-in address"), "{}", checked.out);

    world.post_changes(&[taking]).await?;
    let offline = contactsync(&settings, "run --dry-run --once").await?.expect(0);
    assert!(offline.out.contains("only if the user signs in with this address already"), "{}", offline.out);
    let online = contactsync(&settings, "run --dry-run --online --once").await?.expect(0);
    assert!(online.out.contains(&format!("dead letter  {LinkAndAddressTogether}")), "{}", online.out);
    assert!(!online.out.contains('@'), "{}", online.out);
    assert_eq!(world.patches().len(), 0);

    let worker = start(&world, &[B2C])?;
    world.drained(super::PATIENCE).await?;
    worker.stop().await?;
    let replay = contactsync(&settings, "replay --dry-run --online").await?;
    assert!(replay.out.contains(LinkAndAddressTogether.as_str()), "{} {}", replay.out, replay.err);
    // Whoever has looked can move it.
    let letters = world.bus.contents(DEAD_LETTERS)?;
    let number = letters.first().context("a dead letter")?.sequence;
    let kept = contactsync(&settings, &format!("apply --dead-letter {number} --yes")).await?.expect(1);
    assert!(kept.out.contains("apply --overrule moves the address"), "{}", kept.out);
    contactsync(&settings, &format!("apply --dead-letter {number} --yes --overrule")).await?.expect(0);
    assert_eq!(signs_in(&world)?, [EVIL]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_counts_administrators_whom_contacts_are_linked_with() -> Result<()> {
    let world = world(0).await?;
    let admin = |number: u128| User::new(user(number)).administrator();
    for number in 1..=150 {
        world.graph.add_user(admin(number))?;
    }
    let roles = ["User.ReadWrite.All", "RoleManagement.Read.Directory"];
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    assert!(world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = roles));
    let settings = world.layered(&[GUARDED])?;
    let told = contactsync(&settings, "check --online").await?.expect(0);
    assert!(told.out.contains("150 users hold a directory role, and none is linked"), "{}", told.out);
    assert!(!told.out.contains("more than it has to"), "{}", told.out);

    // One was written, and another is meant by a message that waits.
    run(&world, &[GUARDED], &[super::change(3, 1).set("firstname", "Eve")]).await?;
    world.post_changes(&[super::change(140, 1).set("firstname", "Eve")]).await?;
    let told = contactsync(&settings, "check --online").await?.expect(0);
    let named: Vec<Uuid> = vec![user(3), user(140)];
    assert!(told.out.contains("2 of 150 users who hold a directory role are linked"), "{}", told.out);
    assert!(named.iter().all(|id| told.out.contains(&id.to_string())), "{}", told.out);
    Ok(())
}

/// Messages about several contacts carry no image that could show what the link was before.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_a_bulk_message_moves_no_address_by_its_link() -> Result<()> {
    const SHAPE: &str = include_str!("../../fixtures/contexts/contact-updatemultiple.json");
    for name in ["UpdateMultiple", "CreateMultiple", "UpsertMultiple"] {
        let mut context: Value = serde_json::from_str(SHAPE)?;
        context["MessageName"] = json!(name);
        let entities = &mut context["InputParameters"][0]["value"]["Entities"];
        let mut member = entities[0].take();
        let columns = [(LINK, json!(alices())), (MAIL, json!(EVIL)), ("firstname", json!("Eve"))];
        member["Id"] = json!(contact(2));
        member["Attributes"] =
            columns.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        *entities = json!([member]);
        let world = b2c_world([alice()]).await?;
        let log = run_bodies(&world, &[B2C], vec![serde_json::to_vec(&context)?]).await?;
        assert_kept(&world, &log, name)?;
        assert_eq!(world.user(user(1))?.text("givenName"), Some("Eve"), "{name}: {log}");
    }
    Ok(())
}
