//! Graph, the login host, the endpoint of managed identities and other services that lie. Nothing that they answer ends
//! the worker or fills its memory, and when they are well again, changes flow.

use anyhow::{Context, Result, ensure};
use tests::{
    load::usage::Usage,
    world::{Worker, World},
};

use super::{
    MEGABYTE, PATIENCE, QUICK, change,
    front::{Front, Mode},
    user, world,
};

/// What a worker may take at most, in the build without optimization that tests use.
const MOST: u64 = 100 * MEGABYTE;

/// The shortest time that can be set for a call, so that silence does not take long.
const BRIEF: &str = "connection.request_timeout = \"1s\"";

/// Waits until a lie of this mode was told so often, with changes to be asked about.
async fn told(world: &World, worker: &mut Worker, front: &Front, mode: Mode, times: usize) -> Result<()> {
    front.set(mode);
    // By several users, so that whatever becomes of one there is something to ask.
    let changes: Vec<_> = (1..=3).map(|number| change(number, 1, "Ada")).collect();
    world.post_changes(&changes).await?;
    let waited = world
        .until(PATIENCE, "the lie is told", |_| {
            let requests = front.requests();
            ensure!(worker.is_running()?, "the worker ended by {mode:?}:\n{}", worker.log()?);
            Ok((requests.len() >= times, format!("{mode:?}: {requests:?}")))
        })
        .await;
    waited.with_context(|| worker.log().unwrap_or_default())?;
    let followed = front.requests().into_iter().filter(|line| line.contains("/followed")).count();
    assert_eq!(followed, 0, "a redirect was followed");
    bounded(worker, &format!("{mode:?}"))
}

fn bounded(worker: &Worker, what: &str) -> Result<()> {
    let usage = Usage::of(worker.id().context("the worker runs")?);
    assert!(usage.peak > 0, "the system tells");
    assert!(usage.peak < MOST, "{} MB after {what}", usage.peak / MEGABYTE);
    Ok(())
}

/// All lies one after the other, and then the truth: a change of somebody else is applied.
async fn survives(world: &World, worker: Worker, front: &Front, modes: &[Mode]) -> Result<()> {
    let mut worker = worker;
    for mode in modes {
        told(world, &mut worker, front, *mode, 1).await?;
    }
    front.set(Mode::Well);
    world.post_changes(&[change(9, 2, "Grace")]).await?;
    let applied = world.graph.wait_for_user(user(9), PATIENCE, |user| user.get("givenName") == "Grace").await;
    applied.with_context(|| worker.log().unwrap_or_default())?;
    world.drained(PATIENCE).await?;
    bounded(&worker, "all")?;
    let log = worker.stop().await?;
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_lies_neither_ends_nor_fills_the_worker() -> Result<()> {
    let world = world(9).await?;
    let front = Front::start(&world.graph.http_url().replace("http://", ""), Mode::ALL[0]).await?;
    let root = format!("graph.root = \"http://{}\"", front.address);
    let worker = world.start_worker(&world.layered(&[QUICK, BRIEF, &root])?)?;
    survives(&world, worker, &front, &Mode::ALL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_host_that_lies_neither_ends_nor_fills_the_worker() -> Result<()> {
    let world = world(9).await?;
    let front = Front::start(&world.graph.http_url().replace("http://", ""), Mode::ALL[0]).await?;
    let authority = format!("identity.authority = \"http://{}\"", front.address);
    let worker = world.start_worker(&world.layered(&[QUICK, BRIEF, &authority])?)?;
    survives(&world, worker, &front, &Mode::ALL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_managed_identities_that_lies_neither_ends_nor_fills_the_worker() -> Result<()> {
    let world = world(9).await?;
    let real = world.graph.http_url().replace("http://", "");
    let front = Front::start(&real, Mode::Endless(200)).await?;
    let managed = "[identity]\nkind = \"managed\"\ntenant = \"\"\nclient_id = \"\"\nclient_secret = \"\"";
    let host = format!("http://{}", front.address);
    let settings = world.layered(&[QUICK, BRIEF, managed])?;
    let worker = world.start_worker_with(&settings, &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &*host)])?;
    // The library asks this endpoint again and again by itself, so fewer lies have to do.
    let modes = [Mode::Endless(200), Mode::Chunked(200), Mode::Announced(200), Mode::DeepInside(200)];
    survives(&world, worker, &front, &modes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_management_interface_and_a_receiver_of_telemetry_that_lie_neither_end_nor_fill_the_worker()
-> Result<()> {
    let world = world(9).await?;
    let front = Front::start("", Mode::ALL[0]).await?;
    let settings = format!(
        "[service_bus]\nadmin_url = \"http://{0}\"\n[telemetry]\notlp_endpoint = \"http://{0}\"\n\
         queue_interval = \"1s\"",
        front.address
    );
    let mut worker = world.start_worker(&world.layered(&[QUICK, BRIEF, &settings])?)?;
    for mode in [Mode::Endless(200), Mode::Chunked(200), Mode::Endless(400), Mode::Deep(200), Mode::Headers] {
        told(&world, &mut worker, &front, mode, 3).await?;
    }
    // Changes do not wait for either of them.
    world.drained(PATIENCE).await?;
    assert_eq!(world.user(user(3))?.get("givenName"), "Ada");
    worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    Ok(())
}
