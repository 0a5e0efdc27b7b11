//! `verify --fire`: one contact is written without being changed, and followed from Dataverse to its user.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use servicebus::{Message, Queue, clock, last};
use shared::{
    ids::{ContactId, SequenceNumber},
    shown::Shown,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::ground::{Ground, failed};
use crate::{
    commands::{print_words, wiring},
    dataverse::{Column, ContactRow, ContextWriter, JobState, Wanted, registration::Found},
    graph::GraphClient,
    preview::{Compared, Preview},
    settings::{GraphAlone, Settings, check::EntityUse},
};

/// In front of what marks our own write. Dataverse passes it on in the message.
const TAG: &str = "contactsync-test";
/// Types of columns whose value can be written back as it was read.
const PLAIN: [&str; 4] = ["String", "Memo", "Boolean", "Integer"];
/// Between looks at jobs and users. The queue is looked at all the time: a worker takes a message within moments.
const PAUSE: Duration = Duration::from_millis(500);
const MOST_JOBS: usize = 50;
/// Messages of one look.
const PAGE: u32 = 100;

/// What was seen of the message, and when, counted from the write.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    contact: String,
    column: String,
    tag: String,
    /// How long the write took.
    written: Duration,
    /// When a job of the contact was seen.
    job: Option<Duration>,
    /// Why the job failed.
    job_failed: Option<String>,
    /// When the message was seen, and its number.
    message: Option<(Duration, SequenceNumber)>,
    /// When it was gone from the queue.
    taken: Option<Duration>,
    /// When the user was seen to hold what the contact holds.
    user: Option<Duration>,
    /// Why nothing can be said about the user.
    no_user: Option<String>,
}

impl Trail {
    /// Whether it is certain that the message came through. A job that was seen and is gone has posted its message.
    pub(super) fn arrived(&self) -> bool {
        let posted = self.message.is_some() || self.job.is_some();
        posted && self.job_failed.is_none() && self.taken.is_some() && self.user.is_some()
    }

    /// The same for machines, in milliseconds after the write.
    pub(super) fn json(&self) -> Value {
        let after = |time: Option<Duration>| time.map(millis);
        json!({
            "contact": self.contact, "column": self.column, "tag": self.tag, "arrived": self.arrived(),
            "writtenMs": millis(self.written), "jobMs": after(self.job), "jobFailed": self.job_failed,
            "messageMs": after(self.message.map(|(at, _)| at)), "sequence": self.message.map(|(_, number)| number.0),
            "takenMs": after(self.taken), "userMs": after(self.user), "noUser": self.no_user,
        })
    }

    /// What was not seen, and what it means. What was seen has been told already.
    fn rest(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, seen: bool, told: &str| {
            if !seen {
                text.push_str(&row(what, told));
            }
        };
        let job = self.job_failed.as_deref().unwrap_or("not seen; most are gone before they can be");
        line("job", self.job.is_some() && self.job_failed.is_none(), job);
        line("message", self.message.is_some(), "not seen in the queue");
        let waits = "not seen to be taken; is a worker running? contactsync status tells";
        line("taken", self.taken.is_some(), waits);
        let user = self.no_user.as_deref().unwrap_or("does not hold what the contact holds");
        line("user", self.user.is_some(), user);
        text.push_str(self.verdict());
        text.push('\n');
        text
    }

    fn verdict(&self) -> &'static str {
        if self.arrived() {
            "It arrived."
        } else if self.job_failed.is_some() {
            "Dataverse could not post it; contactsync dataverse jobs tells more."
        } else if self.message.is_none() && self.job.is_none() {
            "Whether it arrived is not certain: either the worker was quicker than the look, or no step has fired. Stop the \
             worker for a moment and fire again: then the message stays in the queue."
        } else if self.taken.is_none() {
            "It came to the queue, and nobody has taken it."
        } else {
            "It was taken, and the user is not as the contact; contactsync status and dead-letters list tell more."
        }
    }
}

fn row(what: &str, told: &str) -> String {
    format!("{what:9}{}\n", Shown(told))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn after(time: Duration) -> String {
    format!("after {:.1} s", time.as_secs_f64())
}

/// Writes and follows, for so long at most.
pub(super) async fn fire(
    ground: &Ground,
    found: &Found,
    contact: ContactId,
    (directory, patience): (&Settings<GraphAlone>, Duration),
    quiet: bool,
) -> anyhow::Result<Trail> {
    let clients = wiring::clients(&ground.settings.connection)?;
    let queue = wiring::queue_without_intake(&wiring::queue_settings(&ground.settings, &clients))?;
    let columns = ground.client.columns("contact").await.map_err(failed)?;
    let from = last(&*queue).await.map_err(|error| {
        crate::commands::queues::failed(&error, &EntityUse::intake(&ground.settings.bus))
            .context("the queue cannot be looked at")
    })?;
    let began = clock::now();
    let mut chase = Chase {
        ground,
        queue,
        directory: wiring::directory(directory, clients),
        steps: found.steps.iter().map(|step| step.id).collect(),
        contact,
        from: SequenceNumber(from.map_or(0, |last| last.0.saturating_add(1))),
        // Clocks differ; a job of the hour before that is not ours would have to be of the same contact.
        since: began.checked_sub(jiff::SignedDuration::from_mins(5)).unwrap_or(began),
        before: BTreeSet::new(),
        start: Instant::now(),
        trail: Trail { contact: contact.to_string(), ..Trail::default() },
        quiet,
    };
    chase.before = chase.jobs().await?.into_iter().map(|(id, _)| id).collect();
    chase.write(&columns).await?;
    chase.follow(patience).await?;
    chase.compare(&columns, patience).await?;
    chase.queue.close().await;
    if !quiet {
        print_words(&chase.trail.rest())?;
    }
    Ok(chase.trail)
}

/// A message that is followed.
struct Chase<'g> {
    ground: &'g Ground,
    queue: Arc<dyn Queue>,
    directory: GraphClient,
    steps: Vec<Uuid>,
    contact: ContactId,
    from: SequenceNumber,
    since: jiff::Timestamp,
    /// Jobs that were there before.
    before: BTreeSet<Uuid>,
    start: Instant,
    trail: Trail,
    /// Whether nothing is told on the way.
    quiet: bool,
}

impl Chase<'_> {
    /// Tells what was just seen.
    fn say(&self, what: &str, told: &str) -> anyhow::Result<()> {
        if self.quiet { Ok(()) } else { print_words(&row(what, told)) }
    }

    /// Writes one column as it is, if the row is still as it was read: an older value must not come back.
    async fn write(&mut self, columns: &[Column]) -> anyhow::Result<()> {
        let is_plain = |name: &&str| {
            let found = columns.iter().find(|column| &*column.logical_name == *name);
            found.is_some_and(|column| PLAIN.contains(&&*column.attribute_type))
        };
        let mapping = &self.ground.settings.planner.mapping;
        let mapped = mapping.rows().iter().flat_map(shared::mapping::MappingRow::columns);
        let links: BTreeSet<_> = self.ground.settings.planner.link_columns().collect();
        let plain: Vec<_> = mapped.filter(|name| !links.contains(name)).filter(is_plain).collect();
        if plain.is_empty() {
            bail!(
                "no mapped column is plain text, a number or yes and no, which can be written as it was read"
            );
        }
        let query = format!("contacts({})?$select={}", self.contact, plain.join(","));
        let row: Map<String, Value> = self.ground.client.row(&query).await.map_err(failed)?;
        let filled = plain.iter().find(|name| row.get(**name).is_some_and(|value| !value.is_null()));
        let column = *filled.with_context(|| {
            format!("contact {} has no value in {}; take another one", self.contact, plain.join(", "))
        })?;
        let etag =
            row.get("@odata.etag").and_then(Value::as_str).context("the contact came without its version")?;
        let tag = format!("{TAG}-{}", Uuid::new_v4().simple());
        let body = json!({ column: row[column] });
        self.start = Instant::now();
        self.ground.client.touch("contacts", self.contact.0, etag, &tag, &body).await.map_err(failed)?;
        self.trail.written = self.start.elapsed();
        column.clone_into(&mut self.trail.column);
        self.trail.tag = tag;
        let told = format!(
            "{column} of contact {}, with its present value, {}",
            self.contact,
            after(self.trail.written)
        );
        self.say("written", &told)
    }

    /// Follows the message until it is gone from the queue, its job has failed, or nothing is to be seen for too long.
    async fn follow(&mut self, patience: Duration) -> anyhow::Result<()> {
        let mut next_look = Instant::now();
        while self.start.elapsed() < patience {
            self.look_for_message().await?;
            if self.trail.taken.is_some() || self.trail.job_failed.is_some() {
                break;
            }
            if Instant::now() >= next_look {
                self.look_at_jobs().await?;
                next_look = Instant::now() + PAUSE;
            }
        }
        Ok(())
    }

    async fn look_for_message(&mut self) -> anyhow::Result<()> {
        let from = self.trail.message.map_or(self.from, |(_, number)| number);
        let page = self.queue.peek(from, PAGE).await.context("the queue cannot be looked at")?;
        let messages = page.iter().map(|peeked| &peeked.message);
        if let Some((_, number)) = self.trail.message {
            let is_gone = messages.into_iter().all(|message| message.sequence != number);
            return if is_gone { self.take(self.start.elapsed()) } else { Ok(()) };
        }
        let tag = self.trail.tag.as_bytes();
        let is_ours = |message: &&Message| {
            let body = message.body.as_deref().unwrap_or_default();
            body.windows(tag.len()).any(|window| window == tag)
        };
        if let Some(message) = messages.into_iter().find(is_ours) {
            let at = self.start.elapsed();
            self.trail.message = Some((at, message.sequence));
            return self.say("message", &format!("{}, number {}", after(at), message.sequence));
        }
        // Others may come in front of it.
        if let Some(last) = page.last().filter(|_| page.len() >= PAGE as usize) {
            self.from = SequenceNumber(last.message.sequence.0.saturating_add(1));
        }
        Ok(())
    }

    async fn look_at_jobs(&mut self) -> anyhow::Result<()> {
        let jobs: Vec<_> =
            self.jobs().await?.into_iter().filter(|(id, _)| !self.before.contains(id)).collect();
        let now = self.start.elapsed();
        self.trail.job_failed = jobs.iter().find_map(|(_, failed)| failed.clone());
        if jobs.is_empty() && self.trail.job.is_some() && self.trail.message.is_none() {
            // It has posted its message, which was taken before anybody could look.
            self.take(now)?;
        }
        if !jobs.is_empty() && self.trail.job.is_none() {
            self.trail.job = Some(now);
            self.say("job", &after(now))?;
        }
        Ok(())
    }

    fn take(&mut self, at: Duration) -> anyhow::Result<()> {
        self.trail.taken = Some(at);
        self.say("taken", &after(at))
    }

    /// The jobs of the contact, each with why it failed.
    async fn jobs(&self) -> anyhow::Result<Vec<(Uuid, Option<String>)>> {
        let mut jobs = Vec::new();
        for step in &self.steps {
            for wanted in [Wanted::Unfinished, Wanted::Failed] {
                let page = self.ground.client.jobs(*step, wanted, self.since, MOST_JOBS).await;
                let (page, _) = page.map_err(failed)?;
                jobs.extend(page.into_iter().filter(|job| job.regarding == Some(self.contact.0)).map(
                    |job| {
                        let is_failed = job.state() == JobState::Failed;
                        let code =
                            job.code().map_or_else(|| "without a code".to_owned(), |code| code.to_string());
                        (job.id, is_failed.then(|| format!("failed with {code}")))
                    },
                ));
            }
        }
        Ok(jobs)
    }

    /// Waits until the user holds what the contact holds. Nothing may have been written: it may have been so before.
    async fn compare(&mut self, columns: &[Column], patience: Duration) -> anyhow::Result<()> {
        let planner = &self.ground.settings.planner;
        let writer = match ContextWriter::new(self.ground.who.organization_id, &planner.columns(), columns) {
            Ok(writer) => writer,
            Err(why) => {
                self.trail.no_user = Some(why.to_string());
                return Ok(());
            }
        };
        loop {
            let ids = [self.contact.0];
            let rows = self
                .ground
                .client
                .rows_by_id::<ContactRow>("contacts", "contactid", &ids, &writer.select())
                .await;
            let row = rows.map_err(failed)?.pop().context("the contact is gone")?;
            let message = Message { body: Ok(Bytes::from(writer.body(&row)?)), ..Message::default() };
            self.trail.no_user = None;
            match self.differs(&message).await {
                Ok(false) => {
                    let at = self.start.elapsed();
                    self.trail.user = Some(at);
                    return self.say("user", &format!("holds what the contact holds, {}", after(at)));
                }
                Ok(true) => {}
                Err(why) => self.trail.no_user = Some(why),
            }
            if self.start.elapsed() >= patience || self.trail.taken.is_none() || self.trail.no_user.is_some()
            {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the user holds something else than the contact, or why that cannot be told.
    async fn differs(&self, message: &Message) -> Result<bool, String> {
        let planner = &self.ground.settings.planner;
        let mut preview = Preview::asking(message, planner, clock::now(), &self.directory).await;
        preview.compare(&self.directory).await;
        if let Some(letter) = preview.dead_letter() {
            return Err(letter.description.as_str().to_owned());
        }
        if let Some(why) = preview.nothing {
            return Err(why.explain().to_owned());
        }
        if let Some(why) = preview.unanswered {
            return Err(why);
        }
        for one in &preview.writes {
            match &one.compared {
                Some(Compared::Differs(found)) if found.properties.is_empty() => {}
                Some(Compared::Differs(_)) => return Ok(true),
                Some(Compared::Unknown(why)) => return Err(why.clone()),
                Some(Compared::DeadLetter(_)) | None => return Err("the user cannot be compared".to_owned()),
            }
        }
        Ok(false)
    }
}
