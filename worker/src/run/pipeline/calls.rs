//! lane → apply: the calls to Graph that are made beside the pipeline. Writes, and second looks at what another replica may have
//! undone.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use servicebus::Queue;
use shared::{
    engine::LookResult, ids::UserId, lanes::Success, patch::UserWrite, property::Property, reason::chain,
};
use tokio::{task::JoinError, time::Instant};

use super::{Pipeline, WriteAnswer, WriteEnded, audit, jitter, panicked, told};
use crate::{
    graph::{self, Directory},
    journal,
    telemetry::{
        labels::PauseCause,
        last_error::FailedCall,
        observer::Written,
        trace::{Tracer, WriteTrace},
    },
};

impl<Q: Queue + ?Sized, D: Directory> Pipeline<Q, D> {
    /// lane → apply: one write, beside everything else.
    pub(super) fn apply(&mut self, write: UserWrite, changes: usize) {
        let (directory, patience) = (Arc::clone(&self.directory), self.policy.patience);
        let trace = self.trace_write(write.user);
        let number = self.tell_write(&write);
        let audited = self.observer.audits();
        self.writes.push(Box::pin(async move {
            let (user, begun) = (write.user, Instant::now());
            let apply = AssertUnwindSafe(directory.apply(&write)).catch_unwind();
            let call = async {
                match trace {
                    Some(trace) => trace.around(user, changes, apply, failure_of).await,
                    None => apply.await,
                }
            };
            let (applied, calls) = if audited || number.is_some() {
                journal::gathering(call).await
            } else {
                (call.await, Vec::new())
            };
            if audited && let Ok(Ok(success)) = &applied {
                audit::written(&write, success, &calls);
            }
            let told = number.map(|number| (number, calls));
            let (mut cause, mut failed) = (PauseCause::Other, None);
            if matches!(applied, Ok(Err(graph::Error::NotWriter))) {
                return WriteEnded::NotBegun(user, number);
            }
            let result = match applied {
                Ok(Ok(applied)) => Ok(applied),
                Ok(Err(error)) => {
                    tracing::debug!(user.id = %user, error = %chain(&error), "a write failed");
                    (cause, failed) = (
                        error.pause_cause(),
                        Some(Box::new(failed_call(
                            &error,
                            write.entries.iter().map(|entry| &entry.property),
                        ))),
                    );
                    Err(error.failure(patience))
                }
                Err(_) => Err(panicked(patience)),
            };
            let accepted = result.as_ref().is_ok_and(|applied| applied.written);
            let written = Written { changes, accepted, took: begun.elapsed() };
            WriteEnded::Answered(user, WriteAnswer { told, written, result, cause, failed })
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

    /// Tells the journal of a write that begins; returns its number there.
    fn tell_write(&mut self, write: &UserWrite) -> Option<u64> {
        let number = self.observer.next_write()?;
        let under_way: Vec<_> = self.engine.under_way(write.user).collect();
        let sequence = |lock| Some(self.engine.message_mut(lock)?.message.sequence);
        let mut messages: Vec<_> = under_way.into_iter().filter_map(sequence).collect();
        // A message about several contacts can mean one user twice.
        messages.sort_unstable();
        messages.dedup();
        self.observer.note(|| told::write_begun(number, write, &messages));
        Some(number)
    }

    /// A second look at a user, for a write that another replica may have undone.
    pub(super) fn look(&mut self, write: UserWrite) {
        let (directory, patience) = (Arc::clone(&self.directory), self.policy.patience);
        let observer = Arc::clone(&self.observer);
        self.looks.spawn(async move {
            let user = write.user;
            let verify = AssertUnwindSafe(directory.verify(&write)).catch_unwind();
            let (looked, calls) = journal::gathering(verify).await;
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
        let now = self.now().moment;
        self.engine.verified(user, result, now, jitter());
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
