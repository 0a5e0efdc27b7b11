//! The ways to Service Bus: with Entra tokens, from a subscription, over a web socket, through a proxy.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use emulator::{bus::CLOUD_NAME, journal::Event};
use servicebus::{ConnectionString, Outgoing, Queue, amqp};
use tests::world::{Options, SUBSCRIPTION, TOPIC, World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{PATIENCE, applied, rename, seen, start, works, world};

/// The namespace in place of a connection string.
fn namespace(world: &World) -> String {
    let port = world.bus.address().port();
    format!("[service_bus]\nconnection_string = \"\"\nnamespace = \"amqp://localhost:{port}\"")
}

fn tokens_put(world: &World) -> usize {
    world.bus.journal().count(|event| matches!(event, Event::Token { status: 202, .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entra_token_opens_the_queue_in_place_of_a_key() -> Result<()> {
    let world = world().await?;
    works(&world, &[&namespace(&world)], &[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn service_bus_may_know_the_worker_as_somebody_else() -> Result<()> {
    let world = world().await?;
    let managed = "[service_bus.identity]\nkind = \"managed\"";
    let host = world.graph.http_url();
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", &*host)];
    works(&world, &[&namespace(&world), managed], &variables).await?;
    let managed_calls = world
        .graph
        .journal()
        .into_iter()
        .filter(|entry| entry.path.starts_with("/metadata/identity"))
        .count();
    assert_eq!(managed_calls, 1, "one for Service Bus, none for Graph");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_tokens_for_service_bus_are_renewed_before_they_end() -> Result<()> {
    let mut options = Options::default();
    // Renewed after three quarters of it, so a busy machine has two seconds for that.
    options.graph.token_lifetime = Duration::from_secs(8);
    let world = World::start(options).await?;
    world.graph.add_user(emulator::graph::User::new(super::USER))?;
    let worker = start(&world, &[&namespace(&world)], &[])?;
    applied(&world, &worker, 1, "Ada").await?;
    let before = tokens_put(&world);
    world
        .until(PATIENCE, "three more tokens are put", |world| {
            let count = tokens_put(world);
            Ok((count >= before + 3, count.to_string()))
        })
        .await?;
    applied(&world, &worker, 2, "Grace").await?;
    worker.stop().await?;
    let journal = world.bus.journal();
    let receivers = journal.count(|event| matches!(event, Event::Refused { .. }));
    assert_eq!(receivers, 0, "no link was refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_service_bus_refuses_is_not_offered_again() -> Result<()> {
    let world = world().await?;
    let worker = start(&world, &[&namespace(&world)], &[])?;
    applied(&world, &worker, 1, "Ada").await?;
    world.graph.revoke_tokens();
    world.bus.drop_connections();
    applied(&world, &worker, 2, "Grace").await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_from_a_subscription_and_go_back_to_its_topic() -> Result<()> {
    let world = world().await?;
    let source =
        format!("[service_bus]\nqueue = \"\"\ntopic = \"{TOPIC}\"\nsubscription = \"{SUBSCRIPTION}\"");
    // A write that fails for longer than the worker holds on to a message, so that a copy comes back.
    let patience = "[retry]\ntries = 1";
    world.graph.script(emulator::graph::Fault {
        method: Some("PATCH".to_owned()),
        times: Some(2),
        answer: Some(emulator::graph::Answer::Error(emulator::graph::ErrorAnswer {
            status: 503,
            ..emulator::graph::ErrorAnswer::default()
        })),
        ..emulator::graph::Fault::default()
    });
    let worker = start(&world, &[&source, patience], &[])?;
    let connection = ConnectionString::parse(&world.bus.connection_string())?;
    let topic = amqp::Settings::from_connection_string(&connection, TOPIC, servicebus::clock::now);
    let topic = amqp::AmqpQueue::open_without_intake(&topic)?;
    let message = Outgoing {
        content_type: Some("application/json".into()),
        body: rename(1, "Ada").body().into(),
        ..Outgoing::default()
    };
    topic.send(message).await?;
    topic.close().await;
    seen(&world, &worker, "Ada").await?;
    let address = format!("{TOPIC}/Subscriptions/{SUBSCRIPTION}");
    world
        .until(PATIENCE, "the subscription is empty", |world| {
            let counts = world.bus.counts(&address)?;
            Ok((counts.active + counts.scheduled == 0, format!("{counts:?}")))
        })
        .await?;
    let log = worker.stop().await?;
    assert_eq!(world.bus.counts(&format!("{address}/$DeadLetterQueue"))?.active, 0, "{log}");
    let copies = world
        .bus
        .journal()
        .count(|event| matches!(event, Event::Attached { address, .. } if address == TOPIC));
    assert!(copies >= 2, "the test's own link to the topic, and the worker's for the copy\n{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_carries_the_messages_with_tls_and_a_private_authority() -> Result<()> {
    let world = world().await?;
    let connection = world.bus.tls_connection_string().context("tls")?;
    let layer = format!("[service_bus]\nconnection_string = \"{connection}\"\ntransport = \"websocket\"");
    works(&world, &[&layer], &[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_tls_is_for_this_machine() -> Result<()> {
    let world = world().await?;
    works(&world, &[&namespace(&world), "service_bus.transport = \"websocket\""], &[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_writes_and_the_websocket_go_through_the_proxy_of_the_environment() -> Result<()> {
    let world = world().await?;
    let (proxy, tunnels) = proxy().await?;
    // By names of the cloud: what is on this machine is called past every proxy.
    let connection = world.bus.tls_connection_string().context("tls")?.replace("localhost", CLOUD_NAME);
    let layer = format!("[service_bus]\nconnection_string = \"{connection}\"\ntransport = \"websocket\"");
    let (graph, login) = ("https://graph.microsoft.com", "https://login.microsoftonline.com");
    let [graph, login] =
        [graph, login].map(|name| world.graph.https_url().replace("https://localhost", name));
    let root = format!("graph.root = \"{graph}\"\nidentity.authority = \"{login}\"");
    works(&world, &[&layer, &root], &[("HTTPS_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]).await?;
    let tunnels = tunnels.lock().expect("not poisoned").clone();
    let bus = format!("{CLOUD_NAME}:{}", world.bus.tls_address().context("tls")?.port());
    for name in [&*bus, &graph, &login] {
        assert!(tunnels.contains(&name.replace("https://", "")), "no {name}: {tunnels:?}");
    }
    Ok(())
}

/// A proxy that opens every tunnel, whatever its name to this machine, and the names of those it opened.
async fn proxy() -> Result<(String, Arc<Mutex<Vec<String>>>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://user:word@{}", listener.local_addr()?);
    let tunnels = Arc::new(Mutex::new(Vec::new()));
    let opened = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let opened = Arc::clone(&opened);
            // A tunnel ends when either side does, which is no failure.
            tokio::spawn(async move { drop(tunnel(client, &opened).await) });
        }
    });
    Ok((url, tunnels))
}

async fn tunnel(mut client: TcpStream, opened: &Mutex<Vec<String>>) -> Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(client.read_u8().await?);
    }
    let heard = String::from_utf8(heard)?;
    let target =
        heard.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).context("no CONNECT")?;
    if !heard.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk") {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await?;
        return Ok(());
    }
    opened.lock().expect("not poisoned").push(target.to_owned());
    let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).context("no port")?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
