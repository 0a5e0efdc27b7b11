//! `check --online` reports each fault as what it is.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use emulator::{
    broker::{self, EntityOptions},
    graph::{DEFAULT_CLIENT_ID, Secret},
    journal::Event,
    sas::{Claims, Rule},
};
use tests::world::{LEASED, World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;

use super::{USER, check, world};

const SKIPPED: &str = "there is no token";

fn roles(world: &World, roles: &[&str]) {
    let roles: BTreeSet<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    assert!(world.graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = roles));
}

/// A server that gives every client the same answer.
async fn answering(answer: &'static str) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                match client.read_u8().await {
                    Ok(byte) => heard.push(byte),
                    Err(_) => break,
                }
            }
            // A client that has gone away is none of the test's business.
            drop(client.write_all(answer.as_bytes()).await);
        }
    });
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_works_is_told_so_and_nothing_is_written() -> Result<()> {
    let world = world().await?;
    roles(&world, &["User.ReadWrite.All"]);
    let guard = "[guard]\nattribute = \"extensionAttribute15\"";
    let checked = check(&world, &[guard], &["--user", &USER.to_string()], &[]).await?;
    assert_eq!(
        checked.results(),
        [
            ("login host", "ok"),
            ("graph host", "ok"),
            ("clock", "ok"),
            ("token for graph", "ok"),
            ("permissions", "ok"),
            ("call to graph", "ok"),
            ("user", "ok"),
            ("service bus", "ok"),
            ("right to listen", "ok"),
            ("right to send", "ok"),
            ("queue", "ok"),
            ("waiting messages", "ok"),
        ],
        "{:#}",
        checked.told
    );
    assert_eq!(checked.code, Some(0));
    assert_eq!(
        checked.probe("user").1,
        format!(
            "{USER} can be read; a change would PATCH mail, givenName, surname and the mark in extensionAttribute15; \
             nothing was sent"
        )
    );
    assert_eq!(checked.probe("queue").1, "contacts fits: lock 30s, 10 deliveries");
    let tenant = world.graph.tenant().id;
    assert_eq!(checked.probe("token for graph").1, format!("app {DEFAULT_CLIENT_ID} in tenant {tenant}"));
    assert_eq!(world.patches().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_a_wrong_tenant_are_told_by_the_token() -> Result<()> {
    let world = world().await?;
    let checked = check(&world, &["identity.client_secret = \"wrong\""], &[], &[]).await?;
    assert_eq!(checked.code, Some(1));
    let (result, what, remedy) = checked.probe("token for graph");
    assert_eq!(result, "failed");
    assert!(
        what.ends_with("(AADSTS7000215)") && remedy.contains("paste the secret's value, not its id"),
        "{what}: {remedy}"
    );
    assert_eq!(checked.probe("permissions"), ("skipped", SKIPPED, ""));

    let elsewhere = format!("identity.tenant = \"{}\"", Uuid::from_u128(7));
    let checked = check(&world, &[&elsewhere], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("token for graph");
    assert_eq!(result, "failed");
    assert!(
        what.ends_with("(AADSTS90002)") && remedy.contains("the tenant does not exist in this cloud"),
        "{what}: {remedy}"
    );

    assert!(world.graph.edit_app(DEFAULT_CLIENT_ID, |app| {
        app.secrets.iter_mut().for_each(|secret: &mut Secret| secret.expired = true);
    }));
    let checked = check(&world, &[], &[], &[]).await?;
    let (_, _, remedy) = checked.probe("token for graph");
    assert!(remedy.contains("the client secret has expired"), "{remedy}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_told_when_they_are_missing_and_when_they_are_too_many() -> Result<()> {
    let world = world().await?;
    roles(&world, &[]);
    let checked = check(&world, &[], &["--user", &USER.to_string()], &[]).await?;
    assert_eq!(checked.code, Some(1));
    assert_eq!(
        checked.probes("permissions"),
        [
            (
                "failed",
                "writing mail, givenName, surname is not permitted",
                "give the app the application permission User.ReadWrite.All and an administrator's consent; a narrower \
                 one is User.ReadUpdate.All"
            ),
            (
                "failed",
                "reading users, to find out whether a fault is over is not permitted",
                "give the app the application permission User.ReadWrite.All and an administrator's consent; a narrower \
                 one is User.Read.All"
            ),
        ]
    );
    let (result, what, _) = checked.probe("call to graph");
    assert_eq!(result, "failed");
    assert!(what.starts_with("graph denies reading users (403 Authorization_RequestDenied"), "{what}");
    assert_eq!(checked.probe("user"), ("skipped", "graph cannot be called", ""));

    roles(&world, &["User.ReadWrite.All", "Mail.ReadWrite", "Directory.ReadWrite.All"]);
    let checked = check(&world, &[], &[], &[]).await?;
    assert_eq!(checked.code, Some(0));
    assert_eq!(
        checked.probe("permissions"),
        (
            "warning",
            "the app may do more than it has to, by Mail.ReadWrite, Directory.ReadWrite.All",
            "take them away from the app"
        )
    );
    let strict = check(&world, &[], &["--strict"], &[]).await?;
    assert_eq!(strict.code, Some(1));

    roles(&world, &["User.ReadWrite.All"]);
    let checked = check(&world, &["mapping.preset = \"b2c\""], &[], &[]).await?;
    assert_eq!(
        checked.probe("permissions"),
        (
            "failed",
            "writing signInEmail is not permitted",
            "give the app the application permission User.ManageIdentities.All and an administrator's consent"
        )
    );

    let checked = check(&world, &["mapping.reset_email = true"], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("permissions");
    assert_eq!((result, what), ("failed", "writing resetEmail is not permitted"));
    assert!(remedy.contains("UserAuthenticationMethod.ReadWrite.All"), "{remedy}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_graph_does_not_know_is_told() -> Result<()> {
    let world = world().await?;
    let stranger = Uuid::from_u128(0xabc).to_string();
    let checked = check(&world, &[], &["--user", &stranger], &[]).await?;
    assert_eq!(checked.code, Some(1));
    let (result, what, remedy) = checked.probe("user");
    assert_eq!(result, "failed");
    assert!(what.starts_with(&format!("graph knows no user {stranger} (404 ")), "{what}");
    assert_eq!(
        remedy,
        "give the object id of a user of this tenant; see that identity.tenant holds the users"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_cannot_be_reached_are_told_by_what_is_in_the_way() -> Result<()> {
    let world = world().await?;
    let checked = check(&world, &["graph.root = \"http://127.0.0.1:1\""], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("graph host");
    assert_eq!(result, "failed");
    assert!(what.starts_with("127.0.0.1:1 refuses the connection ("), "{what}");
    assert!(remedy.starts_with("check host and port"), "{remedy}");

    let checked = check(&world, &["graph.root = \"https://graph.invalid\""], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("graph host");
    assert_eq!(result, "failed");
    assert!(what.starts_with("the name of graph.invalid:443 cannot be resolved ("), "{what}");
    assert_eq!(remedy, "check how it is written, and the DNS of this network");

    let checked = check(&world, &["connection.ca_file = \"\""], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("login host");
    assert_eq!(result, "failed");
    assert!(what.starts_with("the certificate of ") && what.contains(" is not trusted ("), "{what}");
    assert!(
        remedy.starts_with("if a proxy opens TLS, name its certificate in connection.ca_file"),
        "{remedy}"
    );

    let proxy = format!("http://{}", answering("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await?);
    let outside = ["identity.authority = \"https://login.microsoftonline.com\""];
    let checked = check(&world, &outside, &[], &[("HTTPS_PROXY", &proxy), ("NO_PROXY", "")]).await?;
    let (result, what, remedy) = checked.probe("login host");
    assert_eq!(result, "failed");
    assert!(what.starts_with("the proxy does not let us through to "), "{what}");
    assert!(remedy.starts_with("check HTTPS_PROXY with its name and password"), "{remedy}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told() -> Result<()> {
    let world = world().await?;
    let old = "HTTP/1.1 404 Not Found\r\nDate: Mon, 02 Mar 2020 08:00:00 GMT\r\nContent-Length: 0\r\n\
               Connection: close\r\n\r\n";
    let root = format!("graph.root = \"http://{}\"", answering(old).await?);
    let checked = check(&world, &[&root], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("clock");
    assert_eq!(result, "failed");
    assert!(
        what.contains("ahead of the service, so that certificates, tokens and signatures are refused"),
        "{what}"
    );
    assert_eq!(remedy, "let the system set its clock by NTP");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn service_bus_that_cannot_be_reached_is_told_by_what_is_in_the_way() -> Result<()> {
    let world = world().await?;
    let refused = "service_bus.connection_string = \"Endpoint=sb://localhost:1;SharedAccessKeyName=a;\
                   SharedAccessKey=b;UseDevelopmentEmulator=true\"";
    let checked = check(&world, &[refused], &[], &[]).await?;
    let (result, what, _) = checked.probe("service bus");
    assert_eq!(result, "failed");
    assert!(what.starts_with("localhost:1 refuses the connection ("), "{what}");
    assert_eq!(checked.probe("right to send"), ("skipped", "service bus cannot be used", ""));

    let tls = world.bus.tls_connection_string().context("tls")?;
    let untrusted = format!("service_bus.connection_string = \"{tls}\"\nconnection.ca_file = \"\"");
    let checked = check(&world, &[&untrusted], &[], &[]).await?;
    let (result, what, _) = checked.probe("service bus");
    assert_eq!(result, "failed");
    assert!(what.starts_with("the certificate of localhost:"), "{what}");

    let proxy = format!("http://{}", answering("HTTP/1.1 403 Forbidden\r\n\r\n").await?);
    let outside = tls.replace("localhost", "contoso.servicebus.windows.net");
    let tunnelled =
        format!("service_bus.connection_string = \"{outside}\"\nservice_bus.transport = \"websocket\"");
    let checked = check(&world, &[&tunnelled], &[], &[("HTTPS_PROXY", &proxy), ("NO_PROXY", "")]).await?;
    let (result, what, _) = checked.probe("service bus");
    assert_eq!(result, "failed");
    assert!(
        what.starts_with("the proxy does not let us through to contoso.servicebus.windows.net:"),
        "{what}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_at_the_queue_are_told_one_by_one() -> Result<()> {
    let world = world().await?;
    let wrong = world.bus.connection_string().replace("SAS_KEY_VALUE", "w0rthless");
    let checked = check(&world, &[&format!("service_bus.connection_string = \"{wrong}\"")], &[], &[]).await?;
    let (result, what, remedy) = checked.probe("token for service bus");
    assert_eq!(result, "failed");
    assert_eq!(what, "service bus does not accept the token (amqp:unauthorized-access)");
    assert!(remedy.starts_with("copy the connection string again"), "{remedy}");
    assert!(!checked.told.to_string().contains("w0rthless"));

    let with = |claims| vec![Rule { claims, ..Rule::default() }];
    world.bus.set_rules(with(Claims::LISTEN));
    let checked = check(&world, &[], &[], &[]).await?;
    assert_eq!(checked.probe("right to listen").0, "ok");
    assert_eq!(
        checked.probe("right to send"),
        (
            "failed",
            "the credential may not send to contacts",
            "give the rule the right Send, or the identity the role Azure Service Bus Data Sender"
        )
    );
    world.bus.set_rules(with(Claims::SEND));
    let checked = check(&world, &[], &[], &[]).await?;
    assert_eq!(
        checked.probe("right to listen"),
        (
            "failed",
            "the credential may not listen at contacts",
            "give the rule the right Listen, or the identity the role Azure Service Bus Data Receiver"
        )
    );
    assert_eq!(checked.probe("right to send").0, "ok");

    world.bus.set_rules(with(Claims { manage: false, ..Claims::ALL }));
    let checked = check(&world, &[], &[], &[]).await?;
    assert_eq!(checked.code, Some(0));
    let (result, what, remedy) = checked.probe("queue");
    assert_eq!(result, "note");
    assert!(what.starts_with("how contacts is set up cannot be seen without the right Manage ("), "{what}");
    assert!(remedy.starts_with("see for yourself: no sessions, lock 1 to 5 minutes"), "{remedy}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_missing_or_does_not_fit_is_told() -> Result<()> {
    let world = world().await?;
    let checked = check(&world, &["service_bus.queue = \"nowhere\""], &[], &[]).await?;
    assert_eq!(checked.code, Some(1));
    assert_eq!(
        checked.probe("right to listen"),
        (
            "failed",
            "there is no nowhere in this namespace",
            "make it, or correct service_bus.queue, or topic and subscription"
        )
    );

    let sessions = EntityOptions { requires_session: true, ..EntityOptions::default() };
    world.bus.broker(|broker, now| broker.add_queue("sessions", sessions, now))?;
    let checked = check(&world, &["service_bus.queue = \"sessions\""], &[], &[]).await?;
    assert_eq!(checked.code, Some(1));
    assert_eq!(
        checked.probe("queue"),
        (
            "failed",
            "sessions requires sessions, and Dataverse sends none",
            "make a queue without sessions; contactsync keeps the order of changes by itself"
        )
    );

    let odd = EntityOptions {
        lock_duration: std::time::Duration::from_secs(10),
        max_delivery_count: 2,
        default_ttl: Some(std::time::Duration::from_hours(2)),
        ..EntityOptions::default()
    };
    world.bus.broker(|broker, now| broker.add_queue("odd", odd, now))?;
    let checked = check(&world, &["service_bus.queue = \"odd\""], &[], &[]).await?;
    assert_eq!(checked.code, Some(0));
    assert_eq!(
        checked.probes("queue"),
        [
            (
                "warning",
                "a lock of 10s is short: a flood of changes is gathered for a quarter of it at most, and 100 users can \
                 wait while renewals fail, so that fewer changes of one user meet",
                "set the lock duration to one to five minutes"
            ),
            (
                "warning",
                "after 2 deliveries Service Bus itself makes a message a dead letter; a delivery counts when a replica \
                 dies or loses its lock, and contactsync's own tries do not",
                "set the max delivery count to 10 or more"
            ),
            ("warning", "messages vanish without a trace after 2h", "switch dead-lettering on expiration on"),
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_the_lease_is_tried_by_a_session_of_its_own() -> Result<()> {
    let world = world().await?;
    let checked = check(&world, &[LEASED], &[], &[]).await?;
    let (result, what, _) = checked.probe("lease queue");
    assert_eq!((result, what), ("ok", "a session of contacts-lease can be held and renewed"));
    let sessions = world
        .bus
        .journal()
        .count(|event| matches!(event, Event::Broker(broker::Event::SessionAccepted { .. })));
    assert_eq!(sessions, 1);
    let missing = check(&world, &["replicas.lease_queue = \"nowhere\""], &[], &[]).await?;
    let (result, what, _) = missing.probe("lease queue");
    assert!(result == "failed" && what.contains("there is no queue nowhere"), "{what}");
    world.bus.broker(|broker, now| broker.add_queue("plain", EntityOptions::default(), now))?;
    let plain = check(&world, &["replicas.lease_queue = \"plain\""], &[], &[]).await?;
    let (result, what, _) = plain.probe("lease queue");
    assert!(result == "failed" && what.contains("plain has no sessions"), "{what}");
    let long = EntityOptions {
        requires_session: true,
        lock_duration: std::time::Duration::from_mins(5),
        ..EntityOptions::default()
    };
    world.bus.broker(|broker, now| broker.add_queue("long", long, now))?;
    let slow = check(&world, &["replicas.lease_queue = \"long\""], &[], &[]).await?;
    let told: Vec<_> = slow.probes("lease queue").into_iter().map(|(result, ..)| result).collect();
    assert_eq!(told, ["ok", "warning"]);
    Ok(())
}
