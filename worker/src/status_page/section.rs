//! What is told of one target: its part of every answer.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use servicebus::clock;

use super::{history::History, status::StatusPage};
use crate::telemetry::{
    Observer,
    health::{Check, HealthFault, Warned},
};

/// What is known of a target.
#[derive(Debug)]
pub(super) struct Section {
    /// What takes in how it fares.
    pub(super) observer: Arc<Observer>,
    /// Its last hour.
    pub(super) history: History,
}

impl Section {
    /// One that begins now.
    pub(super) fn new(observer: Arc<Observer>) -> Self {
        let history = History::new(&observer.metrics);
        Self { observer, history }
    }

    /// Its name, if targets have names.
    pub(super) fn name(&self) -> Option<&str> {
        self.observer.metrics.constants().target.as_deref()
    }

    /// How it is now.
    pub(super) fn status(&self) -> StatusPage {
        StatusPage::of(&self.observer, &self.history, clock::now())
    }

    /// What keeps it from being ready.
    pub(super) fn faults(&self) -> impl Iterator<Item = ReadinessFault> {
        let faults = self.observer.health.checks(clock::now()).into_iter();
        faults.filter_map(move |Check { name, fault, since, next_try }| {
            Some(self.fault(name, fault?, since, next_try))
        })
    }

    /// What must be seen to, though it works.
    pub(super) fn warnings(&self) -> impl Iterator<Item = ReadinessFault> {
        let warnings = self.observer.health.warnings(clock::now()).into_iter();
        warnings.map(move |Warned { warning, fault, since, next_try }| {
            self.fault(warning.as_str(), fault, since, next_try)
        })
    }

    fn fault(
        &self,
        check: &'static str,
        fault: HealthFault,
        since: Option<Timestamp>,
        next_try: Option<Timestamp>,
    ) -> ReadinessFault {
        let target = self.name().map(Into::into);
        let [since, next_try] = [since, next_try].map(|time| time.map(|time| format!("{time:.0}")));
        ReadinessFault { target, check, fault: fault.text, remedy: fault.remedy, since, next_try }
    }
}

/// What keeps a target from being ready, or has to be seen to.
#[derive(Serialize)]
pub(super) struct ReadinessFault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Box<str>>,
    pub(super) check: &'static str,
    pub(super) fault: String,
    pub(super) remedy: &'static str,
    /// Since when, as far as this replica has seen.
    pub(super) since: Option<String>,
    /// When it is tried again, where that is known.
    #[serde(rename = "nextTry", skip_serializing_if = "Option::is_none")]
    pub(super) next_try: Option<String>,
}
