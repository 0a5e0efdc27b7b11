//! How many users differ from the rows of their contacts, as the last pass has found: as metrics, a warning, and for the page.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use shared::drift::{DriftCause, Totals};

use super::{
    catalogue::Metrics,
    drift_labels::{DriftLabel, DriftPassKind, DriftSide},
    health::{Health, HealthFault},
    labels::{Labels, Warning},
};

/// What one pass has come to.
#[derive(Clone, Debug)]
pub(crate) struct DriftPass {
    /// Whether all contacts were held against all users.
    pub full: bool,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What was counted.
    pub totals: Totals,
    /// Requests to Dataverse.
    pub dataverse_requests: u64,
    /// Reads of Graph.
    pub graph_requests: u64,
    /// Why nothing may be repaired, if that is so.
    pub hindered: Option<String>,
}

/// What is known of differences; nothing where nobody looks, or another replica does.
#[derive(Debug, Default)]
pub(crate) struct DriftLook(Mutex<Option<DriftKnowledge>>);

/// What passes have told.
#[derive(Clone, Debug, Default)]
pub(crate) struct DriftKnowledge {
    /// The last pass that came to its end.
    pub last: Option<DriftPass>,
    /// When the last pass over everything ended.
    pub full: Option<Timestamp>,
    /// Why the last one did not come to its end, if so.
    pub failure: Option<String>,
}

impl From<DriftCause> for DriftLabel {
    fn from(cause: DriftCause) -> Self {
        match cause {
            DriftCause::NeverApplied => Self::NeverApplied,
            DriftCause::Missed => Self::Missed,
            DriftCause::ChangedElsewhere => Self::ChangedElsewhere,
            DriftCause::Unknown => Self::Unknown,
            DriftCause::OtherContact => Self::OtherContact,
            DriftCause::MarkAhead => Self::MarkAhead,
            DriftCause::UserMissing => Self::UserMissing,
            DriftCause::Doubled => Self::Doubled,
            DriftCause::Unfit(_) => Self::Unfit,
            DriftCause::Withheld(_) => Self::Withheld,
        }
    }
}

impl DriftPass {
    /// Contacts that have each cause, without those that none has.
    pub(crate) fn causes(&self) -> BTreeMap<DriftLabel, u64> {
        let mut causes = BTreeMap::new();
        for (cause, contacts) in &self.totals.causes {
            *causes.entry(DriftLabel::from(*cause)).or_default() += contacts;
        }
        causes
    }

    /// Which kind of pass it was.
    pub(crate) const fn kind(&self) -> DriftPassKind {
        if self.full { DriftPassKind::Full } else { DriftPassKind::Changes }
    }

    fn fault(&self) -> Option<HealthFault> {
        let causes: Vec<_> =
            self.causes().iter().map(|(cause, count)| format!("{count} {}", cause.as_str())).collect();
        let found = format!("users differ from the rows of their contacts: {}", causes.join(", "));
        match (&self.hindered, causes.is_empty()) {
            (None, true) => None,
            (None, false) => Some(HealthFault {
                text: found,
                remedy: "contactsync reconcile tells who and why, and contactsync reconcile --apply repairs what can be \
                         repaired; so does reconcile.apply; the rest has its heading in the runbook",
            }),
            (Some(why), is_none) => Some(HealthFault {
                text: if is_none {
                    format!("differences of users are not repaired: {why}")
                } else {
                    format!("{found}; nothing is repaired: {why}")
                },
                remedy: "mend what was read and looks wrong; or, if it is right, contactsync reconcile --apply with a higher \
                         bound, or reconcile.max_changes and reconcile.max_clears",
            }),
        }
    }
}

impl DriftLook {
    /// What is known.
    pub(crate) fn now(&self) -> Option<DriftKnowledge> {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, Option<DriftKnowledge>> {
        // Whatever panicked under the lock has left whole values behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Contacts are going to be held against users.
    pub(super) fn begins(&self) {
        self.known().get_or_insert_default();
    }

    /// A pass has come to its end.
    pub(super) fn passed(&self, pass: &DriftPass, metrics: &Metrics, health: &Health) {
        let (kind, causes) = (pass.kind(), pass.causes());
        #[expect(clippy::cast_precision_loss, reason = "counts of contacts are far below 2^52")]
        for label in DriftLabel::all() {
            let count = causes.get(&label).copied().unwrap_or_default() as f64;
            metrics.drift_users.of(label).set(Some(count));
        }
        metrics.drift_pass_time.of(kind).set(Some(pass.at.as_duration().as_secs_f64()));
        metrics.drift_pass_duration.of(kind).set(Some(pass.took.as_secs_f64()));
        let (contacts, users) = (pass.totals.contacts, pass.totals.users);
        metrics.drift_read.of(DriftSide::Dataverse).add(contacts);
        metrics.drift_read.of(DriftSide::Graph).add(users);
        metrics.drift_requests.of(DriftSide::Dataverse).add(pass.dataverse_requests);
        metrics.drift_requests.of(DriftSide::Graph).add(pass.graph_requests);
        health.warn(Warning::Drift, pass.fault());
        health.warn(Warning::DriftUnread, None);
        let mut known = self.known();
        let knowledge = known.get_or_insert_default();
        let differ: u64 = causes.values().sum();
        let before = knowledge.last.as_ref().map(|last| last.causes().values().sum::<u64>());
        if pass.full || before != Some(differ) {
            tracing::info!(
                drift.contacts = contacts,
                drift.differ = differ,
                drift.waiting = pass.totals.waiting,
                drift.took_ms = u64::try_from(pass.took.as_millis()).unwrap_or(u64::MAX),
                "contacts were held against users ({})",
                kind.as_str(),
            );
        }
        if pass.full {
            knowledge.full = Some(pass.at);
        }
        knowledge.last = Some(pass.clone());
        knowledge.failure = None;
    }

    /// A pass did not come to its end. What was found before stands.
    pub(super) fn unread(&self, why: String, health: &Health) {
        let text = format!("contacts cannot be held against users: {why}");
        let remedy = "see to [dataverse] and its role (contactsync dataverse check), and to the way to graph; it is tried again by \
                      itself, and messages do not suffer from it";
        health.warn(Warning::DriftUnread, Some(HealthFault { text, remedy }));
        self.known().get_or_insert_default().failure = Some(why);
    }

    /// Another replica tells.
    pub(super) fn is_elsewheres(&self, metrics: &Metrics, health: &Health) {
        if self.known().take().is_none() {
            return;
        }
        for label in DriftLabel::all() {
            metrics.drift_users.of(label).set(None);
        }
        for kind in DriftPassKind::all() {
            metrics.drift_pass_time.of(kind).set(None);
            metrics.drift_pass_duration.of(kind).set(None);
        }
        health.warn(Warning::Drift, None);
        health.warn(Warning::DriftUnread, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::observer::tests::observer;

    fn pass(causes: &[(DriftCause, u64)], hindered: Option<&str>) -> DriftPass {
        let totals = Totals { causes: causes.iter().copied().collect(), ..Totals::default() };
        DriftPass {
            full: true,
            at: Timestamp::UNIX_EPOCH,
            took: Duration::from_secs(1),
            totals,
            dataverse_requests: 7,
            graph_requests: 3,
            hindered: hindered.map(Into::into),
        }
    }

    #[test]
    fn differences_are_a_figure_and_a_warning_until_there_are_none() {
        let observer = observer();
        let users = |label| observer.metrics.drift_users.of(label).get();
        let warned = || {
            observer
                .health
                .warnings(Timestamp::UNIX_EPOCH)
                .into_iter()
                .map(|warned| warned.fault.text)
                .collect::<Vec<_>>()
        };
        assert_eq!((users(DriftLabel::Missed), observer.drift.now().is_none()), (None, true));
        let reasons = [
            shared::reason::DeadLetterReason::ValueInvalid,
            shared::reason::DeadLetterReason::UserLinkInvalid,
        ];
        let unfit = reasons.map(|reason| (DriftCause::Unfit(reason), 2));
        observer.drift_passed(&pass(&[&[(DriftCause::Missed, 3)][..], &unfit].concat(), None));
        let counted = [DriftLabel::Missed, DriftLabel::Unfit, DriftLabel::Doubled].map(users);
        assert_eq!(counted, [Some(3.0), Some(4.0), Some(0.0)]);
        assert_eq!(warned(), ["users differ from the rows of their contacts: 3 missed, 4 unfit"]);
        observer.drift_unread("dataverse is away".into());
        assert_eq!((warned().len(), users(DriftLabel::Missed)), (2, Some(3.0)), "what was found stands");
        observer.drift_passed(&pass(&[], Some("too many")));
        assert_eq!(warned(), ["differences of users are not repaired: too many"]);
        observer.drift_passed(&pass(&[], None));
        assert!(warned().is_empty());
        assert_eq!(observer.metrics.drift_requests.of(DriftSide::Dataverse).get(), 21);
        observer.drift_is_elsewheres();
        assert_eq!((users(DriftLabel::Missed), observer.drift.now().is_none()), (None, true));
    }
}
