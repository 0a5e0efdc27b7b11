//! Messages for which rows of Dataverse are read, before they have a lane. They are held under lock like all others, and
//! nobody else waits for them.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Effect, Engine,
    held::{Held, Ticket},
    intake::{Intake, Planned},
    reads::{BATCH, Missing, Pace, ReadFailure, Reader, RowAnswers},
    searches::{Circumstances, Search},
    writer::may_take,
};
use crate::{
    gate::State,
    ids::LockToken,
    lanes::{Work, exhausted},
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    plan::{KnownRows, ReadCause, RowId, WantedRow},
    reason::{DeadLetter, DeadLetterReason},
    retry::Ladder,
};

/// Questions under way at once: each is about a hundred rows.
const AT_ONCE: usize = 2;
/// How long a row waits for others to be asked for together. A question every quarter of a second is a fifth of what
/// Dataverse allows.
const LINGER: Duration = Duration::from_millis(250);
/// Waits after questions that came to nothing.
const AGAIN: Ladder = Ladder::fixed(Duration::from_secs(1), Duration::from_mins(1)).with_equal_jitter();
/// The longest wait that is asked for and kept. Limits of Dataverse count in windows of five minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(6);
/// Messages that wait while rows cannot be read. More are handed back for later, so that there is room for others.
const WAITING: usize = 200;
/// How often rows that are older than their message are read again.
const ROUNDS: u32 = 3;

impl<M> Engine<M> {
    /// A message whose rows have to be read first.
    pub(super) fn read(
        &mut self,
        lock: LockToken,
        held: Held<M>,
        rows: Vec<WantedRow>,
        reader: Reader,
        now: MonotonicTime,
    ) {
        self.held.hold(lock, held);
        self.reads.insert(lock, reader, rows, now);
        if self.stopping || self.state(now) == State::Paused {
            self.release_reads(now);
        } else {
            self.make_room(now);
        }
    }

    /// What is known of the rows of a message.
    #[must_use]
    pub fn rows(&self, lock: LockToken) -> KnownRows {
        self.held.rows(lock).cloned().unwrap_or_default()
    }

    /// Messages that wait for rows.
    #[must_use]
    pub fn reading(&self) -> usize {
        self.reads.len()
    }

    /// Why rows cannot be read, while they cannot.
    #[must_use]
    pub fn unread(&self) -> Option<&str> {
        self.read_pace.failing.as_deref()
    }

    /// When rows are asked for again after that.
    #[must_use]
    pub fn reads_again(&self) -> Option<MonotonicTime> {
        self.read_pace.failing.as_ref().map(|_| self.read_pace.opens)
    }

    /// Messages that take nobody's place: as many as may wait for rows at any time.
    pub(super) fn set_aside(&self) -> usize {
        self.reads.len().min(WAITING)
    }

    /// The next question about rows, or when there is one if nothing happens before.
    pub(super) fn next_read(&mut self, now: MonotonicTime) -> Result<Effect<M>, Option<MonotonicTime>> {
        // One question shows whether it works again.
        let most = if self.read_pace.failing.is_some() { 1 } else { AT_ONCE };
        let idle = self.stopping || !may_take(self.role) || self.reads.under_way() >= most;
        if idle || self.reads.waiting() == 0 {
            return Err(None);
        }
        let gathered = if self.reads.waiting() >= BATCH { now } else { self.reads.since + LINGER };
        let due = gathered.max(self.read_pace.opens);
        if due > now {
            return Err(Some(due));
        }
        let (batch, rows) = self.reads.ask(now);
        Ok(Effect::Read { batch, rows })
    }

    /// A question about rows is answered, or not. Returns the messages that have all of their rows now: each is to be
    /// planned anew with [`Engine::rows`] and reported with [`Engine::replanned`]. `jitter` is drawn evenly from 0 to 1.
    pub fn rows_read(
        &mut self,
        batch: u64,
        answers: RowAnswers,
        now: MonotonicTime,
        jitter: f64,
    ) -> Vec<LockToken> {
        let RowAnswers { rows, refused, failure } = answers;
        let answered = rows.into_iter().map(|(row, answer)| (row, Ok(answer)));
        let answers: BTreeMap<_, _> =
            refused.into_iter().map(|(row, why)| (row, Err(why))).chain(answered).collect();
        if failure.is_none() {
            self.read_pace = Pace::default();
        }
        let (mut ready, mut refused) = (Vec::new(), Vec::new());
        for (row, locks) in self.reads.answered(batch, |row| answers.contains_key(&row)) {
            let Some(answer) = answers.get(&row) else { continue };
            for lock in locks {
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(why) => {
                        refused.push((lock, why.clone()));
                        continue;
                    }
                };
                if let Some(rows) = self.held.rows_mut(lock) {
                    rows.learn(row, answer.clone());
                }
                if self.reads.got(lock) {
                    ready.push(lock);
                }
            }
        }
        for (lock, why) in refused {
            if let Some(reader) = self.reads.remove(lock) {
                self.end_unread(lock, &reader, &why, now);
            }
        }
        if let Some(failure) = failure {
            self.read_failed(failure, now, jitter);
        }
        ready
    }

    fn read_failed(&mut self, failure: ReadFailure, now: MonotonicTime, jitter: f64) {
        let pace = &mut self.read_pace;
        pace.failures = pace.failures.saturating_add(1);
        let own = AGAIN.wait(pace.failures.min(30), jitter);
        let wait = failure.retry_after.map_or(own, |asked| asked.min(LONGEST_WAIT).max(own));
        (pace.opens, pace.failing) = (now + wait, Some(failure.text));
        self.make_room(now);
    }

    /// While rows cannot be read, hands back what is too much of it, the latest first.
    fn make_room(&mut self, now: MonotonicTime) {
        let Some(why) = self.read_pace.failing.clone() else { return };
        if self.reads.len() <= WAITING {
            return;
        }
        for lock in self.reads.in_order().split_off(WAITING) {
            self.withdraw_read(lock, &Outcome::Returned(unread(&why)), now);
        }
    }

    /// A message was planned anew by its rows.
    pub fn replanned(&mut self, lock: LockToken, intake: Intake, now: MonotonicTime, jitter: f64) {
        // Its lock may have been lost meanwhile.
        let Some(reader) = self.reads.remove(lock) else { return };
        let mut circumstances = reader.circumstances.clone();
        let intake = without_missing(intake, &reader.missing);
        match self.screen(intake, &mut circumstances) {
            Intake::Work(planned, failures) => {
                let users = planned.iter().map(|write| write.user).collect();
                self.held.replan(lock, users, failures);
                self.take_up(lock, &circumstances, planned, now);
            }
            Intake::Settle(outcome) => self.end_search(lock, outcome, now),
            Intake::LookUp(queries) => {
                let search = Search { queries, circumstances, begun: now, due: Some(now), failures: 0 };
                self.searches.insert(lock, search);
            }
            Intake::Read(_) if reader.rounds >= ROUNDS => {
                let why = "it was read several times, and was older than the message each time";
                self.end_unread(lock, &reader, why, now);
            }
            Intake::Read(rows) => {
                self.read_pace.opens = self.read_pace.opens.max(now + AGAIN.wait(1, jitter));
                self.reads.insert(lock, reader.another_round(), rows, now);
            }
        }
        if self.stopping || self.state(now) == State::Paused {
            self.release_waiting(now);
        }
    }

    /// The row of a message cannot be read, and others can: it is tried again at another time, if the message has any time left.
    fn end_unread(&mut self, lock: LockToken, reader: &Reader, why: &str, now: MonotonicTime) {
        let outcome = if now < reader.circumstances.deadline {
            Outcome::Returned(unread(why))
        } else {
            // What is known of a user whom nobody has found says more.
            let missing = reader.missing.first().map(|missing| missing.letter.clone());
            Outcome::DeadLettered(missing.unwrap_or_else(|| exhausted(&not_read(why))))
        };
        self.end_search(lock, outcome, now);
    }

    /// Notes that Graph knows nothing of a user, if a row may tell another one.
    pub(super) fn note_missing(&mut self, work: &Work<Ticket>, outcome: &Outcome) {
        let Outcome::DeadLettered(letter) = outcome else { return };
        if self.policy.read_back && letter.reason == DeadLetterReason::UserNotFound {
            let missing = Missing { user: work.user, letter: letter.clone() };
            self.held.miss(work.ticket.lock, work.contact, missing);
        }
    }

    /// A message has failed for users of whom Graph knows nothing. Returns it if no row is to be read for it.
    pub(super) fn read_for_missing(
        &mut self,
        lock: LockToken,
        mut held: Held<M>,
        now: MonotonicTime,
    ) -> Option<Held<M>> {
        let (circumstances, missing) = (held.circumstances.clone(), std::mem::take(&mut held.missing));
        if missing.is_empty() || self.stopping {
            return Some(held);
        }
        let organization = held.organization;
        let rows = missing.iter().map(|(contact, _)| WantedRow {
            row: RowId { organization, contact: *contact },
            cause: ReadCause::UserNotFound,
        });
        let rows = rows.collect();
        let missing = missing.into_iter().map(|(_, missing)| missing).collect();
        self.read(lock, held.begun_anew(), rows, Reader::new(circumstances, missing), now);
        None
    }

    /// Gives back a message that waits for rows. One that does not is left alone.
    pub(super) fn withdraw_read(&mut self, lock: LockToken, outcome: &Outcome, now: MonotonicTime) {
        if self.reads.remove(lock).is_some() {
            self.end_search(lock, outcome.clone(), now);
        }
    }

    /// Gives back all messages that wait for rows, in the order in which they came.
    pub(super) fn release_reads(&mut self, now: MonotonicTime) {
        for lock in self.reads.drain() {
            self.end_search(lock, Outcome::Released, now);
        }
    }

    /// A message that a search has led to its row.
    pub(super) fn read_instead(
        &mut self,
        lock: LockToken,
        circumstances: Circumstances,
        rows: Vec<WantedRow>,
        now: MonotonicTime,
    ) {
        self.reads.insert(lock, Reader::new(circumstances, Vec::new()), rows, now);
        self.make_room(now);
    }
}

/// Why a message is handed back whose row was not read.
fn unread(why: &str) -> DeadLetter {
    not_read(&format!("{why}; it is tried again later"))
}

fn not_read(why: &str) -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::RetryBudgetExhausted,
        &format!("the row of the contact could not be read from Dataverse: {why}"),
    )
}

/// What is left to do where the row names a user still of whom Graph has said that there is none.
fn without_missing(intake: Intake, missing: &[Missing]) -> Intake {
    let Intake::Work(planned, mut failures) = intake else { return intake };
    let known = |planned: &Planned| missing.iter().find(|missing| missing.user == planned.user);
    let mut left = Vec::with_capacity(planned.len());
    for planned in planned {
        match (known(&planned), planned.member) {
            (None, _) => left.push(planned),
            (Some(missing), None) => return Intake::dead(missing.letter.clone()),
            // Its names and its addresses are one failure.
            (Some(_), Some(member)) if failures.names(member) => {}
            (Some(missing), Some(member)) => failures.push(member, missing.letter.clone()),
        }
    }
    match failures.letter() {
        Some(letter) if left.is_empty() => Intake::dead(letter),
        _ => Intake::Work(left, failures),
    }
}
