//! The operations of `$management`: renewing locks, settling by lock token, peeking.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::Value;
use serde_amqp::primitives::{self as prim, Array, OrderedMap};
use shared::ids::{LockToken, SequenceNumber};

use super::connection::{Connection, Namespace};
use super::recovery::Failure;
use super::rpc::{Reply, Request, Rpc};
use super::slot::{Attach, Slot};
use super::wire;
use crate::bus::delivery::{CODE, Settlement, TARGET};
use crate::bus::error::{Error, RenewError};
use crate::bus::message::Peeked;

/// Most locks in one request. Keeps a request far below the frame size.
const LOCKS_PER_REQUEST: usize = 100;
/// Most messages in one look.
const PEEKED_PER_REQUEST: u32 = 250;

impl Attach for Rpc {
    async fn attach(connection: &Connection, address: &str) -> Result<Self, Failure> {
        Self::attach(connection, address).await
    }
}

/// The management node of one entity.
pub(super) struct Management {
    namespace: Arc<Namespace>,
    slot: Slot<Rpc>,
}

impl Management {
    pub(super) fn new(namespace: Arc<Namespace>, entity: &str) -> Self {
        let slot = Slot::new(Arc::clone(&namespace), format!("{entity}/$management").into());
        Self { namespace, slot }
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
        let reply = self.slot.with(|rpc| ask(rpc, DOING, "renew-lock", body.clone(), limit)).await?;
        let times = match reply.get("expirations") {
            Some(Value::Array(Array(values)) | Value::List(values)) => {
                values.iter().filter(|value| matches!(value, Value::Timestamp(_))).count()
            }
            _ => 0,
        };
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
            entries.push(("deadletter-reason", Value::String(letter.reason.as_str().into())));
            entries.push(("deadletter-description", Value::String(letter.description.as_str().into())));
            // Beside the text, so that dead letters can be grouped and chosen by what Graph said.
            let particulars = [(CODE, &letter.code), (TARGET, &letter.target)];
            let particulars = particulars.map(|(name, text)| Some((name, text.as_deref()?)));
            let set = particulars.into_iter().flatten();
            let set: Vec<_> = set.map(|(name, text)| (name, Value::String(text.into()))).collect();
            if !set.is_empty() {
                entries.push(("properties-to-modify", map(set)));
            }
        }
        let body = map(entries);
        let limit = self.namespace.timing.request;
        let update = |rpc| ask(rpc, "settling by lock token", "update-disposition", body.clone(), limit);
        self.slot.once(update).await.map(drop)
    }

    /// Looks at messages from a number on.
    pub(super) async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Failure> {
        const DOING: &str = "peeking at messages";
        let count = i32::try_from(max.min(PEEKED_PER_REQUEST)).unwrap_or(i32::MAX);
        let body = map([("from-sequence-number", Value::Long(from.0)), ("message-count", Value::Int(count))]);
        let limit = self.namespace.timing.request;
        let reply = self.slot.with(|rpc| ask(rpc, DOING, "peek-message", body.clone(), limit)).await?;
        // 204 says that there are none.
        let Some(Value::List(entries)) = reply.get("messages") else {
            return Ok(Vec::new());
        };
        let encoded = entries.iter().filter_map(|entry| match entry {
            Value::Map(entry) => match entry.get(&Value::String("message".into()))? {
                Value::Binary(encoded) => Some(encoded),
                _ => None,
            },
            _ => None,
        });
        encoded
            .map(|encoded| {
                wire::peeked(encoded).ok_or_else(|| {
                    Failure::link(Error::Protocol {
                        doing: DOING,
                        what: "a message cannot be decoded".into(),
                    })
                })
            })
            .collect()
    }
}

async fn ask(
    rpc: Arc<Rpc>,
    doing: &'static str,
    operation: &'static str,
    body: Value,
    limit: Duration,
) -> Result<Reply, Failure> {
    let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    let properties = vec![
        ("operation", SimpleValue::String(format!("com.microsoft:{operation}"))),
        ("com.microsoft:server-timeout", SimpleValue::Uint(limit_ms)),
    ];
    rpc.ask(Request { doing, properties, body }, limit).await
}

fn tokens(locks: &[LockToken]) -> Value {
    Value::Array(Array(locks.iter().map(|lock| Value::Uuid(prim::Uuid::from(*lock.0.as_bytes()))).collect()))
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut map = OrderedMap::new();
    for (name, value) in entries {
        map.insert(Value::String(name.into()), value);
    }
    Value::Map(map)
}
