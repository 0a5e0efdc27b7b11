//! The queue by whose session replicas agree on who writes: whether a session of it can be held, and how it is set up.
//! The session that is tried has a name of its own, so that no replica is disturbed.

use servicebus::{SessionError, SessionQueue, admin};
use shared::reason::chain;

use super::super::super::wiring;
use crate::{
    identity::Clients,
    settings::{
        Settings,
        check::{
            Ending, Probe, Severity,
            lease::{self, CHECK},
        },
    },
};

/// Nothing where there is one replica.
pub(super) async fn probes(settings: &Settings, clients: &Clients, reached: bool) -> Vec<Probe> {
    let Some(name) = settings.replicas.lease_queue.as_deref() else { return Vec::new() };
    if !reached {
        return vec![Probe::skipped(CHECK, "service bus cannot be used")];
    }
    let held = match wiring::session_queue(settings, clients, name) {
        Ok(queue) => hold(&queue, name).await,
        Err(error) => Probe::failed(CHECK, chain(&error), ""),
    };
    if held.ending != Ending::Good {
        return vec![held];
    }
    let described = match wiring::admin_of(&settings.bus, clients, name).describe().await {
        Ok(description) => lease::judge(name, &description.properties),
        Err(admin::Error::Denied { status, .. }) => vec![Probe::found(
            Severity::Note,
            CHECK,
            format!(
                "how {name} is set up cannot be seen without the right Manage ({status}), which run does not need"
            ),
            "see for yourself: sessions, lock 30 seconds, no auto-delete, no forwarding",
        )],
        // The session says so already, and better.
        Err(admin::Error::NotFound { .. }) => Vec::new(),
        Err(error) => vec![Probe::found(Severity::Warning, CHECK, chain(&error), "")],
    };
    [held].into_iter().chain(described).collect()
}

/// Takes a session that nobody else asks for, renews its lock, and gives it back.
async fn hold(queue: &SessionQueue, name: &str) -> Probe {
    let session = format!("check-{}", uuid::Uuid::new_v4().simple());
    let held = match queue.accept(&session).await {
        Ok(Some(held)) => held,
        Ok(None) => {
            return Probe::failed(
                CHECK,
                format!("{name} did not give a session in time"),
                "try again; if it stays so, no replica can become the writer",
            );
        }
        Err(error) => return failed(&error),
    };
    let renewed = held.renew().await;
    held.close().await;
    match renewed {
        Ok(_) => Probe::good(CHECK, format!("a session of {name} can be held and renewed")),
        Err(error) => failed(&error),
    }
}

fn failed(error: &SessionError) -> Probe {
    match error {
        SessionError::Refused { what, .. } => Probe::failed(CHECK, what.clone(), ""),
        SessionError::Lost | SessionError::Unanswered(_) => Probe::failed(CHECK, chain(error), ""),
    }
}
