//! What the services say now: messages that wait, dead letters, and users. Each part that cannot be asked says so, and what to
//! do; the others are told all the same.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use serde_json::{Map, Value, json};
use servicebus::{Message, Peek, Peeked, PeekedState, Walk, clock};
use shared::{ids::UserId, mark::Mark, plan::Planner, reason::chain, shown::Shown};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    commands::{guard::Look, probes::counted, queues::Queues, wiring},
    envelope::{DeliveryHistory, HeldCensus},
    graph::GraphClient,
    operate::{dead_letters::Letter, explain::telling::runbook},
    preview::{
        Preview, Subjects,
        render::{self, subjects_json},
    },
    settings::{
        GraphAlone, QueueAlone, Settings, SettingsProblems,
        check::{Advice, EntityUse},
    },
};

/// Most messages that are looked at in a queue.
const MOST: u64 = 20_000;
/// How long one queue may be looked at.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most users that the directory is asked about.
const USERS: usize = 10;

const ONLINE: &str = "contactsync check --online tells what is wrong";

/// A part of what is told: it, or why it is not known.
#[derive(Debug)]
pub(super) enum Part<T> {
    /// It.
    Told(T),
    /// It cannot be asked.
    Unknown {
        /// What is wrong.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl<T> Part<T> {
    pub(super) fn unknown(why: impl Into<String>, remedy: &'static str) -> Self {
        Self::Unknown { why: why.into(), remedy }
    }

    /// A heading, and the lines of it or the one that says why there are none.
    pub(super) fn text(&self, heading: &str, lines: impl FnOnce(&T) -> Vec<String>) -> String {
        let lines = match self {
            Self::Told(told) => lines(told),
            Self::Unknown { why, remedy } => vec![format!("not known: {}; {remedy}", Shown(why))],
        };
        lines.iter().fold(format!("{heading}\n"), |text, line| format!("{text}  {line}\n")) + "\n"
    }

    pub(super) fn json(&self, told: impl FnOnce(&T) -> Value) -> Value {
        match self {
            Self::Told(it) => told(it),
            Self::Unknown { why, remedy } => json!({ "unknown": why, "remedy": remedy }),
        }
    }
}

/// What all of them say.
#[derive(Debug)]
pub(super) struct Services {
    waiting: Part<Found>,
    dead: Part<Found>,
    directory: Part<Vec<User>>,
    /// Users that messages mean which are about the id, and whoever else it may be about.
    pub(super) users: BTreeSet<UserId>,
}

/// What a look into a queue found.
#[derive(Debug)]
struct Found {
    looked_at: u64,
    /// Whether there may be more behind what was looked at.
    more: bool,
    messages: Vec<One>,
}

/// A message about it.
#[derive(Debug)]
struct One {
    line: String,
    json: Map<String, Value>,
}

/// A user as the directory has him.
#[derive(Debug)]
struct User {
    id: UserId,
    standing: Standing,
}

/// Whether he is there, and what his mark shows.
#[derive(Debug)]
enum Standing {
    Absent,
    /// He is there, and no marks are kept.
    Unmarked,
    Marked(Look),
}

impl Services {
    /// Asks all of them. `users` are those that the id may be about by what is known already.
    pub(super) async fn ask(
        settings: &Settings<QueueAlone>,
        to_directory: anyhow::Result<Settings<GraphAlone>>,
        id: Uuid,
        mut users: BTreeSet<UserId>,
    ) -> Self {
        let (waiting, dead) = match Queues::open(settings, None) {
            Ok(queues) => {
                let looking = Looking { planner: &settings.planner, id, at: queues.ends.0.clone() };
                let mut dead_users = BTreeSet::new();
                let both = tokio::join!(
                    looking.through(&*queues.target, &mut users, waiting),
                    looking.through(&*queues.looking, &mut dead_users, dead_letter),
                );
                users.extend(dead_users);
                queues.close().await;
                both
            }
            Err(error) => {
                let why = format!("{error:#}");
                (Part::unknown(why.clone(), ONLINE), Part::unknown(why, ONLINE))
            }
        };
        let directory = match to_directory {
            Ok(settings) => directory(&settings, &users).await,
            Err(error) if error.is::<SettingsProblems>() => Part::unknown(
                "the settings do not say who asks Graph",
                "contactsync check tells what is missing",
            ),
            Err(error) => Part::unknown(format!("{error:#}"), ONLINE),
        };
        Self { waiting, dead, directory, users }
    }

    /// Whether any of them knows it.
    pub(super) fn knows_it(&self) -> bool {
        let found = |part: &Part<Found>| matches!(part, Part::Told(found) if !found.messages.is_empty());
        let is_there = |user: &User| !matches!(user.standing, Standing::Absent);
        found(&self.waiting)
            || found(&self.dead)
            || matches!(&self.directory, Part::Told(users) if users.iter().any(is_there))
    }

    pub(super) fn text(&self) -> String {
        let lines = |found: &Found, none: &str| {
            let bound = if found.more { " (there may be more behind them)" } else { "" };
            let head = format!("looked at {}{bound}", counted(found.looked_at, "message"));
            let none = found.messages.is_empty().then(|| none.to_owned());
            let found = found.messages.iter().map(|one| one.line.clone());
            [head].into_iter().chain(none).chain(found).collect()
        };
        let waiting = self.waiting.text("Queue", |found| lines(found, "none is about it"));
        let dead = self.dead.text("Dead letters", |found| lines(found, "none is about it"));
        let directory = self.directory.text("Directory", |users| {
            let none = "which user it is is not known: no message that is there tells it, and the journal keeps hashes; ask by \
                        the user's id";
            let none = users.is_empty().then(|| none.to_owned());
            none.into_iter().chain(users.iter().flat_map(User::lines)).collect()
        });
        waiting + &dead + &directory
    }

    pub(super) fn add_to(&self, document: &mut Value) {
        let found = |found: &Found| {
            let messages: Vec<_> = found.messages.iter().map(|one| Value::Object(one.json.clone())).collect();
            json!({ "lookedAt": found.looked_at, "more": found.more, "messages": messages })
        };
        document["queue"] = self.waiting.json(found);
        document["deadLetters"] = self.dead.json(found);
        document["directory"] = self.directory.json(|users| users.iter().map(User::json).collect());
    }
}

/// What is looked for.
struct Looking<'p> {
    planner: &'p Planner,
    id: Uuid,
    at: EntityUse,
}

impl Looking<'_> {
    /// Looks through a queue, as far as patience reaches.
    async fn through(
        &self,
        queue: &dyn Peek,
        users: &mut BTreeSet<UserId>,
        told: fn(&Peeked, &Preview, &Subjects) -> One,
    ) -> Part<Found> {
        let mut found = Found { looked_at: 0, more: true, messages: Vec::new() };
        let looked = timeout(PATIENCE, async {
            let mut walk = Walk::default();
            while walk.seen < MOST {
                let page = walk.page(queue).await?;
                found.looked_at = walk.seen;
                if page.is_empty() {
                    found.more = false;
                    break;
                }
                for peeked in page {
                    self.note(&peeked, users, told, &mut found);
                }
            }
            Ok::<_, servicebus::Error>(())
        });
        match looked.await {
            Ok(Err(error)) => {
                let Advice { what, remedy, .. } = Advice::of(&error, &self.at);
                Part::unknown(what, if remedy.is_empty() { ONLINE } else { remedy })
            }
            Err(_) if found.looked_at == 0 => {
                Part::unknown(format!("no answer within {} s", PATIENCE.as_secs()), ONLINE)
            }
            Ok(Ok(())) | Err(_) => Part::Told(found),
        }
    }

    fn note(
        &self,
        peeked: &Peeked,
        users: &mut BTreeSet<UserId>,
        told: fn(&Peeked, &Preview, &Subjects) -> One,
        found: &mut Found,
    ) {
        let subjects = Subjects::of(&peeked.message, self.planner);
        if !subjects.has(self.id) {
            return;
        }
        // Of a message about many contacts nobody can tell which of its users is meant.
        if subjects.contacts.len() == 1 {
            users.extend(&subjects.users);
        }
        let preview = Preview::of(&peeked.message, self.planner, clock::now());
        found.messages.push(told(peeked, &preview, &subjects));
    }
}

/// What a message is told with that is in either queue.
fn head(message: &Message) -> Map<String, Value> {
    let past = DeliveryHistory::of(message);
    let mut object = Map::new();
    object.insert("sequence".into(), json!(message.sequence.0));
    object.insert("enqueued".into(), json!(message.enqueued.map(|at| at.to_string())));
    if past.arrival != message.sequence {
        object.insert("copyOf".into(), json!(past.arrival.0));
    }
    object.insert("attempt".into(), json!(past.attempt));
    object.insert("replays".into(), json!(past.generation));
    object.insert("deliveryCount".into(), json!(message.delivery_count.0));
    object
}

fn waiting(peeked: &Peeked, preview: &Preview, subjects: &Subjects) -> One {
    let message = &peeked.message;
    let held = HeldCensus::held(peeked);
    let state = match peeked.state {
        _ if held.is_some() => "held aside",
        PeekedState::Active => "active",
        PeekedState::Deferred => "deferred",
        PeekedState::Scheduled => "scheduled",
    };
    let due = peeked.scheduled_for.map(|at| at.to_string());
    let (outcome, what) = render::outcome(preview);
    let until = due.as_ref().map_or_else(String::new, |due| format!(" until {due}"));
    let mut line =
        format!("message {}  {state}{until}; would be: {outcome} {}", message.sequence, Shown(&what));
    if let Some(held) = &held {
        let streams: Vec<_> = held.streams.iter().map(ToString::to_string).collect();
        // Writing to a string cannot fail.
        let _infallible =
            write!(line, "; held since {:.0} for {}: contactsync held list", held.since, streams.join(", "));
    }
    let mut json = head(message);
    json.insert("state".into(), json!(state));
    json.insert("due".into(), json!(due));
    json.insert("heldSince".into(), json!(held.map(|held| held.since.to_string())));
    json.insert("wouldBe".into(), json!({ "outcome": outcome, "what": what }));
    json.append(&mut subjects_json(subjects));
    One { line, json }
}

fn dead_letter(peeked: &Peeked, preview: &Preview, subjects: &Subjects) -> One {
    let letter = Letter::of(&peeked.message);
    let (outcome, what) = render::outcome(preview);
    let mut line =
        format!("dead letter {}  {}: {}", letter.sequence, Shown(&letter.reason), Shown(&letter.description));
    let runbook = runbook(&letter.reason);
    if let Some(place) = &runbook {
        // Writing to a string cannot fail.
        let _infallible = write!(line, "; see {place}");
    }
    let _infallible = write!(line, "; now it would be: {outcome} {}", Shown(&what));
    let mut json = head(&peeked.message);
    json.insert("reason".into(), json!(letter.reason));
    json.insert("description".into(), json!(letter.description));
    json.insert("code".into(), json!(letter.code));
    json.insert("runbook".into(), json!(runbook));
    json.insert("wouldBe".into(), json!({ "outcome": outcome, "what": what }));
    json.append(&mut subjects_json(subjects));
    One { line, json }
}

/// Looks at the users.
async fn directory(settings: &Settings<GraphAlone>, users: &BTreeSet<UserId>) -> Part<Vec<User>> {
    let graph = match wiring::clients(&settings.connection) {
        Ok(clients) => wiring::directory(settings, clients),
        Err(error) => return Part::unknown(format!("{error:#}"), ONLINE),
    };
    let mut looked = Vec::new();
    for id in users.iter().take(USERS) {
        match look(settings, &graph, *id).await {
            Ok(user) => looked.push(user),
            Err(error) => return Part::unknown(chain(&error), ONLINE),
        }
    }
    Part::Told(looked)
}

async fn look(
    settings: &Settings<GraphAlone>,
    graph: &GraphClient,
    id: UserId,
) -> Result<User, crate::graph::Error> {
    let text = match graph.mark(id).await {
        Ok(text) => text,
        Err(error) if error.is_unknown_user() => return Ok(User { id, standing: Standing::Absent }),
        Err(error) => return Err(error),
    };
    let Some(guard) = settings.guard.attribute.clone() else {
        return Ok(User { id, standing: Standing::Unmarked });
    };
    let mark = Mark::read(text.as_deref().unwrap_or_default());
    Ok(User { id, standing: Standing::Marked(Look::at(id, guard, mark, &settings.planner)) })
}

impl User {
    fn lines(&self) -> Vec<String> {
        match &self.standing {
            Standing::Absent => vec![format!("there is no user {}", self.id)],
            Standing::Unmarked => {
                vec![format!("user {} is there; no marks are kept (guard.attribute is empty)", self.id)]
            }
            Standing::Marked(look) => {
                let head = format!("user {} is there", self.id);
                [head].into_iter().chain(look.text().lines().skip(1).map(str::to_owned)).collect()
            }
        }
    }

    fn json(&self) -> Value {
        let mut told =
            json!({ "user": self.id.to_string(), "exists": !matches!(self.standing, Standing::Absent) });
        if let Standing::Marked(look) = &self.standing {
            told["mark"] = look.document();
        }
        told
    }
}
