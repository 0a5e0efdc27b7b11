//! Credentials that end, are replaced or are taken away while the worker runs.

use std::sync::Arc;

use anyhow::Result;
use emulator::{
    graph::{DEFAULT_SECRET, Secret},
    sas::{Claims, Rule},
};
use tests::world::{QUEUE, World};

use super::{PATIENCE, applied, edit, fixture, pem, rename, said, seen, start, world};

/// No messages are lost, and none has become a dead letter.
async fn all_is_well(world: &World) -> Result<()> {
    world.drained(PATIENCE).await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_replaced_while_the_worker_runs() -> Result<()> {
    let world = world().await?;
    let file = world.folder().join("secret");
    std::fs::write(&file, format!("{DEFAULT_SECRET}\n"))?;
    let variable = ("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", file.to_str().expect("text"));
    let worker = start(&world, &["identity.client_secret = \"\""], &[variable])?;
    applied(&world, &worker, 1, "Ada").await?;

    // The old secret goes first, and with it every token: the worker has nothing to work with.
    edit(&world, |app| app.secrets = vec![Secret::new("the-next-secret")]);
    world.graph.revoke_tokens();
    world.post_changes(&[rename(2, "Grace"), rename(3, "Edith")]).await?;
    said(&world, &worker, "AADSTS7000215").await?;
    std::fs::write(&file, "the-next-secret\n")?;
    seen(&world, &worker, "Edith").await?;
    all_is_well(&world).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_while_the_worker_runs() -> Result<()> {
    let world = world().await?;
    edit(&world, |app| app.certificates = vec![pem("certificate.pem")]);
    let (certificate, key) = (world.folder().join("tls.crt"), world.folder().join("tls.key"));
    std::fs::copy(fixture("certificate.pem"), &certificate)?;
    std::fs::copy(fixture("key.pem"), &key)?;
    let files = format!(
        "[identity]\nkind = \"certificate\"\ncertificate_file = '{}'\nprivate_key_file = '{}'",
        certificate.display(),
        key.display()
    );
    let worker = start(&world, &[&files], &[])?;
    applied(&world, &worker, 1, "Ada").await?;

    edit(&world, |app| app.certificates = vec![pem("next-certificate.pem")]);
    world.graph.revoke_tokens();
    // One file after the other, as whoever copies them does; in between they are no pair.
    std::fs::copy(fixture("next-certificate.pem"), &certificate)?;
    world.post_changes(&[rename(2, "Grace")]).await?;
    said(&world, &worker, "belongs to no certificate").await?;
    std::fs::copy(fixture("next-key.pem"), &key)?;
    seen(&world, &worker, "Grace").await?;
    all_is_well(&world).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_secret_pauses_the_worker_and_costs_no_message() -> Result<()> {
    let world = world().await?;
    edit(&world, |app| app.secrets = vec![Secret { expired: true, ..Secret::new(DEFAULT_SECRET) }]);
    let changes: Vec<_> = (1..=20).map(|at| rename(at, &format!("name {at}"))).collect();
    world.post_changes(&changes).await?;
    let worker = start(&world, &[], &[])?;
    said(&world, &worker, "the client secret has expired").await?;
    said(&world, &worker, "intake is paused because the installation is at fault").await?;
    world
        .until(PATIENCE, "every message is back in the queue", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.active + counts.scheduled == changes.len(), format!("{counts:?}")))
        })
        .await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    assert_eq!(world.patches().len(), 0);

    edit(&world, |app| app.secrets = vec![Secret::new(DEFAULT_SECRET)]);
    seen(&world, &worker, "name 20").await?;
    all_is_well(&world).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_in_flight_is_replaced_without_a_pause() -> Result<()> {
    let world = world().await?;
    let worker = start(&world, &[], &[])?;
    applied(&world, &worker, 1, "Ada").await?;
    world.graph.revoke_tokens();
    applied(&world, &worker, 2, "Grace").await?;
    world.graph.revoke_tokens_with_challenge();
    applied(&world, &worker, 3, "Edith").await?;
    all_is_well(&world).await?;
    let log = worker.stop().await?;
    assert!(!log.contains("intake is paused"), "{log}");
    Ok(())
}

/// The credential of the worker alone, so that whoever posts is not concerned.
fn worker_rule(key: &str) -> Rule {
    let claims = Claims { manage: false, ..Claims::ALL };
    Rule { name: "worker".to_owned(), key: key.to_owned(), claims, entity: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_both_secrets_are_replaced_without_a_restart_and_no_message_is_lost() -> Result<()> {
    const CHANGES: usize = 300;
    let world = Arc::new(world().await?);
    let (secret, connection) = (world.folder().join("secret"), world.folder().join("connection"));
    let old = worker_rule("the-first-key");
    world.bus.set_rules(vec![Rule::default(), old.clone()]);
    std::fs::write(&secret, DEFAULT_SECRET)?;
    std::fs::write(&connection, world.bus.connection_string_for(&old) + "\n")?;
    let variables = [
        ("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", secret.to_str().expect("text")),
        ("CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING_FILE", connection.to_str().expect("text")),
    ];
    let nowhere = "identity.client_secret = \"\"\nservice_bus.connection_string = \"\"";
    let worker = start(&world, &[nowhere], &variables)?;
    applied(&world, &worker, 1, "Ada").await?;

    let posting = tokio::spawn({
        let world = Arc::clone(&world);
        async move {
            for at in 2..=CHANGES {
                world.post_changes(&[rename(at, &format!("name {at}"))]).await?;
            }
            anyhow::Ok(())
        }
    });
    // The old key goes first, and every connection has to prove itself anew: there is a gap, and it costs nothing.
    let next = worker_rule("the-next-key");
    world.bus.set_rules(vec![Rule::default(), next.clone()]);
    world.bus.drop_connections();
    said(&world, &worker, "amqp:unauthorized-access").await?;
    std::fs::write(&connection, world.bus.connection_string_for(&next) + "\n")?;
    edit(&world, |app| app.secrets = vec![Secret::new("the-next-secret")]);
    world.graph.revoke_tokens();
    said(&world, &worker, "AADSTS7000215").await?;
    std::fs::write(&secret, "the-next-secret\n")?;

    posting.await??;
    seen(&world, &worker, &format!("name {CHANGES}")).await?;
    all_is_well(&world).await?;
    let log = worker.stop().await?;
    assert!(!log.contains("the-next-key") && !log.contains("the-first-key"), "{log}");
    Ok(())
}
