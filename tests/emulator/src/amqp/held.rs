//! Sessions that the links of a connection hold: who holds one, how one is given back, and what happens to who has lost
//! one.

use super::{condition::Failure, connection::Connection, link::Link};
use crate::broker::{Error, Holder, Standing, Target};

impl Connection {
    /// A new link of this connection, as the broker is to know it.
    pub(crate) fn new_holder(&self, link: &str) -> Holder {
        let id = self.hub.next_id();
        Holder { id, connection: self.id, container: self.handle.container(), link: link.into() }
    }

    /// The link of this connection that holds a session; if a name is given, only that link counts.
    pub(crate) fn session_holder(&self, target: Target, session: &str, name: Option<&str>) -> Option<Holder> {
        let links = self.sessions.values().flat_map(|session| session.links.values());
        let mut given = links.filter(|link| name.is_none_or(|name| link.name == name)).filter_map(Link::held);
        // A link that has lost the session may be there beside one that was given it after that.
        let (_, held) = given.find(|(at, held)| {
            *at == target && held.session == session && self.standing(target, session, &held.holder).is_held()
        })?;
        Some(held.holder.clone())
    }

    pub(crate) fn standing(&self, target: Target, session: &str, holder: &Holder) -> Standing {
        let standing = self.hub.run(|broker, now| broker.session_standing(target, session, holder, now));
        // The entity is gone, and the session with it.
        standing.unwrap_or(Standing::Lost)
    }

    /// Whether a link has lost the session that it was given.
    pub(crate) fn has_lost_session(&self, link: &Link) -> bool {
        link.held()
            .is_some_and(|(target, held)| !self.standing(target, &held.session, &held.holder).is_held())
    }

    /// Gives back what a link that is gone held: its session. Locks of messages run their time.
    pub(crate) fn release(&self, link: &Link) {
        if let Some((target, held)) = link.held() {
            let released =
                self.hub.run(|broker, now| broker.release_session(target, &held.session, &held.holder, now));
            // The entity is gone, and the session with it.
            released.ok();
        }
    }

    /// Gives back what all links hold, and ends them.
    pub(crate) fn release_all(&mut self) {
        self.pending.clear();
        for session in std::mem::take(&mut self.sessions).into_values() {
            for link in session.links.values() {
                self.release(link);
            }
        }
    }

    /// Detaches links that have lost their session, unless they are not to know.
    pub(crate) fn detach_lost(&mut self) {
        let mut lost = Vec::new();
        for (channel, session) in &self.sessions {
            for (handle, link) in &session.links {
                let Some((target, held)) = link.held() else { continue };
                // Registered before looking: what happens in between wakes us.
                self.hub.wait_at(target, &self.handle);
                if self.standing(target, &held.session, &held.holder) == Standing::Lost {
                    lost.push((*channel, *handle));
                }
            }
        }
        for (channel, handle) in lost {
            self.force_detach(channel, handle, &Failure::from(Error::SessionLockLost));
        }
    }
}
