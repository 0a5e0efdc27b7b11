//! `contactsync run --dry-run`: what `run` would do with each message, in words.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};
use servicebus::{Peek, Peeked, PeekedState, Walk, clock};
use shared::{class::Class, ids::UserId, plan::Planner, reason::chain, shown::Shown};
use tokio::{sync::watch, time::sleep};

use crate::{
    commands::{fitted, global::Global, json_line, print, queues::failed, runtime::stop_signal, wiring},
    graph::GraphClient,
    preview::{
        Compared, Preview,
        render::{self, Values},
    },
    settings::{
        QueueAlone, Settings,
        check::{Advice, EntityUse},
    },
};

/// Most messages in one look.
const PAGE: u32 = 100;
/// Time between two looks at a queue with nothing new in it.
const PAUSE: Duration = Duration::from_secs(1);
/// Time before another attempt when Service Bus cannot be reached.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Options of a dry run.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[group(id = "dry-run options", requires = "dry_run")]
pub(super) struct Args {
    /// With --dry-run: exit after the messages that are in the queue now, instead of waiting for more.
    #[arg(long)]
    once: bool,
    /// With --dry-run: also read each user from Graph and compare.
    #[arg(long)]
    online: bool,
    /// With --dry-run: also print values. They are personal data.
    #[arg(long)]
    values: bool,
    /// With --dry-run: print one JSON object per message instead of text.
    #[arg(long)]
    json: bool,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Summary {
    messages: usize,
    writes: usize,
    users: HashSet<UserId>,
    needless: usize,
    dead: usize,
}

/// Looks at every message until told to stop, or until there are no more.
pub(super) async fn run(settings: Settings<QueueAlone>, global: &Global, args: &Args) -> anyhow::Result<()> {
    let clients = wiring::clients(&settings.connection)?;
    let queue = wiring::queue_without_intake(&wiring::queue_settings(&settings, &clients))?;
    let directory = args.online.then(|| wiring::directory_beside(global)).transpose()?;
    let mut stop = stop_signal()?;
    let mut summary = Summary::default();
    let at = EntityUse::intake(&settings.bus);
    let walked = tokio::select! {
        walked = walk((&*queue, &at), &settings.planner, directory.as_ref(), args, &mut summary) => walked,
        () = stopped(&mut stop) => Ok(()),
    };
    queue.close().await;
    walked?;
    let told = summary.told(args.json);
    print(&if args.json { told } else { fitted(&told) })
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error would mean that nobody can ask us to stop any more, which is a reason to.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn walk(
    (queue, at): (&dyn Peek, &EntityUse),
    planner: &Planner,
    directory: Option<&GraphClient>,
    args: &Args,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let mut walk = Walk::default();
    loop {
        match walk.look(queue, PAGE).await {
            Ok(page) if page.is_empty() && args.once => return Ok(()),
            Ok(page) if page.is_empty() => sleep(PAUSE).await,
            Ok(page) => {
                for peeked in page {
                    let preview = match directory {
                        Some(directory) => {
                            let (message, now) = (&peeked.message, clock::now());
                            let mut preview = Preview::asking(message, planner, now, directory).await;
                            preview.compare(directory).await;
                            preview
                        }
                        None => Preview::of(&peeked.message, planner, clock::now()),
                    };
                    summary.count(&preview);
                    let told = told(&peeked, &preview, planner, args.json, args.values.into());
                    print(&if args.json { told } else { fitted(&told) })?;
                }
            }
            Err(error) if args.once || error.class() == Class::Installation => {
                return Err(failed(&error, at).context("the messages cannot be looked at"));
            }
            Err(error) => {
                let advice = Advice::of(&error, at);
                tracing::warn!(error = %chain(&error), "the messages cannot be looked at: {advice}; trying again");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

impl Summary {
    fn count(&mut self, preview: &Preview) {
        self.messages += 1;
        self.dead += usize::from(preview.dead_letter().is_some());
        self.needless += usize::from(preview.nothing.is_some());
        let sent = preview.writes.iter().filter(|one| !matches!(one.compared, Some(Compared::DeadLetter(_))));
        let users: HashSet<_> = sent.map(|one| one.write.user).collect();
        self.writes += users.len();
        self.users.extend(users);
    }

    fn told(&self, json: bool) -> String {
        let Self { messages, writes, users, needless, dead } = self;
        let users = users.len();
        if json {
            let summary = json!({
                "messages": messages, "writes": writes, "users": users, "needless": needless, "deadLetters": dead,
            });
            return json_line(&json!({ "summary": summary }));
        }
        format!(
            "Looked at {messages} messages and took none. {writes} writes to {users} users (fewer where changes of \
             one user meet), {needless} messages that need nothing, {dead} that would be dead letters.\n"
        )
    }
}

/// A message on a line for each thing that would be done with it, or as a line of JSON.
pub(in crate::commands) fn told(
    peeked: &Peeked,
    preview: &Preview,
    planner: &Planner,
    json: bool,
    values: Values,
) -> String {
    let (message, subjects) = (&peeked.message, preview.subjects(planner));
    let state = match peeked.state {
        PeekedState::Active => "active",
        PeekedState::Deferred => "deferred",
        PeekedState::Scheduled => "scheduled",
    };
    if json {
        let mut object = render::json(preview, values);
        object.append(&mut render::subjects_json(&subjects));
        object.insert("sequence".into(), json!(message.sequence.0));
        object.insert("enqueued".into(), json!(message.enqueued.map(|at| at.to_string())));
        object.insert("state".into(), json!(state));
        return json_line(&Value::Object(object));
    }
    let state = if state == "active" { String::new() } else { format!("{state}  ") };
    // Users stand in the lines themselves, if they are to be written.
    let ids = [("contact", subjects.contact_text()), ("job", subjects.job_text())];
    let ids: Vec<_> = ids.into_iter().filter_map(|(name, id)| Some(format!("{name} {}", id?))).collect();
    let ids = if ids.is_empty() { String::new() } else { format!("  ({})", ids.join(", ")) };
    render::lines(preview, values).iter().fold(String::new(), |text, line| {
        format!("{text}{:<8}{state}{}{ids}\n", message.sequence.0, Shown(line))
    })
}
