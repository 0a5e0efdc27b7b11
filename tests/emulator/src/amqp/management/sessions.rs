//! Sessions: locks, state and the list of them. Lock and state belong to the link that holds the session.

use bytes::Bytes;
use serde_amqp::Value;

use super::{Done, Operation, Result};
use crate::{
    amqp::value::{array, binary, number, timestamp},
    broker::Time,
};

impl Operation<'_> {
    pub(super) fn renew_session(&mut self) -> Result {
        let (session, holder) = self.held_session()?;
        let until = self.broker.renew_session(self.target, &session, &holder, self.now)?;
        Ok(Done::Body(vec![("expiration", timestamp(until))]))
    }

    pub(super) fn set_session_state(&mut self) -> Result {
        let (session, holder) = self.held_session()?;
        let state = self.bytes("session-state").map(Bytes::copy_from_slice);
        self.broker.set_session_state(self.target, &session, &holder, state, self.now)?;
        Ok(Done::Body(Vec::new()))
    }

    pub(super) fn session_state(&mut self) -> Result {
        let (session, holder) = self.held_session()?;
        let state = self.broker.session_state(self.target, &session, &holder, self.now)?;
        let state = state.map_or(Value::Null, binary);
        Ok(Done::Body(vec![("session-state", state)]))
    }

    pub(super) fn list_sessions(&mut self) -> Result {
        let since = number(self.need("last-updated-time")?).map_or(self.now, Time::from_millis);
        let (skip, top) = (self.count("skip")?, self.count("top")?);
        let sessions = self.broker.sessions(self.target, since, self.now)?;
        let page: Vec<Value> = sessions.into_iter().skip(skip).take(top).map(Value::String).collect();
        if page.is_empty() {
            return Ok(Done::Nothing);
        }
        let next = i32::try_from(skip + page.len()).unwrap_or(i32::MAX);
        Ok(Done::Body(vec![("skip", Value::Int(next)), ("sessions-ids", array(page))]))
    }
}
