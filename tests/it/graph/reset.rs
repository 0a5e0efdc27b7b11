//! The address for password reset, which is an authentication method of the user and takes a call of its own.

use anyhow::Result;
use emulator::graph::{DEFAULT_CLIENT_ID, Fault, Identity, User};
use serde_json::json;
use tests::{message::ContactChange, world::World};

use super::{B2C, GUARDED, PATIENCE, b2c_world, change, run, user};

const FOLLOWS: &str = "mapping.reset_email = true";
const PERMISSION: &str = "UserAuthenticationMethod.ReadWrite.All";
const METHODS: &str = "/authentication/emailMethods";

async fn with_permission(ada: User) -> Result<World> {
    let world = b2c_world([ada]).await?;
    world.graph.edit_app(DEFAULT_CLIENT_ID, |app| {
        app.roles.insert(PERMISSION.to_owned());
    });
    Ok(world)
}

fn local() -> User {
    User::new(user(1)).with_identity(Identity::email("old@example.com")).with_reset_email("Old@example.com")
}

fn email(at: usize, address: &str) -> ContactChange {
    change(1, at)
        .before("adx_identity_username", user(1).to_string())
        .before("emailaddress1", "old@example.com")
        .set("emailaddress1", address)
}

fn reset(world: &World) -> Result<Option<String>> {
    Ok(world.user(user(1))?.reset_email)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_address_to_sign_in_with_by_a_call_of_its_own() -> Result<()> {
    let world = with_permission(local()).await?;
    let log = run(&world, &[B2C, FOLLOWS], &[email(1, "new@example.com").set("firstname", "Ada")]).await?;
    assert_eq!(reset(&world)?.as_deref(), Some("new@example.com"), "{log}");
    let writes: Vec<_> = world.graph.journal().into_iter().filter(|entry| entry.method == "PATCH").collect();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(!writes[0].path.contains(METHODS) && writes[1].path.contains(METHODS), "the user comes first");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_left_alone_unless_it_is_asked_for_and_was_the_contacts() -> Result<()> {
    for (layers, ada) in [
        (&[B2C][..], local()),
        (&[B2C, FOLLOWS], User { reset_email: None, ..local() }),
        (&[B2C, FOLLOWS], local().with_reset_email("own@elsewhere.example")),
    ] {
        let before = ada.reset_email.clone();
        let world = with_permission(ada).await?;
        let log = run(&world, layers, &[email(1, "new@example.com")]).await?;
        assert_eq!(reset(&world)?, before, "{log}");
        assert_eq!(world.user(user(1))?.sign_in_addresses().collect::<Vec<_>>(), ["new@example.com"]);
        assert_eq!(world.reasons()?, [""; 0]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pre_image_the_address_that_gave_way_tells_and_user_names_need_one() -> Result<()> {
    let world = with_permission(local()).await?;
    let kept = change(1, 1).before("adx_identity_username", user(1).to_string());
    let log = run(&world, &[B2C, FOLLOWS], &[kept.set("emailaddress1", "new@example.com")]).await?;
    assert_eq!(reset(&world)?.as_deref(), Some("new@example.com"), "{log}");

    let named = User::new(user(1)).with_reset_email("old@example.com");
    let world = with_permission(named).await?;
    let log = run(&world, &[B2C, FOLLOWS], &[email(1, "new@example.com")]).await?;
    assert_eq!(reset(&world)?.as_deref(), Some("new@example.com"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_costs_nothing_else_and_what_comes_again_completes_it() -> Result<()> {
    let world = b2c_world([local()]).await?;
    let log = run(&world, &[B2C, FOLLOWS], &[email(1, "new@example.com").set("firstname", "Ada")]).await?;
    assert_eq!(world.reasons()?, ["ResetAddressRefused"], "{log}");
    let letter = &world.letters()?[0];
    assert!(
        letter.description.contains(PERMISSION) && !letter.description.contains("example.com"),
        "{letter:?}"
    );
    let ada = world.user(user(1))?;
    assert_eq!(ada.text("givenName"), Some("Ada"));
    assert_eq!(ada.sign_in_addresses().collect::<Vec<_>>(), ["new@example.com"]);
    assert_eq!(ada.get("otherMails"), json!(["new@example.com"]));
    assert_eq!(ada.reset_email.as_deref(), Some("Old@example.com"));
    world.graph.edit_app(DEFAULT_CLIENT_ID, |app| {
        app.roles.insert(PERMISSION.to_owned());
    });
    let log = run(&world, &[B2C, FOLLOWS], &[email(1, "new@example.com").set("firstname", "Ada")]).await?;
    assert_eq!(reset(&world)?.as_deref(), Some("new@example.com"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_go_where_the_address_to_sign_in_with_is_refused() -> Result<()> {
    let world = with_permission(local()).await?;
    world.graph.add_user(User::new(user(2)).with_identity(Identity::email("taken@example.com")))?;
    let log = run(&world, &[B2C, FOLLOWS], &[email(1, "taken@example.com")]).await?;
    assert_eq!(world.reasons()?, ["IdentityConflict"], "{log}");
    assert_eq!(reset(&world)?.as_deref(), Some("Old@example.com"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_or_broken_off_it_is_tried_again() -> Result<()> {
    for fault in [Fault::status(429), Fault::status(503), Fault::reset()] {
        let world = with_permission(local()).await?;
        world.graph.script(Fault {
            path: Some(METHODS.to_owned()),
            method: Some("PATCH".to_owned()),
            ..fault
        });
        let log = run(&world, &[B2C, FOLLOWS], &[email(1, "new@example.com")]).await?;
        assert_eq!(reset(&world)?.as_deref(), Some("new@example.com"), "{log}");
        assert_eq!(world.reasons()?, [""; 0]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_between_the_calls_leaves_both_addresses_his_and_the_next_completes_it()
-> Result<()> {
    let world = with_permission(local()).await?;
    let held = Fault { path: Some(METHODS.to_owned()), method: Some("PATCH".to_owned()), ..Fault::hold() };
    world.graph.script(held);
    world.post_changes(&[email(1, "new@example.com")]).await?;
    let worker = super::start(&world, &[B2C, FOLLOWS, GUARDED])?;
    let moved = |user: &User| user.sign_in_addresses().eq(["new@example.com"]);
    world.graph.wait_for_user(user(1), PATIENCE, moved).await?;
    world
        .until(PATIENCE, "the second call is under way", |world| Ok((world.graph.held() == 1, String::new())))
        .await?;
    worker.kill().await?;
    assert_eq!(reset(&world)?.as_deref(), Some("Old@example.com"));
    world.graph.clear_faults();
    world.graph.set_latency(std::time::Duration::ZERO);
    world.bus.lapse_locks(tests::world::QUEUE, None)?;
    let worker = super::start(&world, &[B2C, FOLLOWS, GUARDED])?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(reset(&world)?.as_deref(), Some("new@example.com"), "{log}");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}
