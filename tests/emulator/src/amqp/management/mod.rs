//! `$management` of an entity: what cannot be said with links and transfers.

mod locks;
mod messages;
mod rules;
mod sessions;

use std::time::Duration;

use serde_amqp::Value;
use uuid::Uuid;

use super::{
    condition::{self, Failure},
    connection::Connection,
    link::Link,
    message::Request,
    reply::Answer,
    value::{as_uuid, bytes, elements, entry, map, number, string, symbol, text},
};
use crate::{
    breakage::Broken,
    broker::{Broker, Error, Holder, Sequence, Side, Target, Time},
    faults::{Action, Point},
    journal::Event,
};

/// Prefix of all operations.
const PREFIX: &str = "com.microsoft:";

/// What an operation gives back: entries of the body map, or nothing found.
pub(super) enum Done {
    /// 200 with these entries.
    Body(Vec<(&'static str, Value)>),
    /// 204: the request was fine, but there is nothing.
    Nothing,
}

/// What an operation returns.
pub(super) type Result<T = Done> = std::result::Result<T, Failure>;

/// An operation on its entity, at a moment.
pub(super) struct Operation<'a> {
    pub(super) broker: &'a mut Broker,
    pub(super) target: Target,
    pub(super) now: Time,
    pub(super) body: &'a Value,
    /// The link of the caller's connection that holds the session which the body names.
    pub(super) holder: Option<Holder>,
    pub(super) broken: Broken,
}

impl Operation<'_> {
    fn run(mut self, name: &str) -> Result {
        match name {
            "renew-lock" => self.renew_lock(),
            "update-disposition" => self.update_disposition(),
            "peek-message" => self.peek(),
            "schedule-message" => self.schedule(),
            "cancel-scheduled-message" => self.cancel(),
            "receive-by-sequence-number" => self.receive_deferred(),
            "batch-delete-messages" => self.delete(),
            "renew-session-lock" => self.renew_session(),
            "set-session-state" => self.set_session_state(),
            "get-session-state" => self.session_state(),
            "get-message-sessions" => self.list_sessions(),
            "add-rule" => self.add_rule(),
            "remove-rule" => self.remove_rule(),
            "enumerate-rules" => self.enumerate_rules(),
            other => Err(Failure::new(
                condition::NOT_IMPLEMENTED,
                format!("The operation '{other}' is not supported."),
            )),
        }
    }

    fn field(&self, name: &str) -> Option<&Value> {
        entry(self.body, name)
    }

    fn need(&self, name: &str) -> Result<&Value> {
        self.field(name).ok_or_else(|| missing(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(text)
    }

    fn session(&self) -> Option<&str> {
        self.text("session-id")
    }

    /// The session that the body names and the link that holds it, which is one of the caller's own.
    ///
    /// The broker looks whether that link still holds it.
    fn held_session(&self) -> Result<(String, Holder)> {
        let session = self.session().ok_or_else(|| missing("session-id"))?;
        let holder = self.holder.clone().ok_or(Error::SessionLockLost)?;
        Ok((session.to_owned(), holder))
    }

    /// Where messages belong to sessions, refuses a request about them by who does not hold theirs.
    fn check_session(&mut self) -> Result<()> {
        if self.target.side != Side::Main || !self.broker.options(self.target)?.requires_session {
            return Ok(());
        }
        if self.session().is_none() {
            return Err(Error::SessionLockLost.into());
        }
        let (session, holder) = self.held_session()?;
        let standing = self.broker.session_standing(self.target, &session, &holder, self.now)?;
        if standing.is_held() { Ok(()) } else { Err(Error::SessionLockLost.into()) }
    }

    fn count(&self, name: &str) -> Result<usize> {
        let count = number(self.need(name)?).ok_or_else(|| missing(name))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.field(name).and_then(bytes)
    }

    fn tokens(&self) -> Result<Vec<Uuid>> {
        Ok(elements(self.need("lock-tokens")?).iter().filter_map(as_uuid).collect())
    }

    fn sequences(&self) -> Result<Vec<Sequence>> {
        Ok(elements(self.need("sequence-numbers")?).iter().filter_map(number).collect())
    }
}

fn missing(name: &str) -> Failure {
    Failure::new(condition::ARGUMENT_ERROR, format!("The field '{name}' is missing or of a wrong type."))
}

impl Connection {
    pub(crate) fn manage(
        &mut self,
        channel: u16,
        handle: u32,
        target: Target,
        request: &Request,
    ) -> Option<Answer> {
        let operation = request.property("operation").unwrap_or_default();
        let name = operation.strip_prefix(PREFIX).unwrap_or(operation).to_owned();
        let address = self.link(channel, handle).map(|link| link.address.clone()).unwrap_or_default();
        let entity = address.strip_suffix("/$management").unwrap_or(&address).to_owned();
        let named = request.property("associated-link-name");
        if let Some(link) = named {
            self.touch_link(link);
        }
        let session = entry(&request.body, "session-id").and_then(text);
        let holder = session.and_then(|session| self.session_holder(target, session, named));
        let broken = self.hub.settings.broken;
        let result = match self.request_fault(Point::Request, &entity, &name) {
            Some(Action::Disconnect) => {
                self.cut();
                return None;
            }
            Some(Action::Withhold) => return None,
            Some(Action::Refuse(condition) | Action::Detach(condition)) => Err(Failure::scripted(&condition)),
            action @ (None | Some(Action::DelayMillis(_) | Action::LapseLock | Action::Http(_))) => {
                self.hub.run(|broker, now| {
                    if action == Some(Action::LapseLock) {
                        broker.lapse(target, None, now)?;
                    }
                    Operation { broker, target, now, body: &request.body, holder, broken }.run(&name)
                })
            }
        };
        let (status, mut answer) = to_answer(result, request);
        self.hub.journal.record([Event::Request { connection: self.id, operation: name.clone(), status }]);
        match self.request_fault(Point::Reply, &entity, &name) {
            Some(Action::Disconnect) => {
                self.cut();
                return None;
            }
            Some(Action::Withhold) => return None,
            Some(Action::DelayMillis(millis)) => answer.delay = Some(Duration::from_millis(millis)),
            None | Some(Action::Refuse(_) | Action::Detach(_) | Action::LapseLock | Action::Http(_)) => {}
        }
        Some(answer)
    }

    /// A request that names a link counts as use of it.
    fn touch_link(&mut self, name: &str) {
        let links = self.sessions.values_mut().flat_map(|session| session.links.values_mut());
        links.filter(|link| link.name == name).for_each(Link::touch);
    }

    fn request_fault(&self, at: Point, entity: &str, operation: &str) -> Option<Action> {
        let action = self.hub.faults.strike(at, &[entity, operation])?;
        self.hub.journal.record([Event::Fault { what: format!("{at:?} {operation}: {action:?}") }]);
        Some(action)
    }
}

fn to_answer(result: Result, request: &Request) -> (i32, Answer) {
    let (status, text, failure, body) = match result {
        Ok(Done::Body(entries)) => {
            let body = map(entries.into_iter().map(|(key, value)| (string(key), value)));
            (200, "OK".to_owned(), None, body)
        }
        Ok(Done::Nothing) => (204, "No Content".to_owned(), None, map([])),
        Err(failure) => (failure.status(), failure.description.clone(), Some(failure.condition), map([])),
    };
    let mut properties =
        vec![(string("statusCode"), Value::Int(status)), (string("statusDescription"), Value::String(text))];
    if let Some(condition) = failure {
        properties.push((string("errorCondition"), symbol(condition)));
    }
    if let Some(tracking) = request.property("com.microsoft:tracking-id") {
        properties.push((string("com.microsoft:tracking-id"), string(tracking)));
    }
    (status, Answer { properties, body: Some(body), delay: None })
}
