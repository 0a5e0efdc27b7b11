//! Client secrets and certificates that end soon.

use jiff::{SignedDuration, Timestamp};

use super::finding::{Finding, Severity};
use crate::{
    identity::{Credential, Identity},
    settings::{Access, Parts},
};

/// From so long before its end on, a credential is warned of.
const WARNED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What ends within 30 days, or has ended.
pub fn ending(parts: &Parts, now: Timestamp) -> impl Iterator<Item = Finding> {
    let bus = parts.bus.as_ref().and_then(|bus| match &bus.namespace.access {
        Access::Entra { identity, .. } => Some(&**identity),
        Access::Shared(_) | Access::Stored(_) => None,
    });
    let dataverse = parts.dataverse.as_ref().and_then(|dataverse| dataverse.environment.as_ref());
    let all = [
        ("identity", parts.identity.as_ref()),
        ("service_bus.identity", bus),
        ("dataverse.identity", dataverse.map(|environment| &environment.identity)),
        ("notify.identity", parts.notify.as_ref().and_then(|notify| notify.identity.as_ref())),
    ];
    all.into_iter().filter_map(move |(section, identity)| of(section, identity?, now))
}

fn of(section: &str, identity: &Identity, now: Timestamp) -> Option<Finding> {
    let what = soon(identity.ends()?, now)?;
    let (key, name) = match identity.credential {
        Credential::Certificate { .. } => ("certificate_file", "the certificate"),
        _ => ("client_secret_ends", "the client secret"),
    };
    Some(Finding::new(
        Severity::Warning,
        &format!("{section}.{key}"),
        format!("{name} {what}"),
        "make a new one in Entra and replace the file that holds it; for a secret, set client_secret_ends anew",
    ))
}

/// How an end is told that is near: `ends on 2027-03-01, in 3 days`.
#[must_use]
pub fn soon(end: Timestamp, now: Timestamp) -> Option<String> {
    let day = end.strftime("%Y-%m-%d");
    let left = end.duration_since(now);
    if left <= SignedDuration::ZERO {
        return Some(format!("ended on {day}"));
    }
    (left <= WARNED).then(|| match left.as_hours() / 24 {
        0 => format!("ends on {day}, within a day"),
        1 => format!("ends on {day}, in a day"),
        days => format!("ends on {day}, in {days} days"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(end: &str, expected: Option<&str>) {
        let now = "2027-01-01T12:00:00Z".parse().expect("a time");
        let end = end.parse().expect("a time");
        assert_eq!(soon(end, now).as_deref(), expected, "{end}");
    }

    #[test]
    fn an_end_is_told_from_thirty_days_before_on() {
        check("2027-01-31T12:00:01Z", None);
        check("2027-01-31T12:00:00Z", Some("ends on 2027-01-31, in 30 days"));
        check("2027-01-03T00:00:00Z", Some("ends on 2027-01-03, in a day"));
        check("2027-01-02T00:00:00Z", Some("ends on 2027-01-02, within a day"));
        check("2027-01-01T12:00:00Z", Some("ended on 2027-01-01"));
        check("2026-07-01T00:00:00Z", Some("ended on 2026-07-01"));
    }
}
