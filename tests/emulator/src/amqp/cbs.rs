//! `$cbs`: tokens for the audiences that a client wants to use.

use serde_amqp::Value;

use super::{
    condition::{self, Failure, known},
    connection::Connection,
    message::Request,
    reply::Answer,
    value::{string, symbol, text},
};
use crate::{
    faults::{Action, Point},
    journal::Event,
};

impl Connection {
    pub(crate) fn put_token(&mut self, request: &Request) -> Option<Answer> {
        let audience = request.property("name").unwrap_or_default().to_owned();
        let mut delay = None;
        let mut refused = None;
        if let Some(action) = self.hub.faults.strike(Point::Token, &[&audience]) {
            self.hub.journal.record([Event::Fault { what: format!("token: {action:?}") }]);
            match action {
                Action::Disconnect => {
                    self.cut();
                    return None;
                }
                Action::Withhold => return None,
                Action::DelayMillis(millis) => delay = Some(std::time::Duration::from_millis(millis)),
                Action::Refuse(condition) | Action::Detach(condition) => refused = Some(known(&condition)),
                Action::LapseLock | Action::Http(_) => {}
            }
        }
        let checked = match refused {
            Some(condition) => Err((condition, "The token was refused by a scripted fault.".to_owned())),
            None => self.check_token(request, &audience),
        };
        let (status, condition, text) = match checked {
            Ok(()) => (202, None, "Accepted".to_owned()),
            Err((condition, text)) => (Failure::new(condition, "").status(), Some(condition), text),
        };
        self.hub.journal.record([Event::Token { connection: self.id, audience, status }]);
        let mut properties =
            vec![(string("status-code"), Value::Int(status)), (string("status-description"), string(&text))];
        properties.extend(condition.map(|condition| (string("error-condition"), symbol(condition))));
        Some(Answer { properties, body: None, delay })
    }

    fn check_token(&mut self, request: &Request, audience: &str) -> Result<(), (&'static str, String)> {
        if request.property("operation") != Some("put-token") {
            return Err((condition::NOT_IMPLEMENTED, "The operation is not supported.".to_owned()));
        }
        let Some(token) = text(&request.body) else {
            return Err((condition::ARGUMENT_ERROR, "The token is missing.".to_owned()));
        };
        let checked = self.hub.access().check(token, audience, self.hub.now());
        self.grant_right(checked.map_err(|text| (condition::UNAUTHORIZED, text))?);
        Ok(())
    }
}
