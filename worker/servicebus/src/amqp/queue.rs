//! The queue: what its consumers call, carried to the task that owns the link, and to the management node.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use shared::ids::{LockToken, SequenceNumber};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    connection::Namespace,
    delivery_buffer::DeliveryBuffer,
    management::Management,
    receiver::Task,
    reconnecting_link::ReconnectingLink,
    sender::SendLink,
    session_queue::SessionQueue,
    settings::Settings,
    settler::{AmqpSettler, Command, Locks},
};
use crate::{
    MessagingSystem, Peek, Queue,
    delivery::Delivery,
    error::{Error, RenewError},
    link_state::LinkState,
    message::{Outgoing, Peeked},
    times::ClockReading,
};

/// A queue over AMQP.
pub struct AmqpQueue {
    entity: Box<str>,
    namespace: Arc<Namespace>,
    management: Arc<Management>,
    sender: ReconnectingLink<SendLink>,
    buffer: Arc<DeliveryBuffer>,
    settler: Arc<AmqpSettler>,
    state: watch::Receiver<LinkState>,
    taking: tokio::sync::Mutex<()>,
}

impl AmqpQueue {
    /// Begins to consume the queue: connects in the background and keeps the link up until closed. Must be
    /// called within a tokio runtime.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let (queue, task) = Self::build(settings)?;
        let (running, buffer) = (tokio::spawn(task.run()), Arc::clone(&queue.buffer));
        tokio::spawn(async move {
            // A queue that nobody serves any more must not look like one in which nothing happens.
            if running.await.is_err() {
                drop(buffer.close());
            }
        });
        Ok(queue)
    }

    /// For sending and peeking only: nothing is received, no link is attached before it is needed.
    pub fn open_without_intake(settings: &Settings) -> Result<Self, Error> {
        let (queue, _) = Self::build(settings)?;
        queue.buffer.close();
        Ok(queue)
    }

    fn build(settings: &Settings) -> Result<(Self, Task), Error> {
        let namespace = Arc::new(Namespace::new(settings)?);
        let management = Arc::new(Management::new(Arc::clone(&namespace), &settings.entity));
        let (sender, commands) = mpsc::unbounded_channel();
        let settler = Arc::new(AmqpSettler {
            commands: sender,
            management: Arc::clone(&management),
            namespace: Arc::clone(&namespace),
            dropped: AtomicU64::new(0),
        });
        let buffer = Arc::new(DeliveryBuffer::default());
        let (state_sender, state) = watch::channel(LinkState::Connecting);
        let task = Task {
            namespace: Arc::clone(&namespace),
            address: settings.entity.clone(),
            buffer: Arc::clone(&buffer),
            settler: Arc::clone(&settler),
            commands,
            state: state_sender,
            locks: Locks::default(),
            link: None,
            retired: Vec::new(),
            epoch: 0,
        };
        let sender = ReconnectingLink::new(Arc::clone(&namespace), settings.target.clone());
        let taking = tokio::sync::Mutex::new(());
        let entity = settings.entity.clone();
        Ok((Self { entity, namespace, management, sender, buffer, settler, state, taking }, task))
    }

    /// How many deliveries were dropped unsettled so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.settler.dropped.load(Ordering::Relaxed)
    }

    /// A queue with sessions in the same namespace, over the same connection: if that dies, both notice. Closing this
    /// queue closes the connection, so a session that is to be given up in good form is closed before.
    #[must_use]
    pub fn session_queue(&self, entity: &str) -> SessionQueue {
        SessionQueue::over(Arc::clone(&self.namespace), entity)
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
struct Browser(Arc<Management>);

#[async_trait]
impl Peek for Browser {
    async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
        self.0.peek(from, max).await.map_err(|failure| failure.error)
    }
}

#[async_trait]
impl Peek for AmqpQueue {
    async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
        self.management.peek(from, max).await.map_err(|failure| failure.error)
    }
}

#[async_trait]
impl Queue for AmqpQueue {
    async fn receive(&self) -> Result<Vec<Delivery>, Error> {
        // A second caller would take permits from the first; it waits for its turn instead.
        let _turn = self.taking.lock().await;
        self.buffer.take().await
    }

    fn set_credit(&self, messages: u32) {
        self.buffer.set_capacity(messages);
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

    fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    fn browser(&self) -> Arc<dyn Peek> {
        Arc::new(Browser(Arc::clone(&self.management)))
    }

    fn dead_letter_browser(&self) -> Arc<dyn Peek> {
        let entity = format!("{}/$DeadLetterQueue", self.entity);
        Arc::new(Browser(Arc::new(Management::new(Arc::clone(&self.namespace), &entity))))
    }

    async fn attach_sender(&self) -> Result<(), Error> {
        self.sender.once(|_| std::future::ready(Ok(()))).await.map_err(|failure| failure.error)
    }

    fn system(&self) -> MessagingSystem {
        MessagingSystem::SERVICE_BUS
    }

    async fn send(&self, message: Outgoing) -> Result<(), Error> {
        self.post(message, None).await
    }

    async fn schedule(&self, message: Outgoing, at: Timestamp) -> Result<(), Error> {
        // Planned by our clock, and woken by that of the service: an hour's difference would be an hour's delay.
        let at = self.namespace.times.by_service_bus(at, ClockReading::by(self.namespace.clock));
        self.post(message, Some(at)).await
    }

    async fn cancel_scheduled(&self, messages: &[SequenceNumber]) -> Result<bool, Error> {
        self.management.cancel_scheduled(messages).await.map_err(|failure| failure.error)
    }

    async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.settler.commands.send(Command::Close { reply }).is_ok() {
            // An error means that the task has ended already, which is what we wait for.
            drop(closed.await);
        }
        self.buffer.close();
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
