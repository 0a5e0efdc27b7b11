//! How the real worker proves who it is, to the authority, to Graph and to Service Bus, and how it gets there.

mod machine;
mod reaching;
mod renewal;
mod rotation;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use emulator::graph::{App, DEFAULT_CLIENT_ID, FederatedCredential, Issuer};
use tests::{
    PATIENCE,
    binary::workspace,
    message::ContactChange,
    quick::{self, QUICK, renamed},
    world::{QUEUE, Worker, World},
};
use uuid::Uuid;

const USER: Uuid = quick::user(1);

/// Nothing of what the usual settings say about the app.
const NOBODY: &str = r#"
[identity]
tenant = ""
client_id = ""
client_secret = ""
"#;

fn fixture(name: &str) -> PathBuf {
    workspace().join("tests/fixtures/identity").join(name)
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect("a fixture")
}

/// A world with one user.
async fn world() -> Result<World> {
    quick::world(1).await
}

/// Changes what the directory knows of the worker's app.
fn edit(world: &World, change: impl FnOnce(&mut App)) {
    assert!(world.graph.edit_app(DEFAULT_CLIENT_ID, change), "the app is there");
}

/// The change that gives the user the first name `name`; the number tells its place in time.
fn rename(at: usize, name: &str) -> ContactChange {
    renamed(1, at, name)
}

fn start(world: &World, layers: &[&str], variables: &[(&str, &str)]) -> Result<Worker> {
    world.start_worker_with(&world.layered(&[&[QUICK], layers].concat())?, variables)
}

/// Posts a change and waits until it is in the directory.
async fn applied(world: &World, worker: &Worker, at: usize, name: &str) -> Result<()> {
    world.post_changes(&[rename(at, name)]).await?;
    seen(world, worker, name).await
}

async fn seen(world: &World, worker: &Worker, name: &str) -> Result<()> {
    let found = world.graph.wait_for_user(USER, PATIENCE, |user| user.get("givenName") == name).await;
    match found {
        Ok(_) => Ok(()),
        Err(error) => anyhow::bail!("{error}\n{}", worker.log()?),
    }
}

/// Waits until the log says something.
async fn said(world: &World, worker: &Worker, text: &str) -> Result<()> {
    world
        .until(PATIENCE, text, |_| {
            let log = worker.log()?;
            Ok((log.contains(text), log))
        })
        .await
}

/// Runs a worker of these settings over one change.
async fn works(world: &World, layers: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let worker = start(world, layers, variables)?;
    applied(world, &worker, 1, "Ada").await?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new(), "{log}");
    Ok(log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_opens_the_door_with_its_key_in_the_same_file_or_apart() -> Result<()> {
    let world = world().await?;
    edit(&world, |app| {
        app.secrets.clear();
        app.certificates = vec![pem("certificate.pem")];
    });
    let both = world.folder().join("both.pem");
    std::fs::write(&both, pem("key.pem") + &pem("certificate.pem"))?;
    let kind = "identity.kind = \"certificate\"";
    let one = format!("identity.certificate_file = '{}'", both.display());
    works(&world, &[kind, &one], &[]).await?;
    let apart = format!(
        "[identity]\ncertificate_file = '{}'\nprivate_key_file = '{}'",
        fixture("certificate.pem").display(),
        fixture("key.pem").display()
    );
    let worker = start(&world, &[kind, &apart], &[])?;
    applied(&world, &worker, 2, "Grace").await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_registered_pauses_the_worker_and_says_so() -> Result<()> {
    let world = world().await?;
    edit(&world, |app| app.certificates = vec![pem("next-certificate.pem")]);
    let files = format!(
        "[identity]\nkind = \"certificate\"\ncertificate_file = '{}'\nprivate_key_file = '{}'",
        fixture("certificate.pem").display(),
        fixture("key.pem").display()
    );
    world.post_changes(&[rename(1, "Ada")]).await?;
    let worker = start(&world, &[&files], &[])?;
    said(&world, &worker, "the certificate is not registered with the app or has expired").await?;
    edit(&world, |app| app.certificates.push(pem("certificate.pem")));
    seen(&world, &worker, "Ada").await?;
    worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_cluster_opens_the_door_and_is_read_anew_for_every_token() -> Result<()> {
    let world = world().await?;
    let audience = "api://AzureADTokenExchange";
    let (first, second) =
        (Issuer::new("https://cluster.example/1")?, Issuer::new("https://cluster.example/2")?);
    let trust =
        |issuer: &Issuer| FederatedCredential::new(issuer.url(), "system:serviceaccount:x:y", issuer.keys());
    let assertion =
        |issuer: &Issuer| issuer.assertion("system:serviceaccount:x:y", audience, Duration::from_hours(1));
    edit(&world, |app| {
        app.secrets.clear();
        app.federated = vec![trust(&first)];
    });
    let file = world.folder().join("token");
    std::fs::write(&file, assertion(&first)?)?;
    let (tenant, client) = (world.graph.tenant().id.to_string(), DEFAULT_CLIENT_ID.to_string());
    let variables = [
        ("AZURE_TENANT_ID", &*tenant),
        ("AZURE_CLIENT_ID", &*client),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().expect("text")),
        ("AZURE_AUTHORITY_HOST", &*world.graph.https_url()),
    ];
    let worker = start(&world, &[NOBODY, "[identity]\nkind = \"workload\"\nauthority = \"\""], &variables)?;
    applied(&world, &worker, 1, "Ada").await?;
    // The cluster changes its token, and the directory no longer takes the old one.
    edit(&world, |app| app.federated = vec![trust(&second)]);
    std::fs::write(&file, assertion(&second)?)?;
    world.graph.revoke_tokens();
    applied(&world, &worker, 2, "Grace").await?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_host_on_this_machine_may_speak_plain_http() -> Result<()> {
    let world = world().await?;
    let plain = format!("identity.authority = \"{}\"", world.graph.http_url());
    works(&world, &[&plain], &[]).await?;
    assert_eq!(world.bus.counts(QUEUE)?.active, 0);
    Ok(())
}
