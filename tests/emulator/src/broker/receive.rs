//! Messages on their way out: receiving, browsing, and deferred ones by number.

use uuid::Uuid;

use super::{
    Broker, Error, Sequence, Target, Time,
    entity::{Kind, Mode},
    place::Side,
    session::Holder,
    store::Hold,
    view::{Delivery, View},
};

impl Broker {
    /// Checks that a receiver may be attached here.
    pub fn check_receiver(&self, target: Target, with_session: bool) -> Result<(), Error> {
        let entity = self.entity(target)?;
        if !entity.options.status.hands_out() {
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
        holder: &Holder,
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

    /// The session of the message behind a lock token that is good right now.
    #[must_use]
    pub fn locked_session(&self, target: Target, token: Uuid) -> Option<String> {
        let sequence = self.locked_sequence(target, token)?;
        let entry = self.entity(target).ok()?.store(target.side).get(sequence)?;
        entry.message.properties.session_id().map(str::to_owned)
    }

    /// The message behind a lock token that is good right now.
    #[must_use]
    pub fn locked_sequence(&self, target: Target, token: Uuid) -> Option<Sequence> {
        self.entity(target).ok()?.locked(target.side, token).ok()
    }
}
