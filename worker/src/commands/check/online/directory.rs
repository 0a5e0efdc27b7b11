//! The token, what it may do, and a user.

use std::sync::Arc;

use servicebus::clock;
use shared::{
    admission::Withheld,
    class::Class,
    ids::{SequenceNumber, UserId},
    lww_register::Stamp,
    patch::{ListElement, PatchEntry, PropertyValue, SignIn, UserWrite},
    priority::Priority,
    property::PropertyKind,
    reason::chain,
    version::Version,
};

use super::super::{super::wiring, trials::Trials};
use crate::{
    duration::exact,
    graph::{self, Directory},
    identity::{Clients, Credential, TokenProvider},
    settings::{
        Settings,
        check::{Claims, Probe, Severity, permissions},
    },
};

const TOKEN: &str = "token for graph";
const PERMISSIONS: &str = "permissions";
const CALL: &str = "call to graph";
const USER: &str = "user";

pub(super) async fn probes(
    settings: &Settings,
    clients: &Clients,
    user: Option<UserId>,
    trials: &mut Trials,
) -> anyhow::Result<bool> {
    let most = settings.connection.request_timeout;
    let tokens = Arc::new(wiring::graph_tokens(settings, clients.clone()));
    let bearer = match trials.wait((TOKEN, most), tokens.token()).await {
        Ok(bearer) => bearer,
        Err(error) => {
            let (what, remedy) = error.advice();
            let skipped = [PERMISSIONS, CALL].into_iter().chain(user.map(|_| USER));
            let skipped = skipped.map(|check| Probe::skipped(check, "there is no token"));
            trials.told([Probe::failed(TOKEN, what, remedy)].into_iter().chain(skipped))?;
            return Ok(false);
        }
    };
    let claims = Claims::read(bearer.text());
    trials.told([who(settings, claims.as_ref())])?;
    trials.told(allowed(settings, claims.as_ref()))?;
    let directory = wiring::directory(settings, clients.clone());
    let called = trials.wait((CALL, most), call(&directory)).await;
    let reached = called.result() == "ok";
    trials.told([called])?;
    if let Some(user) = user {
        let probe = if reached {
            trials.wait(("the user", most), preview(settings, &directory, user)).await
        } else {
            Probe::skipped(USER, "graph cannot be called")
        };
        trials.told([probe])?;
    }
    let tells_roles =
        claims.is_some_and(|claims| claims.roles.iter().any(|role| permissions::ROLES.contains(&&**role)));
    Ok(reached && tells_roles)
}

/// Who we are, as the token says.
fn who(settings: &Settings, claims: Option<&Claims>) -> Probe {
    let Some(Claims { appid: Some(app), tid: Some(tenant), .. }) = claims else {
        return Probe::good(TOKEN, "a token was issued, and does not say for whom");
    };
    let asked = settings.identity.credential.app().map(|app| &app.tenant);
    let other = asked
        .is_some_and(|asked| uuid::Uuid::try_parse(asked).is_ok() && !asked.eq_ignore_ascii_case(tenant));
    if other {
        let what = format!("the token is for tenant {tenant}, which is not the one that was asked for");
        return Probe::failed(TOKEN, what, "check identity.tenant and identity.authority");
    }
    Probe::good(TOKEN, format!("app {app} in tenant {tenant}"))
}

/// What is missing, and what is too much.
fn allowed(settings: &Settings, claims: Option<&Claims>) -> Vec<Probe> {
    let Some(claims) = claims else {
        return vec![Probe::skipped(PERMISSIONS, "the token cannot be read, which is its right")];
    };
    if matches!(settings.identity.credential, Credential::Cli { .. }) {
        return vec![Probe::skipped(
            PERMISSIONS,
            "a person is signed in, and no app; what run needs is not shown by that",
        )];
    }
    let needs = permissions::needs(&settings.planner, &settings.reading());
    let permissions::Comparison { missing, excessive } =
        permissions::compare(claims.roles.iter().map(|role| &**role), &needs);
    let mut probes: Vec<_> = missing.iter().map(lacking).collect();
    if !excessive.is_empty() {
        let what = format!("the app may do more than it has to, by {}", excessive.join(", "));
        probes.push(Probe::found(Severity::Warning, PERMISSIONS, what, "take them away from the app"));
    }
    if probes.is_empty() {
        let roles: Vec<_> = claims.roles.iter().map(|role| &**role).collect();
        probes.push(Probe::good(PERMISSIONS, format!("{}: enough, and nothing too much", roles.join(", "))));
    }
    probes
}

fn lacking(need: &permissions::Need) -> Probe {
    let (usual, least) = (need.usual(), need.any_of[0]);
    let narrower = if usual == least { String::new() } else { format!("; a narrower one is {least}") };
    let remedy =
        format!("give the app the application permission {usual} and an administrator's consent{narrower}");
    Probe::failed(PERMISSIONS, format!("{} is not permitted", need.what), &remedy)
}

/// Whether Graph answers us at all.
async fn call(directory: &graph::GraphClient) -> Probe {
    match directory.probe().await {
        Ok(()) => Probe::good(CALL, "graph takes the token and lets us read users"),
        Err(graph::Error::Refused { answer, .. }) if answer.status == 403 => Probe::failed(
            CALL,
            format!("graph denies reading users ({answer})"),
            "give the app the permission, and an administrator's consent; tokens tell of it a while later",
        ),
        Err(graph::Error::Refused { answer, .. }) if answer.status == 401 => Probe::failed(
            CALL,
            format!("graph does not take the token ({answer})"),
            "see that graph.root and identity.authority belong to one cloud, and that the tenant holds users",
        ),
        Err(error) => {
            let (wait, remedy) = match error.class() {
                Class::Throttled { retry_after } => (
                    retry_after.map_or_else(String::new, |wait| format!(", and asks for {}", exact(wait))),
                    "wait; run waits by itself. If it lasts, look which other apps use up the quota of the tenant",
                ),
                Class::Transient => {
                    (String::new(), "try again; it passes as a rule, and run goes on by itself when it has")
                }
                Class::Permanent | Class::Installation => (String::new(), ""),
            };
            Probe::failed(CALL, format!("{}{wait}", chain(&error)), remedy)
        }
    }
}

/// A write to a user as `run` would make it, as far as it goes without being sent.
async fn preview(settings: &Settings, directory: &graph::GraphClient, user: UserId) -> Probe {
    let write = sample(settings, user);
    let properties: Vec<_> = write.entries.iter().map(|entry| entry.property.to_string()).collect();
    let guard = settings.guard.attribute.as_ref();
    let guard = guard.map_or_else(String::new, |guard| format!(" and the mark in {guard}"));
    match directory.preview(&write).await {
        Ok(_) => Probe::good(
            USER,
            format!(
                "{user} can be read; a change would PATCH {}{guard}; nothing was sent",
                properties.join(", ")
            ),
        ),
        Err(graph::Error::Withheld(Withheld::Ambiguous)) => Probe::found(
            Severity::Note,
            USER,
            format!("{user} can be read, and signs in with several addresses"),
            "register a pre image with the e-mail column, which tells the address to change; nothing was sent",
        ),
        Err(graph::Error::Refused { answer, .. }) if answer.status == 404 => Probe::failed(
            USER,
            format!("graph knows no user {user} ({answer})"),
            "give the object id of a user of this tenant; see that identity.tenant holds the users",
        ),
        Err(error) => Probe::failed(USER, chain(&error), ""),
    }
}

/// A change of every mapped property.
fn sample(settings: &Settings, user: UserId) -> UserWrite {
    let stamp = Stamp { version: Version::at(clock::now()), arrival: SequenceNumber(0) };
    let entries = settings.planner.mapping.rows().iter().map(|row| PatchEntry {
        property: row.property.clone(),
        value: match row.property.rules().kind {
            PropertyKind::SignIn | PropertyKind::Reset => {
                PropertyValue::from(SignIn::to("somebody@example.com"))
            }
            PropertyKind::List { .. } => PropertyValue::from(ListElement::of("somebody@example.com")),
            _ => PropertyValue::Clear,
        },
        stamp,
    });
    UserWrite {
        user,
        entries: entries.collect(),
        known: Vec::new(),
        urgency: Priority::default(),
        contacts: Vec::new(),
    }
}
