//! Request and response over a pair of links, as `$cbs` and `$management` speak it.
//!
//! Requests may overlap: each has its own message-id, and the reply carries it back as correlation-id.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex as SyncMutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fe2o3_amqp::{
    Receiver, Sender,
    link::{CreditMode, delivery::Sendable},
    session::SessionHandle,
};
use fe2o3_amqp_types::{
    messaging::{AmqpValue, ApplicationProperties, Message, MessageId, Outcome, Properties, Target},
    primitives::SimpleValue,
};
use futures_util::FutureExt;
use serde_amqp::{Value, primitives::OrderedMap};
use tokio::{
    sync::{Mutex, oneshot},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use super::{
    faults::{ErrorContext, still_attached},
    recovery::{Condition, Failure},
    scan::Encoded,
    sections::{Body, Sections},
    sessions::Sessions,
    wall::{Numbered, Shelf},
    wire::entry,
};
use crate::error::Error;

/// Replies the service may have under way to us. It is topped up at half.
const REPLY_CREDIT: u32 = 200;

/// A node to ask things of.
pub(super) struct Rpc {
    host: Box<str>,
    reply_to: String,
    sender: Mutex<Sender>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    reader: JoinHandle<()>,
    // Dropping the handle ends the session, so it lives as long as the links.
    _session: SessionHandle<()>,
}

/// A request.
pub(super) struct Request {
    /// For messages of errors.
    pub(super) doing: &'static str,
    /// Application properties, `operation` among them.
    pub(super) properties: Vec<(&'static str, SimpleValue)>,
    /// The body, as one value.
    pub(super) body: Value,
}

/// A reply that says yes.
#[derive(Debug)]
pub(super) struct Reply(Bytes);

impl Reply {
    /// A value of the map in the body.
    pub(super) fn get(&self, key: &str) -> Option<Encoded<'_>> {
        let Body::Value(body) = Sections::of(&self.0).body else { return None };
        entry(Some(body), key)
    }

    /// A part of it for good, without a copy.
    pub(super) fn part(&self, part: &[u8]) -> Bytes {
        if part.is_empty() { Bytes::new() } else { self.0.slice_ref(part) }
    }
}

/// Who a reply is for.
fn addressee(reply: &Bytes) -> Option<String> {
    let id = Sections::of(reply).properties?.items().nth(5)?;
    id.text().map(str::to_owned)
}

/// Who waits for which reply; `None` once no reply can come any more.
struct Waiting(SyncMutex<Option<HashMap<String, oneshot::Sender<Bytes>>>>);

impl Waiting {
    fn with<T>(&self, work: impl FnOnce(&mut Option<HashMap<String, oneshot::Sender<Bytes>>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn register(&self, id: &str) -> Option<oneshot::Receiver<Bytes>> {
        let (sender, receiver) = oneshot::channel();
        self.with(|map| map.as_mut().map(|map| map.insert(id.to_owned(), sender)))?;
        Some(receiver)
    }

    fn take(&self, id: &str) -> Option<oneshot::Sender<Bytes>> {
        self.with(|map| map.as_mut()?.remove(id))
    }
}

impl Rpc {
    /// Attaches both links to `node` in a session that nothing else uses.
    pub(super) async fn attach(sessions: &Sessions, node: &str) -> Result<Self, Failure> {
        let (mut session, host) = (sessions.begin().await?, sessions.host());
        let doing = ErrorContext { what: "attaching a request link", host };
        let id = Uuid::new_v4();
        let (reply_to, name) = (format!("reply-{id}"), format!("{node}-in-{id}"));
        let shelf = sessions.shelves().put_up(&name);
        let receiver = Receiver::builder()
            .name(name)
            .source(node)
            .target(Target::builder().address(reply_to.clone()).build())
            .credit_mode(CreditMode::Auto(REPLY_CREDIT))
            .attach(&mut session)
            .await
            .map_err(|error| doing.receiver_attach(error))?;
        let sender = Sender::builder()
            .name(format!("{node}-out-{id}"))
            .source(reply_to.clone())
            .target(node)
            .attach(&mut session)
            .await
            .map_err(|error| doing.sender_attach(error))?;
        let waiting = Arc::new(Waiting(SyncMutex::new(Some(HashMap::new()))));
        let reader = tokio::spawn(read_replies(receiver, shelf, Arc::clone(&waiting)));
        Ok(Self {
            host: host.into(),
            reply_to,
            sender: Mutex::new(sender),
            waiting,
            next_id: AtomicU64::new(1),
            reader,
            _session: session,
        })
    }

    /// Asks, and waits for the answer at most `limit`.
    pub(super) async fn ask(&self, request: Request, limit: Duration) -> Result<Reply, Failure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let doing = request.doing;
        let reply = timeout(limit, self.exchange(&id, request)).await;
        // After an answer the entry is gone already; after anything else nobody waits any more.
        drop(self.waiting.take(&id));
        match reply {
            Ok(reply) => reply.and_then(|encoded| read_reply(doing, encoded)),
            // The link may well be fine, but a lost reply looks the same as a dead link.
            Err(_) => Err(Failure::link(Error::Timeout { doing, after: limit })),
        }
    }

    async fn exchange(&self, id: &str, request: Request) -> Result<Bytes, Failure> {
        let doing = ErrorContext { what: request.doing, host: &self.host };
        let ended = || doing.link_ended("the request link ended");
        let reply = self.waiting.register(id).ok_or_else(ended)?;
        let message = encode(id, &self.reply_to, request);
        // Only the hand-over is serialized; the acknowledgement is awaited beside the others'.
        let accepted = {
            let mut sender = self.sender.lock().await;
            still_attached(&mut sender, doing)?;
            sender.send_batchable(message).await.map_err(|error| doing.send(error))?
        };
        let refused = async {
            match accepted.await {
                Ok(Outcome::Rejected(rejected)) => Some(match &rejected.error {
                    Some(error) => Failure::amqp(doing.what, error),
                    None => doing.link_ended("the request was rejected without a reason"),
                }),
                Ok(Outcome::Accepted(_) | Outcome::Released(_) | Outcome::Modified(_)) => None,
                Err(error) => Some(doing.send(error)),
            }
        };
        tokio::pin!(reply, refused);
        tokio::select! {
            reply = &mut reply => reply.map_err(|_| ended()),
            Some(failure) = &mut refused => Err(failure),
            else => Err(ended()),
        }
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn encode(id: &str, reply_to: &str, request: Request) -> Sendable<AmqpValue<Value>> {
    let mut properties = OrderedMap::new();
    for (name, value) in request.properties {
        properties.insert(name.to_owned(), value);
    }
    let message = Message {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: Some(Properties {
            message_id: Some(MessageId::String(id.to_owned())),
            reply_to: Some(reply_to.to_owned()),
            ..Properties::default()
        }),
        application_properties: Some(ApplicationProperties(properties)),
        body: AmqpValue(request.body),
        footer: None,
    };
    Sendable::builder().message(message).build()
}

async fn read_replies(mut receiver: Receiver, shelf: Arc<Shelf>, waiting: Arc<Waiting>) {
    // A panic of the library is the end of the link, not that of everybody who waits.
    if AssertUnwindSafe(hand_out(&mut receiver, &shelf, &waiting)).catch_unwind().await.is_err() {
        tracing::error!("the protocol library failed over a reply of service bus; the link is given up");
    }
    // Dropping the senders tells those who wait.
    waiting.with(Option::take);
}

async fn hand_out(receiver: &mut Receiver, shelf: &Shelf, waiting: &Waiting) {
    loop {
        let delivery = match receiver.recv::<Numbered>().await {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::debug!(%error, "a request link ended");
                return;
            }
        };
        // In automatic mode the credit is renewed by settling; without this the replies would stop.
        if receiver.accept(&delivery).await.is_err() {
            return;
        }
        let Some(encoded) = shelf.take(delivery.into_message().body) else { return };
        // Nobody waits for a reply that came after its time.
        if let Some(waiter) = addressee(&encoded).and_then(|id| waiting.take(&id)) {
            waiter.send(encoded).ok();
        }
    }
}

pub(super) fn read_reply(doing: &'static str, encoded: Bytes) -> Result<Reply, Failure> {
    let nonsense = |what: &str| Failure::link(Error::Protocol { doing, what: what.into() });
    let sections = Sections::of(&encoded);
    if let Some(damage) = sections.damage {
        return Err(nonsense(&format!("the reply {damage}")));
    }
    let find =
        |names: [&str; 2]| names.into_iter().find_map(|name| entry(sections.application_properties, name));
    let status = find(["statusCode", "status-code"]).ok_or_else(|| nonsense("no status"))?;
    let status = status.signed().and_then(|status| i32::try_from(status).ok());
    let status = status.ok_or_else(|| nonsense("the status is no status"))?;
    let text = |names| find(names).and_then(Encoded::text);
    if !(200..300).contains(&status) {
        let condition = Condition::of_status(text(["errorCondition", "error-condition"]), status);
        return Err(Failure::refused(doing, condition, text(["statusDescription", "status-description"])));
    }
    Ok(Reply(encoded))
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::message::__private::Serializable;
    use shared::class::Class;

    use super::*;

    fn reply(properties: &[(&str, SimpleValue)]) -> Bytes {
        let mut map = OrderedMap::new();
        for (name, value) in properties {
            map.insert((*name).to_owned(), value.clone());
        }
        let properties = ApplicationProperties(map);
        let message = Message::builder().application_properties(properties).value(Value::Null).build();
        serde_amqp::to_vec(&Serializable(message)).expect("encodes").into()
    }

    #[test]
    fn both_spellings_of_the_status_are_read() {
        for name in ["statusCode", "status-code"] {
            let reply = read_reply("asking", reply(&[(name, SimpleValue::Int(202))])).expect(name);
            assert!(reply.get("anything").is_none());
        }
    }

    #[test]
    fn a_refusal_carries_the_condition_and_the_words_of_the_service() {
        let message = reply(&[
            ("statusCode", SimpleValue::Int(410)),
            ("errorCondition", SimpleValue::Symbol("com.microsoft:message-lock-lost".into())),
            ("statusDescription", SimpleValue::String("The lock supplied is invalid.".into())),
        ]);
        let failure = read_reply("renewing locks", message).expect_err("refused");
        assert!(failure.is_lock_lost());
        assert_eq!(failure.error.class(), Class::Permanent);
        assert_eq!(
            failure.error.to_string(),
            "renewing locks: service bus answered com.microsoft:message-lock-lost: The lock supplied is invalid."
        );
    }

    #[test]
    fn a_reply_without_a_status_makes_no_sense() {
        let failure = read_reply("asking", reply(&[])).expect_err("no status");
        assert!(matches!(failure.error, Error::Protocol { .. }));
    }
}
