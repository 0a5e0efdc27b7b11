//! Sessions of one entity: who holds which, until when, and the state stored with each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::Time;

/// The link that holds a session, or asks for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Unique among all links; what else is said is for people and tests.
    pub id: u64,
    /// Number of its connection.
    pub connection: u64,
    /// Container id of the client.
    pub container: Arc<str>,
    /// Name of the link, which the client chose.
    pub link: Arc<str>,
}

/// How a link stands to a session that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the session.
    Holds,
    /// It has lost the session.
    Lost,
    /// It has lost the session and is not to know.
    LostUnawares,
}

impl Standing {
    /// Whether the link holds the session.
    #[must_use]
    pub fn is_held(self) -> bool {
        self == Self::Holds
    }
}

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
    /// Links that are not to know that they have lost their session.
    unaware: BTreeSet<u64>,
}

impl Sessions {
    pub(super) fn holder(&self, id: &str) -> Option<&Holder> {
        self.known.get(id)?.holder.as_ref()
    }

    pub(super) fn standing(&self, id: &str, holder: &Holder) -> Standing {
        if self.holder(id).is_some_and(|by| by.id == holder.id) {
            Standing::Holds
        } else if self.unaware.contains(&holder.id) {
            Standing::LostUnawares
        } else {
            Standing::Lost
        }
    }

    /// Keeps from a link that it has lost its session.
    pub(super) fn keep_from(&mut self, holder: &Holder) {
        self.unaware.insert(holder.id);
    }

    /// The link is gone.
    pub(super) fn forget(&mut self, holder: &Holder) {
        self.unaware.remove(&holder.id);
    }

    pub(super) fn locked_until(&self, id: &str) -> Option<Time> {
        let session = self.known.get(id)?;
        session.holder.as_ref().map(|_| session.until)
    }

    /// Locks or renews.
    pub(super) fn lock(&mut self, id: &str, holder: Holder, until: Time) {
        self.unlock(id);
        let session = self.known.entry(id.to_owned()).or_default();
        session.holder = Some(holder);
        session.until = until;
        self.deadlines.insert((until, id.to_owned()));
    }

    /// Frees the session and returns who held it; what has no state is forgotten.
    pub(super) fn unlock(&mut self, id: &str) -> Option<Holder> {
        let session = self.known.get_mut(id)?;
        let holder = session.holder.take();
        if holder.is_some() {
            self.deadlines.remove(&(session.until, id.to_owned()));
        }
        if session.state.is_none() {
            self.known.remove(id);
        }
        holder
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
