//! The task that owns the receiving link: brings deliveries in, settlements out, credit in line with what the
//! engine can take, and the link back when it was lost.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at},
};

use super::{
    arrival::{Received, arrive},
    connection::Namespace,
    delivery_buffer::{DeliveryBuffer, Wanted},
    faults::ErrorContext,
    link::Link,
    reconnecting_link::recover,
    recovery::{Failure, Recovery},
    settler::{AmqpSettler, Command, LinkOutcome, Locks, answer},
    wall::Numbered,
};
use crate::{MAX_CREDIT, delivery::Delivery, link_state::LinkState};

/// Most deliveries or commands taken in one go before the other side gets its turn.
const BURST: usize = 512;
/// Silence after which no straggler is expected on a drained link.
const QUIET: Duration = Duration::from_millis(100);
/// How often the link shows a sign of life and old links are looked after.
const TICK: Duration = Duration::from_secs(20);
/// A link that held this long was a success; the next loss is answered at once.
const STEADY: Duration = Duration::from_secs(5);

/// The task.
pub(super) struct Task {
    pub(super) namespace: Arc<Namespace>,
    pub(super) address: Box<str>,
    pub(super) buffer: Arc<DeliveryBuffer>,
    pub(super) settler: Arc<AmqpSettler>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) state: watch::Sender<LinkState>,
    pub(super) locks: Locks,
    /// The link that brings messages.
    pub(super) link: Option<Link>,
    /// Links that bring none any more but over which deliveries wait for settlement.
    pub(super) retired: Vec<Link>,
    pub(super) epoch: u64,
}

/// Why the pumping stopped.
enum End {
    /// We were told to close.
    Closing(oneshot::Sender<()>),
    /// The link is of no use any more.
    Lost(Failure),
    /// The link was drained and messages are wanted again.
    Replace,
}

/// What woke the pump.
enum Wake {
    Delivery(Box<Received>),
    Commands,
    Other,
    Tick,
}

impl Task {
    pub(super) async fn run(mut self) {
        let reconnect = self.namespace.timing.reconnect;
        let mut failures = 0;
        let closing = loop {
            match self.attach().await {
                Ok(link) => self.attached(link),
                Err(End::Lost(failure)) => {
                    failures += 1;
                    let delay = reconnect.wait(failures, rand::random()).max(failure.retry_after());
                    self.report(failure, delay);
                    match self.wait(delay).await {
                        Some(reply) => break Some(reply),
                        None => continue,
                    }
                }
                Err(End::Closing(reply)) => break Some(reply),
                Err(End::Replace) => continue,
            }
            // A panic of the library over what came is the end of the connection, not that of the worker.
            let end = AssertUnwindSafe(self.pump()).catch_unwind().await;
            match end.unwrap_or_else(|_| self.broken()) {
                End::Closing(reply) => break Some(reply),
                End::Replace => self.retire(),
                End::Lost(failure) => {
                    let steady = self.link.as_ref().is_some_and(|link| link.attached.elapsed() >= STEADY);
                    failures = if steady { 1 } else { failures + 1 };
                    self.lost(&failure).await;
                    if let Some(reply) = self.wait(reconnect.wait(failures, rand::random())).await {
                        break Some(reply);
                    }
                }
            }
        };
        self.close().await;
        if let Some(reply) = closing {
            answer(reply, ());
        }
    }

    fn broken(&self) -> End {
        let host = self.link.as_ref().map_or("service bus", |link| link.connection.host());
        End::Lost(ErrorContext { what: "receiving", host }.connection_ended("the protocol library failed"))
    }

    /// Attaches a link while commands are served.
    async fn attach(&mut self) -> Result<Link, End> {
        self.epoch += 1;
        let attach = Link::attach(Arc::clone(&self.namespace), self.address.clone(), self.epoch);
        tokio::pin!(attach);
        loop {
            let command = tokio::select! {
                attached = &mut attach => return attached.map_err(End::Lost),
                command = self.commands.recv() => command,
            };
            if let Some(reply) = self.serve_one(command).await {
                return Err(End::Closing(reply));
            }
        }
    }

    /// Waits while commands are served.
    async fn wait(&mut self, delay: Duration) -> Option<oneshot::Sender<()>> {
        let until = Instant::now() + delay;
        while let Ok(command) = timeout_at(until, self.commands.recv()).await {
            if let Some(reply) = self.serve_one(command).await {
                return Some(reply);
            }
        }
        None
    }

    async fn serve_one(&mut self, command: Option<Command>) -> Option<oneshot::Sender<()>> {
        // The settler holds a sender as long as this task lives, so the channel does not end.
        let mut commands = Vec::from_iter(command);
        self.serve(&mut commands).await
    }

    fn attached(&mut self, link: Link) {
        tracing::info!(queue.name = %self.address, "receiving from service bus");
        self.link = Some(link);
        self.buffer.recovered();
        self.state.send_replace(LinkState::Ready);
    }

    /// Tells the world that an attempt to get the link back failed.
    fn report(&self, failure: Failure, delay: Duration) {
        let what: Arc<str> = shared::reason::chain(&failure.error).into();
        let now = (self.namespace.clock)();
        // Whoever receives is told, and knows what to say of it.
        tracing::debug!(queue.name = %self.address, error = %what, retry_in_ms = delay.as_millis(),
            "the link to service bus could not be attached; trying again");
        self.state.send_modify(|state| {
            let since = match state {
                LinkState::Failed { since, .. } => *since,
                LinkState::Connecting | LinkState::Ready | LinkState::Closed => now,
            };
            let again = now.checked_add(delay).unwrap_or(now);
            *state = LinkState::Failed { what, since, again };
        });
        self.buffer.fail(failure.error);
    }

    async fn lost(&mut self, failure: &Failure) {
        let error = shared::reason::chain(&failure.error);
        tracing::info!(queue.name = %self.address, %error, "the link to service bus was lost; reconnecting");
        self.state.send_replace(LinkState::Connecting);
        if let Some(link) = self.link.take() {
            recover(&self.namespace, &link.connection, &self.address, failure).await;
        }
        if failure.recovery >= Recovery::Connection {
            self.retired.clear();
        }
    }

    /// Puts the link aside until what came over it is settled.
    fn retire(&mut self) {
        if let Some(link) = self.link.take() {
            self.retired.push(link);
            self.sweep();
        }
    }

    /// Closes retired links that nothing waits on.
    pub(super) fn sweep(&mut self) {
        let limit = self.namespace.timing.close;
        for link in self.retired.extract_if(.., |link| link.unsettled == 0) {
            tokio::spawn(link.close(limit));
        }
    }

    /// Moves deliveries and settlements until something ends it.
    async fn pump(&mut self) -> End {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let mut commands = Vec::with_capacity(BURST);
        loop {
            let quiet_at = match self.balance().await {
                Ok(quiet_at) => quiet_at,
                Err(end) => return end,
            };
            let Some(link) = &mut self.link else {
                return End::Replace;
            };
            let wake = tokio::select! {
                delivery = link.receiver.recv::<Numbered>() => Wake::Delivery(Box::new(delivery)),
                _ = self.commands.recv_many(&mut commands, BURST) => Wake::Commands,
                () = self.buffer.changed.notified() => Wake::Other,
                () = sleep_until(quiet_at.unwrap_or_else(Instant::now)), if quiet_at.is_some() => Wake::Other,
                _ = ticks.tick() => Wake::Tick,
            };
            let result = match wake {
                Wake::Delivery(delivery) => self.take_burst(*delivery),
                Wake::Tick => self.tick().await,
                Wake::Other => Ok(()),
                Wake::Commands => {
                    if let Some(reply) = self.serve(&mut commands).await {
                        return End::Closing(reply);
                    }
                    Ok(())
                }
            };
            if let Err(failure) = result {
                return End::Lost(failure);
            }
        }
    }

    /// Takes a delivery and what else is there already.
    fn take_burst(&mut self, first: Received) -> Result<(), Failure> {
        self.take_delivery(first)?;
        for _ in 1..BURST {
            let Some(link) = &mut self.link else { break };
            let Some(delivery) = link.receiver.recv::<Numbered>().now_or_never() else { break };
            self.take_delivery(delivery)?;
        }
        Ok(())
    }

    fn take_delivery(&mut self, delivery: Received) -> Result<(), Failure> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let times = &self.namespace.times;
        let Some(arrived) = arrive(link, delivery, times, &mut self.locks)? else { return Ok(()) };
        let settler = Arc::clone(&self.settler);
        self.buffer.push(Delivery::new(arrived.message, arrived.lock, arrived.received, settler));
        Ok(())
    }

    /// Brings credit in line with what the engine can take. Returns when a drained link will be quiet.
    async fn balance(&mut self) -> Result<Option<Instant>, End> {
        let wanted = match self.buffer.wanted() {
            Wanted::More(wanted) => wanted,
            Wanted::Surplus(surplus) => {
                let back = self.buffer.take_back(surplus);
                self.give_back(back).await.map_err(End::Lost)?;
                0
            }
        };
        let Some(link) = &mut self.link else { return Ok(None) };
        if let Some(drained) = link.drained {
            let quiet_at = drained + QUIET;
            return match wanted {
                0 => Ok(None),
                _ if quiet_at <= Instant::now() => Err(End::Replace),
                _ => Ok(Some(quiet_at)),
            };
        }
        let (wanted, open) = (wanted.min(MAX_CREDIT), link.open_credit());
        if wanted < open {
            link.drain().await.map_err(End::Lost)?;
        } else if wanted > open && open <= wanted / 2 {
            // Topping up at half keeps the service sending without a flow for each message.
            link.grant(wanted).await.map_err(End::Lost)?;
        }
        Ok(None)
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        let times = &self.namespace.times;
        for link in &mut self.retired {
            // Nothing should come here any more. What does is given back at once.
            while let Some(delivery) = link.receiver.recv::<Numbered>().now_or_never() {
                match arrive(link, delivery, times, &mut self.locks) {
                    Ok(Some(arrived)) => {
                        if let Some(held) = self.locks.remove(&arrived.lock) {
                            link.dispose(vec![held.info], LinkOutcome::Release).await?;
                        }
                    }
                    Ok(None) => {}
                    Err(_) => {
                        link.unsettled = 0;
                        break;
                    }
                }
            }
        }
        self.sweep();
        match &mut self.link {
            Some(link) => link.touch().await,
            None => Ok(()),
        }
    }

    /// Ends everything in order: intake, what is in the engine's hands, links, connection.
    async fn close(&mut self) {
        let limit = self.namespace.timing.close;
        self.give_back_unused().await;
        if let Some(link) = &mut self.link
            && link.drained.is_none()
            && link.drain().await.is_err()
        {
            self.link = None;
        }
        if timeout(limit, self.finish()).await.is_err() {
            tracing::warn!(
                unsettled = self.locks.len(),
                "closing over unsettled messages; they will come again"
            );
        }
        for link in self.link.take().into_iter().chain(self.retired.drain(..)) {
            link.close(limit).await;
        }
        self.namespace.close().await;
        self.state.send_replace(LinkState::Closed);
    }

    /// Waits for the settlement of what the engine has, and gives back what still arrives.
    async fn finish(&mut self) {
        let mut commands = Vec::new();
        while self.unfinished() {
            let quiet = Instant::now() + QUIET;
            tokio::select! {
                delivery = receive(&mut self.link) => {
                    if self.take_delivery(delivery).is_err() {
                        self.link = None;
                    }
                    self.give_back_unused().await;
                }
                _ = self.commands.recv_many(&mut commands, BURST) => {
                    if let Some(reply) = self.serve(&mut commands).await {
                        answer(reply, ());
                    }
                }
                () = sleep_until(quiet) => {}
            }
        }
    }

    async fn give_back_unused(&mut self) {
        let unused = self.buffer.close();
        if self.give_back(unused).await.is_err() {
            // The link is gone, and with it the need to give anything back.
            self.link = None;
        }
    }

    /// Whether something is still to be waited for: a settlement, or a straggler.
    fn unfinished(&self) -> bool {
        let noisy =
            self.link.as_ref().and_then(|link| link.drained).is_some_and(|drained| drained.elapsed() < QUIET);
        noisy || !self.locks.is_empty()
    }
}

async fn receive(link: &mut Option<Link>) -> Received {
    match link {
        Some(link) => link.receiver.recv::<Numbered>().await,
        None => std::future::pending().await,
    }
}
