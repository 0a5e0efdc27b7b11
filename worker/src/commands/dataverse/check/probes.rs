//! Everything that is tried out at Dataverse, each thing as far as what it needs has worked.

use serde::de::IgnoredAny;
use servicebus::clock;
use shared::reason::chain;
use uuid::Uuid;

use super::{columns, organization, rights};
use crate::{
    commands::wiring,
    dataverse::{Challenge, Client, Error, Kind, Table},
    identity::{Clients, TokenProvider},
    settings::{
        Environment, Settings,
        check::{NetworkFault, Probe, Severity, skew},
        cloud_of,
    },
};

const HOST: &str = "dataverse host";
const CLOCK: &str = "clock of dataverse";
const TENANT: &str = "tenant of dataverse";
const TOKEN: &str = "token for dataverse";
const USER: &str = "application user";
const READ: &str = "read of contacts";
const TRACKING: &str = "change tracking";
/// The table that is read, and its key.
const CONTACT: &str = "contact";
const KEY: &str = "contactid";

/// Tries it all; nothing, if the settings name no environment.
pub(in crate::commands) async fn probes(settings: &Settings, clients: &Clients) -> Vec<Probe> {
    let Some(environment) = &settings.dataverse.environment else { return Vec::new() };
    let client = wiring::dataverse_of(environment, clients);
    let place = environment.authority();
    let mut probes = match client.challenge().await {
        Ok(challenge) => hosts(environment, &challenge, &place),
        Err(error) => {
            let fault = NetworkFault::of(&error).probe(HOST, &place, &chain(&error));
            return [fault]
                .into_iter()
                .chain(skipped(&[TOKEN, USER], "dataverse cannot be reached"))
                .collect();
        }
    };
    let token = wiring::dataverse_tokens(environment, clients.clone()).token().await;
    match token {
        Ok(_) => probes.push(Probe::good(TOKEN, environment.identity.credential.to_string())),
        Err(error) => {
            // The text of the error holds its remedy, for the keys of another section.
            let remedy = "for dataverse these keys are those of [dataverse.identity] and dataverse.url";
            probes.push(Probe::failed(TOKEN, chain(&error), remedy));
            probes.extend(skipped(&[USER], "there is no token"));
            return probes;
        }
    }
    match client.who_am_i().await {
        Ok(who) => {
            let what = format!("user {} of organization {}", who.user_id, who.organization_id);
            probes.push(Probe::good(USER, what));
            probes.extend(organization::probes(
                settings,
                environment.purpose,
                &who,
                client.organization().await,
            ));
            probes.extend(below(settings, &client, who.user_id).await);
        }
        Err(error) => {
            probes.push(no_user(&error));
            let rest = [organization::CHECK, rights::CHECK, columns::CHECK, READ];
            probes.extend(skipped(&rest, "dataverse does not let us in"));
        }
    }
    probes
}

/// What can be told without a token.
fn hosts(environment: &Environment, challenge: &Challenge, place: &str) -> Vec<Probe> {
    let mut probes = vec![Probe::good(HOST, format!("{place} answers"))];
    probes.push(Probe { check: CLOCK, ..skew::judge(challenge.date.as_deref(), clock::now()) });
    probes.push(tenant(environment, challenge));
    probes
}

/// Whether the environment belongs to the tenant that tokens come from.
fn tenant(environment: &Environment, challenge: &Challenge) -> Probe {
    let Some(theirs) = challenge.tenant.as_deref() else {
        return Probe::skipped(TENANT, "the environment does not say to which tenant it belongs");
    };
    let cloud = |host: Option<&str>| cloud_of(host?).map(|cloud| cloud.authority);
    let (login, ours) = (cloud(challenge.login.as_deref()), cloud(environment.identity.authority.host_str()));
    if let (Some(login), Some(ours)) = (login, ours)
        && login != ours
    {
        let what = format!("the environment takes tokens of {login}, and the settings ask {ours}");
        return Probe::failed(
            TENANT,
            what,
            "set cloud, or dataverse.identity.authority, to that of the environment",
        );
    }
    let is_id = |text: &str| Uuid::try_parse(text).is_ok();
    match environment.identity.credential.app().map(|app| &*app.tenant) {
        Some(ours) if is_id(ours) && is_id(theirs) && !ours.eq_ignore_ascii_case(theirs) => Probe::failed(
            TENANT,
            format!(
                "the environment belongs to tenant {theirs}, and the settings ask tenant {ours} for tokens"
            ),
            "set dataverse.identity.tenant and client_id to an app of the tenant of the environment",
        ),
        _ => Probe::good(TENANT, format!("the environment belongs to tenant {theirs}")),
    }
}

/// Why nobody in the environment belongs to the token.
fn no_user(error: &Error) -> Probe {
    let what = match error.refusal() {
        Some(refusal) if error.kind() == Some(Kind::Account) && refusal.status == 403 => {
            format!(
                "the token is good, but no active application user in the environment belongs to it ({refusal})"
            )
        }
        Some(refusal) if error.kind() == Some(Kind::Account) => {
            format!("dataverse does not take the token ({refusal})")
        }
        _ => chain(error),
    };
    Probe::failed(USER, what, error.remedy())
}

/// What the user may do, and what there is to be read.
async fn below(settings: &Settings, client: &Client, user: Uuid) -> Vec<Probe> {
    let table = client.table(CONTACT).await;
    let mut probes = rights::probes(client.privileges(user).await, table.as_ref().ok());
    let needed = settings.planner.columns();
    let known = client.columns(CONTACT).await;
    let select = known.as_ref().map_or_else(|_| KEY.to_owned(), |known| columns::select(&needed, known));
    let judged = columns::probes(&needed, known);
    let readable = !judged.iter().any(|probe| probe.result() == "failed");
    probes.extend(judged);
    probes.push(if readable {
        let read = client.row::<IgnoredAny>(&format!("contacts?$select={select}&$top=1")).await.map(drop);
        self::read(read, settings.planner.read_back)
    } else {
        Probe::skipped(READ, "a column cannot be read")
    });
    probes.push(tracking(table));
    probes
}

fn read(read: Result<(), Error>, by_run: bool) -> Probe {
    const WELL: &str = "contacts can be read with all columns that the settings name";
    match read {
        Ok(()) if by_run => Probe::good(
            READ,
            format!("{WELL}; run reads the row of a contact where a message does not say enough"),
        ),
        Ok(()) => Probe::good(READ, format!("{WELL}; run reads none, because dataverse.read_back is false")),
        Err(error) => Probe::failed(READ, chain(&error), error.remedy()),
    }
}

fn tracking(table: Result<Table, Error>) -> Probe {
    match table.map(|table| table.change_tracking_enabled) {
        Ok(Some(true)) => Probe::good(TRACKING, "changes of contacts are tracked"),
        Ok(Some(false)) => Probe::found(
            Severity::Note,
            TRACKING,
            "changes of contacts are not tracked, so that whoever looks for differences has to read all contacts",
            "switch it on in Power Apps: tables, Contact, properties, advanced options, Track changes; it cannot be \
             switched off again",
        ),
        Ok(None) => Probe::skipped(TRACKING, "the environment does not say"),
        Err(error) => Probe::found(Severity::Note, TRACKING, chain(&error), error.remedy()),
    }
}

fn skipped<'p>(checks: &'p [&'static str], why: &'p str) -> impl Iterator<Item = Probe> + 'p {
    checks.iter().map(move |check| Probe::skipped(check, why))
}
