//! `contactsync check --online`: tries out everything that `run` needs, and changes nothing.

mod directory;
mod lease;
mod roles;
mod service_bus;

use http::{Method, header::DATE};
use servicebus::clock;
use shared::ids::UserId;

use super::{
    super::{dataverse, wiring},
    trials::Trials,
};
use crate::{
    identity::Clients,
    settings::{
        Settings,
        check::{NetworkFault, Probe, skew},
    },
};

/// Tries everything, each thing as far as what it needs has worked.
pub(super) async fn probes(
    settings: &Settings,
    user: Option<UserId>,
    trials: &mut Trials,
) -> anyhow::Result<()> {
    let clients = wiring::clients(&settings.connection)?;
    hosts(settings, &clients, trials).await?;
    let tells_roles = directory::probes(settings, &clients, user, trials).await?;
    let meant = Box::pin(service_bus::probes(settings, &clients, trials)).await?;
    let most = settings.connection.request_timeout;
    let of_dataverse = dataverse::check::probes::probes(settings, &clients);
    let of_dataverse = trials.wait(("dataverse", most), of_dataverse).await;
    trials.told(of_dataverse)?;
    if tells_roles {
        let holders = roles::probe(settings, &clients, &meant);
        let holders = trials.wait(("the list of role holders", most), holders).await?;
        trials.told([holders])?;
    }
    Ok(())
}

/// The two hosts that are spoken to by HTTP, and the clock by what one of them says.
async fn hosts(settings: &Settings, clients: &Clients, trials: &mut Trials) -> anyhow::Result<()> {
    let most = settings.connection.request_timeout;
    if settings.identity.credential.app().is_some() {
        let login = host("login host", &settings.identity.authority, clients);
        let (probe, _) = trials.wait(("the login host", most), login).await;
        trials.told([probe])?;
    }
    let graph = host("graph host", &settings.graph.root, clients);
    let (probe, date) = trials.wait(("the host of graph", most), graph).await;
    trials.told([probe].into_iter().chain(date.map(|date| skew::judge(Some(&date), clock::now()))))
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
