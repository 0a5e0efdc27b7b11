//! Messages by number: browsing, scheduling, fetching deferred ones, deleting.

use bytes::Bytes;
use serde_amqp::Value;

use super::{Done, Operation, Result, missing};
use crate::{
    amqp::{
        condition::{self, Failure},
        message::{decode, encode_delivery, encode_view},
        value::{array, binary, bytes, elements, entry, map, number, string, uuid},
    },
    broker::{Mode, Time},
};

/// Bytes of messages in one answer; the client asks again for the rest.
const ANSWER_LIMIT: usize = 1 << 20;

impl Operation<'_> {
    pub(super) fn peek(&mut self) -> Result {
        let from = number(self.need("from-sequence-number")?).unwrap_or(0);
        let max = self.count("message-count")?;
        let session = self.session().map(str::to_owned);
        let views = self.broker.peek(self.target, from, max, session.as_deref(), self.now)?;
        let mut size = 0;
        let mut messages = Vec::with_capacity(views.len());
        for view in &views {
            let encoded = encode_view(view, self.broken);
            size += encoded.len();
            if size > ANSWER_LIMIT && !messages.is_empty() {
                break;
            }
            messages.push(map([(string("message"), binary(encoded))]));
        }
        if messages.is_empty() {
            return Ok(Done::Nothing);
        }
        Ok(Done::Body(vec![("messages", Value::List(messages))]))
    }

    pub(super) fn schedule(&mut self) -> Result {
        let mut messages = Vec::new();
        for item in elements(self.need("messages")?) {
            let encoded = entry(item, "message").and_then(bytes).ok_or_else(|| missing("message"))?;
            let message = decode(&Bytes::copy_from_slice(encoded))
                .map_err(|error| Failure::new(condition::DECODE_ERROR, error.to_string()))?;
            messages.push(message);
        }
        let sequences = self.broker.schedule(self.target, messages, self.now)?;
        let sequences = sequences.into_iter().map(Value::Long).collect();
        Ok(Done::Body(vec![("sequence-numbers", array(sequences))]))
    }

    pub(super) fn cancel(&mut self) -> Result {
        let sequences = self.sequences()?;
        self.broker.cancel_scheduled(self.target, &sequences, self.now)?;
        Ok(Done::Body(Vec::new()))
    }

    pub(super) fn receive_deferred(&mut self) -> Result {
        self.check_session()?;
        let sequences = self.sequences()?;
        let removed = self.field("receiver-settle-mode").and_then(number) == Some(0);
        let mode = if removed { Mode::ReceiveAndDelete } else { Mode::PeekLock };
        let session = self.session().map(str::to_owned);
        let taken =
            self.broker.receive_deferred(self.target, &sequences, session.as_deref(), mode, self.now)?;
        let messages = taken.iter().map(|delivery| {
            let mut entries = vec![(string("message"), binary(encode_delivery(delivery, self.broken)))];
            if mode == Mode::PeekLock {
                entries.push((string("lock-token"), uuid(delivery.token)));
            }
            map(entries)
        });
        Ok(Done::Body(vec![("messages", Value::List(messages.collect()))]))
    }

    pub(super) fn delete(&mut self) -> Result {
        let max = self.count("message-count")?.min(4_000);
        let before = number(self.need("enqueued-time-utc")?).map_or(self.now, Time::from_millis);
        let session = self.session().map(str::to_owned);
        let deleted = self.broker.delete(self.target, max, before, session.as_deref(), self.now)?;
        if deleted == 0 {
            return Ok(Done::Nothing);
        }
        Ok(Done::Body(vec![("message-count", Value::Int(i32::try_from(deleted).unwrap_or(i32::MAX)))]))
    }
}
