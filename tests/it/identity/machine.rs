//! The identity of the machine the worker runs on.

use std::time::Duration;

use anyhow::Result;
use emulator::graph::{
    App, DEFAULT_CLIENT_ID, FederatedCredential, IDENTITY_HEADER, Issuer, ManagedIdentity,
};
use tests::world::World;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{NOBODY, edit, rename, said, seen, start, works, world};

const MANAGED: &str = "identity.kind = \"managed\"";

/// What App Service and container apps set.
fn app_service(world: &World) -> Vec<(&'static str, String)> {
    let endpoint = format!("{}/msi/token", world.graph.http_url());
    vec![("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", IDENTITY_HEADER.to_owned())]
}

/// What leads to another metadata service than that of Azure.
fn metadata(world: &World) -> Vec<(&'static str, String)> {
    vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.graph.http_url())]
}

fn borrowed<'v>(variables: &'v [(&'static str, String)]) -> Vec<(&'v str, &'v str)> {
    variables.iter().map(|(name, value)| (*name, &**value)).collect()
}

/// The app can prove itself in no other way than as the machine.
fn only_machine(world: &World, identity: ManagedIdentity) {
    edit(world, |app: &mut App| {
        app.secrets.clear();
        app.managed = Some(identity);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_of_an_app_service_or_a_virtual_machine_opens_the_door() -> Result<()> {
    for surroundings in [app_service, metadata] {
        let world = world().await?;
        only_machine(&world, ManagedIdentity { system: true, ..ManagedIdentity::default() });
        works(&world, &[NOBODY, MANAGED], &borrowed(&surroundings(&world))).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_assigned_identity_is_chosen_by_each_of_its_ids() -> Result<()> {
    let resource =
        "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";
    let object = uuid::uuid!("7c4b1b8e-6f0c-4f7b-9a51-000000000001");
    let ids = [DEFAULT_CLIENT_ID.to_string(), format!("object:{object}"), resource.to_owned()];
    let world = world().await?;
    only_machine(
        &world,
        ManagedIdentity { system: false, object_id: Some(object), resource_id: Some(resource.to_owned()) },
    );
    for id in ids {
        let chosen = format!("identity.managed_identity = \"{id}\"");
        works(&world, &[NOBODY, MANAGED, &chosen], &borrowed(&metadata(&world))).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_the_identity_pauses_the_worker_until_it_has_it() -> Result<()> {
    let world = world().await?;
    edit(&world, |app| app.managed = None);
    world.post_changes(&[rename(1, "Ada")]).await?;
    let worker = start(&world, &[NOBODY, MANAGED], &borrowed(&app_service(&world)))?;
    said(&world, &worker, "assign the identity to this machine").await?;
    edit(&world, |app| {
        app.managed = Some(ManagedIdentity { system: true, ..ManagedIdentity::default() });
    });
    seen(&world, &worker, "Ada").await?;
    worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_another_tenant_can_trust_the_identity_of_the_machine() -> Result<()> {
    let world = world().await?;
    // The tenant of the machine is an outside issuer to that of the users.
    let issuer = Issuer::new("https://login.microsoftonline.com/00000000-aaaa-4bbb-8ccc-000000000000/v2.0")?;
    let subject = "33333333-aaaa-4bbb-8ccc-000000000000";
    edit(&world, |app| {
        app.secrets.clear();
        app.managed = None;
        app.federated = vec![FederatedCredential::new(issuer.url(), subject, issuer.keys())];
    });
    let token = issuer.assertion(subject, "api://AzureADTokenExchange", Duration::from_hours(1))?;
    let endpoint = managed_endpoint(token).await?;
    let variables = [("IDENTITY_ENDPOINT", &*endpoint), ("IDENTITY_HEADER", IDENTITY_HEADER)];
    works(&world, &[MANAGED], &variables).await?;
    Ok(())
}

/// An endpoint of managed identities that gives this token for the exchange, and for nothing else.
async fn managed_endpoint(token: String) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                heard.push(byte);
            }
            let heard = String::from_utf8_lossy(&heard);
            let wanted = heard.contains("resource=api%3A%2F%2FAzureADTokenExchange ")
                || heard.contains("resource=api%3A%2F%2FAzureADTokenExchange&");
            let (status, body) = if wanted {
                (
                    "200 OK",
                    format!(
                        r#"{{"access_token":"{token}","expires_on":"4102444800","resource":"api://AzureADTokenExchange","token_type":"Bearer"}}"#
                    ),
                )
            } else {
                ("400 Bad Request", "{}".to_owned())
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    Ok(format!("http://{address}/msi/token"))
}
