//! What was told and waits to be written, and how far writing has come.
//!
//! Whoever is about to do something that others see tells it first, and does it once that stands in the file. It is asked for
//! only when somebody waits, so whatever was told meanwhile is written with it: one call of the system for a whole turn of
//! the pipeline. A disk that does not take entries in time is not waited for until it has.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::Timestamp;
use servicebus::clock;
use tokio::{sync::watch, time::Instant};

use super::entry::{Entry, Id};

/// Entries that wait to be written. More than that is lost and counted.
const ROOM: usize = 100_000;
/// How long entries are gathered that nobody waits for.
const GATHER: Duration = Duration::from_millis(50);
/// How long it waits for entries before it looks whether something has been kept long enough.
const IDLE: Duration = Duration::from_hours(1);
/// How long a disk may take for what somebody waits for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was told, and when.
pub(super) type Told = (Timestamp, Entry<Id>);

/// Place of an entry in the order in which entries are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryMark(u64);

/// Between those who tell and the thread that writes.
#[derive(Debug, Default)]
pub(super) struct Store {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// The last entry that need not be waited for any more: it is written, or it is lost.
    done: watch::Sender<EntryMark>,
    /// Whether nobody waits, because the disk does not take entries, or not in time.
    behind: AtomicBool,
    off: AtomicBool,
    lost: AtomicU64,
    fault: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Told>,
    told: EntryMark,
    /// The last entry that the thread has taken.
    taken: EntryMark,
    /// Since when somebody waits for an entry that is not taken yet, and for one that is.
    asked: Option<Instant>,
    writing: Option<Instant>,
    /// Whether the thread waits for the first entry.
    idle: bool,
    closed: bool,
}

/// What the thread has taken to write.
pub(super) struct Taken {
    /// The last entry.
    pub(super) last: EntryMark,
    /// Whether there will be no more.
    pub(super) closed: bool,
}

impl Store {
    /// Takes an entry in. Never waits.
    pub(super) fn put(&self, entry: Entry<Id>) -> EntryMark {
        let at = clock::now();
        let mut waiting = self.waiting();
        if waiting.entries.len() >= ROOM {
            self.lost.fetch_add(1, Relaxed);
            return waiting.told;
        }
        waiting.entries.push((at, entry));
        waiting.told.0 += 1;
        if std::mem::take(&mut waiting.idle) {
            self.wake.notify_one();
        }
        waiting.told
    }

    /// Whether an entry need not be waited for.
    pub(super) fn is_done(&self, mark: EntryMark) -> bool {
        self.behind.load(Relaxed) || *self.done.borrow() >= mark
    }

    /// Waits until an entry is written, or is lost, or the disk has taken too long.
    pub(super) async fn done(&self, mark: EntryMark) {
        if self.is_done(mark) {
            return;
        }
        self.ask_for(mark);
        // The sender lives as long as this does.
        self.done.subscribe().wait_for(|done| *done >= mark).await.ok();
    }

    fn ask_for(&self, mark: EntryMark) {
        let mut waiting = self.waiting();
        if waiting.asked.is_none() && waiting.taken < mark {
            waiting.asked = Some(Instant::now());
            self.wake.notify_one();
        }
    }

    /// Looks whether the disk keeps up with what is waited for. If it does not, nobody waits until it has written again.
    pub(super) fn look(&self, now: Instant) {
        let waiting = self.waiting();
        let since = waiting.writing.or(waiting.asked);
        if since.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE) {
            let told = waiting.told;
            drop(waiting);
            if !self.behind.swap(true, Relaxed) {
                self.failing("the disk does not take entries in time");
            }
            self.let_go(told);
        }
    }

    /// Waits for entries, and a moment for others unless somebody waits for them. Moves them to `entries`, which is empty.
    pub(super) fn take(&self, entries: &mut Vec<Told>) -> Taken {
        let mut waiting = self.waiting();
        waiting.idle = waiting.entries.is_empty();
        let is_idle = |waiting: &mut Waiting| waiting.entries.is_empty() && !waiting.closed;
        let waited = self.wake.wait_timeout_while(waiting, IDLE, is_idle);
        let waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        let is_early = |waiting: &mut Waiting| !waiting.closed && waiting.asked.is_none();
        let waited = self.wake.wait_timeout_while(waiting, GATHER, is_early);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        waiting.idle = false;
        waiting.writing = waiting.asked.take();
        waiting.taken = waiting.told;
        std::mem::swap(&mut waiting.entries, entries);
        Taken { last: waiting.told, closed: waiting.closed }
    }

    /// What was taken is written.
    pub(super) fn written(&self, last: EntryMark) {
        self.waiting().writing = None;
        self.behind.store(false, Relaxed);
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.take().is_some() {
            tracing::info!("the journal is written again");
        }
        drop(fault);
        self.let_go(last);
    }

    /// What was taken cannot be written: so many entries. Nobody waits until something is written again.
    pub(super) fn gave_up(&self, last: EntryMark, entries: usize, why: &str) {
        self.lost.fetch_add(entries as u64, Relaxed);
        self.behind.store(true, Relaxed);
        self.failing(why);
        self.waiting().writing = None;
        self.let_go(last);
    }

    /// Leaves the directory alone for so long, unless this is the end.
    pub(super) fn rest(&self, time: Duration) {
        let waited = self.wake.wait_timeout_while(self.waiting(), time, |waiting| !waiting.closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Nothing is kept, now and later.
    pub(super) fn turn_off(&self) {
        self.off.store(true, Relaxed);
        self.behind.store(true, Relaxed);
        self.waiting().entries = Vec::new();
        self.let_go(EntryMark(u64::MAX));
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        !self.off.load(Relaxed)
    }

    /// There will be no more entries.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.wake.notify_one();
    }

    /// Entries that were lost since this was last asked.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Relaxed)
    }

    /// Why nothing is written, while that is so.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failing(&self, why: &str) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_none() {
            tracing::warn!(
                why,
                "the journal cannot be written; messages go on, and what is lost of it is counted"
            );
        }
        *fault = Some(why.to_owned());
    }

    /// Those who wait for this entry, or an earlier one, need not.
    fn let_go(&self, mark: EntryMark) {
        self.done.send_if_modified(|done| {
            let further = *done < mark;
            *done = mark.max(*done);
            further
        });
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn waits(store: &Store, mark: EntryMark) -> bool {
        store.done(mark).now_or_never().is_none()
    }

    #[test]
    fn whoever_waits_is_let_go_when_his_entry_is_written_and_not_before() {
        let (store, mut entries) = (Store::default(), Vec::new());
        let (first, second) = (store.put(Entry::Ended), store.put(Entry::Ended));
        assert!(waits(&store, first) && waits(&store, second));
        let taken = store.take(&mut entries);
        assert_eq!((entries.len(), taken.last), (2, second));
        let third = store.put(Entry::Ended);
        assert!(waits(&store, first) && waits(&store, third));
        store.written(taken.last);
        assert!(!waits(&store, first) && !waits(&store, second) && waits(&store, third));
    }

    #[test]
    fn a_disk_that_hangs_is_waited_for_once_and_trusted_again_when_it_has_written() {
        let (store, mut entries) = (Store::default(), Vec::new());
        let first = store.put(Entry::Ended);
        assert!(waits(&store, first));
        let taken = store.take(&mut entries);
        let (now, late) = (Instant::now(), Instant::now() + 2 * PATIENCE);
        store.look(now);
        assert!(waits(&store, first) && store.fault().is_none());
        store.look(late);
        let second = store.put(Entry::Ended);
        assert!(!waits(&store, first) && !waits(&store, second), "it hangs, and messages go on");
        assert!(store.fault().is_some_and(|fault| fault.contains("in time")));
        store.written(taken.last);
        assert!(waits(&store, second) && store.fault().is_none());
    }

    #[test]
    fn what_nobody_waits_for_is_never_late() {
        let (store, mut entries) = (Store::default(), Vec::new());
        store.put(Entry::Ended);
        let _taken = store.take(&mut entries);
        store.look(Instant::now() + 100 * PATIENCE);
        assert_eq!(store.fault(), None);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_waited_for_by_nobody() {
        let (store, mut entries) = (Store::default(), Vec::new());
        let first = store.put(Entry::Ended);
        let taken = store.take(&mut entries);
        store.gave_up(taken.last, entries.len(), "no room");
        let second = store.put(Entry::Ended);
        assert!(!waits(&store, first) && !waits(&store, second));
        assert_eq!((store.take_lost(), store.fault()), (1, Some("no room".to_owned())));
    }

    #[test]
    fn more_than_there_is_room_for_is_lost_and_nobody_waits_for_it_longer_than_for_the_rest() {
        let store = Store::default();
        let mut last = EntryMark::default();
        for _ in 0..=ROOM {
            last = store.put(Entry::Ended);
        }
        assert_eq!((last, store.take_lost()), (EntryMark(ROOM as u64), 1));
    }
}
