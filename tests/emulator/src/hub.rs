//! The one shared broker of all connections: time, wake-ups, the journal and the faults around it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::SignedDuration;
use tokio::{sync::Notify, time::Instant};

use crate::{
    access::Access,
    breakage::{Breakage, Broken},
    broker::{Broker, Quirks, Target, Time},
    faults::Faults,
    handle::{Handle, Order},
    journal::{Event, Journal},
    sas::Rule,
};

/// The present moment on the broker's scale, which tests may push forward.
#[derive(Debug)]
struct Clock {
    start: Time,
    began: Instant,
    skipped: AtomicI64,
}

impl Clock {
    fn start(ahead: SignedDuration) -> Self {
        let now = crate::clock::now();
        let start = Time::from_millis(now.checked_add(ahead).unwrap_or(now).as_millisecond());
        Self { start, began: Instant::now(), skipped: AtomicI64::new(0) }
    }

    fn now(&self) -> Time {
        let skipped = u64::try_from(self.skipped.load(Ordering::Relaxed)).unwrap_or(0);
        self.start + self.began.elapsed() + Duration::from_millis(skipped)
    }

    fn instant(&self, at: Time) -> Instant {
        Instant::now() + self.now().until(at)
    }
}

/// How long the service puts up with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// With a connection on which no token was accepted.
    pub token: Duration,
    /// With a new connection that has no link.
    pub first_link: Duration,
    /// With a connection that has no link any more.
    pub no_link: Duration,
    /// With a link on which nothing happens.
    pub idle_link: Duration,
}

impl Default for Patience {
    /// What the service documents.
    fn default() -> Self {
        Self {
            token: Duration::from_secs(20),
            first_link: Duration::from_mins(1),
            no_link: Duration::from_mins(5),
            idle_link: Duration::from_mins(10),
        }
    }
}

/// How the service is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    pub(crate) patience: Patience,
    pub(crate) broken: Broken,
}

/// Who waits at which place.
type Waiting = HashMap<Target, Vec<Arc<Notify>>>;

/// The broker and all that surrounds it.
#[derive(Debug)]
pub(crate) struct Hub {
    broker: Mutex<Broker>,
    clock: Clock,
    waiting: Mutex<Waiting>,
    connections: Mutex<HashMap<u64, Handle>>,
    next_id: AtomicU64,
    timer: Notify,
    /// For when the timer is set, in milliseconds.
    armed: AtomicI64,
    away_until: Mutex<Option<Instant>>,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) settings: Settings,
    access: Mutex<Arc<Access>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(crate) fn new(seed: u64, ahead: SignedDuration, settings: Settings) -> Self {
        let mut broker = Broker::new(seed);
        broker.set_quirks(Quirks {
            keeps_missing_ids: settings.broken.is(Breakage::NoMessageId),
            counts_released: settings.broken.is(Breakage::ReleasedCounts),
        });
        Self {
            broker: Mutex::new(broker),
            clock: Clock::start(ahead),
            waiting: Mutex::default(),
            connections: Mutex::default(),
            next_id: AtomicU64::new(1),
            timer: Notify::new(),
            armed: AtomicI64::new(i64::MAX),
            away_until: Mutex::new(None),
            journal: Journal::default(),
            faults: Faults::default(),
            access: Mutex::new(Arc::new(settings.access.clone())),
            settings,
        }
    }

    /// Runs an operation on the broker and tells everybody whom it concerns.
    ///
    /// What is due has happened before it, on every entity: the timer may be late, and nobody must see that.
    pub(crate) fn run<R>(&self, operation: impl FnOnce(&mut Broker, Time) -> R) -> R {
        let mut broker = lock(&self.broker);
        let now = self.clock.now();
        broker.advance(now);
        let result = operation(&mut broker, now);
        let wakes = broker.take_wakes();
        let events = broker.take_events();
        // Recorded under the lock: the order in the journal is the order in the broker.
        self.journal.record(events.into_iter().map(Event::Broker));
        let earlier = |deadline: Time| deadline.millis() < self.armed.load(Ordering::Acquire);
        if wakes.deadline.is_some_and(earlier) {
            self.timer.notify_one();
        }
        drop(broker);
        if !wakes.targets.is_empty() {
            let mut waiting = lock(&self.waiting);
            for target in wakes.targets {
                for waiter in waiting.remove(&target).into_iter().flatten() {
                    waiter.notify_one();
                }
            }
        }
        result
    }

    /// Who may do what now.
    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&lock(&self.access))
    }

    /// Replaces the shared access policies. Rights that were proved before last until they end.
    pub(crate) fn set_rules(&self, rules: Vec<Rule>) {
        let mut access = lock(&self.access);
        *access = Arc::new(Access { rules, ..Access::clone(&access) });
    }

    /// The present moment on the broker's scale.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// When a point on the broker's scale comes on tokio's clock.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        self.clock.instant(at)
    }

    /// Pushes the broker's time forward.
    pub(crate) fn skip(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.clock.skipped.fetch_add(millis, Ordering::Relaxed);
        self.run(|_, _| ());
        self.wake_all();
    }

    /// Wakes this connection once when something becomes ready at `target`.
    ///
    /// The caller looks again after registering: what became ready in between would be missed otherwise.
    pub(crate) fn wait_at(&self, target: Target, handle: &Handle) {
        let mut waiting = lock(&self.waiting);
        let line = waiting.entry(target).or_default();
        if !line.iter().any(|known| Arc::ptr_eq(known, &handle.wake)) {
            line.push(Arc::clone(&handle.wake));
        }
    }

    /// Lets time work on the broker for as long as the service runs.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = {
                // Set under the lock, so that no operation can fall between looking and setting.
                let broker = lock(&self.broker);
                let next = broker.next_deadline();
                self.armed.store(next.map_or(i64::MAX, Time::millis), Ordering::Release);
                next
            };
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.run(|_, _| ()),
                () = self.timer.notified() => {}
            }
        }
    }

    /// A number that was not given out before, for connections and links.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters a connection; nothing if the service plays dead.
    pub(crate) fn enter(&self, connection: u64) -> Option<Handle> {
        let mut away = lock(&self.away_until);
        if away.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        *away = None;
        let handle = Handle::default();
        lock(&self.connections).insert(connection, handle.clone());
        Some(handle)
    }

    /// Strikes a connection off.
    pub(crate) fn leave(&self, connection: u64) {
        if let Some(handle) = lock(&self.connections).remove(&connection) {
            let mut waiting = lock(&self.waiting);
            for line in waiting.values_mut() {
                line.retain(|waiter| !Arc::ptr_eq(waiter, &handle.wake));
            }
        }
    }

    /// Numbers of the connections that are open.
    pub(crate) fn connections(&self) -> Vec<u64> {
        let mut open: Vec<u64> = lock(&self.connections).keys().copied().collect();
        open.sort_unstable();
        open
    }

    /// Gives all connections an order.
    pub(crate) fn order(&self, order: &Order) {
        for handle in lock(&self.connections).values() {
            handle.give(order.clone());
        }
    }

    /// Makes connections silent, or lets them speak again: those for which `meant` is so. Returns their numbers.
    pub(crate) fn set_silent(&self, silent: bool, meant: impl Fn(u64, &Handle) -> bool) -> Vec<u64> {
        let connections = lock(&self.connections);
        let meant = connections.iter().filter(|(connection, handle)| meant(**connection, handle));
        let mut meant: Vec<u64> = meant
            .map(|(connection, handle)| {
                handle.set_silent(silent);
                *connection
            })
            .collect();
        drop(connections);
        meant.sort_unstable();
        let event = |connection: &u64| {
            let connection = *connection;
            if silent { Event::Silenced { connection } } else { Event::Restored { connection } }
        };
        self.journal.record(meant.iter().map(event));
        meant
    }

    /// Makes the connection silent that holds a session, if one does.
    pub(crate) fn silence_holder(&self, target: Target, session: &str) -> Option<u64> {
        let holder = self.run(|broker, _| broker.session_holder(target, session))?;
        self.set_silent(true, |connection, _| connection == holder.connection).pop()
    }

    fn wake_all(&self) {
        for handle in lock(&self.connections).values() {
            handle.wake.notify_one();
        }
    }

    /// Plays dead: cuts all connections and takes no new ones for a while.
    pub(crate) fn go_away(&self, duration: Duration) {
        *lock(&self.away_until) = Some(Instant::now() + duration);
        self.order(&Order::Cut);
    }

    /// Whether connections are refused now.
    pub(crate) fn is_away(&self) -> bool {
        lock(&self.away_until).is_some_and(|until| until > Instant::now())
    }

    /// Takes connections again.
    pub(crate) fn come_back(&self) {
        *lock(&self.away_until) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{EntityOptions, Error, Message, Side};

    #[test]
    fn counts_and_contents_are_right_although_the_timer_is_late() -> Result<(), Error> {
        let hub = Hub::new(1, SignedDuration::ZERO, Settings::default());
        hub.run(|broker, now| {
            broker.add_queue("q", EntityOptions::default(), now)?;
            let later = Message { scheduled: Some(now + Duration::from_secs(5)), ..Message::default() };
            broker.schedule(broker.resolve("q")?, vec![later], now)
        })?;
        // Nobody runs `keep_time` here.
        hub.clock.skipped.store(6_000, Ordering::Relaxed);
        let (counts, dead) = hub.run(|broker, _| {
            let queue = broker.resolve("q")?;
            Ok((broker.counts(queue)?, broker.contents(queue.on(Side::DeadLetter))?))
        })?;
        assert_eq!((counts.active, counts.scheduled, dead.len()), (1, 0, 0));
        Ok(())
    }
}
