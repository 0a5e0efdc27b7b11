//! Reads how much is in the queue: by the management interface, by looking, and never by belief.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use servicebus::{
    Peek, QueueCounts,
    admin::{self, Describe},
};
use shared::{class::Class, reason::chain};

use super::{
    BacklogReading, Oldest, Reasons, Unknown, UnknownKind,
    look::{QueueSample, census},
};
use crate::settings::check::{Advice, EntityUse};

/// Messages at the head among which the oldest is sought: numbers rise with time, but for what was put off.
const HEAD: u32 = 10;

/// How many messages may be looked at in one reading.
#[derive(Clone, Copy, Debug)]
pub struct SampleLimits {
    /// For counting, in the queue and in its dead-letter queue, if the identity may not manage.
    pub count: u32,
    /// In the dead-letter queue for the reasons; 0 to leave them alone.
    pub reasons: u32,
}

impl SampleLimits {
    /// For gauges: every half minute, so few.
    pub const GAUGES: Self = Self { count: 500, reasons: 0 };
    /// For a person who asked.
    pub const PERSON: Self = Self { count: 2_000, reasons: 500 };
}

/// Reads how much is in a queue.
pub struct Reader {
    admin: Arc<dyn Describe>,
    queue: Arc<dyn Peek>,
    dead_letters: Arc<dyn Peek>,
    thoroughness: SampleLimits,
    clock: fn() -> Timestamp,
    /// Where it looks, for words about failures.
    at: Option<EntityUse>,
    /// Whether the management interface has ever answered: what has worked is not replaced by lower bounds when it
    /// fails for a moment, or a backlog would seem to shrink.
    proven: AtomicBool,
    /// What it said last about how the queue is set up.
    properties: Mutex<Option<admin::EntityProperties>>,
}

impl Reader {
    /// A reader of one queue or subscription.
    pub fn new(
        admin: Arc<dyn Describe>,
        queue: Arc<dyn Peek>,
        dead_letters: Arc<dyn Peek>,
        thoroughness: SampleLimits,
        clock: fn() -> Timestamp,
    ) -> Self {
        let (proven, properties) = (AtomicBool::new(false), Mutex::default());
        Self { admin, queue, dead_letters, thoroughness, clock, at: None, proven, properties }
    }

    /// The same, which tells with a failure what to do about it.
    #[must_use]
    pub fn looking_at(self, at: EntityUse) -> Self {
        Self { at: Some(at), ..self }
    }

    fn said(&self, error: &servicebus::Error) -> String {
        self.at.as_ref().map_or_else(|| chain(error), |at| Advice::of(error, at).to_string())
    }

    /// How the queue is set up, if the management interface has ever told. Asks nobody.
    #[must_use]
    pub fn properties(&self) -> Option<admin::EntityProperties> {
        self.properties.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One reading. It always comes to an end: every call in it has its time-out.
    pub async fn read(&self) -> BacklogReading {
        let reasons = self.reasons().await;
        let (counts, head) = match self.told().await {
            Ok((told, head)) => (Ok(told), Ok(head)),
            Err(Refused::Management(error)) if self.may_look_instead(&error) => self.counted(&error).await,
            Err(Refused::Management(error)) => (Err(unknown(&error)), self.head().await),
            Err(Refused::Looking(error)) => (Err(unverified(&self.said(&error))), Err(error)),
            Err(Refused::Contradicted(head)) => (Err(contradicted()), Ok(head)),
        };
        let oldest =
            head.map_or(Oldest::Unknown, |head| head.oldest.map_or(Oldest::NoneWaits, Oldest::Since));
        BacklogReading { at: (self.clock)(), counts, oldest, reasons }
    }

    /// What the management interface says, if it can be believed, and the head of the queue.
    async fn told(&self) -> Result<(QueueCounts, QueueSample), Refused> {
        let first = self.ask().await?;
        let (head, refuted) = self.look_behind(&first).await?;
        if !refuted {
            return Ok((first, head));
        }
        // A message may have been counted just before it came, or looked at just before it went.
        let second = self.ask().await?;
        let (head, refuted) = self.look_behind(&second).await?;
        if refuted { Err(Refused::Contradicted(head)) } else { Ok((second, head)) }
    }

    async fn ask(&self) -> Result<QueueCounts, Refused> {
        let described = self.admin.describe().await.map_err(Refused::Management)?;
        self.proven.store(true, Ordering::Relaxed);
        *self.properties.lock().unwrap_or_else(PoisonError::into_inner) = Some(described.properties);
        described.counts.ok_or_else(|| Refused::Management(self.admin.incomplete()))
    }

    /// The head of the queue, and whether what is there refutes a count of 0.
    async fn look_behind(&self, told: &QueueCounts) -> Result<(QueueSample, bool), Refused> {
        let asked = (self.clock)();
        let head = self.head().await.map_err(Refused::Looking)?;
        let mut refuted = told.active == Some(0) && head.was_there(asked);
        if told.dead_letter == Some(0) && !refuted {
            let dead = census(&*self.dead_letters, 1).await.map_err(Refused::Looking)?;
            refuted = dead.active > 0;
        }
        Ok((head, refuted))
    }

    async fn head(&self) -> Result<QueueSample, servicebus::Error> {
        census(&*self.queue, HEAD).await
    }

    /// Whether looking takes the place of counts: for an identity that may not manage, and where the interface has
    /// never been seen to work.
    fn may_look_instead(&self, error: &admin::Error) -> bool {
        match error {
            admin::Error::Denied { .. } => true,
            admin::Error::Unreachable { .. }
            | admin::Error::Senseless { .. }
            | admin::Error::NotFound { .. } => !self.proven.load(Ordering::Relaxed),
            admin::Error::Token(_) | admin::Error::Throttled { .. } | admin::Error::Failed { .. } => false,
        }
    }

    /// Counts by looking, both queues or as much of it as can be had.
    async fn counted(
        &self,
        refusal: &admin::Error,
    ) -> (Result<QueueCounts, Unknown>, Result<QueueSample, servicebus::Error>) {
        let limit = self.thoroughness.count;
        let queue = census(&*self.queue, limit).await;
        let dead_letters = census(&*self.dead_letters, limit).await;
        if let (Err(error), Err(_)) = (&queue, &dead_letters) {
            // Who is not let in at the queue is told of that: the right to manage would not help him.
            let refused = self.at.as_ref().map(|at| Advice::of(error, at)).filter(|advice| advice.is_refusal);
            let why = refused.map_or_else(
                || format!("{}; nor can anybody look: {}", chain(refusal), self.said(error)),
                |advice| advice.to_string(),
            );
            return (Err(Unknown { why: why.into(), kind: UnknownKind::Failed }), queue);
        }
        let counts = QueueCounts {
            active: queue.as_ref().ok().map(|seen| seen.active),
            scheduled: queue.as_ref().ok().map(|seen| seen.scheduled),
            dead_letter: dead_letters.as_ref().ok().map(|seen| seen.active),
            lower_bound: true,
            ..QueueCounts::default()
        };
        (Ok(counts), queue)
    }

    async fn reasons(&self) -> Reasons {
        match self.thoroughness.reasons {
            0 => Reasons::default(),
            limit => match census(&*self.dead_letters, limit).await {
                Ok(QueueSample { reasons, more, .. }) => Reasons { seen: reasons, more },
                // The counts tell why.
                Err(_) => Reasons::default(),
            },
        }
    }
}

/// Why the management interface gave no counts that can be believed.
enum Refused {
    Management(admin::Error),
    /// Nobody could look whether a 0 is true.
    Looking(servicebus::Error),
    /// It said 0 while there were messages.
    Contradicted(QueueSample),
}

fn unknown(error: &admin::Error) -> Unknown {
    let kind = match error.class() {
        Class::Throttled { retry_after } => UnknownKind::Throttled { retry_after },
        Class::Transient | Class::Permanent | Class::Installation => UnknownKind::Failed,
    };
    Unknown { why: chain(error).into(), kind }
}

fn unverified(error: &str) -> Unknown {
    let why = format!("nobody could look whether the counts are true: {error}");
    Unknown { why: why.into(), kind: UnknownKind::Failed }
}

fn contradicted() -> Unknown {
    let why = "the management interface says 0 although there are messages, as it does when it is throttled";
    Unknown { why: why.into(), kind: UnknownKind::Contradicted }
}
