//! `$cbs`: tokens for the audiences that a client wants to use.

use serde_amqp::Value;

use super::connection::Connection;
use super::message::Request;
use super::reply::Answer;
use super::value::{string, symbol};
use crate::journal::Event;

impl Connection {
    pub(crate) fn put_token(&mut self, request: &Request) -> Option<Answer> {
        let audience = request.property("name").unwrap_or_default().to_owned();
        let (status, text) = (202, "Accepted");
        self.hub.journal.record([Event::Token { connection: self.id, audience, status }]);
        Some(answer(status, text))
    }
}

fn answer(status: i32, text: &str) -> Answer {
    let mut properties =
        vec![(string("status-code"), Value::Int(status)), (string("status-description"), string(text))];
    if status == 401 {
        properties.push((string("error-condition"), symbol(super::condition::UNAUTHORIZED)));
    }
    Answer { properties, body: None, delay: None }
}
