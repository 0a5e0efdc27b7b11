//! An attach as it was received, and one that waits for a session.

use std::time::Duration;

use serde_amqp::Value;
use tokio::time::Instant;

use super::{
    frame::Performative,
    value::{elements, entry, fields, number, text, undescribe},
};
use crate::broker::{Mode, Target};

pub(super) const SESSION_FILTER: &str = "com.microsoft:session-filter";

/// How long a receiver waits for the next free session if it does not say.
const SESSION_WAIT: Duration = Duration::from_secs(65);

/// An attach as received.
#[derive(Clone, Debug)]
pub(crate) struct Attach {
    pub(super) name: String,
    pub(super) handle: u32,
    /// Whether the client is the receiver.
    pub(super) receiver: bool,
    pub(super) send_mode: Value,
    pub(super) receive_mode: Value,
    pub(super) source: Value,
    pub(super) target: Value,
    pub(super) initial_count: u32,
    pub(super) properties: Value,
}

impl Attach {
    pub(super) fn read(mut attach: Performative) -> Self {
        Self {
            name: attach.text(0).unwrap_or_default().to_owned(),
            handle: attach.u32(1).unwrap_or(0),
            receiver: attach.bool(2),
            send_mode: attach.take(3),
            receive_mode: attach.take(4),
            source: attach.take(5),
            target: attach.take(6),
            // The specification demands it of senders, but not all clients give it.
            initial_count: attach.u32(9).unwrap_or(0),
            properties: attach.take(13),
        }
    }

    /// The address that the link is about, as the client wrote it.
    pub(super) fn address(&self) -> String {
        let terminus = if self.receiver { &self.source } else { &self.target };
        terminus_address(terminus).unwrap_or_default()
    }

    pub(super) fn mode(&self) -> Mode {
        if number(&self.send_mode) == Some(1) { Mode::ReceiveAndDelete } else { Mode::PeekLock }
    }

    /// The session filter: the session wanted, or null for the next one, and whether it is described.
    pub(super) fn session_filter(&self) -> Option<(Option<String>, Option<u64>)> {
        let (_, source) = undescribe(self.source.clone())?;
        let filters = fields(source).into_iter().nth(7)?;
        let Value::Map(filters) = filters else { return None };
        let (_, value) =
            filters.into_inner().into_iter().find(|(key, _)| text(key) == Some(SESSION_FILTER))?;
        match value {
            Value::Described(_) => {
                let (code, value) = undescribe(value)?;
                Some((text(&value).map(str::to_owned), Some(code)))
            }
            value => Some((text(&value).map(str::to_owned), None)),
        }
    }

    pub(super) fn session_wait(&self) -> Duration {
        let millis = entry(&self.properties, "com.microsoft:timeout").and_then(number);
        millis.and_then(|millis| u64::try_from(millis).ok()).map_or(SESSION_WAIT, Duration::from_millis)
    }
}

pub(super) fn terminus_address(terminus: &Value) -> Option<String> {
    let (_, list) = undescribe(terminus.clone())?;
    elements(&list).first().and_then(text).map(str::to_owned)
}

/// A receiver that waits for a session to become free.
#[derive(Debug)]
pub(crate) struct PendingAttach {
    pub(crate) channel: u16,
    pub(crate) until: Instant,
    pub(super) target: Target,
    pub(super) attach: Attach,
}
