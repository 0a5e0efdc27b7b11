//! The messages of one queue or sub-queue with their indexes.
//!
//! Every change goes through [`Store::change`], which takes an entry out of all indexes, lets the caller alter
//! it and files it again. So the indexes cannot disagree with the entries.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{Message, Time};

/// The number that the service gives each message; unique and increasing within one store.
pub type Sequence = i64;

/// What a message waits for when nobody holds its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Ready for delivery.
    Active,
    /// Set aside; only receivable by its sequence number.
    Deferred,
    /// Appears at the given time.
    Scheduled(Time),
}

/// The lock of one delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lock {
    /// Names the delivery to whoever settles it.
    pub(super) token: Uuid,
    /// When it lapses; none if the lock of the session governs it.
    pub(super) until: Option<Time>,
}

/// One message with its place in life.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Arc<Message>,
    pub(super) enqueued: Time,
    /// The number that it had where it was first accepted; forwarding keeps it.
    pub(super) first_sequence: Option<Sequence>,
    pub(super) delivery_count: u32,
    pub(super) expires: Option<Time>,
    pub(super) hold: Hold,
    pub(super) lock: Option<Lock>,
    /// The entity on which the message was dead-lettered before it was forwarded.
    pub(super) dead_letter_source: Option<String>,
}

impl Entry {
    /// When something happens to the entry by itself.
    fn deadline(&self) -> Option<Time> {
        match (&self.lock, self.hold) {
            (Some(lock), _) => lock.until,
            (None, Hold::Scheduled(at)) => Some(at),
            (None, Hold::Active | Hold::Deferred) => self.expires,
        }
    }

    fn is_ready(&self) -> bool {
        self.lock.is_none() && self.hold == Hold::Active
    }
}

/// Messages in sequence order, with indexes by readiness, lock token and deadline.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: BTreeMap<Sequence, Entry>,
    /// Ready messages; under their session where the entity has sessions.
    ready: BTreeMap<Option<String>, BTreeSet<Sequence>>,
    ready_count: usize,
    tokens: HashMap<Uuid, Sequence>,
    deadlines: BTreeSet<(Time, Sequence)>,
    last: Sequence,
    bytes: u64,
    by_session: bool,
    woke: bool,
}

impl Store {
    /// An empty store; `by_session` files ready messages under their session.
    pub(super) fn new(by_session: bool) -> Self {
        Self { by_session, ..Self::default() }
    }

    /// Takes a new entry in and gives it the next number.
    pub(super) fn insert(&mut self, entry: Entry) -> Sequence {
        self.last += 1;
        let sequence = self.last;
        self.bytes += entry.message.size();
        self.index(sequence, &entry);
        self.entries.insert(sequence, entry);
        sequence
    }

    /// Takes an entry out for good.
    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        self.unindex(sequence, &entry);
        self.bytes -= entry.message.size();
        Some(entry)
    }

    /// Alters an entry and files it again.
    pub(super) fn change<R>(&mut self, sequence: Sequence, alter: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let mut entry = self.remove(sequence)?;
        let result = alter(&mut entry);
        self.bytes += entry.message.size();
        self.index(sequence, &entry);
        self.entries.insert(sequence, entry);
        Some(result)
    }

    fn session_key(&self, entry: &Entry) -> Option<String> {
        if self.by_session { entry.message.properties.session_id().map(str::to_owned) } else { None }
    }

    fn index(&mut self, sequence: Sequence, entry: &Entry) {
        if entry.is_ready() {
            self.ready.entry(self.session_key(entry)).or_default().insert(sequence);
            self.ready_count += 1;
            self.woke = true;
        }
        if let Some(lock) = &entry.lock {
            self.tokens.insert(lock.token, sequence);
        }
        if let Some(deadline) = entry.deadline() {
            self.deadlines.insert((deadline, sequence));
        }
    }

    fn unindex(&mut self, sequence: Sequence, entry: &Entry) {
        if entry.is_ready() {
            let key = self.session_key(entry);
            if let Some(line) = self.ready.get_mut(&key) {
                line.remove(&sequence);
                self.ready_count -= 1;
                // An empty line without a session is kept: it is the usual one and would only be made again.
                if line.is_empty() && key.is_some() {
                    self.ready.remove(&key);
                }
            }
        }
        if let Some(lock) = &entry.lock {
            self.tokens.remove(&lock.token);
        }
        if let Some(deadline) = entry.deadline() {
            self.deadlines.remove(&(deadline, sequence));
        }
    }

    /// The first message that is ready, in the given session or outside of sessions.
    pub(super) fn first_ready(&self, session: Option<&str>) -> Option<Sequence> {
        let line = match session {
            None => self.ready.get(&None)?,
            Some(session) => self.ready.get(&Some(session.to_owned()))?,
        };
        line.first().copied()
    }

    /// Sessions that have ready messages, the one with the oldest message first.
    pub(super) fn ready_sessions(&self) -> Vec<String> {
        let mut sessions: Vec<(Sequence, &String)> = self
            .ready
            .iter()
            .filter_map(|(session, line)| Some((*line.first()?, session.as_ref()?)))
            .collect();
        sessions.sort_unstable();
        sessions.into_iter().map(|(_, session)| session.clone()).collect()
    }

    /// The entry behind a lock token.
    pub(super) fn by_token(&self, token: Uuid) -> Option<Sequence> {
        self.tokens.get(&token).copied()
    }

    pub(super) fn get(&self, sequence: Sequence) -> Option<&Entry> {
        self.entries.get(&sequence)
    }

    /// Entries from the given number up.
    pub(super) fn from(&self, sequence: Sequence) -> impl Iterator<Item = (Sequence, &Entry)> {
        self.entries.range(sequence..).map(|(sequence, entry)| (*sequence, entry))
    }

    /// The first entry whose time has come.
    pub(super) fn due(&self, now: Time) -> Option<Sequence> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, sequence)| *sequence)
    }

    /// When the next entry's time comes.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Numbers of all entries that are locked.
    pub(super) fn locked(&self) -> Vec<Sequence> {
        let mut locked: Vec<Sequence> = self.tokens.values().copied().collect();
        locked.sort_unstable();
        locked
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready_count
    }

    pub(super) fn locked_count(&self) -> usize {
        self.tokens.len()
    }

    /// Bytes of all messages.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes whoever waits look again.
    pub(super) fn wake(&mut self) {
        self.woke = true;
    }

    /// Whether a message became ready since the last call.
    pub(super) fn take_woke(&mut self) -> bool {
        std::mem::take(&mut self.woke)
    }
}
