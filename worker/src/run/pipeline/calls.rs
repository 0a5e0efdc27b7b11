//! lane → apply: the calls to Graph that are made beside the pipeline. Writes, and second looks at what another replica may have
//! undone.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use servicebus::Queue;
use shared::{
    engine::{LookResult, WriteResult},
    ids::UserId,
    lanes::Success,
    patch::UserWrite,
    property::Property,
    reason::chain,
};
use tokio::{task::JoinError, time::Instant};

use super::{
    Pipeline, WriteAnswer, WriteEnded, audit, jitter, panicked,
    told::{self, ToldWrite},
};
use crate::{
    graph::{self, Directory, GracePeriods},
    journal::{self, GraphCall, WriteEnd},
    telemetry::{
        labels::PauseCause,
        last_error::FailedCall,
        observer::Written,
        trace::{Tracer, WriteTrace},
    },
};

impl<Q: Queue + ?Sized, D: Directory> Pipeline<Q, D> {
    /// lane → apply: one write, beside everything else. It begins when the journal has it.
    pub(super) fn apply(&mut self, write: UserWrite, changes: usize) {
        let (directory, patience) = (Arc::clone(&self.directory), self.policy.patience);
        let trace = self.trace_write(write.user);
        let told = self.tell_write(&write);
        let audited = self.observer.audits();
        self.writes.push(Box::pin(async move {
            if let Some(told) = &told {
                told.kept().await;
            }
            let (user, begun) = (write.user, Instant::now());
            let apply = AssertUnwindSafe(directory.apply(&write)).catch_unwind();
            let call = async {
                match trace {
                    Some(trace) => trace.around(user, changes, apply, failure_of).await,
                    None => apply.await,
                }
            };
            let (applied, calls) = if audited || told.is_some() {
                journal::gathering(told.as_ref().map(|told| told.ids), call).await
            } else {
                (call.await, Vec::new())
            };
            if audited && let Ok(Ok(success)) = &applied {
                audit::written(&write, success, &calls);
            }
            if matches!(applied, Ok(Err(graph::Error::NotWriter))) {
                // It may have looked before, and a call may have been refused for its token.
                tell_end(told, || WriteEnd::NotBegun, calls);
                return WriteEnded::NotBegun(user);
            }
            let (result, cause, failed) = judged(applied, &write, patience);
            tell_end(told, || WriteEnd::of(&result), calls);
            let accepted = result.as_ref().is_ok_and(|applied| applied.written);
            let written = Written { changes, accepted, took: begun.elapsed() };
            WriteEnded::Answered(user, WriteAnswer { written, result, cause, failed })
        }));
    }

    /// The span of a write, if one of its messages is traced.
    fn trace_write(&mut self, user: UserId) -> Option<WriteTrace> {
        self.observer.tracer.as_ref()?;
        let under_way: Vec<_> = self.engine.under_way(user).collect();
        let take = |lock| Some((lock, self.engine.message_mut(lock)?.trace.take()?));
        let (locks, mut traces): (Vec<_>, Vec<_>) = under_way.into_iter().filter_map(take).unzip();
        let write = Tracer::write(&mut traces);
        for (lock, trace) in locks.into_iter().zip(traces) {
            if let Some(message) = self.engine.message_mut(lock) {
                message.trace = Some(trace);
            }
        }
        write
    }

    /// Tells the journal of a write that is going to begin.
    fn tell_write(&mut self, write: &UserWrite) -> Option<ToldWrite> {
        self.observer.journal.as_ref()?;
        let under_way: Vec<_> = self.engine.under_way(write.user).collect();
        let sequence = |lock| Some(self.engine.message_mut(lock)?.message.sequence);
        ToldWrite::begin(&self.observer, write, under_way.into_iter().filter_map(sequence))
    }

    /// A second look at a user, for a write that another replica may have undone.
    pub(super) fn look(&mut self, write: UserWrite) {
        let (directory, patience) = (Arc::clone(&self.directory), self.policy.patience);
        let observer = Arc::clone(&self.observer);
        self.looks.spawn(async move {
            let user = write.user;
            let verify = AssertUnwindSafe(directory.verify(&write)).catch_unwind();
            let (looked, calls) = journal::gathering(None, verify).await;
            let result = match looked {
                Ok(looked) => looked.map_err(|error| {
                    tracing::debug!(user.id = %user, error = %chain(&error), "a second look failed");
                    error.failure(patience)
                }),
                Err(_) => Err(panicked(patience)),
            };
            observer.note(|| told::looked(user, &result, calls));
            (user, result)
        });
    }

    pub(super) fn look_ended(&mut self, ended: Result<(UserId, LookResult), JoinError>) {
        // As with writes, there is always an answer.
        let Ok((user, result)) = ended else { return };
        if let Ok(undone) = &result
            && !undone.is_empty()
        {
            tracing::info!(user.id = %user, "another replica had undone a newer value; it is written again");
        }
        self.follow_role();
        let now = self.now().moment;
        self.engine.verified(user, result, now, jitter());
    }
}

/// What a write came to, and what is at fault and was answered if it failed.
fn judged(
    applied: std::thread::Result<Result<Success, graph::Error>>,
    write: &UserWrite,
    patience: GracePeriods,
) -> (WriteResult, PauseCause, Option<Box<FailedCall>>) {
    match applied {
        Ok(Ok(applied)) => (Ok(applied), PauseCause::Other, None),
        Ok(Err(error)) => {
            tracing::debug!(user.id = %write.user, error = %chain(&error), "a write failed");
            let properties = write.entries.iter().map(|entry| &entry.property);
            let failed = Some(Box::new(failed_call(&error, properties)));
            (Err(error.failure(patience)), error.pause_cause(), failed)
        }
        Err(_) => (Err(panicked(patience)), PauseCause::Other, None),
    }
}

fn tell_end(told: Option<ToldWrite>, end: impl FnOnce() -> WriteEnd, calls: Vec<GraphCall>) {
    if let Some(told) = told {
        told.ended(end(), calls);
    }
}

/// What was answered to a call that failed, and which properties it was to write.
pub(super) fn failed_call<'p>(
    error: &graph::Error,
    properties: impl IntoIterator<Item = &'p Property>,
) -> FailedCall {
    let answer = error.answer();
    FailedCall {
        status: answer.map(|answer| answer.status),
        code: answer.and_then(|answer| answer.code.clone()),
        text: chain(error).into(),
        properties: properties.into_iter().cloned().collect(),
    }
}

/// Why a write failed, for its span.
fn failure_of(applied: &std::thread::Result<Result<Success, graph::Error>>) -> Option<String> {
    match applied {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(chain(error)),
        Err(_) => Some("a panic".to_owned()),
    }
}
