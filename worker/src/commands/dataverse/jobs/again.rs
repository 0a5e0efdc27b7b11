//! Contacts of failed jobs, read anew and sent to the queue as changes. The row is the truth: whatever the lost messages
//! said, it holds the outcome of all of them.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use bytes::Bytes;
use servicebus::Outgoing;
use shared::{
    change::Operation,
    ids::{ContactId, OrganizationId},
    plan::{LinkRule, Planner},
};
use uuid::Uuid;

use super::explain::told;
use crate::{
    commands::{queues::failed, wiring},
    dataverse::{Client, ContactRow, ContextWriter, Job, JobState},
    envelope,
    identity::Clients,
    settings::{QueueAndDataverse, Settings, check::EntityUse},
};

const CONTACT: &str = "contact";

/// What is to be sent, and what is not.
#[derive(Debug, Default)]
pub(super) struct Plan {
    bodies: Vec<(ContactId, Vec<u8>)>,
    counts: Sent,
}

/// What became of the contacts of failed jobs.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Whether it was done, and not only told.
    pub(super) done: bool,
    /// Failed jobs whose contacts these are.
    pub(super) jobs: usize,
    /// Contacts to send, with the id of the message if it was sent.
    pub(super) contacts: Vec<(ContactId, Option<Uuid>)>,
    /// Contacts that are there no more.
    pub(super) gone: usize,
    /// Contacts that have no user.
    pub(super) unlinked: usize,
    /// Jobs that are about no contact.
    pub(super) others: usize,
    /// Contacts of which no message can be made, and why.
    pub(super) unfit: Vec<(ContactId, String)>,
    /// Columns that are told by a text in the language of the application user.
    pub(super) labelled: Vec<Box<str>>,
}

impl Plan {
    /// What would be sent.
    pub(super) fn only_told(self) -> Sent {
        self.counts
    }
}

/// Reads the contacts of failed jobs. Nothing is sent.
pub(super) async fn plan(
    settings: &Settings<QueueAndDataverse>,
    client: &Client,
    organization: OrganizationId,
    jobs: &[(usize, Job)],
) -> anyhow::Result<Plan> {
    let planner = &settings.planner;
    if !planner.filter.operations.contains(&Operation::Update) {
        bail!("filter.operations leaves out update, so that what is sent again would be passed over");
    }
    let failed = jobs.iter().map(|(_, job)| job).filter(|job| job.state() == JobState::Failed);
    let (about, others): (Vec<_>, Vec<_>) = failed.partition(|job| {
        job.regarding.is_some() && job.table.as_deref().is_none_or(|table| table == CONTACT)
    });
    let mut plan = Plan::default();
    (plan.counts.jobs, plan.counts.others) = (about.len(), others.len());
    let ids: BTreeSet<Uuid> = about.iter().filter_map(|job| job.regarding).collect();
    if ids.is_empty() {
        return Ok(plan);
    }
    let columns = client.columns(CONTACT).await.map_err(told)?;
    let writer = ContextWriter::new(organization, &planner.columns(), &columns)
        .context("contacts cannot be sent again by these settings")?;
    plan.counts.labelled =
        writer.labelled().filter(|column| by_label(planner, column)).map(Into::into).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let rows: Vec<ContactRow> =
        client.rows_by_id("contacts", "contactid", &ids, &writer.select()).await.map_err(told)?;
    plan.counts.gone = ids.len().saturating_sub(rows.len());
    for row in rows {
        plan.add(&row, &writer, planner);
    }
    Ok(plan)
}

impl Plan {
    fn add(&mut self, row: &ContactRow, writer: &ContextWriter, planner: &Planner) {
        let Some(contact) = ContextWriter::contact(row) else { return };
        // A contact without a user needs no message, and many such messages would look like a wrong link.
        let by_link = !planner.rules.iter().any(|rule| matches!(rule, LinkRule::Attribute(_)));
        if by_link && writer.is_empty(row, planner.link_columns()) {
            self.counts.unlinked += 1;
            return;
        }
        match writer.body(row) {
            Ok(body) => {
                self.bodies.push((contact, body));
                self.counts.contacts.push((contact, None));
            }
            Err(error) => self.counts.unfit.push((contact, error.to_string())),
        }
    }
}

/// Whether the text of a choice is written somewhere.
fn by_label(planner: &Planner, column: &str) -> bool {
    let mut rows = planner.mapping.rows().iter();
    rows.any(|row| row.choices.is_none() && row.source.columns().any(|source| source == column))
}

/// Sends what is planned, one after another.
pub(super) async fn send(
    settings: &Settings<QueueAndDataverse>,
    clients: &Clients,
    plan: Plan,
) -> anyhow::Result<Sent> {
    let mut sent = Sent { done: true, ..plan.counts };
    if plan.bodies.is_empty() {
        return Ok(sent);
    }
    let queue = wiring::queue_without_intake(&wiring::queue_settings(settings, clients))?;
    let target = settings.planner.addressee.as_ref().map(|addressee| &addressee.own);
    let all = plan.bodies.len();
    for (place, (contact, body)) in plan.bodies.into_iter().enumerate() {
        let id = Uuid::new_v4();
        let message = Outgoing {
            message_id: Some(id.to_string().as_str().into()),
            content_type: Some("application/json".into()),
            body: Bytes::from(body),
            ..Outgoing::default()
        };
        if let Err(error) = queue.send(envelope::addressed(message, target)).await {
            queue.close().await;
            let done = format!("contact {contact} was not sent; {place} of {all} were before it");
            return Err(failed(&error, &EntityUse::copies(&settings.bus)).context(done));
        }
        sent.contacts[place].1 = Some(id);
    }
    queue.close().await;
    Ok(sent)
}
