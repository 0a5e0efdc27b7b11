//! Locks by token: renewal, and settlement when the link of the delivery is gone.

use uuid::Uuid;

use super::{Done, Operation, Result, missing};
use crate::{
    amqp::value::{array, entries, text, timestamp},
    broker::{Error, Verb},
};

impl Operation<'_> {
    pub(super) fn renew_lock(&mut self) -> Result {
        let tokens = self.tokens()?;
        if tokens.iter().any(|token| self.broker.locked_sequence(self.target, *token).is_none()) {
            // One lost lock fails the request, and it must not renew the others half-way.
            self.broker.note_lock_lost(self.target);
            return Err(Error::MessageLockLost.into());
        }
        let mut expirations = Vec::with_capacity(tokens.len());
        for token in tokens {
            expirations.push(timestamp(self.broker.renew(self.target, token, self.now)?));
        }
        Ok(Done::Body(vec![("expirations", array(expirations))]))
    }

    pub(super) fn update_disposition(&mut self) -> Result {
        let verb = self.verb()?;
        let tokens = self.tokens()?;
        self.check_session()?;
        for token in tokens {
            self.check_belonging(token)?;
            self.broker.settle(self.target, token, verb.clone(), self.now)?;
        }
        Ok(Done::Body(Vec::new()))
    }

    /// Refuses a lock token of a message that belongs to another session than the one named.
    fn check_belonging(&self, token: Uuid) -> Result<()> {
        let Some(session) = self.session() else { return Ok(()) };
        let belongs = self.broker.locked_session(self.target, token).is_none_or(|of| of == session);
        if belongs { Ok(()) } else { Err(Error::SessionLockLost.into()) }
    }

    fn verb(&self) -> Result<Verb> {
        let properties = self.field("properties-to-modify").cloned().map(entries).unwrap_or_default();
        let owned = |name| self.field(name).and_then(text).map(str::to_owned);
        Ok(match self.text("disposition-status") {
            Some("completed") => Verb::Complete,
            Some("abandoned") => Verb::Abandon { properties },
            // The service spells it with one r; the other spelling does no harm.
            Some("defered" | "deferred") => Verb::Defer { properties },
            Some("suspended") => Verb::DeadLetter {
                reason: owned("deadletter-reason"),
                description: owned("deadletter-description"),
                properties,
            },
            _ => return Err(missing("disposition-status")),
        })
    }
}
