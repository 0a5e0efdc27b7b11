//! Whether contacts are linked with users who administer the tenant: whoever edits such a contact changes their mail and
//! names, because Graph protects only what is sensitive.

use std::collections::BTreeSet;

use shared::{ids::UserId, reason::chain};

use super::super::super::wiring;
use crate::{
    identity::Clients,
    settings::{
        Settings,
        check::{Probe, Severity},
    },
};

const ROLES: &str = "administrators";
/// Most principals that are looked at.
const MOST: usize = 500;
/// As many are named.
const NAMED: usize = 10;

/// Counts the role holders among users who were written, by mark or owner, and those whom waiting messages mean.
pub(super) async fn probe(
    settings: &Settings,
    clients: &Clients,
    meant: &BTreeSet<UserId>,
) -> anyhow::Result<Probe> {
    let directory = wiring::directory(settings, clients.clone());
    let holders = match directory.role_holders().await {
        Ok(holders) => holders,
        Err(error) => return Ok(Probe::found(Severity::Note, ROLES, chain(&error), "")),
    };
    let (mut users, mut linked) = (0, Vec::new());
    for holder in holders.into_iter().take(MOST) {
        match directory.is_written(holder).await {
            Ok(Some(written)) => {
                users += 1;
                linked.extend((written || meant.contains(&holder)).then_some(holder));
            }
            Ok(None) => {}
            Err(error) => return Ok(Probe::found(Severity::Note, ROLES, chain(&error), "")),
        }
    }
    let reading = settings.reading();
    let by = if reading.guard.is_some() || reading.terms.owner.is_some() {
        "what was written to them and the messages that wait show"
    } else {
        "the messages that wait show (guard.attribute or link.owner_attribute would show more)"
    };
    if linked.is_empty() {
        let what =
            format!("{users} users hold a directory role, and none is linked with a contact, as far as {by}");
        return Ok(Probe::good(ROLES, what));
    }
    let named: Vec<_> = linked.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if linked.len() > NAMED { ", and more" } else { "" };
    Ok(Probe::found(
        Severity::Warning,
        ROLES,
        format!(
            "{} of {users} users who hold a directory role are linked with contacts, by what {by}: {}{more}",
            linked.len(),
            named.join(", ")
        ),
        "correct the links of these contacts; set filter.local_issuer, or put administrators into a restricted \
         administrative unit",
    ))
}
