//! Messages that do not say enough, or may be old: the row of their contact is read in Dataverse, and the message planned
//! anew by it. Nobody else waits for that.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use servicebus::{Message, Queue, times::ClockReading};
use shared::{
    engine::{Intake, ReadFailure, RowAnswers},
    ids::LockToken,
    outcome::Outcome,
    plan::{KnownRows, RowAnswer, RowGrounds, RowId, WantedRow},
};
use tokio::{task::JoinError, time::sleep};

use super::{Pipeline, RowsEvent, jitter, meant, told};
use crate::{
    dataverse::{RowSeen, RowSource, RowsSeen, RowsUnreadable, retry_after},
    envelope::DeliveryHistory,
    graph::Directory,
    preview::judge::judge,
    run::now::Now,
    telemetry::{
        health::HealthFault,
        labels::{Dependency, Warning, Worked},
    },
};

/// How long the columns are left alone of which no message can be made. Then somebody may have mended them.
const REST: Duration = Duration::from_mins(10);

const UNFIT: &str = "take the column out of the mapping, or take its column security off; without rows, such messages become dead \
                     letters as if there were no [dataverse]; contactsync dataverse check tells more";

impl<Q: Queue + ?Sized, D: Directory> Pipeline<Q, D> {
    /// The same, with rows of Dataverse to ask for.
    #[must_use]
    pub(crate) fn with_rows(mut self, source: Option<RowSource>) -> Self {
        self.rows = source.map(Arc::new);
        self.prepare_rows(Duration::ZERO);
        self
    }

    /// Finds out whether rows can be read, beside everything else.
    pub(super) fn prepare_rows(&mut self, wait: Duration) {
        let Some(source) = self.rows.clone() else { return };
        self.reads.spawn(async move {
            sleep(wait).await;
            RowsEvent::Prepared(source.prepare().await)
        });
    }

    /// By what a message is to be judged besides what it says.
    pub(super) fn reading<'r>(&self, message: &Message, rows: &'r KnownRows) -> RowGrounds<'r> {
        let planner = &self.policy.planner;
        let images_show_link =
            planner.read_back && self.link.shows_link(planner, DeliveryHistory::of(message).arrival);
        RowGrounds { images_show_link, rows, ..RowGrounds::default() }
    }

    /// Asks, beside everything else.
    pub(super) fn read_rows(&mut self, batch: u64, rows: Vec<WantedRow>) {
        for wanted in &rows {
            self.observer.metrics.rows_asked.of(wanted.cause).add(1);
        }
        let source = self.rows.clone();
        self.reads.spawn(async move {
            let ids: Vec<_> = rows.iter().map(|wanted| wanted.row).collect();
            let read = match source {
                Some(source) => AssertUnwindSafe(source.read(&ids)).catch_unwind().await.ok(),
                // Nobody asks without a source.
                None => None,
            };
            RowsEvent::Read { batch, rows, read }
        });
    }

    /// Dataverse has answered, or not.
    pub(super) fn rows_event(&mut self, event: Result<RowsEvent, JoinError>) {
        match event {
            Ok(RowsEvent::Prepared(prepared)) => self.rows_prepared(prepared),
            Ok(RowsEvent::Read { batch, rows, read }) => self.rows_read(batch, &rows, read),
            // As with writes, there is always an answer.
            Err(_) => {}
        }
    }

    fn rows_prepared(&mut self, prepared: Result<(), RowsUnreadable>) {
        match prepared {
            Ok(()) => self.take_up_reading(),
            Err(error @ RowsUnreadable::Unfit(_)) => self.give_up_reading(&error),
            // Whoever needs a row finds out anew.
            Err(error) => tracing::warn!(error = error.explained(), "rows of dataverse cannot be read yet"),
        }
    }

    fn take_up_reading(&mut self) {
        if !self.policy.planner.read_back {
            self.policy.planner.read_back = true;
            self.observer.health.warn(Warning::RowsUnfit, None);
            tracing::info!("rows of dataverse are read again where a message does not say enough");
        }
    }

    /// No row is read as long as one could show as empty what is only hidden.
    fn give_up_reading(&mut self, error: &RowsUnreadable) {
        if self.policy.planner.read_back {
            let text = error.explained();
            tracing::warn!(error = text, "rows of dataverse are not read; {UNFIT}");
            self.policy.planner.read_back = false;
            self.observer.health.warn(Warning::RowsUnfit, Some(HealthFault { text, remedy: UNFIT }));
            self.prepare_rows(REST);
        }
    }

    fn rows_read(
        &mut self,
        batch: u64,
        wanted: &[WantedRow],
        read: Option<Result<RowsSeen, RowsUnreadable>>,
    ) {
        let now = self.now();
        if matches!(&read, Some(Ok(seen)) if seen.failed.is_none()) {
            self.observer.metrics.successes.note(Dependency::Dataverse);
        }
        let answers = self.answers(wanted, read, now);
        let worked = if answers.failure.is_none() { Worked::Yes } else { Worked::No };
        self.observer.metrics.row_questions.of(worked).add(1);
        if let Some(failure) = &answers.failure {
            tracing::warn!(
                error = &*failure.text,
                "rows of dataverse could not be read; their messages wait"
            );
        }
        for lock in self.engine.rows_read(batch, answers, now.moment, jitter()) {
            let intake = self.planned_by_rows(lock, now);
            self.engine.replanned(lock, intake, now.moment, jitter());
        }
    }

    fn answers(
        &mut self,
        wanted: &[WantedRow],
        read: Option<Result<RowsSeen, RowsUnreadable>>,
        now: Now,
    ) -> RowAnswers {
        let clock = ClockReading { instant: now.instant, wall: now.wall };
        let at = self.observer.times.at_service_bus(clock);
        let answer = |(row, seen): (RowId, RowSeen)| {
            let answer = match seen {
                RowSeen::Shown(change) => RowAnswer::Shown { change, read: at },
                RowSeen::Gone => RowAnswer::Gone,
                RowSeen::Unknown => RowAnswer::Unknown,
            };
            (row, answer)
        };
        match read {
            Some(Ok(RowsSeen { rows, refused, failed })) => RowAnswers {
                rows: rows.into_iter().map(answer).collect(),
                refused: refused.into_iter().map(told_refused).collect(),
                failure: failed.map(|error| ReadFailure {
                    retry_after: retry_after(&error),
                    text: error.explained().into(),
                }),
            },
            Some(Err(error @ RowsUnreadable::Unfit(_))) => {
                self.give_up_reading(&error);
                let rows = wanted.iter().map(|wanted| (wanted.row, RowAnswer::Unknown)).collect();
                RowAnswers { rows, ..RowAnswers::default() }
            }
            Some(Err(error)) => failed(error.retry_after(), &error.explained()),
            None => failed(None, "contactsync failed on it; report it with the log of this moment"),
        }
    }

    /// What a message asks for, by all that is known of its rows.
    fn planned_by_rows(&mut self, lock: LockToken, now: Now) -> Intake {
        let there = self.observer.times.at_service_bus(ClockReading { instant: now.instant, wall: now.wall });
        let rows = self.engine.rows(lock);
        // If its lock was lost meanwhile, nobody asks what becomes of it.
        let Some(held) = self.engine.message_mut(lock) else { return Intake::Settle(Outcome::Released) };
        let message = held.message.clone();
        let reading = self.reading(&message, &rows);
        let judged = judge(self.read, &message, &self.policy.planner, reading, there, &mut |_| {});
        let intake = self.link.admit(judged.intake, judged.history.arrival);
        if let Some(held) = self.engine.message_mut(lock) {
            held.subjects.found(meant(&intake));
            let users = &held.subjects.users;
            self.observer.note(|| told::found(message.sequence, users));
        }
        intake
    }
}

fn failed(retry_after: Option<Duration>, text: &str) -> RowAnswers {
    RowAnswers { failure: Some(ReadFailure { retry_after, text: text.into() }), ..RowAnswers::default() }
}

fn told_refused((row, why): (RowId, String)) -> (RowId, Box<str>) {
    tracing::warn!(
        contact.id = %row.contact, why,
        "the row of a contact is refused while others are shown; its messages come back later"
    );
    (row, why.into())
}
