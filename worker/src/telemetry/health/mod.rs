//! Whether the worker lives, whether it is ready, and if not, why and what to do.
//!
//! What is told here is gathered from where it happens, without ever waiting for anybody: the pipeline leaves a
//! sign of life at each of its turns, the queue tells how its link fares, calls tell how they ended.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::Timestamp;
use servicebus::LinkState;
use tokio::{sync::watch, time::Instant};

use super::{
    labels::{Labels, PauseCause, ReplicaRole, Warning},
    last_error::{FailedCall, LastError},
    next_tries::NextTries,
    since::Since,
    write_hold::{WriteHold, pause_remedy},
};

/// The pipeline turns at least this often, also when nothing happens.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// Without a sign of life for so long the worker does not live. A turn takes milliseconds; so much more leaves room
/// for a machine that is badly overloaded, where a restart would make everything worse.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not had its first turn.
    Starting,
    /// It takes messages.
    Running,
    /// It finishes what is under way and takes no more.
    Draining,
}

/// One thing that has to be well for the worker to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What is wrong; `None` if nothing is.
    pub fault: Option<HealthFault>,
    /// Since when, as far as anybody has looked.
    pub since: Option<Timestamp>,
    /// When it is tried again, where that is known.
    pub next_try: Option<Timestamp>,
}

/// What must be seen to, though the worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warned {
    /// What.
    pub warning: Warning,
    /// In words.
    pub fault: HealthFault,
    /// Since when, as far as anybody has looked.
    pub since: Option<Timestamp>,
    /// When it is tried again, where that is known.
    pub next_try: Option<Timestamp>,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthFault {
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What is known of the worker's health.
#[derive(Debug)]
pub(crate) struct Health {
    started: Instant,
    /// The latest sign of life, in milliseconds after the start.
    beat: AtomicU64,
    phase: AtomicU8,
    link: watch::Receiver<LinkState>,
    seen: Mutex<Seen>,
    /// When what is wrong is tried again, by whoever tries it.
    pub(crate) tries: NextTries,
}

#[derive(Debug, Default)]
struct Seen {
    gate: WriteHold,
    /// Until when it holds writes back, or when the next is tried, where that is known.
    until: Option<Timestamp>,
    /// Why the installation is at fault, as last told.
    at_fault: Option<(PauseCause, Box<str>)>,
    /// Whether a write has failed since graph could be reached again after a pause.
    tried_in_vain: bool,
    /// The failures of writes that were heard of last.
    last_error: Option<LastError>,
    /// Why the latest request for a token failed, if it did.
    token: Option<Box<str>>,
    warnings: BTreeMap<Warning, HealthFault>,
    /// Why no messages could be received when it was tried last.
    no_intake: Option<HealthFault>,
    /// Why messages do not show which user is meant, while no message is taken for it.
    link: Option<HealthFault>,
    /// Why it is not known which replica writes.
    lease: Option<HealthFault>,
    /// What this replica is among others; nothing before the pipeline's first turn.
    role: Option<ReplicaRole>,
    checks_since: Since<&'static str>,
    warnings_since: Since<Warning>,
}

impl Health {
    /// Nothing known yet but how the link to the queue fares.
    #[must_use]
    pub(crate) fn new(link: watch::Receiver<LinkState>) -> Self {
        Self {
            started: Instant::now(),
            beat: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Starting as u8),
            link,
            seen: Mutex::default(),
            tries: NextTries::default(),
        }
    }

    /// The pipeline had a turn.
    pub(crate) fn beat(&self, phase: Phase, now: Instant) {
        self.beat.store(self.age(now), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// What holds writes back now, and until when or until the next try. Tells the cause that goes with it.
    pub(crate) fn gate(&self, gate: WriteHold, until: Option<Timestamp>) -> Option<PauseCause> {
        let mut seen = self.seen();
        (seen.gate, seen.until) = (gate, until);
        seen.tried_in_vain &= gate == WriteHold::Trial;
        let paused = matches!(gate, WriteHold::Paused | WriteHold::Trial);
        paused.then(|| seen.at_fault.as_ref().map_or(PauseCause::Other, |(cause, _)| *cause))
    }

    /// The installation is at fault.
    pub(crate) fn at_fault(&self, cause: PauseCause, text: &str) {
        self.seen().at_fault = Some((cause, text.into()));
    }

    /// A write failed.
    pub(crate) fn failing(&self, failed: &FailedCall, now: Timestamp) {
        let mut seen = self.seen();
        seen.last_error = Some(LastError::after(seen.last_error.take(), failed, now));
        seen.tried_in_vain |= seen.gate == WriteHold::Trial;
    }

    /// A write succeeded.
    pub(crate) fn succeeded(&self) {
        if let Some(last) = &mut self.seen().last_error {
            last.over = true;
        }
    }

    /// The failures of writes that were heard of last, if there were any.
    #[must_use]
    pub(crate) fn last_error(&self) -> Option<LastError> {
        self.seen().last_error.clone()
    }

    /// Until when Graph has asked to wait, if it has.
    #[must_use]
    pub(crate) fn held_until(&self) -> Option<Timestamp> {
        let seen = self.seen();
        seen.until.filter(|_| seen.gate == WriteHold::Throttled)
    }

    /// A request for a token ended; with why it failed, if it did.
    pub(crate) fn token(&self, failure: Option<&str>) {
        let mut seen = self.seen();
        if seen.token.as_deref() != failure {
            seen.token = failure.map(Into::into);
        }
    }

    /// Something must be seen to, though the worker works; `None` when that is over.
    pub(crate) fn warn(&self, warning: Warning, fault: Option<HealthFault>) {
        let mut seen = self.seen();
        match fault {
            Some(fault) => seen.warnings.insert(warning, fault),
            None => seen.warnings.remove(&warning),
        };
    }

    /// No messages can be received. It is told as long as there is no link.
    pub(crate) fn no_intake(&self, fault: HealthFault) {
        self.seen().no_intake = Some(fault);
    }

    /// Messages do not show which user is meant, so none is taken; `None` when that is over.
    pub(crate) fn link(&self, fault: Option<HealthFault>) {
        self.seen().link = fault;
    }

    /// It is not known which replica writes; `None` when that is over.
    pub(crate) fn lease(&self, fault: Option<HealthFault>) {
        self.seen().lease = fault;
    }

    /// What this replica is among others from now on.
    pub(crate) fn take_role(&self, role: ReplicaRole) {
        self.seen().role = Some(role);
    }

    /// What this replica is among others.
    #[must_use]
    pub(crate) fn role(&self) -> ReplicaRole {
        self.seen().role.unwrap_or(ReplicaRole::Alone)
    }

    /// Whether this replica is known to be the one that writes, and is to go on with it.
    #[must_use]
    pub(crate) fn writes(&self) -> bool {
        self.phase() == Phase::Running
            && matches!(self.seen().role, Some(ReplicaRole::Alone | ReplicaRole::Writer))
    }

    /// Whether no message is taken because none shows which user is meant.
    #[must_use]
    pub(crate) fn link_is_unknown(&self) -> bool {
        self.seen().link.is_some()
    }

    /// What must be seen to, though the worker works.
    #[must_use]
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<Warned> {
        let mut seen = self.seen();
        let seen = &mut *seen;
        let fault = |warning: Warning| seen.warnings.get(&warning).cloned();
        let mut warned = Vec::new();
        for warning in Warning::all() {
            let fault = fault(warning);
            let since = seen.warnings_since.look(warning, fault.is_some(), now);
            let next_try = self.tries.of(warning.as_str(), now);
            warned.extend(fault.map(|fault| Warned { warning, fault, since, next_try }));
        }
        warned
    }

    /// Whether the link to the queue is up.
    #[must_use]
    pub(crate) fn link_is_up(&self) -> bool {
        matches!(*self.link.borrow(), LinkState::Ready)
    }

    /// What holds writes back.
    #[must_use]
    pub(crate) fn current_gate(&self) -> WriteHold {
        self.seen().gate
    }

    /// What the worker is doing.
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Draining,
        }
    }

    /// Since when there was no sign of life, if that is too long.
    #[must_use]
    pub(crate) fn lifeless(&self, now: Instant) -> Option<Duration> {
        let quiet = Duration::from_millis(self.age(now).saturating_sub(self.beat.load(Relaxed)));
        (quiet > PATIENCE).then_some(quiet)
    }

    /// Everything that has to be well, with what is not.
    #[must_use]
    pub(crate) fn checks(&self, now: Timestamp) -> [Check; 7] {
        let mut seen = self.seen();
        let faults = [
            ("worker", self.worker_fault()),
            ("broker", self.broker_fault(seen.no_intake.as_ref())),
            ("token", token_fault(&seen)),
            ("intake", intake_fault(&seen)),
            ("link", seen.link.clone()),
            ("lease", seen.lease.clone()),
            ("breaker", breaker_fault(&seen)),
        ];
        faults.map(|(name, fault)| {
            let since = seen.checks_since.look(name, fault.is_some(), now);
            let next_try = fault.as_ref().and_then(|_| self.next_try(name, seen.until, now));
            Check { name, fault, since, next_try }
        })
    }

    /// When a check that failed is tried again.
    fn next_try(&self, name: &str, writes: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let at = match (name, &*self.link.borrow()) {
            ("broker", LinkState::Failed { again, .. }) => Some(*again),
            ("broker", _) => None,
            ("intake" | "breaker", _) => writes,
            _ => self.tries.of(name, now),
        };
        at.filter(|at| *at > now)
    }

    fn worker_fault(&self) -> Option<HealthFault> {
        match self.phase() {
            Phase::Running => None,
            Phase::Starting => {
                Some(HealthFault { text: "the worker has just been started".into(), remedy: "wait a moment" })
            }
            Phase::Draining => Some(HealthFault {
                text: "the worker was told to stop; it finishes what is under way and takes no more".into(),
                remedy: "nothing; another replica, or the next start, goes on",
            }),
        }
    }

    fn broker_fault(&self, why: Option<&HealthFault>) -> Option<HealthFault> {
        const REMEDY: &str = "see that the namespace can be reached and that its key or role is right; the worker \
                              tries again by itself";
        match &*self.link.borrow() {
            LinkState::Ready => None,
            LinkState::Connecting => {
                Some(HealthFault { text: "on the way to the queue".into(), remedy: "wait a moment" })
            }
            LinkState::Failed { what, since, .. } => {
                let (what, remedy) = why.map_or((&**what, REMEDY), |why| (&*why.text, why.remedy));
                Some(HealthFault { text: format!("no link to the queue since {since:.0}: {what}"), remedy })
            }
            LinkState::Closed => Some(HealthFault {
                text: "the link to the queue is closed".into(),
                remedy: "nothing; the worker is about to end",
            }),
        }
    }

    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Whatever panicked under the lock has left whole values behind.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` also while intake is paused for it, which says the same.
fn token_fault(seen: &Seen) -> Option<HealthFault> {
    let is_told = matches!(seen.gate, WriteHold::Paused | WriteHold::Trial)
        && matches!(seen.at_fault, Some((PauseCause::Token, _)));
    let why = seen.token.as_deref().filter(|_| !is_told)?;
    Some(HealthFault {
        text: format!("there is no token for graph: {why}"),
        remedy: "mend [identity]: tenant, client_id and the credential; a file that is replaced is read anew \
                 without a restart",
    })
}

fn intake_fault(seen: &Seen) -> Option<HealthFault> {
    let (cause, why) =
        seen.at_fault.as_ref().map_or((PauseCause::Other, "unknown"), |(cause, why)| (*cause, &**why));
    let (text, remedy) = match (seen.gate, seen.last_error.as_ref().filter(|_| seen.tried_in_vain)) {
        (WriteHold::Paused, _) => {
            (format!("intake is paused, the installation is at fault: {why}"), pause_remedy(cause))
        }
        // What the pause was for is over; another cause may follow it.
        (WriteHold::Trial, Some(last)) => (
            format!("graph can be reached again, and writes fail; one at a time is tried; the last: {last}"),
            WRITES_FAIL,
        ),
        (WriteHold::Trial, None) => (
            format!(
                "graph can be reached again, and one message is tried before all are; intake was paused for: {why}"
            ),
            "wait for the next change; the worker goes on by itself when its write succeeds",
        ),
        _ => return None,
    };
    Some(HealthFault { text, remedy })
}

const WRITES_FAIL: &str =
    "see whether graph or the way to it is disturbed; the worker goes on by itself when a write succeeds";

fn breaker_fault(seen: &Seen) -> Option<HealthFault> {
    if seen.gate != WriteHold::BreakerOpen {
        return None;
    }
    let last = seen.last_error.as_ref().map(|last| format!("; the last: {last}")).unwrap_or_default();
    Some(HealthFault {
        text: format!("writes of many users failed in a row; one at a time is tried{last}"),
        remedy: WRITES_FAIL,
    })
}
