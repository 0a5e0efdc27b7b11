//! What came of a run: figures, and everything that is not as it must be.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::ensure;
use emulator::graph::{Entry, Kind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    mix::{Batch, number_in},
    run::Run,
    usage::Usage,
};
use crate::world::World;

/// What was seen from outside.
#[derive(Clone, Debug)]
pub struct Observed {
    /// From the first delivery to the empty queue.
    pub took: Duration,
    /// When each message was posted, by Graph's clock; for a backlog, when the first was handed out.
    pub posted: Vec<Duration>,
    /// What each worker used from its start to the empty queue.
    pub usage: Vec<Usage>,
    /// Logs of the workers.
    pub logs: String,
}

/// The figures.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Messages.
    pub messages: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
    /// From the first delivery to the empty queue.
    pub took: Duration,
    /// Writes that took effect.
    pub writes: usize,
    /// Messages that asked for a write.
    pub changes: usize,
    /// Calls to Graph of any kind.
    pub calls: usize,
    /// Of these, answered 429.
    pub throttled: usize,
    /// Of these, answered with another status from 400.
    pub errors: usize,
    /// Processor time of all workers, their start included.
    pub cpu: Duration,
    /// Most memory that a worker held.
    pub peak: u64,
    /// Time from each change to its effect in Graph, in order of length.
    pub delays: Vec<Duration>,
    /// Everything that is not as it must be.
    pub faults: Vec<String>,
}

impl Figures {
    pub(super) fn of(run: &Run, batch: &Batch, world: &World, seen: Observed) -> anyhow::Result<Self> {
        let calls: Vec<Entry> =
            world.graph.journal().into_iter().filter(|entry| entry.kind == Kind::Graph).collect();
        ensure!(calls.len() < 4 * run.mix.messages + 10_000, "the journal has forgotten the beginning");
        let status =
            |wanted: fn(u16) -> bool| calls.iter().filter(|call| call.status.is_none_or(wanted)).count();
        let mut faults = faults(batch, world, &calls)?;
        let delays = delays(batch, &calls, &seen.posted);
        if !faults.is_empty() {
            faults.push(seen.logs);
        }
        Ok(Self {
            messages: batch.posts.len(),
            bytes: batch.posts.iter().map(|post| post.body.len()).sum(),
            took: seen.took,
            writes: calls.iter().filter(|call| call.applied).count(),
            changes: batch.posts.iter().filter(|post| post.user.is_some()).count(),
            calls: calls.len(),
            throttled: status(|status| status == 429),
            errors: status(|status| status >= 400 && status != 429),
            cpu: seen.usage.iter().map(|usage| usage.cpu).sum(),
            peak: seen.usage.iter().map(|usage| usage.peak).max().unwrap_or(0),
            delays,
            faults,
        })
    }

    /// Messages a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        ratio(self.messages) / self.took.as_secs_f64()
    }

    /// Messages that asked for a write, by writes.
    #[must_use]
    pub fn changes_per_write(&self) -> f64 {
        ratio(self.changes) / ratio(self.writes.max(1))
    }

    /// Milliseconds of processor time for each message.
    #[must_use]
    pub fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / ratio(self.messages)
    }

    /// Share of calls answered 429.
    #[must_use]
    pub fn throttled_share(&self) -> f64 {
        ratio(self.throttled) / ratio(self.calls.max(1))
    }

    /// Megabytes of bodies for each second of processor time.
    #[must_use]
    pub fn megabytes_per_cpu_second(&self) -> f64 {
        ratio(self.bytes) / 1e6 / self.cpu.as_secs_f64()
    }

    /// The delay that this share of the changes did not exceed, in milliseconds.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    pub fn delay_ms(&self, share: f64) -> f64 {
        let place = (ratio(self.delays.len()) * share).ceil() as usize;
        let delay = self.delays.get(place.saturating_sub(1).min(self.delays.len().saturating_sub(1)));
        delay.map_or(0.0, |delay| delay.as_secs_f64() * 1e3)
    }

    /// All of it for a program.
    #[must_use]
    pub fn json(&self, run: &Run) -> Value {
        json!({
            "scenario": run.key, "messages": self.messages, "users": run.mix.users, "workers": run.workers,
            "format": format!("{:?}", run.mix.format).to_lowercase(), "body_bytes": self.bytes / self.messages.max(1),
            "seconds": self.took.as_secs_f64(), "messages_per_s": self.rate(), "writes": self.writes,
            "changes_per_write": self.changes_per_write(), "cpu_ms_per_message": self.cpu_ms(),
            "peak_mb": ratio(usize::try_from(self.peak).unwrap_or(usize::MAX)) / 1e6,
            "p50_ms": self.delay_ms(0.5), "p99_ms": self.delay_ms(0.99), "max_ms": self.delay_ms(1.0),
            "share_429": self.throttled_share(), "errors": self.errors, "faults": self.faults,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub(super) fn ratio(count: usize) -> f64 {
    count as f64
}

/// Whether a user is as the message of this number left him.
pub(super) fn is_as(world: &World, id: &Uuid, number: usize) -> bool {
    world.graph.user(*id).is_some_and(|user| {
        let of = |name: &&str| user.text(name).and_then(number_in) == Some(number);
        ["mail", "givenName", "surname"].iter().all(of)
    })
}

/// Whatever is lost, wrong or out of order.
pub(super) fn faults(batch: &Batch, world: &World, calls: &[Entry]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let dead = world.letters()?;
    let poison = dead.iter().filter(|letter| letter.reason == "BodyUndecodable").count();
    if (dead.len(), poison) != (batch.poisoned, batch.poisoned) {
        let reasons: Vec<_> =
            dead.iter().map(|letter| (&letter.reason, &letter.description)).take(5).collect();
        faults.push(format!("{} dead letters in place of {}: {reasons:?}", dead.len(), batch.poisoned));
    }
    let wrong = batch.newest.iter().filter(|(id, number)| !is_as(world, id, **number)).count();
    if wrong > 0 {
        faults.push(format!(
            "{wrong} of {} users are not as their newest change left them",
            batch.newest.len()
        ));
    }
    let touched = calls.iter().filter(|call| call.applied).filter_map(|call| call.user);
    let strangers = touched.filter(|id| !batch.knows(id)).count();
    if strangers > 0 {
        faults.push(format!("{strangers} writes to users whom no message was about"));
    }
    let backwards = calls.iter().flat_map(|call| &call.changes).filter(|change| {
        let number = |value: &Value| value.as_str().and_then(number_in);
        number(&change.before) > number(&change.after)
    });
    let backwards = backwards.count();
    // Two replicas may cross each other; the second look repairs that, and the state above is what counts.
    if backwards > 0 && !calls.iter().any(|call| call.method == "GET") {
        faults.push(format!("{backwards} times an old value overwrote a newer one"));
    }
    Ok(faults)
}

/// How long each change took to have its effect: a write has the effect of all changes up to its own.
fn delays(batch: &Batch, calls: &[Entry], posted: &[Duration]) -> Vec<Duration> {
    let mut waiting: HashMap<Uuid, BTreeMap<usize, Duration>> = HashMap::new();
    for (number, post) in batch.posts.iter().enumerate() {
        if let (Some(user), Some(at)) = (post.user, posted.get(number)) {
            waiting.entry(user).or_default().insert(number, *at);
        }
    }
    let mut delays = Vec::with_capacity(batch.posts.len());
    for call in calls.iter().filter(|call| call.applied) {
        let carried =
            call.changes.iter().filter_map(|change| change.after.as_str().and_then(number_in)).max();
        let Some((user, carried)) = call.user.zip(carried) else { continue };
        let Some(left) = waiting.get_mut(&user) else { continue };
        let later = left.split_off(&(carried + 1));
        let applied = Duration::from_micros(call.at_us);
        delays.extend(std::mem::replace(left, later).into_values().map(|at| applied.saturating_sub(at)));
    }
    delays.sort_unstable();
    delays
}
