//! The operations of `$management`: renewing locks, settling by lock token, peeking.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::{
    Value,
    primitives::{self as prim, Array, OrderedMap},
};
use shared::ids::{LockToken, SequenceNumber};

use super::{
    connection::{Connection, Namespace},
    reconnecting_link::{Attach, ReconnectingLink},
    recovery::{Condition, Failure},
    rpc::{Reply, Request, Rpc},
    scan::Encoded,
    wire::{self, entry},
};
use crate::{
    delivery::Settlement,
    error::{Error, RenewError},
    message::Peeked,
};

/// Most locks in one request. Keeps a request far below the frame size.
const LOCKS_PER_REQUEST: usize = 100;
/// Most messages in one look.
const PEEKED_PER_REQUEST: u32 = 250;

impl Attach for Rpc {
    async fn attach(connection: &Connection, address: &str) -> Result<Self, Failure> {
        Self::attach(connection.sessions(), address).await
    }
}

/// The management node of one entity.
pub(super) struct Management {
    namespace: Arc<Namespace>,
    link: ReconnectingLink<Rpc>,
}

impl Management {
    pub(super) fn new(namespace: Arc<Namespace>, entity: &str) -> Self {
        let link = ReconnectingLink::new(Arc::clone(&namespace), format!("{entity}/$management").into());
        Self { namespace, link }
    }

    /// Extends locks; answers in the order of the tokens.
    pub(super) async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>> {
        let mut answers = Vec::with_capacity(locks.len());
        for chunk in locks.chunks(LOCKS_PER_REQUEST) {
            self.renew_chunk(chunk, &mut answers).await;
        }
        answers
    }

    /// One lost lock makes the service refuse the whole request, so a refused one is halved until the lost
    /// locks stand alone.
    async fn renew_chunk(&self, chunk: &[LockToken], answers: &mut Vec<Result<(), RenewError>>) {
        let mut open = vec![chunk];
        while let Some(locks) = open.pop() {
            match self.renew_together(locks).await {
                Ok(()) => answers.extend(locks.iter().map(|_| Ok(()))),
                Err(failure) if failure.is_lock_lost() && locks.len() == 1 => {
                    answers.push(Err(RenewError::LockLost));
                }
                Err(failure) if failure.is_lock_lost() => {
                    let (first, second) = locks.split_at(locks.len() / 2);
                    // The first half has to be answered first.
                    open.push(second);
                    open.push(first);
                }
                Err(failure) => {
                    let error = Arc::new(failure.error);
                    answers.extend(locks.iter().map(|_| Err(RenewError::Failed(Arc::clone(&error)))));
                }
            }
        }
    }

    async fn renew_together(&self, locks: &[LockToken]) -> Result<(), Failure> {
        const DOING: &str = "renewing locks";
        let body = map([("lock-tokens", tokens(locks))]);
        let limit = self.namespace.timing.request;
        let reply = self.link.with(|rpc| ask(rpc, DOING, "renew-lock", body.clone(), limit)).await?;
        let times = reply.get("expirations").map_or(0, Encoded::timestamps);
        if times != locks.len() {
            let what = format!("{times} expirations for {} locks", locks.len()).into();
            return Err(Failure::link(Error::Protocol { doing: DOING, what }));
        }
        Ok(())
    }

    /// Settles by lock token, over whatever link the message came.
    pub(super) async fn settle(&self, lock: LockToken, settlement: &Settlement) -> Result<(), Failure> {
        let status = match settlement {
            Settlement::Complete | Settlement::Remove => "completed",
            // There is no word for giving back untouched; abandoning at least makes the message available.
            Settlement::Abandon | Settlement::Release => "abandoned",
            Settlement::DeadLetter(_) => "suspended",
        };
        let mut entries =
            vec![("disposition-status", Value::String(status.into())), ("lock-tokens", tokens(&[lock]))];
        if let Settlement::DeadLetter(letter) = settlement {
            entries.push(("deadletter-reason", Value::String(letter.reason.as_ref().into())));
            entries.push(("deadletter-description", Value::String(letter.description.as_ref().into())));
            let set = letter.properties.iter();
            let set: Vec<_> = set.map(|(name, text)| (*name, Value::String(text.as_ref().into()))).collect();
            if !set.is_empty() {
                entries.push(("properties-to-modify", map(set)));
            }
        }
        let body = map(entries);
        let limit = self.namespace.timing.request;
        let update = |rpc| ask(rpc, "settling by lock token", "update-disposition", body.clone(), limit);
        self.link.once(update).await.map(drop)
    }

    /// Takes scheduled messages back. A request whose answer was lost has done so already, and finds none then.
    pub(super) async fn cancel_scheduled(&self, messages: &[SequenceNumber]) -> Result<bool, Failure> {
        const DOING: &str = "cancelling scheduled messages";
        let numbers = Value::Array(Array(messages.iter().map(|number| Value::Long(number.0)).collect()));
        let body = map([("sequence-numbers", numbers)]);
        let limit = self.namespace.timing.request;
        let cancel = |rpc| ask(rpc, DOING, "cancel-scheduled-message", body.clone(), limit);
        match self.link.with(cancel).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.condition == Some(Condition::MessageNotFound) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Looks at messages from a number on. One that does not tell its number is asked for until its number is found:
    /// by that number it can be removed.
    pub(super) async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Failure> {
        let encoded = self.look(from, max).await?;
        let mut page: Vec<_> = encoded.iter().map(wire::peeked).collect();
        let mut least = from;
        for at in 0..page.len() {
            if page[at].message.sequence.0 <= 0 {
                let later = page[at..].iter().map(|peeked| peeked.message.sequence).find(|later| later.0 > 0);
                page[at].message.sequence = self.find(&encoded[at], least, later).await?;
            }
            least = SequenceNumber(page[at].message.sequence.0.saturating_add(1));
        }
        Ok(page)
    }

    /// The number of a message, between bounds, by halving: a look from a number on begins with it as long as that
    /// number is not above its own.
    async fn find(
        &self,
        encoded: &Bytes,
        from: SequenceNumber,
        later: Option<SequenceNumber>,
    ) -> Result<SequenceNumber, Failure> {
        let mut known = from.0;
        let mut beyond = later.map_or(i64::MAX, |later| later.0);
        let mut step = 1_i64;
        // Upwards in growing steps first, because the next number is the likely one.
        while known < beyond.saturating_sub(1) {
            let tried = known.saturating_add(step).min(beyond - 1);
            let first = self.look(SequenceNumber(tried), 1).await?;
            if first.first() == Some(encoded) {
                known = tried;
                step = step.saturating_mul(2);
            } else {
                beyond = tried;
                step = ((beyond - known) / 2).max(1);
            }
        }
        Ok(SequenceNumber(known))
    }

    /// Encoded messages from a number on.
    async fn look(&self, from: SequenceNumber, max: u32) -> Result<Vec<Bytes>, Failure> {
        const DOING: &str = "peeking at messages";
        let count = i32::try_from(max.min(PEEKED_PER_REQUEST)).unwrap_or(i32::MAX);
        let body = map([("from-sequence-number", Value::Long(from.0)), ("message-count", Value::Int(count))]);
        let limit = self.namespace.timing.request;
        let reply = self.link.with(|rpc| ask(rpc, DOING, "peek-message", body.clone(), limit)).await?;
        // 204 says that there are none.
        let Some(entries) = reply.get("messages") else { return Ok(Vec::new()) };
        let encoded = entries.items().filter_map(|entry_of| entry(Some(entry_of), "message")?.binary());
        Ok(encoded.map(|encoded| reply.part(encoded)).collect())
    }
}

async fn ask(
    rpc: Arc<Rpc>,
    doing: &'static str,
    name: &'static str,
    body: Value,
    limit: Duration,
) -> Result<Reply, Failure> {
    rpc.ask(operation(doing, name, body, limit), limit).await
}

/// The request for an operation; its name is given without the `com.microsoft:` that stands before all of them.
pub(super) fn operation(doing: &'static str, name: &'static str, body: Value, limit: Duration) -> Request {
    let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    let properties = vec![
        ("operation", SimpleValue::String(format!("com.microsoft:{name}"))),
        ("com.microsoft:server-timeout", SimpleValue::Uint(limit_ms)),
    ];
    Request { doing, properties, body }
}

fn tokens(locks: &[LockToken]) -> Value {
    Value::Array(Array(locks.iter().map(|lock| Value::Uuid(prim::Uuid::from(*lock.0.as_bytes()))).collect()))
}

/// A map with text for keys, as all operations take one.
pub(super) fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut map = OrderedMap::new();
    for (name, value) in entries {
        map.insert(Value::String(name.into()), value);
    }
    Value::Map(map)
}
