//! Tokens and permissions: what a fresh token heals, what stops the worker, and what concerns one user only.

use anyhow::Result;
use emulator::graph::{DEFAULT_CLIENT_ID, DEFAULT_SECRET, Fault, Page, Secret, User};
use tests::world::{Worker, World};

use super::{ONE_BY_ONE, PATIENCE, assert_tally, change, contact, run, start, user, world};

async fn says(world: &World, worker: &Worker, text: &str) -> Result<()> {
    world
        .until(PATIENCE, text, |_| {
            let log = worker.log()?;
            Ok((log.contains(text), log))
        })
        .await
}

/// All are still there, and no delivery is counted. A write that is refused on trial may have been set aside as
/// a copy, which for a moment is there beside its original.
fn assert_kept(world: &World, messages: usize) -> Result<()> {
    let contents = world.bus.contents(tests::world::QUEUE)?;
    assert!(contents.len() >= messages, "{} of {messages} messages are left", contents.len());
    assert!(contents.iter().all(|view| view.delivery_count == 0), "a delivery was counted");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_in_flight_is_renewed_once_and_the_write_goes_through() -> Result<()> {
    for challenge in [false, true] {
        let world = world(2).await?;
        let worker = start(&world, &[])?;
        world.post_changes(&[change(1, 1).set("firstname", "Ada")]).await?;
        world.drained(PATIENCE).await?;
        if challenge {
            world.graph.revoke_tokens_with_challenge();
        } else {
            world.graph.revoke_tokens();
        }
        world.post_changes(&[change(2, 1).set("firstname", "Bao")]).await?;
        world.drained(PATIENCE).await?;
        let log = worker.stop().await?;
        let statuses: Vec<_> = world.patches().iter().map(|patch| patch.status).collect();
        assert_eq!(statuses, [Some(204), Some(401), Some(204)], "{log}");
        assert_eq!(world.user(user(2))?.text("givenName"), Some("Bao"));
        assert!(!log.contains("intake is paused"), "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_401_pauses_intake_and_costs_no_message() -> Result<()> {
    let world = world(3).await?;
    world.graph.script(Fault::unauthorized().always());
    world.post_changes(&[1, 2, 3].map(|number| change(number, 1).set("firstname", "Ada"))).await?;
    let worker = start(&world, &[])?;
    says(&world, &worker, "intake is paused").await?;
    world.graph.clear_faults();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    assert_tally(&log, "3 applied in 3 writes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_pauses_before_the_first_success_and_resumes_when_granted() -> Result<()> {
    let world = world(5).await?;
    let taken = |world: &World, roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = roles);
    };
    taken(&world, &["User.Read.All"]);
    let changes: Vec<_> = (1..=5).map(|number| change(number, 1).set("firstname", "Ada")).collect();
    world.post_changes(&changes).await?;
    let worker = start(&world, &[])?;
    says(&world, &worker, "intake is paused").await?;
    says(&world, &worker, "trying one message").await?;
    assert_kept(&world, 5)?;
    // As in the real directory, the permission is in tokens issued from now on; the old one is withdrawn.
    taken(&world, &["User.ReadWrite.All"]);
    world.graph.revoke_tokens();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    assert_tally(&log, "5 applied in 5 writes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_withdrawn_while_the_worker_runs_costs_no_message() -> Result<()> {
    let world = world(8).await?;
    let first: Vec<_> = (1..=3).map(|number| change(number, 1).set("firstname", "Ada")).collect();
    world.post_changes(&first).await?;
    let worker = start(&world, &[ONE_BY_ONE])?;
    world.drained(PATIENCE).await?;
    let roles = |roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = roles);
        world.graph.revoke_tokens();
    };
    roles(&["User.Read.All"]);
    let rest: Vec<_> = (4..=8).map(|number| change(number, 1).set("firstname", "Grace")).collect();
    world.post_changes(&rest).await?;
    says(&world, &worker, "intake is paused").await?;
    assert_kept(&world, 5)?;
    roles(&["User.ReadWrite.All"]);
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    for number in 4..=8 {
        assert_eq!(world.user(user(number))?.text("givenName"), Some("Grace"), "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_granted_without_revoking_anything_ends_the_pause_too() -> Result<()> {
    let world = world(2).await?;
    world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = ["User.Read.All".to_owned()].into());
    world.post_changes(&[1, 2].map(|number| change(number, 1).set("firstname", "Ada"))).await?;
    let worker = start(&world, &[])?;
    says(&world, &worker, "trying one message").await?;
    world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = ["User.ReadWrite.All".to_owned()].into());
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_tally(&log, "2 applied in 2 writes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_denies_the_first_call_pauses_rather_than_empties_the_queue() -> Result<()> {
    let world = world(3).await?;
    world.graph.script(Fault::status(403).body(Page::Html).patches().always());
    world.post_changes(&[1, 2, 3].map(|number| change(number, 1).set("firstname", "Ada"))).await?;
    let worker = start(&world, &[])?;
    says(&world, &worker, "intake is paused").await?;
    assert_kept(&world, 3)?;
    world.graph.clear_faults();
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "3 applied in 3 writes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_secret_pauses_and_a_new_one_of_the_same_value_resumes() -> Result<()> {
    let world = world(2).await?;
    let secret = |expired| Secret { value: DEFAULT_SECRET.to_owned(), expired };
    world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.secrets = vec![secret(true)]);
    world.post_changes(&[1, 2].map(|number| change(number, 1).set("firstname", "Ada"))).await?;
    let worker = start(&world, &[])?;
    says(&world, &worker, "intake is paused").await?;
    says(&world, &worker, "7000222").await?;
    assert_kept(&world, 2)?;
    assert_eq!(world.calls().len(), 0, "nothing reaches Graph without a token");
    world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.secrets = vec![secret(false)]);
    world.drained(PATIENCE).await?;
    assert_tally(&worker.stop().await?, "2 applied in 2 writes");
    Ok(())
}

/// `mobilePhone` of an administrator is what an app without a directory role may not write.
const PHONES: &str = r#"
[mapping]
preset = "custom"
rows = [
    { column = "firstname", property = "givenName" },
    { column = "mobilephone", property = "mobilePhone" },
]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_is_one_dead_letter_once_others_have_been_written() -> Result<()> {
    let world = world(2).await?;
    world.graph.add_user(User::new(user(3)).administrator())?;
    let changes = [1, 3, 2].map(|number| change(number, 1).set("mobilephone", "+90 555 0100"));
    let log = run(&world, &[PHONES, ONE_BY_ONE], &changes).await?;
    assert_eq!(world.reasons()?, ["GraphRefused"], "{log}");
    let letter = &world.letters()?[0];
    assert!(letter.is_about(contact(3)), "{letter:?}");
    assert!(letter.description.contains("administrator"), "{letter:?}");
    assert_tally(&log, "2 applied in 2 writes");
    assert!(!log.contains("intake is paused"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_at_the_head_of_the_queue_does_not_stop_the_worker() -> Result<()> {
    let world = world(2).await?;
    world.graph.add_user(User::new(user(3)).administrator())?;
    let changes = [3, 1, 2].map(|number| change(number, 1).set("mobilephone", "+90 555 0100"));
    let log = run(&world, &[PHONES, ONE_BY_ONE], &changes).await?;
    assert_eq!(world.reasons()?, ["GraphRefused"], "{log}");
    for number in [1, 2] {
        assert_eq!(world.user(user(number))?.text("mobilePhone"), Some("+90 555 0100"));
    }
    Ok(())
}
