//! Who writes: a thread takes what was told and writes all of it at once, in one call of the system.
//!
//! To wake a thread for every entry would cost more than the entry, so it is woken once for all that was told in a turn of the
//! pipeline. What is written stands in the cache of the system and outlives the process, however that ends; only a machine
//! that goes down takes the last seconds with it. Nothing that goes wrong here is ever a message's: what cannot be written is
//! counted, and told in the log, the metrics and on the status page.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use servicebus::clock;
use shared::reason::chain;
use tokio::time::Instant;

use super::{
    entry::{Entry, Id},
    files::{Bounds, Error, Log},
    key::TagKey,
    reading::line,
    store::{EntryMark, Store, Taken, Told},
};

/// Bytes that are written at once; less than half of the smallest journal.
const PIECE: usize = 128 << 10;
/// How long a directory that failed is left alone.
const REST: Duration = Duration::from_secs(1);
/// How often it is looked whether the key is still there, and whether something has been kept long enough.
const LOOK: Duration = Duration::from_secs(1);
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

impl Journal {
    /// Begins to keep one. `speak` is done first on the thread that writes, so that its log says what it is about.
    pub(crate) fn start(
        options: JournalOptions,
        speak: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let store = Arc::<Store>::default();
        let (done, ended) = mpsc::channel();
        let mut scribe =
            Scribe { options, store: Arc::clone(&store), run: new_run(), log: None, looked: None };
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
        if self.is_on() {
            self.store.put(entry);
        }
    }

    /// Tells of something that is going to be done, which is done once [`Journal::kept`] has come to its end.
    pub(crate) fn foretell(&self, entry: Entry<Id>) -> EntryMark {
        self.store.put(entry)
    }

    /// Waits until what was foretold is kept: whatever happens to this process now, it stands in the file. Also ends when it
    /// cannot be kept, or not in time.
    pub(crate) async fn kept(&self, mark: EntryMark) {
        self.store.done(mark).await;
    }

    /// Whether the same would not wait.
    #[must_use]
    pub(crate) fn is_kept(&self, mark: EntryMark) -> bool {
        self.store.is_done(mark)
    }

    /// Looks whether the disk keeps up. To be called about once a second.
    pub(crate) fn look(&self, now: Instant) {
        self.store.look(now);
    }

    /// Whether anything is kept.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.store.is_on()
    }

    /// The number of a write that begins.
    #[must_use]
    pub(crate) fn next_write(&self) -> u64 {
        self.writes.fetch_add(1, Relaxed) + 1
    }

    /// Entries that were lost since this was last asked.
    pub(crate) fn take_lost(&self) -> u64 {
        self.store.take_lost()
    }

    /// Why nothing is written, while that is so.
    #[must_use]
    pub(crate) fn fault(&self) -> Option<String> {
        self.store.fault()
    }

    /// Writes what is left, and ends. A disk that hangs is not waited for.
    pub(crate) fn close(&self) {
        self.store.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Also an error is an end.
        ended.recv_timeout(LAST).ok();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.store.close();
    }
}

/// The thread that writes.
struct Scribe {
    options: JournalOptions,
    store: Arc<Store>,
    run: String,
    log: Option<(Log, TagKey)>,
    /// When it was last looked whether the key is there.
    looked: Option<Instant>,
}

fn new_run() -> String {
    format!("{:08x}", rand::random::<u32>())
}

impl Scribe {
    fn work(&mut self) {
        if let Err(error) = self.open()
            && self.options.optional
        {
            self.store.turn_off();
            tracing::info!(
                why = %chain(&error),
                "no journal is kept, so contactsync explain knows only what the services say now; set journal.path to a \
                 directory that the worker may write"
            );
            return;
        }
        let mut entries = Vec::new();
        loop {
            let Taken { last, closed } = self.store.take(&mut entries);
            let count = entries.len();
            if let Err(error) = self.write(&mut entries) {
                self.log = None;
                self.store.gave_up(last, count, &chain(&error));
                self.store.rest(REST);
            } else {
                self.store.written(last);
            }
            if closed {
                return;
            }
        }
    }

    /// Opens the files, if that is still to be done or the key is gone: then what was told names nobody any more, and what
    /// comes has another key. Removes what has been kept long enough.
    fn open(&mut self) -> Result<(), Error> {
        let directory = &self.options.directory;
        if let Some((log, _)) = &self.log {
            if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
                return Ok(());
            }
            self.looked = Some(Instant::now());
            log.expire(clock::now());
            if TagKey::is_there(directory) {
                return Ok(());
            }
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

    /// Writes these entries, and leaves none of them.
    fn write(&mut self, entries: &mut Vec<Told>) -> Result<(), Error> {
        // Whatever fails, they are not tried again.
        let entries = entries.drain(..);
        self.open()?;
        let Some((mut log, key)) = self.log.take() else { return Ok(()) };
        let mut lines = Vec::with_capacity(PIECE.min(entries.len() * 200));
        for (at, entry) in entries {
            line(at, &entry.map(|id| key.tag(id)), &mut lines);
            if lines.len() >= PIECE {
                self.append(&mut log, &key, &mut lines)?;
            }
        }
        if !lines.is_empty() {
            self.append(&mut log, &key, &mut lines)?;
        }
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
}
