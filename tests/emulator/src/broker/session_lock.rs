//! Sessions as links see them: taken, renewed, given up, taken away, and the state that only the holder sees.

use bytes::Bytes;

use super::{
    Broker, Error, Event, Target, Time,
    entity::Entity,
    place::Side,
    session::{Holder, Standing},
};

/// `get-message-sessions` with a time from here on (the year 9999) asks for sessions with messages.
const YEAR_9999: Time = Time::from_millis(253_402_300_000_000);

impl Broker {
    /// Locks a session for a link: the one named, or the next one that is free and has messages.
    ///
    /// Nothing is returned if no session is free; the caller may wait and ask again.
    pub fn accept_session(
        &mut self,
        target: Target,
        session: Option<&str>,
        holder: &Holder,
        now: Time,
    ) -> Result<Option<(String, Time)>, Error> {
        self.within(target, now, |entity, context, _| {
            let place = entity.place(Side::Main);
            let id = match session {
                Some(id) => match entity.sessions.holder(id).cloned() {
                    Some(held_by) => {
                        let (session, holder) = (id.into(), holder.clone());
                        context.events.push(Event::SessionRefused { place, session, holder, held_by });
                        return Err(Error::SessionCannotBeLocked(id.to_owned()));
                    }
                    None => id.to_owned(),
                },
                None => match next_free(entity) {
                    Some(id) => id,
                    None => return Ok(None),
                },
            };
            let until = now + entity.options.lock_duration;
            entity.sessions.lock(&id, holder.clone(), until);
            let (session, holder) = (id.as_str().into(), holder.clone());
            context.events.push(Event::SessionAccepted { place, session, holder, until });
            Ok(Some((id, until)))
        })?
    }

    /// Frees a session if the link holds it. Messages that were out are ready again, uncounted.
    pub fn release_session(
        &mut self,
        target: Target,
        session: &str,
        holder: &Holder,
        now: Time,
    ) -> Result<(), Error> {
        self.within(target, now, |entity, context, _| {
            entity.sessions.forget(holder);
            if entity.check_holder(session, holder).is_ok() {
                entity.free_session(session, false, context);
                let (place, session, holder) = (entity.place(Side::Main), session.into(), holder.clone());
                context.events.push(Event::SessionReleased { place, session, holder });
            }
        })
    }

    /// Takes a session away from the link that holds it, as the service may do long before the lock lapses, and does
    /// not let that link know. Messages that were out are ready again, counted. Returns who held it.
    pub fn free_session(
        &mut self,
        target: Target,
        session: &str,
        now: Time,
    ) -> Result<Option<Holder>, Error> {
        self.within(target, now, |entity, context, _| {
            let holder = entity.free_session(session, true, context)?;
            entity.sessions.keep_from(&holder);
            let (place, session) = (entity.place(Side::Main), session.into());
            context.events.push(Event::SessionFreed { place, session, holder: holder.clone() });
            Some(holder)
        })
    }

    /// How a link stands to a session that it was given.
    pub fn session_standing(
        &mut self,
        target: Target,
        session: &str,
        holder: &Holder,
        now: Time,
    ) -> Result<Standing, Error> {
        self.within(target, now, |entity, _, _| entity.sessions.standing(session, holder))
    }

    /// Renews the lock of a session for the link that holds it, and returns until when it is locked.
    pub fn renew_session(
        &mut self,
        target: Target,
        session: &str,
        holder: &Holder,
        now: Time,
    ) -> Result<Time, Error> {
        self.within(target, now, |entity, context, _| {
            entity.check_holder(session, holder)?;
            let until = now + entity.options.lock_duration;
            entity.sessions.lock(session, holder.clone(), until);
            let (place, session, holder) = (entity.place(Side::Main), session.into(), holder.clone());
            context.events.push(Event::SessionRenewed { place, session, holder, until });
            Ok(until)
        })?
    }

    /// Which link holds a session.
    #[must_use]
    pub fn session_holder(&self, target: Target, session: &str) -> Option<Holder> {
        self.entity(target).ok()?.sessions.holder(session).cloned()
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
        holder: &Holder,
        state: Option<Bytes>,
        now: Time,
    ) -> Result<(), Error> {
        self.within(target, now, |entity, context, _| {
            entity.check_holder(session, holder)?;
            entity.sessions.set_state(session, state.clone(), now);
            let (place, session, holder) = (entity.place(Side::Main), session.into(), holder.clone());
            context.events.push(Event::SessionStateSet { place, session, holder, state });
            Ok(())
        })?
    }

    /// The state stored with a session, for the link that holds it.
    pub fn session_state(
        &mut self,
        target: Target,
        session: &str,
        holder: &Holder,
        now: Time,
    ) -> Result<Option<Bytes>, Error> {
        self.within(target, now, |entity, _, _| {
            entity.check_holder(session, holder)?;
            Ok(entity.sessions.state(session))
        })?
    }

    /// The state stored with a session, whoever holds it. For inspection.
    #[must_use]
    pub fn stored_session_state(&self, target: Target, session: &str) -> Option<Bytes> {
        self.entity(target).ok()?.sessions.state(session)
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
}

fn next_free(entity: &Entity) -> Option<String> {
    entity.main.ready_sessions().into_iter().find(|id| entity.sessions.holder(id).is_none())
}
