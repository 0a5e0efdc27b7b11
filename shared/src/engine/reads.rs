//! The messages that wait for rows of Dataverse, and which rows are asked for next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use super::searches::Circumstances;
use crate::{
    ids::{IdState, LockToken, UserId},
    monotonic_time::MonotonicTime,
    plan::{RowAnswer, RowId, WantedRow},
    reason::DeadLetter,
};

/// Why rows could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFailure {
    /// How long Dataverse asks to wait, if it does.
    pub retry_after: Option<Duration>,
    /// What happened.
    pub text: Box<str>,
}

/// The answers to a question about rows. Rows that are left out are asked for again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowAnswers {
    /// What was answered.
    pub rows: Vec<(RowId, RowAnswer)>,
    /// Rows that are refused while others are shown, and why. Their messages come back later, and nobody else waits for them.
    pub refused: Vec<(RowId, Box<str>)>,
    /// Why the rest was not.
    pub failure: Option<ReadFailure>,
}

/// How reading fares.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) failures: u32,
    /// Not before this.
    pub(super) opens: MonotonicTime,
    /// Why the last question came to nothing, while it did.
    pub(super) failing: Option<Box<str>>,
}

/// Most rows of one question.
pub(super) const BATCH: usize = 100;

/// A user of whom Graph knows nothing, with the dead letter that it is if the row names him still.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) user: UserId,
    pub(super) letter: DeadLetter,
}

/// One message that waits.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) circumstances: Circumstances,
    /// Users who are not to be tried again.
    pub(super) missing: Vec<Missing>,
    /// How often its rows turned out to be older than itself.
    pub(super) rounds: u32,
    /// Rows without an answer.
    open: usize,
}

impl Reader {
    pub(super) const fn new(circumstances: Circumstances, missing: Vec<Missing>) -> Self {
        Self { circumstances, missing, rounds: 0, open: 0 }
    }

    /// The same, once more.
    pub(super) fn another_round(self) -> Self {
        Self { rounds: self.rounds + 1, ..self }
    }
}

/// A row, and the messages that wait for it.
#[derive(Debug)]
struct Question {
    wanted: WantedRow,
    /// How many were wanted before it.
    place: u64,
    by: Vec<LockToken>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Reads {
    of: HashMap<LockToken, Reader, IdState>,
    /// Rows that are to be asked for, those that were wanted first before others.
    waiting: BTreeSet<(u64, RowId)>,
    wanted: u64,
    questions: BTreeMap<RowId, Question>,
    /// What was asked. A message that comes meanwhile has to ask anew: the row may have been read before its change.
    under_way: BTreeMap<u64, Vec<Question>>,
    batches: u64,
    /// Since when the first of those waits that are to be asked for.
    pub(super) since: MonotonicTime,
}

impl Reads {
    /// Gives all up.
    pub(super) fn clear(&mut self) {
        *self = Self { batches: self.batches, ..Self::default() };
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// Rows that are to be asked for.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Questions that are being asked.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Adds a message that wants these rows.
    pub(super) fn insert(
        &mut self,
        lock: LockToken,
        reader: Reader,
        rows: Vec<WantedRow>,
        now: MonotonicTime,
    ) {
        if self.waiting.is_empty() {
            self.since = now;
        }
        let mut open = 0;
        for wanted in rows {
            let question = self.questions.entry(wanted.row).or_insert_with(|| {
                self.wanted += 1;
                self.waiting.insert((self.wanted, wanted.row));
                Question { wanted, place: self.wanted, by: Vec::new() }
            });
            // A message can be about one contact twice.
            if question.by.last() != Some(&lock) {
                question.by.push(lock);
                open += 1;
            }
        }
        self.of.insert(lock, Reader { open, ..reader });
    }

    /// Takes one out. What was asked for its sake only is not asked any more.
    pub(super) fn remove(&mut self, lock: LockToken) -> Option<Reader> {
        let reader = self.of.remove(&lock)?;
        if reader.open > 0 {
            self.questions.retain(|_, question| {
                question.by.retain(|by| *by != lock);
                !question.by.is_empty()
            });
            let questions = &self.questions;
            self.waiting.retain(|(_, row)| questions.contains_key(row));
        }
        Some(reader)
    }

    /// Takes all messages out, in the order in which they came.
    pub(super) fn drain(&mut self) -> Vec<LockToken> {
        let all = self.in_order();
        self.clear();
        all
    }

    /// All messages, in the order in which they came.
    pub(super) fn in_order(&self) -> Vec<LockToken> {
        let mut all: Vec<_> =
            self.of.iter().map(|(lock, reader)| (reader.circumstances.lineage.origin, *lock)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, lock)| lock).collect()
    }

    /// Takes the next rows to be asked for, and the number of the question.
    pub(super) fn ask(&mut self, now: MonotonicTime) -> (u64, Vec<WantedRow>) {
        let mut asked = Vec::with_capacity(self.waiting.len().min(BATCH));
        while asked.len() < BATCH
            && let Some((_, row)) = self.waiting.pop_first()
        {
            asked.extend(self.questions.remove(&row));
        }
        self.since = now;
        self.batches += 1;
        let wanted = asked.iter().map(|question| question.wanted).collect();
        self.under_way.insert(self.batches, asked);
        (self.batches, wanted)
    }

    /// A question is answered: the rows, each with the messages that still wait for it. Rows without an answer are to be
    /// asked for again.
    pub(super) fn answered(
        &mut self,
        batch: u64,
        is_there: impl Fn(RowId) -> bool,
    ) -> Vec<(RowId, Vec<LockToken>)> {
        let asked = self.under_way.remove(&batch).unwrap_or_default();
        let mut living = Vec::with_capacity(asked.len());
        for mut question in asked {
            if is_there(question.wanted.row) {
                question.by.retain(|lock| self.of.contains_key(lock));
                living.push((question.wanted.row, question.by));
            } else {
                self.put_back(question);
            }
        }
        living
    }

    /// A message has got one of its rows. Tells whether it was the last.
    pub(super) fn got(&mut self, lock: LockToken) -> bool {
        let Some(reader) = self.of.get_mut(&lock) else { return false };
        reader.open = reader.open.saturating_sub(1);
        reader.open == 0
    }

    fn put_back(&mut self, mut question: Question) {
        question.by.retain(|lock| self.of.contains_key(lock));
        if question.by.is_empty() {
            return;
        }
        let row = question.wanted.row;
        // Others may want it by now.
        if let Some(mut later) = self.questions.remove(&row) {
            self.waiting.remove(&(later.place, row));
            question.by.append(&mut later.by);
        }
        self.waiting.insert((question.place, row));
        self.questions.insert(row, question);
    }
}
