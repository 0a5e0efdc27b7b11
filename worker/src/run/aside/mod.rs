//! What is held aside in the queue because one author changes too many users alike: counted as it is held, and looked through
//! now and then, because people decide about it by commands that this worker does not hear of.
//!
//! A look shows as well which streams were held by whoever wrote before. A writer that begins has counted nothing, and would let
//! as many users through as are allowed once more. So it takes no messages before a look at the queue has shown what is held, or
//! has taken too long.

mod look;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use servicebus::{Queue, clock};
use shared::{
    engine::Intake,
    mass_change::{MassChange, Stream},
    outcome::Outcome,
};
use tokio::time::Instant;

use self::look::{HeldLook, HeldPage};
use crate::{
    duration::exact,
    envelope::HeldCensus,
    telemetry::{
        Observer,
        health::HealthFault,
        held_aside::HeldAsideReport,
        labels::{ReplicaRole, Warning},
    },
};

/// Time between two looks, while something is held.
const PAUSE: Duration = Duration::from_mins(1);
/// The same after somebody was seen to have decided.
const SOON: Duration = Duration::from_secs(5);
/// A look takes at most this part of the time.
const SHARE: u32 = 10;
/// The longest that a writer which begins takes no messages for the sake of what is held, once they could come.
const LONGEST_LEARNING: Duration = Duration::from_secs(10);
/// Streams that a warning names.
const NAMED: usize = 3;

const REMEDY: &str = "look at them by contactsync held list; let them through by contactsync held approve, or take them out \
                      by contactsync held reject; everything else is written meanwhile";
const UNKNOWN: &str = "nothing if it is over within minutes; otherwise contactsync held list shows whether the queue can be looked \
                       at, and what is held";

/// Whether messages may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intakes {
    Open,
    /// This replica has begun to write, and does not know what those before it hold. It does not wait beyond that time, which is
    /// not known before messages could come.
    Learning(Option<Instant>),
}

/// Knows what is held aside.
pub(super) struct AsideWatch<Q: ?Sized> {
    queue: Arc<Q>,
    observer: Arc<Observer>,
    census: HeldCensus,
    /// What was held since the look under way began.
    since: HeldCensus,
    look: Option<HeldLook>,
    /// The page that it waits for.
    page: Option<BoxFuture<'static, HeldPage>>,
    next: Option<Instant>,
    /// Whether this replica writes, as was seen last.
    first: bool,
    /// Whether it does or did, and nobody else can have written since.
    writes: bool,
    intake: Intakes,
    /// Whether it is known what was held when this replica began to write.
    learnt: bool,
    /// Why a look came to nothing, if the last one did.
    failure: Option<String>,
    /// What is told of it while that is not known.
    unknown: Option<String>,
    /// How often something was held, as was told last.
    told: Option<(u64, usize)>,
}

impl<Q: Queue + ?Sized> AsideWatch<Q> {
    /// One that has not looked yet.
    pub(super) fn new(queue: Arc<Q>, observer: Arc<Observer>) -> Self {
        Self {
            queue,
            observer,
            census: HeldCensus::default(),
            since: HeldCensus::default(),
            look: None,
            page: None,
            next: None,
            first: false,
            writes: false,
            intake: Intakes::Open,
            learnt: false,
            failure: None,
            unknown: None,
            told: None,
        }
    }

    /// Begins a look if it is time, and tells what is known if that has changed.
    pub(super) fn turn(&mut self, changes: &MassChange, now: Instant) {
        self.take_role(changes, now);
        if self.look.is_none() && self.next.is_some_and(|next| next <= now) {
            self.begin(changes.mark(), now);
        }
        self.wait_no_longer(now);
        self.tell_unknown(changes);
        self.tell(changes);
    }

    /// Whether messages may be taken.
    pub(super) fn is_open(&self) -> bool {
        self.intake == Intakes::Open
    }

    /// What becomes of a message that has come all the same.
    pub(super) fn admit(&self, intake: Intake) -> Intake {
        if self.is_open() { intake } else { Intake::Settle(Outcome::Released) }
    }

    /// When there is something to do, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        let next = self.next.filter(|_| self.look.is_none());
        let until = if let Intakes::Learning(until) = self.intake { until } else { None };
        next.into_iter().chain(until).min()
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
        (self.look, self.page) = (None, None);
    }

    /// Waits for the next page of a look; for ever while none is under way. Safe to cancel.
    pub(super) async fn looked(&mut self) -> HeldPage {
        let Some(page) = &mut self.page else { return std::future::pending().await };
        let page = page.await;
        self.page = None;
        page
    }

    /// Takes in a page, and turns to the next one.
    pub(super) fn take(&mut self, page: HeldPage, changes: &mut MassChange, now: Instant) {
        let Some(look) = &mut self.look else { return };
        match page {
            Ok(peeked) => {
                let part = look.answered(&peeked);
                changes.seen(part.held_streams());
                self.page = look.ask(&self.queue);
                if self.page.is_none() {
                    self.ended(changes, now);
                }
            }
            Err(_) if look.failed() => self.page = look.ask(&self.queue),
            Err(why) => {
                tracing::info!(
                    cause = why,
                    "what is held aside in the queue cannot be looked at; trying again later"
                );
                self.look = None;
                self.failure = Some(why);
                self.next = Some(now + PAUSE);
            }
        }
    }

    /// Whoever writes tells what is held, and learns it first.
    fn take_role(&mut self, changes: &MassChange, now: Instant) {
        let role = self.observer.health.role();
        let (first, holds) = (role.is_first(), changes.policy().users.is_some());
        if first && !self.first && holds {
            self.next = Some(now);
        }
        if self.first && !first {
            // The next writer tells it.
            (self.census, self.since, self.next) = (HeldCensus::default(), HeldCensus::default(), None);
            self.give_up();
        }
        self.first = first;
        // A writer in doubt may be the writer still.
        if role == ReplicaRole::Standby {
            (self.writes, self.intake) = (false, Intakes::Open);
        } else if first && !self.writes {
            (self.writes, self.learnt, self.failure) = (true, !holds, None);
            self.intake = if holds { Intakes::Learning(None) } else { Intakes::Open };
        }
    }

    /// Takes messages although it is not known what is held, if that takes too long.
    fn wait_no_longer(&mut self, now: Instant) {
        let Intakes::Learning(until) = &mut self.intake else { return };
        if until.is_none() && self.observer.health.link_is_up() {
            *until = Some(now + LONGEST_LEARNING);
        }
        if until.is_some_and(|until| until <= now) {
            self.intake = Intakes::Open;
        }
    }

    /// The look is over.
    fn ended(&mut self, changes: &mut MassChange, now: Instant) {
        let Some(look) = self.look.take() else { return };
        let (whole, seen, took) = (look.is_whole(), look.seen(), now - look.begun);
        // What is not found has been decided about, but only behind a look at everything.
        if whole {
            changes.found(look.census.held_streams(), look.mark);
            self.learnt = true;
        }
        if whole || look.census.messages > self.census.messages {
            self.census = look.census;
            self.census.join(std::mem::take(&mut self.since));
        }
        let begins = self.intake != Intakes::Open;
        if begins {
            let (messages, streams) = (self.census.messages, self.census.streams.len());
            tracing::info!(seen, messages, streams, "the queue was looked through for what is held aside");
            self.intake = Intakes::Open;
        }
        self.failure =
            (!whole).then(|| format!("of the messages in the queue, {seen} were looked at and not all"));
        // What the writer before had under way can have come to the queue since.
        let again = begins || !self.learnt;
        let any = again || self.census.messages > 0 || changes.held().next().is_some();
        self.next = any.then(|| now + PAUSE.max(took * SHARE));
    }

    fn begin(&mut self, mark: u64, now: Instant) {
        self.since = HeldCensus::default();
        self.next = None;
        let look = HeldLook::begin(mark, now);
        self.page = look.ask(&self.queue);
        self.look = Some(look);
    }

    /// Tells that messages are taken although it is not known what is held, and when that is over.
    fn tell_unknown(&mut self, changes: &MassChange) {
        let unknown = self.first && !self.learnt && self.is_open();
        let text = unknown.then(|| {
            let why = self.failure.as_deref().unwrap_or("a look through the queue is not over yet");
            unknown_text(changes, why)
        });
        if text == self.unknown {
            return;
        }
        if let Some(text) = &text {
            tracing::warn!("{text}; messages are taken all the same");
        }
        let fault = text.clone().map(|text| HealthFault { text, remedy: UNKNOWN });
        self.observer.health.warn(Warning::MassChangeUnknown, fault);
        self.unknown = text;
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

fn unknown_text(changes: &MassChange, why: &str) -> String {
    let users = changes.policy().users.map_or(0, std::num::NonZeroU32::get);
    format!(
        "what was held aside before this replica began to write is not known, so an author whose changes were held can change \
         up to {users} more users alike: {why}"
    )
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
