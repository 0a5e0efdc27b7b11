//! The queue over AMQP 1.0. Only this folder knows the protocol library.
//!
//! From the wire upwards: [`transport`] opens the stream, over a [`websocket`] and through a [`tunnel`] if told to;
//! [`wall`] lets pass what the library may see; [`connection`] opens AMQP on it and hands out sessions;
//! [`claims`] proves who we are over [`rpc`]; [`link`] is the receiving link, owned by the one task in
//! [`receiver`], which takes deliveries off it ([`arrival`]) and carries out what it is asked to ([`dispatch`]);
//! [`intake`] lies between that task and the engine; [`settler`] carries settlements to the task or to
//! [`management`]; [`sender`] sends. [`recovery`] says what each failure means, [`faults`] digs the condition
//! out of the library's errors, [`slot`] attaches links on demand. Messages are read by [`wire`], which finds their
//! [`sections`] after a [`scan`], and written by [`outgoing`].

mod arrival;
mod backoff;
mod claims;
mod connection;
mod dispatch;
mod faults;
#[doc(hidden)]
pub mod fuzz;
mod intake;
mod link;
mod management;
mod outgoing;
mod receiver;
mod recovery;
mod rpc;
mod scan;
mod sections;
mod sender;
mod settler;
mod slot;
mod transport;
mod tunnel;
pub mod untrusted;
mod wall;
mod websocket;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use shared::ids::{LockToken, SequenceNumber};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::connection::Namespace;
use self::intake::Intake;
use self::management::Management;
use self::receiver::Task;
use self::sender::SendLink;
use self::settler::{AmqpSettler, Command, Locks};
use self::slot::Slot;
use super::Queue;
use super::connection_string::{ConnectionString, Endpoint};
use super::delivery::Delivery;
use super::error::{Error, RenewError};
use super::message::{Outgoing, Peeked};
use super::token::TokenSource;
use super::way::Way;
use crate::times::{Reading, Times};

/// How patient the client is.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For a connection, with everything needed until it can be used, and for each link.
    pub connect: Duration,
    /// For an answer to a request or to a message sent.
    pub request: Duration,
    /// For what is in the engine's hands to be settled when closing, and again for each good-bye to the service.
    pub close: Duration,
    /// Bound of the first pause after a failure; the pauses are drawn below bounds that double.
    pub backoff_first: Duration,
    /// Bound of the longest pause.
    pub backoff_longest: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            request: Duration::from_secs(30),
            close: Duration::from_secs(5),
            backoff_first: Duration::from_millis(100),
            backoff_longest: Duration::from_secs(30),
        }
    }
}

/// Where the queue is and how to be let in.
#[derive(Clone)]
pub struct Settings {
    /// The namespace.
    pub endpoint: Endpoint,
    /// What carries the protocol.
    pub way: Way,
    /// Where to receive: a queue, a subscription as `topic/Subscriptions/name`, or a sub-queue of either.
    pub entity: Box<str>,
    /// Where to send: the queue, or the topic of the subscription.
    pub target: Box<str>,
    /// Where tokens come from.
    pub tokens: Arc<dyn TokenSource>,
    /// The wall clock, for the ends of tokens.
    pub clock: fn() -> Timestamp,
    /// What is known of the clock of the service and of the length of locks; messages add to it.
    pub times: Arc<Times>,
    /// How patient to be.
    pub timing: Timing,
}

impl Settings {
    /// Settings for the queue `entity` of a connection string.
    #[must_use]
    pub fn from_connection_string(parsed: &ConnectionString, entity: &str, clock: fn() -> Timestamp) -> Self {
        Self::new(parsed.endpoint.clone(), parsed.credential.source(), entity, clock)
    }

    /// Settings for the queue `entity`, by the usual way and with the usual patience.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        tokens: Arc<dyn TokenSource>,
        entity: &str,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            endpoint,
            way: Way::default(),
            entity: entity.into(),
            target: entity.into(),
            tokens,
            clock,
            times: Arc::default(),
            timing: Timing::default(),
        }
    }

    /// The same for the dead-letter queue beneath; what is sent still goes where it went.
    #[must_use]
    pub fn dead_letters(mut self) -> Self {
        self.entity = format!("{}/$DeadLetterQueue", self.entity).into();
        self
    }
}

/// How the receiving link fares, for readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// On the way, for the first time or after a loss.
    Connecting,
    /// Messages can come.
    Ready,
    /// The latest attempt failed; the next is under way by itself.
    Failed {
        /// Why, with all causes in one line.
        what: Arc<str>,
        /// Since when no attempt has succeeded.
        since: Timestamp,
    },
    /// Closed by us.
    Closed,
}

/// A queue over AMQP.
pub struct AmqpQueue {
    entity: Box<str>,
    namespace: Arc<Namespace>,
    management: Arc<Management>,
    sender: Slot<SendLink>,
    intake: Arc<Intake>,
    settler: Arc<AmqpSettler>,
    state: watch::Receiver<State>,
    taking: tokio::sync::Mutex<()>,
}

impl AmqpQueue {
    /// Begins to consume the queue: connects in the background and keeps the link up until closed. Must be
    /// called within a tokio runtime. `extra_ca` is a PEM file with certificates to trust besides the system's.
    pub fn open(settings: &Settings, extra_ca: Option<&Path>) -> Result<Self, Error> {
        let (queue, task) = Self::build(settings, extra_ca)?;
        let (running, intake) = (tokio::spawn(task.run()), Arc::clone(&queue.intake));
        tokio::spawn(async move {
            // A queue that nobody serves any more must not look like one in which nothing happens.
            if running.await.is_err() {
                drop(intake.close());
            }
        });
        Ok(queue)
    }

    /// For sending and peeking only: nothing is received, no link is attached before it is needed.
    pub fn open_without_intake(settings: &Settings, extra_ca: Option<&Path>) -> Result<Self, Error> {
        let (queue, _) = Self::build(settings, extra_ca)?;
        queue.intake.close();
        Ok(queue)
    }

    fn build(settings: &Settings, extra_ca: Option<&Path>) -> Result<(Self, Task), Error> {
        let namespace = Arc::new(Namespace::new(settings, extra_ca)?);
        let management = Arc::new(Management::new(Arc::clone(&namespace), &settings.entity));
        let (sender, commands) = mpsc::unbounded_channel();
        let settler = Arc::new(AmqpSettler {
            commands: sender,
            management: Arc::clone(&management),
            namespace: Arc::clone(&namespace),
            dropped: AtomicU64::new(0),
        });
        let intake = Arc::new(Intake::default());
        let (state_sender, state) = watch::channel(State::Connecting);
        let task = Task {
            namespace: Arc::clone(&namespace),
            address: settings.entity.clone(),
            intake: Arc::clone(&intake),
            settler: Arc::clone(&settler),
            commands,
            state: state_sender,
            locks: Locks::default(),
            link: None,
            retired: Vec::new(),
            epoch: 0,
        };
        let sender = Slot::new(Arc::clone(&namespace), settings.target.clone());
        let taking = tokio::sync::Mutex::new(());
        let entity = settings.entity.clone();
        Ok((Self { entity, namespace, management, sender, intake, settler, state, taking }, task))
    }

    /// How the receiving link fares, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// How many deliveries were dropped unsettled so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.settler.dropped.load(Ordering::Relaxed)
    }

    /// Looks into the queue over the same connection.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser(Arc::clone(&self.management))
    }

    /// Looks into the dead-letter queue beneath over the same connection.
    #[must_use]
    pub fn dead_letter_browser(&self) -> Browser {
        let entity = format!("{}/$DeadLetterQueue", self.entity);
        Browser(Arc::new(Management::new(Arc::clone(&self.namespace), &entity)))
    }

    /// Attaches the sending link and sends nothing, to find out whether we may.
    pub async fn attach_sender(&self) -> Result<(), Error> {
        self.sender.once(|_| std::future::ready(Ok(()))).await.map_err(|failure| failure.error)
    }

    async fn post(&self, message: Outgoing, at: Option<Timestamp>) -> Result<(), Error> {
        let limit = self.namespace.timing.request;
        let message = Arc::new(message);
        let send = |link: Arc<SendLink>| {
            let message = Arc::clone(&message);
            async move { link.send(&message, at, limit).await }
        };
        self.sender.with(send).await.map_err(|failure| failure.error)
    }
}

/// Somebody who may look into a queue, and do nothing else.
#[derive(Clone)]
pub struct Browser(Arc<Management>);

impl Browser {
    /// Looks at up to `max` messages from a number on without locking them.
    pub async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
        self.0.peek(from, max).await.map_err(|failure| failure.error)
    }
}

#[async_trait]
impl Queue for AmqpQueue {
    async fn receive(&self) -> Result<Vec<Delivery>, Error> {
        // A second caller would take permits from the first; it waits for its turn instead.
        let _turn = self.taking.lock().await;
        self.intake.take().await
    }

    fn set_credit(&self, messages: u32) {
        self.intake.set_capacity(messages);
    }

    async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>> {
        // The locks are extended at some moment between request and answer.
        let at = Instant::now();
        let answers = self.management.renew(locks).await;
        for (lock, answer) in locks.iter().zip(&answers) {
            if answer.is_ok() {
                drop(self.settler.commands.send(Command::Renewed { lock: *lock, at }));
            }
        }
        answers
    }

    fn lock_length(&self) -> Duration {
        self.namespace.lock_length()
    }

    async fn send(&self, message: Outgoing) -> Result<(), Error> {
        self.post(message, None).await
    }

    async fn schedule(&self, message: Outgoing, at: Timestamp) -> Result<(), Error> {
        // Planned by our clock, and woken by that of the service: an hour's difference would be an hour's delay.
        let at = self.namespace.times.by_service_bus(at, Reading::by(self.namespace.clock));
        self.post(message, Some(at)).await
    }

    async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
        self.management.peek(from, max).await.map_err(|failure| failure.error)
    }

    async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.settler.commands.send(Command::Close { reply }).is_ok() {
            // An error means that the task has ended already, which is what we wait for.
            drop(closed.await);
        }
        self.intake.close();
        self.namespace.close().await;
    }
}

impl Drop for AmqpQueue {
    fn drop(&mut self) {
        // Ends the task of a queue that nobody closed.
        let (reply, _) = oneshot::channel();
        drop(self.settler.commands.send(Command::Close { reply }));
    }
}
