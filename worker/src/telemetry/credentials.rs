//! Tells of client secrets and certificates that end: metric, warning, and a line in the log.

use jiff::Timestamp;

use super::{
    Observer,
    health::HealthFault,
    labels::{CredentialUse, Warning},
};
use crate::{
    identity::Identity,
    settings::{Access, Settings, check::soon},
};

/// From so many days before its end on, it is time to see to a credential.
pub(crate) const URGENT: i64 = 14;
/// From so many on it cannot wait.
pub(crate) const LAST: i64 = 3;

const REMEDY: &str = "make a new client secret or certificate in Entra, replace the file that holds it, and set client_secret_ends to \
                      the day on which the new one ends; the worker takes it without a restart";

/// By what a worker signs in, and for what.
pub(crate) struct Credentials(Vec<(CredentialUse, Identity)>);

impl Credentials {
    /// All credentials of the settings.
    #[must_use]
    pub(crate) fn of(settings: &Settings) -> Self {
        let bus = match &settings.bus.namespace.access {
            Access::Entra { identity, .. } => Some((**identity).clone()),
            Access::Shared(_) | Access::Stored(_) => None,
        };
        let dataverse =
            settings.dataverse.environment.as_ref().map(|environment| environment.identity.clone());
        let all = [
            (CredentialUse::Graph, Some(settings.identity.clone())),
            (CredentialUse::ServiceBus, bus),
            (CredentialUse::Dataverse, dataverse),
            (CredentialUse::Notify, settings.notify.identity.clone()),
        ];
        Self(all.into_iter().filter_map(|(of, identity)| Some((of, identity?))).collect())
    }

    /// Looks when each ends, which can mean to read a file.
    #[must_use]
    pub(crate) fn ends(&self) -> Vec<(CredentialUse, Timestamp)> {
        self.0.iter().filter_map(|(of, identity)| Some((*of, identity.ends()?))).collect()
    }
}

/// Tells an observer when credentials end.
pub(crate) fn tell(observer: &Observer, ends: &[(CredentialUse, Timestamp)], now: Timestamp) {
    for (of, gauge) in observer.metrics.credential_ends.iter() {
        let end = ends.iter().find(|(other, _)| *other == of);
        gauge.set(end.map(|(_, end)| end.as_duration().as_secs_f64()));
    }
    let fault = judge(ends, now);
    let known =
        observer.health.warnings(now).into_iter().find(|warned| warned.warning == Warning::CredentialEnds);
    if let Some(fault) =
        fault.as_ref().filter(|fault| known.as_ref().is_none_or(|known| known.fault != **fault))
    {
        tracing::warn!("{}; {}", fault.text, fault.remedy);
    }
    observer.health.warn(Warning::CredentialEnds, fault);
}

/// What is wrong with credentials that end on these days, if one of them does soon.
fn judge(ends: &[(CredentialUse, Timestamp)], now: Timestamp) -> Option<HealthFault> {
    let told: Vec<_> = ends
        .iter()
        .filter_map(|(of, end)| {
            let of = match of {
                CredentialUse::Graph => "graph",
                CredentialUse::ServiceBus => "service bus",
                CredentialUse::Dataverse => "dataverse",
                CredentialUse::Notify => "notifications",
            };
            Some(format!("the credential for {of} {}", soon(*end, now)?))
        })
        .collect();
    (!told.is_empty()).then(|| HealthFault { text: told.join(", "), remedy: REMEDY })
}

/// Whole days from now to the end; negative if it has passed.
#[must_use]
pub(crate) fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    let left = end.duration_since(now);
    (left.as_secs() - i64::from(left.is_negative()) * 86_399) / 86_400
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::telemetry::observer::tests::observer;

    #[test]
    fn days_are_counted_down_and_go_on_below_zero() {
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a time");
        for (seconds, days) in [(86_400 * 3, 3), (86_399, 0), (0, 0), (-1, -1), (-86_400, -1), (-86_401, -2)]
        {
            assert_eq!(days_left(now + SignedDuration::from_secs(seconds), now), days, "{seconds}");
        }
    }

    #[test]
    fn gauge_and_warning_follow_the_ends() {
        let (observer, now) = (observer(), Timestamp::UNIX_EPOCH);
        let gauge = || observer.metrics.credential_ends.of(CredentialUse::Graph).get();
        tell(&observer, &[(CredentialUse::Graph, now + SignedDuration::from_hours(24 * 40))], now);
        assert_eq!((gauge(), observer.health.warnings(now).len()), (Some(3_456_000.0), 0));
        tell(&observer, &[(CredentialUse::Graph, now + SignedDuration::from_hours(24 * 3))], now);
        let warnings = observer.health.warnings(now);
        assert_eq!(warnings[0].fault.text, "the credential for graph ends on 1970-01-04, in 3 days");
        tell(&observer, &[], now);
        assert_eq!((gauge(), observer.health.warnings(now).len()), (None, 0));
    }
}
