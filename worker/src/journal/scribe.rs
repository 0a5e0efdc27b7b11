//! Who writes: entries are put into a bounded store, and a thread writes what is there a few times a second.
//!
//! To wake a thread for every entry would cost more than the entry. So it is woken by the first one, waits a moment for
//! others, and writes all of them at once. Nothing that goes wrong here is ever a message's: what cannot be written is
//! counted, and told in the log, the metrics and on the status page.

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use jiff::Timestamp;
use servicebus::clock;
use shared::reason::chain;

use super::{
    entry::{Entry, Id},
    files::{Bounds, Error, Log},
    key::TagKey,
    reading::line,
};

/// Entries that wait to be written. More than that is lost and counted.
const ROOM: usize = 100_000;
/// Bytes that are written at once; less than half of the smallest journal.
const PIECE: usize = 128 << 10;
/// How long entries are gathered before they are written: what is lost when the process is killed.
const GATHER: Duration = Duration::from_millis(50);
/// How long it waits for entries before it looks whether something has been kept long enough.
const IDLE: Duration = Duration::from_hours(1);
/// How long a directory that failed is left alone.
const REST: Duration = Duration::from_secs(1);
/// How long the end waits for the last entries to be written.
const LAST: Duration = Duration::from_secs(5);

/// Where and how a journal is kept.
#[derive(Clone, Debug)]
pub(crate) struct JournalOptions {
    /// The directory; it has to be there.
    pub(crate) directory: PathBuf,
    /// What this machine or pod is called.
    pub(crate) host: String,
    /// Bounds of the files.
    pub(crate) bounds: Bounds,
    /// Whether nobody has asked for it: then a directory that cannot be used is no fault, and nothing is kept.
    pub(crate) optional: bool,
    /// Where messages come from.
    pub(crate) queue: String,
    /// Which of several directories.
    pub(crate) target: Option<String>,
}

/// Where a pipeline tells what it does.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<Store>,
    /// Writes are numbered here, so that numbers are unique within a run.
    writes: AtomicU64,
    ended: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug, Default)]
struct Store {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    off: AtomicBool,
    lost: AtomicU64,
    fault: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<(Timestamp, Entry<Id>)>,
    closed: bool,
}

impl Journal {
    /// Begins to keep one. `speak` is done first on the thread that writes, so that its log says what it is about.
    pub(crate) fn start(
        options: JournalOptions,
        speak: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let store = Arc::<Store>::default();
        let (done, ended) = mpsc::channel();
        let mut scribe = Scribe { options, store: Arc::clone(&store), run: new_run(), log: None };
        thread::Builder::new().name("journal".to_owned()).spawn(move || {
            speak();
            scribe.work();
            // Nobody listens any more if the end did not wait so long.
            done.send(()).ok();
        })?;
        Ok(Self { store, writes: AtomicU64::new(0), ended: Mutex::new(ended) })
    }

    /// Tells of something that happened. Never waits.
    pub(crate) fn tell(&self, entry: Entry<Id>) {
        if self.store.off.load(Relaxed) {
            return;
        }
        let mut waiting = self.store.waiting();
        if waiting.entries.len() >= ROOM {
            self.store.lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.entries.push((clock::now(), entry));
        if waiting.entries.len() == 1 {
            self.store.wake.notify_one();
        }
    }

    /// Whether anything is kept.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        !self.store.off.load(Relaxed)
    }

    /// The number of a write that begins.
    #[must_use]
    pub(crate) fn next_write(&self) -> u64 {
        self.writes.fetch_add(1, Relaxed) + 1
    }

    /// Entries that were lost since this was last asked.
    pub(crate) fn take_lost(&self) -> u64 {
        self.store.lost.swap(0, Relaxed)
    }

    /// Why nothing is written, while that is so.
    #[must_use]
    pub(crate) fn fault(&self) -> Option<String> {
        self.store.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what is left, and ends. A disk that hangs is not waited for.
    pub(crate) fn close(&self) {
        self.store.waiting().closed = true;
        self.store.wake.notify_one();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Also an error is an end.
        ended.recv_timeout(LAST).ok();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.store.waiting().closed = true;
        self.store.wake.notify_one();
    }
}

impl Store {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for entries, and a moment for others; tells also whether there will be no more.
    fn take(&self) -> (Vec<(Timestamp, Entry<Id>)>, bool) {
        let is_idle = |waiting: &mut Waiting| waiting.entries.is_empty() && !waiting.closed;
        let waited = self.wake.wait_timeout_while(self.waiting(), IDLE, is_idle);
        let mut waiting = self.pause(waited.unwrap_or_else(PoisonError::into_inner).0, GATHER);
        (std::mem::take(&mut waiting.entries), waiting.closed)
    }

    fn pause<'w>(&self, waiting: MutexGuard<'w, Waiting>, time: Duration) -> MutexGuard<'w, Waiting> {
        let waited = self.wake.wait_timeout_while(waiting, time, |waiting| !waiting.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread that writes.
struct Scribe {
    options: JournalOptions,
    store: Arc<Store>,
    run: String,
    log: Option<(Log, TagKey)>,
}

fn new_run() -> String {
    format!("{:08x}", rand::random::<u32>())
}

impl Scribe {
    fn work(&mut self) {
        if let Err(error) = self.open()
            && self.options.optional
        {
            self.store.off.store(true, Relaxed);
            self.store.waiting().entries = Vec::new();
            tracing::info!(
                why = %chain(&error),
                "no journal is kept, so contactsync explain knows only what the services say now; set journal.path to a \
                 directory that the worker may write"
            );
            return;
        }
        loop {
            let (entries, closed) = self.store.take();
            let count = entries.len() as u64;
            if let Err(error) = self.write(entries) {
                self.log = None;
                self.store.lost.fetch_add(count, Relaxed);
                self.failing(&chain(&error));
                drop(self.store.pause(self.store.waiting(), REST));
            } else {
                self.well();
            }
            if closed {
                return;
            }
        }
    }

    /// Opens the files, if that is still to be done or the key is gone: then what was told names nobody any more, and what
    /// comes has another key.
    fn open(&mut self) -> Result<(), Error> {
        let directory = &self.options.directory;
        if self.log.is_some() && TagKey::is_there(directory) {
            return Ok(());
        }
        self.log = None;
        let key = TagKey::read_or_make(directory)?;
        let mut log = Log::open(directory, &self.options.host, self.options.bounds, clock::now())?;
        let mut lines = Vec::new();
        self.begin(&key, &mut lines);
        log.append(&lines)?;
        self.log = Some((log, key));
        Ok(())
    }

    fn begin(&self, key: &TagKey, lines: &mut Vec<u8>) {
        let began = Entry::Began {
            run: self.run.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queue: self.options.queue.clone(),
            target: self.options.target.clone(),
        };
        line(clock::now(), &began.map(|id| key.tag(id)), lines);
    }

    fn write(&mut self, entries: Vec<(Timestamp, Entry<Id>)>) -> Result<(), Error> {
        self.open()?;
        let Some((mut log, key)) = self.log.take() else { return Ok(()) };
        log.expire(clock::now());
        let mut lines = Vec::with_capacity(PIECE.min(entries.len() * 200));
        for (at, entry) in entries {
            line(at, &entry.map(|id| key.tag(id)), &mut lines);
            if lines.len() >= PIECE {
                self.append(&mut log, &key, &mut lines)?;
            }
        }
        self.append(&mut log, &key, &mut lines)?;
        self.log = Some((log, key));
        Ok(())
    }

    /// Writes whole lines, to a new file if the current one has no more room for them.
    fn append(&self, log: &mut Log, key: &TagKey, lines: &mut Vec<u8>) -> Result<(), Error> {
        let now = clock::now();
        if log.is_full(lines.len(), now) {
            log.rotate(now)?;
            let mut first = Vec::new();
            self.begin(key, &mut first);
            log.append(&first)?;
        }
        log.append(lines)?;
        lines.clear();
        Ok(())
    }

    fn failing(&self, why: &str) {
        let mut fault = self.store.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_none() {
            tracing::warn!(
                why,
                "the journal cannot be written; messages go on, and what is lost of it is counted"
            );
        }
        *fault = Some(why.to_owned());
    }

    fn well(&self) {
        let mut fault = self.store.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.take().is_some() {
            tracing::info!("the journal is written again");
        }
    }
}
