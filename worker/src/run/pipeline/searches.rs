//! Who is meant by a message that does not say it by an object id: Graph is asked, and the message planned anew.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use servicebus::{Queue, times::ClockReading};
use shared::{
    class::Class,
    engine::{Intake, SearchResult},
    gate::State,
    ids::LockToken,
    lanes::Failure,
    outcome::Outcome,
    plan::{LinkQuery, RowGrounds},
    reason::{DeadLetterReason, chain},
};
use tokio::task::JoinError;

use super::{Asked, Pipeline, calls::failed_call, jitter, meant, panicked, told};
use crate::{
    graph::{Directory, LinkAnswers, find_all},
    preview::{Subjects, judge::judge},
    run::now::Now,
    telemetry::labels::PauseCause,
};

impl<Q: Queue + ?Sized, D: Directory> Pipeline<Q, D> {
    /// Asks, beside everything else.
    pub(super) fn find(&mut self, lock: LockToken, queries: Vec<LinkQuery>) {
        let directory = Arc::clone(&self.directory);
        self.searches.spawn(async move {
            let asked = AssertUnwindSafe(find_all(&*directory, queries)).catch_unwind().await;
            (lock, asked.ok())
        });
    }

    /// Graph has answered, or not.
    pub(super) fn found(&mut self, ended: Result<Asked, JoinError>) {
        // As with writes, there is always an answer.
        let Ok((lock, asked)) = ended else { return };
        let (now, mut cause) = (self.now(), PauseCause::Other);
        let result = match asked {
            Some(Ok(answers)) => self.planned_anew(lock, answers, now),
            Some(Err(unanswered)) => {
                let error = &unanswered.error;
                let subjects = self.engine.message_mut(lock).map(|held| &held.subjects);
                tracing::debug!(
                    contact.id = subjects.and_then(Subjects::contact_text),
                    job.id = subjects.and_then(Subjects::job_text), error = %chain(error), "it could not be found out who is meant",
                );
                cause = error.pause_cause();
                self.observer.failing(&failed_call(error, []));
                Err(unanswered.failure())
            }
            None => Err(panicked(self.policy.patience)),
        };
        let failed = result.is_err();
        self.engine.found(lock, result, now.moment, jitter());
        if failed && self.engine.state(now.moment) == State::Paused {
            self.state.fault(&self.engine, cause);
        }
    }

    /// What the message asks for by these answers. A user who is not there may be too new.
    fn planned_anew(&mut self, lock: LockToken, answers: LinkAnswers, now: Now) -> SearchResult {
        let Now { instant, moment, wall } = now;
        let there = self.observer.times.at_service_bus(ClockReading { instant, wall });
        let rows = self.engine.rows(lock);
        self.policy.planner.known.learn(&answers);
        let planner = &mut self.policy.planner;
        // Whether images show the link has no say here: there is a rule that asks.
        let reading = RowGrounds { rows: &rows, ..RowGrounds::default() };
        // If its lock was lost meanwhile, nobody asks what becomes of it.
        let intake = self.engine.message_mut(lock).map_or(Intake::Settle(Outcome::Released), |held| {
            let intake = judge(self.read, &held.message, planner, reading, there, &mut |_| {}).intake;
            held.subjects.found(meant(&intake));
            self.observer.note(|| told::found(held.message.sequence, &held.subjects.users));
            intake
        });
        planner.known.settle(answers, moment);
        match intake {
            Intake::Settle(Outcome::DeadLettered(letter))
                if letter.reason == DeadLetterReason::UserNotFound =>
            {
                let grace = Some(self.policy.patience.not_found);
                Err(Failure { class: Class::Transient, dead_letter: letter, grace, suspicion: None })
            }
            intake => Ok(intake),
        }
    }
}
