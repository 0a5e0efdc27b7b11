//! Whether the worker says of itself what is so: each cause of not being ready, and back.

use anyhow::Result;
use emulator::graph::Fault;
use tests::{observe::Page, world::World};

use super::{PATIENCE, QUICK, change, world};

fn says(page: &Page, check: &str, part: &str) -> bool {
    page.status == 503 && page.text.contains(&format!("not ready, {check}: ")) && page.text.contains(part)
}

fn ready(page: &Page) -> bool {
    *page == Page { status: 200, text: "ready\n".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_can_work_is_ready_and_lives() -> Result<()> {
    let world = world(1).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    worker.page_until("/readyz", ready).await?;
    assert_eq!(worker.page("/livez").await?, Page { status: 200, text: "alive\n".to_owned() });
    let seen = worker.metrics().await?;
    assert!((seen.value("contactsync_ready") - 1.0).abs() < f64::EPSILON, "{seen:?}");
    assert!((seen.value("contactsync_broker_up") - 1.0).abs() < f64::EPSILON, "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_secret_shows_before_the_first_message() -> Result<()> {
    let world = world(1).await?;
    let settings = world.layered(&[QUICK, "identity.client_secret = \"\""])?;
    // In a file, which may be replaced: a secret in the settings would end the worker.
    let secret = world.folder().join("secret");
    std::fs::write(&secret, "not-this-one")?;
    let secret = secret.to_str().unwrap_or_default();
    let mut worker =
        world.start_worker_with(&settings, &[("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", secret)])?;
    let page = worker.page_until("/readyz", |page| says(page, "token", "mend [identity]")).await?;
    assert!(!page.text.contains("not-this-one"), "{page:?}");
    // A message turns it into a pause, which names the cause.
    world.post_changes(&[change(1, 1)]).await?;
    let page = worker.page_until("/readyz", |page| says(page, "intake", "intake is paused")).await?;
    assert!(!page.text.contains("not ready, token"), "one cause is told once: {page:?}");
    assert!(page.text.contains("(since 20") && !page.text.contains("replay the message"), "{page:?}");
    let paused = r#"contactsync_intake_paused{cause="token"}"#;
    assert!((worker.metrics().await?.value(paused) - 1.0).abs() < f64::EPSILON);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_permission_pauses_and_its_end_makes_ready_again() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::unauthorized().always());
    world.post_changes(&[change(1, 1)]).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    worker.page_until("/readyz", |page| says(page, "intake", "the worker tries again by itself")).await?;
    let paused = r#"contactsync_intake_paused{cause="permission"}"#;
    worker.page_until("/metrics", |page| page.text.contains(&format!("{paused} 1"))).await?;
    world.graph.clear_faults();
    worker.page_until("/readyz", ready).await?;
    worker.page_until("/metrics", |page| page.text.contains(&format!("{paused} 0"))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_is_not_ready_until_a_write_succeeds() -> Result<()> {
    let world = world(12).await?;
    world.graph.script(Fault::status(503).patches().always());
    world.post_changes(&(1..=12).map(|number| change(number, 1)).collect::<Vec<_>>()).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK, "retry.tries = 100"])?)?;
    worker
        .page_until("/readyz", |page| says(page, "breaker", "whether graph or the way to it is disturbed"))
        .await?;
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_breaker_state 1\n")).await?;
    let page = worker.page_until("/status.json", |page| page.text.contains("\"level\":\"red\"")).await?;
    let status: serde_json::Value = serde_json::from_str(&page.text)?;
    let last = &status["lastError"];
    assert_eq!((&last["status"], &last["over"]), (&503.into(), &false.into()), "{status}");
    assert!(last["count"].as_u64() > Some(1), "{status}");
    let metrics = worker.page("/metrics").await?.text;
    let errors = "contactsync_graph_server_errors_total{property=";
    assert!(metrics.lines().any(|line| line.starts_with(errors) && !line.ends_with(" 0")), "{metrics}");
    assert!(metrics.contains("contactsync_since_last_success_seconds{dependency=\"token\"}"), "{metrics}");
    assert!(!metrics.contains("{dependency=\"dataverse\"}"), "what is not used has no value: {metrics}");
    world.graph.clear_faults();
    worker.page_until("/readyz", ready).await?;
    assert!(worker.metrics().await?.value("contactsync_breaker_state").abs() < f64::EPSILON);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told_with_its_address() -> Result<()> {
    let world = world(1).await?;
    // Nobody listens on the reserved port 1.
    let connection = "Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=broker-key;UseDevelopmentEmulator=true";
    let layer = format!("service_bus.connection_string = \"{connection}\"");
    let mut worker = world.start_worker(&world.layered(&[QUICK, &layer])?)?;
    let page =
        worker.page_until("/readyz", |page| says(page, "broker", "no link to the queue since")).await?;
    assert!(page.text.contains("localhost:1") && !page.text.contains("broker-key"), "{page:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_is_not_ready_but_lives() -> Result<()> {
    let world: World = world(1).await?;
    world.graph.script(Fault::hold().patches());
    world.post_changes(&[change(1, 1)]).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_in_flight 1\n")).await?;
    worker.ask_to_stop().await?;
    worker.page_until("/readyz", |page| says(page, "worker", "it finishes what is under way")).await?;
    assert_eq!(worker.page("/livez").await?.status, 200);
    world.graph.release();
    world.drained(PATIENCE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told_as_a_fault_of_the_settings() -> Result<()> {
    let world = world(1).await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let settings = world.layered(&[&format!("http.listen = \"{address}\"")])?;
    let output = tests::binary::command()?.arg("run").arg("--config").arg(settings).output().await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains(&format!("http.listen: {address} is in use by another program")), "{told}");
    Ok(())
}
