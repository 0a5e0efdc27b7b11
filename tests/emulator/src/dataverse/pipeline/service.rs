//! The asynchronous service: what waits to be posted, and when its turn is.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::{
    Facts, Options, Store,
    columns::{ENDPOINT, JOB, STEP, choice, lookup, truth},
    firing::{Fired, firings},
    jobs,
    post::{Failure, Letter, code, post},
};
use crate::dataverse::{
    value::{Row, Tables, Value},
    written::Written,
};

/// How often a job is tried again before it fails.
pub const RETRIES: u32 = 8;

/// Runs the steps that writes fire.
#[derive(Clone, Debug)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    queue: Mutex<Queue>,
    wake: Notify,
}

/// Always locked after the tables, never before them.
#[derive(Debug)]
struct Queue {
    /// In the order in which the jobs were made.
    pending: VecDeque<Pending>,
    running: bool,
}

/// A job that is not done.
#[derive(Debug)]
struct Pending {
    job: Uuid,
    letter: Arc<Letter>,
    retries: u32,
    /// When it is tried again, once it was put off.
    due: Option<Instant>,
}

/// What the service finds to do.
enum Turn {
    Post {
        job: Uuid,
        letter: Arc<Letter>,
        endpoint: Option<Row>,
    },
    /// Nothing until then, or until it is woken.
    Wait(Option<Instant>),
}

/// What the service has done.
enum Done {
    Posted,
    Nothing { until: Option<Instant> },
}

impl Pipeline {
    /// A pipeline that posts to these buses. Nothing is posted until it [runs](Self::run).
    #[must_use]
    pub fn new(options: Options) -> Self {
        let queue = Queue { pending: VecDeque::new(), running: true };
        Self { inner: Arc::new(Inner { options, queue: Mutex::new(queue), wake: Notify::new() }) }
    }

    /// Makes the system jobs of a write that was committed. To be called for every write, those of system jobs
    /// included: what was resumed runs then.
    pub fn committed(&self, tables: &mut Tables, facts: &Facts, written: &Written) {
        for firing in firings(tables, facts, written) {
            let Fired { job, step, letter } = firing;
            jobs::table(tables).insert(job, jobs::ready(job, &step, written, written.at));
            let pending = Pending { job, letter: Arc::new(letter), retries: 0, due: None };
            self.queue().pending.push_back(pending);
        }
        self.inner.wake.notify_one();
    }

    /// Switches background operations off, as administration mode does, or on again. While they are off, jobs stay
    /// ready and nothing is posted.
    pub fn set_background_operations(&self, running: bool) {
        self.queue().running = running;
        self.inner.wake.notify_one();
    }

    /// Posts what is due, for as long as the store is there.
    pub async fn run(self, store: Weak<dyn Store>) {
        loop {
            let done = {
                let Some(store) = store.upgrade() else { return };
                self.turn(&*store)
            };
            let due = async {
                match done {
                    Done::Posted => tokio::task::yield_now().await,
                    Done::Nothing { until: Some(at) } => tokio::time::sleep_until(at).await,
                    Done::Nothing { until: None } => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.inner.wake.notified() => {}
            }
        }
    }

    /// Posts one context if one is due.
    fn turn(&self, store: &dyn Store) -> Done {
        let mut turn = Turn::Wait(None);
        store.change(&mut |tables| turn = self.next(tables, store.now()));
        let (job, letter, endpoint) = match turn {
            Turn::Wait(until) => return Done::Nothing { until },
            Turn::Post { job, letter, endpoint } => (job, letter, endpoint),
        };
        let result = match endpoint {
            Some(endpoint) => post(&letter, &endpoint, &self.inner.options.buses),
            None => Err(Failure::lasting(code::MISSING, "The service endpoint of the step does not exist.")),
        };
        store.change(&mut |tables| self.settle(tables, job, &result, store.now()));
        Done::Posted
    }

    fn next(&self, tables: &mut Tables, now: Timestamp) -> Turn {
        let mut queue = self.queue();
        let open = |tables: &Tables, job: &Uuid| {
            tables
                .get(JOB)
                .and_then(|rows| rows.get(job))
                .is_some_and(|row| choice(row, "statecode") != Some(3))
        };
        queue.pending.retain(|pending| open(tables, &pending.job));
        if !queue.running {
            return Turn::Wait(None);
        }
        let mut first: Option<Instant> = None;
        for pending in &queue.pending {
            let Some(row) = jobs::table(tables).get_mut(&pending.job) else { continue };
            match pending.turn(row, now) {
                Some(at) if at <= Instant::now() => {
                    jobs::begin(row, now);
                    let endpoint =
                        tables.get(ENDPOINT).and_then(|rows| rows.get(&pending.letter.endpoint)).cloned();
                    return Turn::Post { job: pending.job, letter: Arc::clone(&pending.letter), endpoint };
                }
                Some(at) => first = Some(first.map_or(at, |first| first.min(at))),
                None => {}
            }
        }
        Turn::Wait(first)
    }

    /// Writes down what became of a job.
    fn settle(&self, tables: &mut Tables, job: Uuid, result: &Result<(), Failure>, now: Timestamp) {
        let mut queue = self.queue();
        let Some(index) = queue.pending.iter().position(|pending| pending.job == job) else { return };
        // Somebody may have cancelled it meanwhile.
        let open = |row: &&mut Row| choice(row, "statecode") != Some(3);
        let Some(row) = jobs::table(tables).get_mut(&job).filter(open) else {
            queue.pending.remove(index);
            return;
        };
        let Err(failure) = result else {
            jobs::succeed(row, now);
            let step = lookup(row, "owningextensionid").unwrap_or_default();
            let step = tables.get(STEP).and_then(|rows| rows.get(&step));
            if step.is_some_and(|step| truth(step, "asyncautodelete") == Some(true)) {
                jobs::table(tables).remove(&job);
            }
            queue.pending.remove(index);
            return;
        };
        let pending = &mut queue.pending[index];
        if failure.transient && pending.retries < RETRIES {
            let delay = self.inner.options.retry_unit * 2_u32.pow(pending.retries);
            pending.retries += 1;
            pending.due = Some(Instant::now() + delay);
            jobs::postpone(row, failure, i32::try_from(pending.retries).unwrap_or(i32::MAX), delay, now);
        } else {
            jobs::fail(row, failure, now);
            queue.pending.remove(index);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// When it is the turn of a job; nothing if that is for others to say.
    fn turn(&self, row: &Row, now: Timestamp) -> Option<Instant> {
        match (choice(row, "statecode"), self.due) {
            // Resumed: at once, whatever `postponeuntil` says.
            (Some(0), Some(_)) => Some(Instant::now()),
            (Some(0), None) => {
                let wait = match row.get("postponeuntil") {
                    Some(Value::Moment(until)) => {
                        Duration::try_from(until.duration_since(now)).unwrap_or_default()
                    }
                    _ => Duration::ZERO,
                };
                Some(Instant::now() + wait)
            }
            (_, due) => due,
        }
    }
}
