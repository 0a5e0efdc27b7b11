//! Looks for the endpoint, its steps and their jobs.

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use servicebus::clock;

use super::explain::told;
use crate::{
    commands::status,
    dataverse::{Client, Destination, EndpointStep, Job, JobState, Match, NAME, ServiceEndpoint, Wanted},
    identity::Clients,
    settings::{QueueAndDataverse, Settings},
};

/// Most jobs of one step that are looked at, of those that failed and of those that are not over.
const MOST: usize = 10_000;
/// A job that has not begun by then does not only wait for its turn.
const PROMPT: Duration = Duration::from_mins(10);

/// What was found.
pub(super) struct Findings {
    /// Endpoints that are ours, and by what.
    pub(super) endpoints: Vec<(ServiceEndpoint, Match)>,
    /// Their steps.
    pub(super) steps: Vec<EndpointStep>,
    /// Jobs of those, each with the place of its step.
    pub(super) jobs: Vec<(usize, Job)>,
    /// Whether there are more than were looked at.
    pub(super) more: bool,
}

pub(super) async fn look(
    settings: &Settings<QueueAndDataverse>,
    client: &Client,
    since: Duration,
    failed_only: bool,
) -> anyhow::Result<Findings> {
    let now = clock::now();
    let since = now.checked_sub(since).context("--since goes back too far")?;
    let destination =
        Destination::of(&settings.bus).context("messages come from no namespace of Service Bus")?;
    let endpoints = destination.endpoints(client).await.map_err(told)?;
    if endpoints.is_empty() {
        bail!(
            "no service endpoint of dataverse posts to {} at {}, and none is called {NAME}: nothing is registered, or in \
             another environment, or the role lacks prvReadServiceEndpoint (contactsync dataverse check tells)",
            destination.entity,
            destination.host
        );
    }
    let mut findings = Findings { endpoints, steps: Vec::new(), jobs: Vec::new(), more: false };
    for (endpoint, _) in &findings.endpoints {
        findings.steps.extend(client.steps(endpoint.id).await.map_err(told)?);
    }
    let wanted: &[Wanted] =
        if failed_only { &[Wanted::Failed] } else { &[Wanted::Failed, Wanted::Unfinished] };
    for (place, step) in findings.steps.iter().enumerate() {
        for wanted in wanted {
            let (jobs, more) = client.jobs(step.id, *wanted, since, MOST).await.map_err(told)?;
            findings.more |= more;
            findings.jobs.extend(jobs.into_iter().filter(|job| is_due(job, now)).map(|job| (place, job)));
        }
    }
    Ok(findings)
}

/// Whether a job is worth telling: what has only just begun is as it should be.
fn is_due(job: &Job, now: Timestamp) -> bool {
    let old = now.duration_since(job.created).unsigned_abs() > PROMPT;
    match job.state() {
        JobState::Failed | JobState::Waiting => true,
        JobState::Ready | JobState::Running => old,
        JobState::Cancelled | JobState::Other => false,
    }
}

/// When a worker has last received a message, as far as one tells; `Err` says why nobody knows.
pub(super) async fn last_received(
    settings: &Settings<QueueAndDataverse>,
    clients: &Clients,
) -> Result<Option<String>, String> {
    let worker = status::worker(settings, None, clients.clone()).map_err(|error| error.to_string())??;
    Ok(worker.ask().await?.last_received)
}
