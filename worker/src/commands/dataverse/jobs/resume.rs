//! Lets waiting jobs run at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::dataverse::{Client, Error, Job, JobState, Resumed};

/// Time between two jobs. Each posts a message, and whatever was wrong may be wrong still.
const PAUSE: Duration = Duration::from_millis(200);

/// What became of the waiting jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resumption {
    /// Whether it was done, and not only told.
    pub(super) done: bool,
    /// How many wait.
    pub(super) waiting: usize,
    /// How many of them run now.
    pub(super) resumed: usize,
    /// How many waited no more.
    pub(super) quicker: usize,
}

/// Resumes the oldest first, if that is wanted; else counts them. The first that fails ends it.
pub(super) async fn resume(client: &Client, jobs: &[(usize, Job)], yes: bool) -> Result<Resumption, Error> {
    let mut waiting: Vec<_> =
        jobs.iter().map(|(_, job)| job).filter(|job| job.state() == JobState::Waiting).collect();
    waiting.sort_by_key(|job| job.created);
    let mut told = Resumption { done: yes, waiting: waiting.len(), ..Resumption::default() };
    if !yes {
        return Ok(told);
    }
    for job in waiting {
        let next = Instant::now() + PAUSE;
        match client.resume(job.id).await? {
            Resumed::Yes => told.resumed += 1,
            Resumed::NotWaiting => told.quicker += 1,
        }
        sleep_until(next).await;
    }
    Ok(told)
}
