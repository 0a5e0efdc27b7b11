//! `contactsync run --dry-run`: what `run` would do with each message, in words.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use serde_json::{Map, Value, json};
use servicebus::{Peek, PeekedState, Queue, clock};
use shared::{
    class::Class,
    engine::{Intake, intake::Planned},
    ids::UserId,
    outcome::Outcome,
    patch::UserWrite,
    reason::{DeadLetter, chain},
    shown::Shown,
};
use tokio::{sync::watch, time::sleep};

use super::{
    json_line,
    plan::{letter_json, shown},
    print,
    runtime::stop_signal,
    wiring,
};
use crate::{
    graph::{GraphClient, Priority},
    preview::rehearsal::{Rehearsal, Seen},
    settings::Settings,
};

/// Time between two looks at a queue with nothing new in it.
const PAUSE: Duration = Duration::from_secs(1);
/// Time before another attempt when Service Bus cannot be reached.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Options of a dry run.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[group(id = "dry-run options", requires = "dry_run")]
pub(super) struct Args {
    /// With --dry-run: end when every message has been looked at, in place of waiting for more.
    #[arg(long)]
    once: bool,
    /// With --dry-run: also read each user from Graph, and tell what is so already.
    #[arg(long)]
    online: bool,
    /// With --dry-run: show values, too, which are personal data.
    #[arg(long)]
    values: bool,
    /// With --dry-run: print a JSON object for each message in place of a line of text.
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
pub(super) async fn run(settings: Settings, args: &Args) -> anyhow::Result<()> {
    let clients = wiring::clients(&settings.connection)?;
    let queue = wiring::queue_without_intake(&wiring::queue_settings(&settings, &clients))?;
    let queue = Arc::new(queue);
    let directory = args.online.then(|| wiring::directory_for(&settings, clients, Priority::Low));
    let mut stop = stop_signal()?;
    let mut rehearsal = Rehearsal::new(Arc::clone(&queue), settings.planner.clone());
    let mut summary = Summary::default();
    let walked = tokio::select! {
        walked = walk(&mut rehearsal, directory.as_ref(), args, &mut summary) => walked,
        () = stopped(&mut stop) => Ok(()),
    };
    queue.close().await;
    walked?;
    print(&summary.told(args.json))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error would mean that nobody can ask us to stop any more, which is a reason to.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn walk(
    rehearsal: &mut Rehearsal<impl Peek>,
    directory: Option<&GraphClient>,
    args: &Args,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    loop {
        match rehearsal.look().await {
            Ok(seen) if seen.is_empty() && args.once => return Ok(()),
            Ok(seen) if seen.is_empty() => sleep(PAUSE).await,
            Ok(seen) => {
                for message in seen {
                    tell(&message, directory, args, summary).await?;
                }
            }
            Err(error) if args.once || error.class() == Class::Installation => {
                return Err(error).context("the messages cannot be looked at");
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the messages cannot be looked at; trying again");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn tell(
    message: &Seen,
    directory: Option<&GraphClient>,
    args: &Args,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    summary.count(message);
    let mut compared = Vec::new();
    if let (Some(directory), Intake::Work(planned, _)) = (directory, &message.intake) {
        for planned in planned {
            let enqueued = message.enqueued.unwrap_or_else(clock::now);
            compared.push(compare(directory, &planned.alone(enqueued, message.sequence)).await);
        }
    }
    print(&if args.json {
        as_json(message, &compared, args.values)
    } else {
        as_text(message, &compared, args.values)
    })
}

/// What Graph says about a write that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Compared {
    /// These properties have their values already, or a newer one.
    So(Vec<String>),
    /// It would not be written, and become a dead letter.
    Dead(DeadLetter),
    /// The user could not be looked at.
    Unknown(String),
}

async fn compare(directory: &GraphClient, write: &UserWrite) -> Compared {
    match directory.foresee(write).await {
        Ok(left) => {
            let properties = write.entries.iter().map(|entry| &entry.property);
            let so = properties.filter(|property| !left.properties.contains(property));
            Compared::So(so.map(ToString::to_string).collect())
        }
        Err(error) if error.is_about_the_user() => Compared::Dead(error.dead_letter()),
        Err(error) => Compared::Unknown(chain(&error)),
    }
}

impl Summary {
    fn count(&mut self, message: &Seen) {
        self.messages += 1;
        match &message.intake {
            Intake::Work(planned, failures) => {
                self.dead += usize::from(!failures.is_empty());
                let users: HashSet<_> = planned.iter().map(|planned| planned.user).collect();
                self.writes += users.len();
                self.users.extend(users);
            }
            Intake::Settle(Outcome::DeadLettered(_)) => self.dead += 1,
            Intake::Settle(..) => self.needless += 1,
        }
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

fn as_text(message: &Seen, compared: &[Compared], values: bool) -> String {
    let lines = match &message.intake {
        Intake::Work(planned, failures) => {
            let compared = compared.iter().map(Some).chain(std::iter::repeat(None));
            let writes =
                planned.iter().zip(compared).map(|(planned, compared)| write(planned, compared, values));
            writes.chain(failures.letter().as_ref().map(dead_letter)).collect()
        }
        Intake::Settle(Outcome::DeadLettered(letter) | Outcome::Returned(letter)) => {
            vec![dead_letter(letter)]
        }
        Intake::Settle(Outcome::Unchanged(why)) => vec![format!("nothing      {}", why.explain())],
        Intake::Settle(outcome) => vec![format!("nothing      {}", outcome.as_str())],
    };
    let state = match message.state {
        PeekedState::Active => "",
        PeekedState::Deferred => "deferred  ",
        PeekedState::Scheduled => "scheduled  ",
    };
    let number = message.sequence.0;
    lines.iter().fold(String::new(), |text, line| format!("{text}{number:<8}{state}{}\n", Shown(line)))
}

fn dead_letter(letter: &DeadLetter) -> String {
    format!("dead letter  {}: {}", letter.reason.as_str(), letter.description.as_str())
}

fn write(planned: &Planned, compared: Option<&Compared>, values: bool) -> String {
    let properties: Vec<_> = planned
        .patch
        .iter()
        .map(
            |(property, value)| {
                if values { format!("{property} = {}", shown(value)) } else { property.to_string() }
            },
        )
        .collect();
    let remark = match compared {
        None => String::new(),
        Some(Compared::So(names)) if names.is_empty() => "; none of it is so yet".to_owned(),
        Some(Compared::So(names)) => format!("; Graph has {} already", names.join(", ")),
        Some(Compared::Dead(letter)) => {
            return format!("user {}, {}: {}", planned.user, properties.join(", "), dead_letter(letter));
        }
        Some(Compared::Unknown(why)) => format!("; {why}"),
    };
    let condition = planned.patch.moves_from().condition().filter(|_| compared.is_none());
    let remark = condition.map_or(remark, |condition| format!(", {condition}"));
    format!("would write  user {}: {}{remark}", planned.user, properties.join(", "))
}

fn as_json(message: &Seen, compared: &[Compared], values: bool) -> String {
    let mut object = Map::new();
    object.insert("sequence".into(), json!(message.sequence.0));
    object.insert("enqueued".into(), json!(message.enqueued.map(|at| at.to_string())));
    let state = match message.state {
        PeekedState::Active => "active",
        PeekedState::Deferred => "deferred",
        PeekedState::Scheduled => "scheduled",
    };
    object.insert("state".into(), json!(state));
    let (key, value) = match &message.intake {
        Intake::Work(planned, failures) => {
            if let Some(letter) = failures.letter() {
                object.insert("deadLetter".into(), letter_json(&letter));
            }
            let compared = compared.iter().map(Some).chain(std::iter::repeat(None));
            let writes =
                planned.iter().zip(compared).map(|(planned, compared)| write_json(planned, compared, values));
            ("writes", Value::Array(writes.collect()))
        }
        Intake::Settle(Outcome::DeadLettered(letter) | Outcome::Returned(letter)) => {
            ("deadLetter", letter_json(letter))
        }
        Intake::Settle(Outcome::Unchanged(why)) => ("nothing", json!(why.as_str())),
        Intake::Settle(outcome) => ("nothing", json!(outcome.as_str())),
    };
    object.insert(key.into(), value);
    json_line(&Value::Object(object))
}

fn write_json(planned: &Planned, compared: Option<&Compared>, values: bool) -> Value {
    let mut write = json!({
        "user": planned.user.to_string(),
        "properties": planned.patch.iter().map(|(property, _)| property.name()).collect::<Vec<_>>(),
    });
    if values {
        let set = planned.patch.iter().map(|(property, value)| (property.name().to_owned(), shown(value)));
        write["set"] = Value::Object(set.collect());
    }
    match compared {
        None => {}
        Some(Compared::So(names)) => write["already"] = json!(names),
        Some(Compared::Dead(letter)) => write["deadLetter"] = letter_json(letter),
        Some(Compared::Unknown(why)) => write["unknown"] = json!(why),
    }
    if let Some(condition) = planned.patch.moves_from().condition() {
        write["condition"] = json!(condition);
    }
    write
}
