//! `contactsync check --online`: tries out everything that `run` needs, and changes nothing.

mod directory;
mod lease;
mod roles;
mod service_bus;

use http::{Method, header::DATE};
use servicebus::clock;
use shared::ids::UserId;

use super::super::{dataverse, wiring};
use crate::{
    identity::Clients,
    settings::{
        Settings,
        check::{NetworkFault, Probe, skew},
    },
};

/// Tries everything, each thing as far as what it needs has worked.
pub(super) async fn probes(settings: &Settings, user: Option<UserId>) -> anyhow::Result<Vec<Probe>> {
    let clients = wiring::clients(&settings.connection)?;
    let mut probes = hosts(settings, &clients).await;
    let (of_graph, tells_roles) = directory::probes(settings, &clients, user).await?;
    let (of_bus, meant) = service_bus::probes(settings, &clients).await;
    probes.extend(of_graph);
    probes.extend(of_bus);
    probes.extend(dataverse::check::probes::probes(settings, &clients).await);
    if tells_roles {
        probes.push(roles::probe(settings, &clients, &meant).await?);
    }
    Ok(probes)
}

/// The two hosts that are spoken to by HTTP, and the clock by what one of them says.
async fn hosts(settings: &Settings, clients: &Clients) -> Vec<Probe> {
    let mut probes = Vec::new();
    if settings.identity.credential.app().is_some() {
        probes.push(host("login host", &settings.identity.authority, clients).await.0);
    }
    let (probe, date) = host("graph host", &settings.graph.root, clients).await;
    probes.push(probe);
    probes.extend(date.map(|date| skew::judge(Some(&date), clock::now())));
    probes
}

/// Asks for the root of a host, without a credential: whatever it answers shows that it is there.
async fn host(check: &'static str, url: &url::Url, clients: &Clients) -> (Probe, Option<String>) {
    let name = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
    match clients.http.request(Method::GET, url).send().await {
        Ok(response) => {
            let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
            (Probe::good(check, format!("{name}{port} answers")), date.map(str::to_owned))
        }
        Err(error) => {
            let error = error.without_url();
            let detail = shared::reason::chain(&error);
            (NetworkFault::of(&error).probe(check, &format!("{name}{port}"), &detail), None)
        }
    }
}
