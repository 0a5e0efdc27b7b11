//! The task that owns the receiving link: brings deliveries in, settlements out, credit in line with what the
//! engine can take, and the link back when it was lost.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::{Delivery as WireDelivery, DeliveryInfo};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use shared::ids::LockToken;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

use super::State;
use super::backoff::Backoff;
use super::connection::Namespace;
use super::intake::{Intake, Wanted};
use super::link::Link;
use super::recovery::{Failure, Recovery};
use super::settler::{AmqpSettler, Command, Forgotten, Held, LinkOutcome, Locks, OnLink};
use super::slot::recover;
use super::wire::{self, WireBody};
use crate::bus::delivery::Delivery;
use crate::bus::message::{Message, UnreadableBody};

/// Most deliveries or commands taken in one go before the other side gets its turn.
const BURST: usize = 512;
/// Silence after which no straggler is expected on a drained link.
const QUIET: Duration = Duration::from_millis(100);
/// How often the link shows a sign of life and old links are looked after.
const TICK: Duration = Duration::from_secs(20);
/// A link that held this long was a success; the next loss is answered at once.
const STEADY: Duration = Duration::from_secs(5);
/// The length of a lock when the service does not tell.
const USUAL_LOCK: SignedDuration = SignedDuration::from_secs(30);

/// The task.
pub(super) struct Task {
    pub(super) namespace: Arc<Namespace>,
    pub(super) address: Box<str>,
    pub(super) intake: Arc<Intake>,
    pub(super) settler: Arc<AmqpSettler>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) state: watch::Sender<State>,
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
    Delivery(Box<Result<WireDelivery<WireBody>, RecvError>>),
    Commands,
    Other,
    Tick,
}

impl Task {
    pub(super) async fn run(mut self) {
        let timing = self.namespace.timing;
        let mut backoff = Backoff::new(timing.backoff_first, timing.backoff_longest);
        let closing = loop {
            match self.attach().await {
                Ok(link) => self.attached(link),
                Err(End::Lost(failure)) => {
                    let delay = backoff.draw().max(failure.retry_after());
                    self.report(failure, delay);
                    match self.wait(delay).await {
                        Some(reply) => break Some(reply),
                        None => continue,
                    }
                }
                Err(End::Closing(reply)) => break Some(reply),
                Err(End::Replace) => continue,
            }
            match self.pump().await {
                End::Closing(reply) => break Some(reply),
                End::Replace => self.retire(),
                End::Lost(failure) => {
                    let steady = self.link.as_ref().is_some_and(|link| link.attached.elapsed() >= STEADY);
                    if steady {
                        backoff.reset();
                    }
                    self.lost(&failure).await;
                    if let Some(reply) = self.wait(backoff.draw()).await {
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
        self.intake.recovered();
        self.state.send_replace(State::Ready);
    }

    /// Tells the world that an attempt to get the link back failed.
    fn report(&self, failure: Failure, delay: Duration) {
        let what: Arc<str> = shared::reason::chain(&failure.error).into();
        let now = (self.namespace.clock)();
        tracing::warn!(queue.name = %self.address, error = %what, retry_in_ms = delay.as_millis(),
            "service bus cannot be reached");
        self.state.send_modify(|state| {
            let since = match state {
                State::Failed { since, .. } => *since,
                State::Connecting | State::Ready | State::Closed => now,
            };
            *state = State::Failed { what, since };
        });
        self.intake.fail(failure.error);
    }

    async fn lost(&mut self, failure: &Failure) {
        let error = shared::reason::chain(&failure.error);
        tracing::info!(queue.name = %self.address, %error, "the link to service bus was lost");
        self.state.send_replace(State::Connecting);
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
    fn sweep(&mut self) {
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
                delivery = link.receiver.recv::<WireBody>() => Wake::Delivery(Box::new(delivery)),
                _ = self.commands.recv_many(&mut commands, BURST) => Wake::Commands,
                () = self.intake.changed.notified() => Wake::Other,
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
    fn take_burst(&mut self, first: Result<WireDelivery<WireBody>, RecvError>) -> Result<(), Failure> {
        self.take_delivery(first)?;
        for _ in 1..BURST {
            let Some(link) = &mut self.link else { break };
            let Some(delivery) = link.receiver.recv::<WireBody>().now_or_never() else { break };
            self.take_delivery(delivery)?;
        }
        Ok(())
    }

    fn take_delivery(&mut self, delivery: Result<WireDelivery<WireBody>, RecvError>) -> Result<(), Failure> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let now = (self.namespace.clock)();
        let Some(arrived) = arrive(link, delivery, now, &mut self.locks)? else { return Ok(()) };
        let settler = Arc::clone(&self.settler);
        self.intake.push(Delivery::new(arrived.message, arrived.lock, arrived.locked_until, settler));
        Ok(())
    }

    /// Brings credit in line with what the engine can take. Returns when a drained link will be quiet.
    async fn balance(&mut self) -> Result<Option<Instant>, End> {
        let wanted = match self.intake.wanted() {
            Wanted::More(wanted) => wanted,
            Wanted::Surplus(surplus) => {
                let back = self.intake.take_back(surplus);
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
        let open = link.open_credit();
        if wanted < open {
            link.drain().await.map_err(End::Lost)?;
        } else if wanted > open && open <= wanted / 2 {
            // Topping up at half keeps the service sending without a flow for each message.
            link.grant(wanted).await.map_err(End::Lost)?;
        }
        Ok(None)
    }

    async fn give_back(&mut self, deliveries: Vec<Delivery>) -> Result<(), Failure> {
        for delivery in deliveries {
            let lock = delivery.disarm();
            if let Some(held) = self.locks.remove(&lock)
                && let Some(link) = find(&mut self.link, &mut self.retired, held.epoch)
            {
                link.dispose(vec![held.info], LinkOutcome::Release).await?;
            }
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        let now = (self.namespace.clock)();
        for link in &mut self.retired {
            // Nothing should come here any more. What does is given back at once.
            while let Some(delivery) = link.receiver.recv::<WireBody>().now_or_never() {
                match arrive(link, delivery, now, &mut self.locks) {
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

    /// Carries out commands; settlements of one kind go out together.
    async fn serve(&mut self, commands: &mut Vec<Command>) -> Option<oneshot::Sender<()>> {
        let mut closing = None;
        let mut batch = Batch::default();
        for command in commands.drain(..) {
            match command {
                Command::Settle { lock, outcome, reply } => self.plan(lock, outcome, reply, &mut batch),
                Command::Renewed { lock, until } => {
                    if let Some(held) = self.locks.get_mut(&lock) {
                        held.locked_until = until;
                    }
                }
                Command::Forget { lock, how } => self.forget(lock, how, &mut batch),
                Command::Close { reply } => closing = Some(reply),
            }
        }
        for group in batch.groups {
            let Some(link) = find(&mut self.link, &mut self.retired, group.epoch) else { continue };
            // A link that cannot take it fails for the pump too, which then deals with it.
            let done = link.dispose(group.infos, group.outcome).await.is_ok();
            for (lock, locked_until, reply) in group.replies {
                if !done {
                    tracing::debug!(%lock, "a settlement goes by lock token because its link is gone");
                }
                let elsewhere = OnLink::Elsewhere { locked_until: Some(locked_until) };
                answer(reply, if done { OnLink::Done } else { elsewhere });
            }
        }
        if !self.retired.is_empty() {
            self.sweep();
        }
        closing
    }

    fn plan(
        &mut self,
        lock: LockToken,
        outcome: LinkOutcome,
        reply: oneshot::Sender<OnLink>,
        batch: &mut Batch,
    ) {
        let Some(held) = self.locks.remove(&lock) else {
            answer(reply, OnLink::Elsewhere { locked_until: None });
            return;
        };
        let link_stands = find(&mut self.link, &mut self.retired, held.epoch).is_some();
        let lapsed = held.locked_until <= (self.namespace.clock)();
        if link_stands && !lapsed {
            let group = batch.group(held.epoch, outcome);
            group.infos.push(held.info);
            group.replies.push((lock, held.locked_until, reply));
            return;
        }
        answer(reply, OnLink::Elsewhere { locked_until: Some(held.locked_until) });
        if link_stands {
            // Kept until it is forgotten, so that both ends of the link are told then.
            self.locks.insert(lock, held);
        }
    }

    fn forget(&mut self, lock: LockToken, how: Forgotten, batch: &mut Batch) {
        let Some(held) = self.locks.remove(&lock) else { return };
        match how {
            // For the service the message is settled and this changes nothing; it only makes both ends of the
            // link forget the delivery. "Released" because it could do no harm even if that were not so.
            Forgotten::Settled => batch.group(held.epoch, LinkOutcome::Release).infos.push(held.info),
            Forgotten::LeftToLapse => {
                if let Some(link) = find(&mut self.link, &mut self.retired, held.epoch) {
                    link.unsettled = link.unsettled.saturating_sub(1);
                }
            }
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
        self.state.send_replace(State::Closed);
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
        let unused = self.intake.close();
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

/// Answers one who may have given up waiting.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    reply.send(value).ok();
}

async fn receive(link: &mut Option<Link>) -> Result<WireDelivery<WireBody>, RecvError> {
    match link {
        Some(link) => link.receiver.recv::<WireBody>().await,
        None => std::future::pending().await,
    }
}

fn find<'a>(link: &'a mut Option<Link>, retired: &'a mut [Link], epoch: u64) -> Option<&'a mut Link> {
    link.iter_mut().chain(retired).find(|link| link.epoch == epoch)
}

/// Dispositions to be sent, by link and outcome.
#[derive(Default)]
struct Batch {
    groups: Vec<Group>,
}

struct Group {
    epoch: u64,
    outcome: LinkOutcome,
    infos: Vec<DeliveryInfo>,
    replies: Vec<(LockToken, Timestamp, oneshot::Sender<OnLink>)>,
}

impl Batch {
    fn group(&mut self, epoch: u64, outcome: LinkOutcome) -> &mut Group {
        let at = self.groups.iter().position(|group| group.epoch == epoch && group.outcome == outcome);
        let at = at.unwrap_or_else(|| {
            self.groups.push(Group { epoch, outcome, infos: Vec::new(), replies: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}

struct Arrived {
    message: Message,
    lock: LockToken,
    locked_until: Timestamp,
}

/// Takes a delivery over from the library and remembers its lock.
fn arrive(
    link: &mut Link,
    delivery: Result<WireDelivery<WireBody>, RecvError>,
    now: Timestamp,
    locks: &mut Locks,
) -> Result<Option<Arrived>, Failure> {
    if let Some(drained) = &mut link.drained {
        *drained = Instant::now();
    }
    let (info, wire) = match delivery {
        Ok(delivery) => {
            let (info, message) = delivery.into_parts();
            (info, Some(message))
        }
        // The delivery is ours all the same: it has a lock and must be settled like any other.
        Err(RecvError::MessageDecode(error)) => (error.info, None),
        Err(error) => return Err(link.doing().recv(error)),
    };
    let Some(lock) = wire::lock_token(wire.as_ref(), info.delivery_tag()) else {
        tracing::warn!("a message came without a lock token; its lock is left to lapse");
        return Ok(None);
    };
    let told = wire.as_ref().and_then(wire::locked_until);
    let locked_until = told.unwrap_or_else(|| now.checked_add(USUAL_LOCK).unwrap_or(now));
    let message = match wire {
        Some(wire) => wire::message(wire),
        None => Message { body: Err(UnreadableBody::Message), ..Message::default() },
    };
    link.unsettled += 1;
    locks.insert(lock, Held { epoch: link.epoch, info, locked_until });
    Ok(Some(Arrived { message, lock, locked_until }))
}
