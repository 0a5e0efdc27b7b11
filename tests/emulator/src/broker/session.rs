//! Sessions of one entity: who holds which, until when, and the state stored with each.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Time;

/// Names the link that holds a session.
pub type Holder = u64;

#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) holder: Option<Holder>,
    pub(super) until: Time,
    pub(super) state: Option<Bytes>,
    pub(super) state_changed: Option<Time>,
}

/// All sessions that are held or have state.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: BTreeMap<String, Session>,
    deadlines: BTreeSet<(Time, String)>,
}

impl Sessions {
    pub(super) fn holder(&self, id: &str) -> Option<Holder> {
        self.known.get(id)?.holder
    }

    pub(super) fn locked_until(&self, id: &str) -> Option<Time> {
        let session = self.known.get(id)?;
        session.holder.map(|_| session.until)
    }

    /// Locks or renews.
    pub(super) fn lock(&mut self, id: &str, holder: Holder, until: Time) {
        self.unlock(id);
        let session = self.known.entry(id.to_owned()).or_default();
        session.holder = Some(holder);
        session.until = until;
        self.deadlines.insert((until, id.to_owned()));
    }

    /// Frees the session; what has no state is forgotten.
    pub(super) fn unlock(&mut self, id: &str) {
        let Some(session) = self.known.get_mut(id) else { return };
        if session.holder.take().is_some() {
            self.deadlines.remove(&(session.until, id.to_owned()));
        }
        if session.state.is_none() {
            self.known.remove(id);
        }
    }

    pub(super) fn due(&self, now: Time) -> Option<String> {
        self.deadlines.first().filter(|(until, _)| *until <= now).map(|(_, id)| id.clone())
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    pub(super) fn state(&self, id: &str) -> Option<Bytes> {
        self.known.get(id)?.state.clone()
    }

    pub(super) fn set_state(&mut self, id: &str, state: Option<Bytes>, now: Time) {
        let session = self.known.entry(id.to_owned()).or_default();
        session.state = state;
        session.state_changed = Some(now);
        if session.state.is_none() && session.holder.is_none() {
            self.known.remove(id);
        }
    }

    /// Sessions whose state was set after `since`.
    pub(super) fn changed_since(&self, since: Time) -> impl Iterator<Item = &str> {
        self.known
            .iter()
            .filter(move |(_, session)| session.state_changed.is_some_and(|at| at > since))
            .map(|(id, _)| id.as_str())
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|(_, session)| session.holder.is_some()).map(|(id, _)| id.as_str())
    }
}
