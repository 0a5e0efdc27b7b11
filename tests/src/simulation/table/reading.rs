//! Rows that replicas read for messages that do not say enough, and a Dataverse that does not always answer.

use std::time::Duration;

use rand::RngExt;
use shared::{
    engine::{Intake, ReadFailure, RowAnswers},
    ids::LockToken,
    plan::{KnownRows, RowAnswer, RowGrounds, WantedRow},
};

use super::{
    super::{
        calls::within,
        directory::Writer,
        event::Event,
        world::{TROUBLE, World},
    },
    state::TableWorld,
};

/// The longest time of half a question, in milliseconds.
const WAY: u64 = 2_000;
/// The longest that Dataverse asks to wait, in seconds.
const ASKED: u64 = 60;

impl World {
    /// What a replica makes of the message with this number, by what it knows of its row.
    pub(in super::super) fn planned_from_table(&mut self, posted: usize, rows: &KnownRows) -> Intake {
        let Some(table) = &self.table else { unreachable!("only worlds with a table have messages of it") };
        // What images have shown so far differs from replica to replica.
        let images_show_link = !table.planner.read_back || self.rng.random_bool(0.5);
        table.intake(posted, RowGrounds { images_show_link, rows, ..RowGrounds::default() })
    }

    /// A replica asks.
    pub(in super::super) fn ask_for_rows(&mut self, writer: Writer, batch: u64, rows: Vec<WantedRow>) {
        let at = self.soon(WAY);
        self.plan(at, Event::RowsAsked(writer, batch, rows));
    }

    /// Dataverse reads the rows, and answers.
    pub(in super::super) fn rows_asked(&mut self, writer: Writer, batch: u64, rows: &[WantedRow]) {
        let Some(mut table) = self.table.take() else { return };
        let answers = self.answers(&mut table, rows);
        self.table = Some(table);
        let at = self.soon(WAY);
        self.plan(at, Event::RowsAnswered(writer, batch, Box::new(answers)));
    }

    fn answers(&mut self, table: &mut TableWorld, rows: &[WantedRow]) -> RowAnswers {
        let trouble = self.now.since_start() < TROUBLE;
        let mut answers = RowAnswers::default();
        let away = within(table.away, self.now) || (trouble && self.rng.random_bool(0.05));
        // Of a question that fails in its middle, some rows are answered.
        let answered = match (away, trouble && self.rng.random_bool(0.05)) {
            (true, _) => 0,
            (false, true) => self.rng.random_range(0..=rows.len()),
            (false, false) => rows.len(),
        };
        for wanted in &rows[..answered] {
            let row = wanted.row;
            if trouble && self.rng.random_bool(0.03) {
                answers.refused.push((row, "in a simulation".into()));
                continue;
            }
            let answer = table.contacts.row(row.contact).map_or(RowAnswer::Gone, |shown| RowAnswer::Shown {
                change: Box::new(shown.change()),
                read: self.wall(self.now),
            });
            table.ledger.report.rows_read += 1;
            answers.rows.push((row, answer));
        }
        if answered < rows.len() {
            table.ledger.report.unanswered += 1;
            let asks = self.rng.random_bool(0.3);
            let retry_after = asks.then(|| Duration::from_secs(self.rng.random_range(1..ASKED)));
            answers.failure = Some(ReadFailure { retry_after, text: "in a simulation".into() });
        }
        answers
    }

    /// A replica hears the answers, and plans anew what has all of them.
    pub(in super::super) fn rows_answered(&mut self, writer: Writer, batch: u64, answers: RowAnswers) {
        let (now, jitter) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        let ready = replica.tell(now, |engine, time| engine.rows_read(batch, answers, time, jitter));
        for lock in ready {
            self.plan_by_rows(writer, lock);
        }
        self.turn_at(writer, now);
    }

    fn plan_by_rows(&mut self, writer: Writer, lock: LockToken) {
        let (now, jitter) = (self.now, self.rng.random());
        let handed = self.table.as_ref().and_then(|table| table.handed.get(&lock).copied());
        let (Some((posted, arrival)), Some(replica)) = (handed, self.alive(writer)) else { return };
        let rows = replica.engine().rows(lock);
        let intake = self.planned_from_table(posted, &rows);
        if let (Intake::Work(planned, _), Some(table)) = (&intake, &mut self.table) {
            let rows = planned.iter().filter(|planned| planned.read.is_some());
            for version in rows.filter_map(|planned| planned.version?.row) {
                table.ledger.read(arrival, version.number);
            }
        }
        if let Some(replica) = self.alive(writer) {
            replica.tell(now, |engine, time| engine.replanned(lock, intake, time, jitter));
        }
    }
}
