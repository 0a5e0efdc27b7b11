//! What is held aside in the queue because one author changes too many users alike: counted as it is held, and looked through
//! now and then, because people decide about it by commands that this worker does not hear of.
//!
//! A look shows as well which streams were held by whoever wrote before: with the first look that a new writer makes, they are
//! held again.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use servicebus::{Queue, Walk, clock};
use shared::{
    mass_change::{MassChange, Stream},
    reason::chain,
};
use tokio::time::Instant;

use crate::{
    duration::exact,
    envelope::HeldCensus,
    telemetry::{Observer, health::HealthFault, held_aside::HeldAsideReport, labels::Warning},
};

/// Time between two looks, while something is held.
const PAUSE: Duration = Duration::from_mins(1);
/// The same after somebody was seen to have decided.
const SOON: Duration = Duration::from_secs(5);
/// A look takes at most this part of the time.
const SHARE: u32 = 10;
/// Most messages in one look. Behind so many that wait, what is held is not worth a longer one.
const MOST: u64 = 200_000;
/// Streams that a warning names.
const NAMED: usize = 3;

const REMEDY: &str = "look at them by contactsync held list; let them through by contactsync held approve, or take them out \
                      by contactsync held reject; everything else is written meanwhile";

/// What a look showed, or why there was none.
pub(super) type Looked = Result<Look, String>;

/// What a look showed.
pub(super) struct Look {
    census: HeldCensus,
    /// Whether the whole queue was looked through.
    whole: bool,
    /// When it began, by [`MassChange::mark`].
    mark: u64,
    begun: Instant,
}

/// Knows what is held aside.
pub(super) struct AsideWatch<Q: ?Sized> {
    queue: Arc<Q>,
    observer: Arc<Observer>,
    census: HeldCensus,
    /// What was held since the look under way began.
    since: HeldCensus,
    look: Option<BoxFuture<'static, Looked>>,
    next: Option<Instant>,
    /// Whether this replica writes, as was seen last.
    first: bool,
    /// How often something was held, as was told last.
    told: Option<(u64, usize)>,
}

impl<Q: Queue + ?Sized> AsideWatch<Q> {
    /// One that has not looked yet.
    pub(super) fn new(queue: Arc<Q>, observer: Arc<Observer>) -> Self {
        let (census, since) = (HeldCensus::default(), HeldCensus::default());
        Self { queue, observer, census, since, look: None, next: None, first: false, told: None }
    }

    /// Begins a look if it is time, and tells what is known if that has changed.
    pub(super) fn turn(&mut self, changes: &MassChange, now: Instant) {
        let first = self.observer.health.role().is_first();
        if first && !self.first && changes.policy().users.is_some() {
            self.next = Some(now);
        }
        if self.first && !first {
            // The next writer tells it.
            (self.census, self.since, self.next) = (HeldCensus::default(), HeldCensus::default(), None);
        }
        self.first = first;
        if self.look.is_none() && self.next.is_some_and(|next| next <= now) {
            self.begin(changes.mark());
        }
        self.tell(changes);
    }

    /// When there is something to do, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.next.filter(|_| self.look.is_none())
    }

    /// A message is held aside.
    pub(super) fn held(&mut self, streams: &[Stream], original: Timestamp, now: Instant) {
        let at = clock::now();
        self.census.count(streams, at, original);
        self.since.count(streams, at, original);
        self.next.get_or_insert(now + PAUSE);
    }

    /// Somebody has let something through.
    pub(super) fn approved(&mut self, now: Instant) {
        let soon = now + SOON;
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    /// Gives up a look that is under way, so that it does not keep the connection from being closed.
    pub(super) fn give_up(&mut self) {
        self.look = None;
    }

    /// Waits for the end of a look; for ever while none is under way. Safe to cancel.
    pub(super) async fn looked(&mut self) -> Looked {
        let Some(look) = &mut self.look else { return std::future::pending().await };
        let looked = look.await;
        self.look = None;
        looked
    }

    /// Takes in what a look showed.
    pub(super) fn take(&mut self, looked: Looked, changes: &mut MassChange, now: Instant) {
        match looked {
            Ok(Look { census, whole, mark, begun }) => {
                // What is not found has been decided about, but only behind a look at everything.
                changes.found(census.held_streams(), if whole { mark } else { 0 });
                if whole {
                    self.census = census;
                    self.census.join(std::mem::take(&mut self.since));
                }
                let pause = PAUSE.max((now - begun) * SHARE);
                let any = self.census.messages > 0 || changes.held().next().is_some();
                self.next = any.then(|| now + pause);
            }
            Err(why) => {
                tracing::info!(
                    cause = why,
                    "what is held aside in the queue cannot be looked at; trying again later"
                );
                self.next = Some(now + PAUSE);
            }
        }
    }

    fn begin(&mut self, mark: u64) {
        self.since = HeldCensus::default();
        self.next = None;
        let queue = Arc::clone(&self.queue);
        self.look = Some(Box::pin(async move {
            let begun = Instant::now();
            let looked = look(&*queue).await.map_err(|error| chain(&error));
            looked.map(|(census, whole)| Look { census, whole, mark, begun })
        }));
    }

    fn tell(&mut self, changes: &MassChange) {
        let metrics = &self.observer.metrics;
        metrics.mass_change_peak.set_count(changes.peak());
        let known = (self.census.messages, self.census.streams.len());
        if self.told.replace(known) == Some(known) {
            return;
        }
        let streams = self.census.streams.iter().map(|(stream, count)| (stream, count.messages, count.since));
        let report = HeldAsideReport::new(self.census.messages, streams);
        metrics.mass_change_messages.set(approximately(report.messages));
        metrics.mass_change_streams.set(approximately(report.streams));
        let fault =
            (!report.is_empty()).then(|| HealthFault { text: text(&report, changes), remedy: REMEDY });
        self.observer.health.warn(Warning::MassChange, fault);
        self.observer.held_aside(report);
    }
}

/// Looks through the queue for what is held aside. Tells whether that was all of it.
async fn look<Q: Queue + ?Sized>(queue: &Q) -> Result<(HeldCensus, bool), servicebus::Error> {
    let (mut census, mut walk) = (HeldCensus::default(), Walk::default());
    while walk.seen < MOST {
        let page = walk.page(queue).await?;
        if page.is_empty() {
            return Ok((census, true));
        }
        for peeked in &page {
            if let Some(held) = HeldCensus::held(peeked) {
                census.add(&peeked.message, &held);
            }
        }
    }
    Ok((census, false))
}

fn text(report: &HeldAsideReport, changes: &MassChange) -> String {
    let policy = changes.policy();
    let than = policy.users.map_or_else(String::new, |users| {
        format!(", more than {users} users within {}", exact(policy.window))
    });
    let named = report.largest.iter().take(NAMED).map(|stream| {
        let (author, property, kind) = (&stream.author, &stream.property, &stream.kind);
        format!("{property} {kind} by {author} ({} since {})", stream.messages, stream.since)
    });
    let named: Vec<_> = named.collect();
    let more = report.streams.saturating_sub(named.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} messages are held aside{than}: {}{more}", report.messages, named.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of counts")]
fn approximately(count: u64) -> f64 {
    count as f64
}
