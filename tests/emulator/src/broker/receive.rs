//! Messages on their way out: receiving, browsing, deferred ones by number, and sessions.

use bytes::Bytes;
use uuid::Uuid;

use super::{
    Broker, Error, Event, Sequence, Target, Time,
    entity::{Entity, Kind, Mode},
    place::Side,
    session::Holder,
    store::Hold,
    view::{Delivery, View},
};

/// `get-message-sessions` with a time from here on (the year 9999) asks for sessions with messages.
const YEAR_9999: Time = Time::from_millis(253_402_300_000_000);

impl Broker {
    /// Checks that a receiver may be attached here.
    pub fn check_receiver(&self, target: Target, with_session: bool) -> Result<(), Error> {
        let entity = self.entity(target)?;
        if !entity.options.enabled {
            return Err(Error::Disabled(entity.name.to_string()));
        }
        if entity.kind == Kind::Topic {
            return Err(Error::NotAllowed(
                "A topic hands out messages through its subscriptions only.".to_owned(),
            ));
        }
        let sessions = entity.options.requires_session && target.side == Side::Main;
        match (sessions, with_session) {
            (true, false) => Err(Error::SessionRequired),
            (false, true) => Err(Error::SessionNotSupported),
            _ => Ok(()),
        }
    }

    /// Hands out the first ready messages, at most `max`.
    pub fn receive(
        &mut self,
        target: Target,
        mode: Mode,
        max: usize,
        now: Time,
    ) -> Result<Vec<Delivery>, Error> {
        self.within(target, now, |entity, context, tokens| {
            entity.take(target.side, None, mode, max, tokens, context)
        })
    }

    /// Hands out messages of a session to the link that holds it.
    pub fn receive_session(
        &mut self,
        target: Target,
        session: &str,
        holder: Holder,
        mode: Mode,
        max: usize,
        now: Time,
    ) -> Result<Vec<Delivery>, Error> {
        self.within(target, now, |entity, context, tokens| {
            entity.check_holder(session, holder)?;
            Ok(entity.take(target.side, Some(session), mode, max, tokens, context))
        })?
    }

    /// Looks at messages from a number up, in whatever state, without touching them.
    pub fn peek(
        &mut self,
        target: Target,
        from: Sequence,
        max: usize,
        session: Option<&str>,
        now: Time,
    ) -> Result<Vec<View>, Error> {
        self.within(target, now, |entity, _, _| {
            let in_session =
                |view: &View| session.is_none_or(|id| view.message.properties.session_id() == Some(id));
            let views = entity.store(target.side).from(from);
            views.map(|(sequence, entry)| View::of(sequence, entry)).filter(in_session).take(max).collect()
        })
    }

    /// All messages of a place as they are, without letting time pass. For inspection.
    pub fn contents(&self, target: Target) -> Result<Vec<View>, Error> {
        let store = self.entity(target)?.store(target.side);
        Ok(store.from(0).map(|(sequence, entry)| View::of(sequence, entry)).collect())
    }

    /// Hands out deferred messages by number, all or none. Those of a session only to the link that holds it.
    pub fn receive_deferred(
        &mut self,
        target: Target,
        sequences: &[Sequence],
        session: Option<&str>,
        mode: Mode,
        now: Time,
    ) -> Result<Vec<Delivery>, Error> {
        self.within(target, now, |entity, context, tokens| {
            let free = |sequence: Sequence| {
                entity.store(target.side).get(sequence).is_some_and(|entry| {
                    entry.hold == Hold::Deferred
                        && entry.lock.is_none()
                        && session.is_none_or(|id| entry.message.properties.session_id() == Some(id))
                })
            };
            if let Some(missing) = sequences.iter().find(|sequence| !free(**sequence)) {
                return Err(Error::MessageNotFound(*missing));
            }
            let by_session = session.is_some() && target.side == Side::Main;
            let mut taken = Vec::with_capacity(sequences.len());
            for sequence in sequences {
                taken.extend(entity.hand_out(target.side, *sequence, mode, by_session, tokens, context));
            }
            Ok(taken)
        })?
    }

    /// Removes up to `max` messages that nobody holds and that were enqueued before a time.
    pub fn delete(
        &mut self,
        target: Target,
        max: usize,
        before: Time,
        session: Option<&str>,
        now: Time,
    ) -> Result<usize, Error> {
        self.within(target, now, |entity, _, _| {
            let store = entity.store_mut(target.side);
            let doomed: Vec<Sequence> = store
                .from(0)
                .filter(|(_, entry)| {
                    entry.lock.is_none()
                        && entry.hold == Hold::Active
                        && entry.enqueued <= before
                        && session.is_none_or(|id| entry.message.properties.session_id() == Some(id))
                })
                .map(|(sequence, _)| sequence)
                .take(max)
                .collect();
            for sequence in &doomed {
                store.remove(*sequence);
            }
            doomed.len()
        })
    }

    /// Locks a session for a link: the one named, or the next one that is free and has messages.
    ///
    /// Nothing is returned if no session is free; the caller may wait and ask again.
    pub fn accept_session(
        &mut self,
        target: Target,
        session: Option<&str>,
        holder: Holder,
        now: Time,
    ) -> Result<Option<(String, Time)>, Error> {
        self.within(target, now, |entity, context, _| {
            let id = match session {
                Some(id) if entity.sessions.holder(id).is_some() => {
                    return Err(Error::SessionCannotBeLocked(id.to_owned()));
                }
                Some(id) => id.to_owned(),
                None => match next_free(entity) {
                    Some(id) => id,
                    None => return Ok(None),
                },
            };
            let until = now + entity.options.lock_duration;
            entity.sessions.lock(&id, holder, until);
            let place = entity.place(Side::Main);
            context.events.push(Event::SessionAccepted { place, session: id.as_str().into() });
            Ok(Some((id, until)))
        })?
    }

    /// Frees a session if the link holds it. Messages that were out are ready again, uncounted.
    pub fn release_session(
        &mut self,
        target: Target,
        session: &str,
        holder: Holder,
        now: Time,
    ) -> Result<(), Error> {
        self.within(target, now, |entity, context, _| {
            if entity.sessions.holder(session) != Some(holder) {
                return;
            }
            entity.free_session(session, false, context);
            let place = entity.place(Side::Main);
            context.events.push(Event::SessionReleased { place, session: session.into() });
        })
    }

    /// Whether a link holds a session.
    pub fn holds_session(&mut self, target: Target, session: &str, holder: Holder, now: Time) -> bool {
        let held = self.within(target, now, |entity, _, _| entity.sessions.holder(session) == Some(holder));
        held.unwrap_or(false)
    }

    /// Renews the lock of a session for the link that holds it.
    pub fn renew_session(
        &mut self,
        target: Target,
        session: &str,
        holder: Holder,
        now: Time,
    ) -> Result<Time, Error> {
        self.within(target, now, |entity, _, _| {
            entity.check_holder(session, holder)?;
            let until = now + entity.options.lock_duration;
            entity.sessions.lock(session, holder, until);
            Ok(until)
        })?
    }

    /// Until when a session is locked.
    #[must_use]
    pub fn session_locked_until(&self, target: Target, session: &str) -> Option<Time> {
        self.entity(target).ok()?.sessions.locked_until(session)
    }

    /// Stores a state with a session for the link that holds it.
    pub fn set_session_state(
        &mut self,
        target: Target,
        session: &str,
        holder: Holder,
        state: Option<Bytes>,
        now: Time,
    ) -> Result<(), Error> {
        self.within(target, now, |entity, _, _| {
            entity.check_holder(session, holder)?;
            entity.sessions.set_state(session, state, now);
            Ok(())
        })?
    }

    /// The state stored with a session, for the link that holds it.
    pub fn session_state(
        &mut self,
        target: Target,
        session: &str,
        holder: Holder,
        now: Time,
    ) -> Result<Option<Bytes>, Error> {
        self.within(target, now, |entity, _, _| {
            entity.check_holder(session, holder)?;
            Ok(entity.sessions.state(session))
        })?
    }

    /// Sessions with messages, or those whose state changed after a time.
    pub fn sessions(&mut self, target: Target, since: Time, now: Time) -> Result<Vec<String>, Error> {
        self.within(target, now, |entity, _, _| {
            if since < YEAR_9999 {
                return entity.sessions.changed_since(since).map(str::to_owned).collect();
            }
            let ids = entity.main.from(0).filter_map(|(_, entry)| entry.message.properties.session_id());
            let mut ids: Vec<String> = ids.map(str::to_owned).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        })
    }

    /// The message behind a lock token that is good right now.
    #[must_use]
    pub fn locked_sequence(&self, target: Target, token: Uuid) -> Option<Sequence> {
        self.entity(target).ok()?.locked(target.side, token).ok()
    }
}

fn next_free(entity: &Entity) -> Option<String> {
    entity.main.ready_sessions().into_iter().find(|id| entity.sessions.holder(id).is_none())
}
