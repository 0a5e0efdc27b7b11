//! What a run tells while it goes: one event at a time, and a summary.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::ids::SequenceNumber;
use uuid::Uuid;

use crate::operate::dead_letters::Letter;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The set is fixed and work begins.
    Started {
        /// Names the run.
        replay: Uuid,
        /// Messages of the set.
        members: u64,
        /// Messages looked at to find them.
        looked_at: u64,
    },
    /// A message was put back: the line for the audit.
    Replayed(Audit),
    /// A message was taken out for good.
    Removed(Letter),
    /// A message was left where it is.
    Left {
        /// Its number.
        sequence: SequenceNumber,
        /// Why.
        why: Box<str>,
    },
    /// Work is held up, and by what.
    Waiting(String),
    /// How far it has come.
    Progress(Progress),
    /// It is over.
    Finished(Summary),
}

/// One message that was put back.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    /// The run.
    pub replay: Uuid,
    /// What stood on the dead letter.
    pub letter: Letter,
    /// Message-id of the copy.
    pub message_id: Box<str>,
    /// When the service had confirmed the copy.
    pub at: Timestamp,
    /// Whether the dead letter is out of its queue; if not, it can come back as a duplicate.
    pub completed: bool,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Messages of the set.
    pub members: u64,
    /// Put back so far.
    pub replayed: u64,
    /// Applied, or in need of no write; known only to a run that watches.
    pub well: u64,
    /// Dead letters again; known only to a run that watches.
    pub failed: u64,
    /// How long the rest takes at the present rate; unknown while something is waited for.
    pub rest: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplayEnd {
    /// Every message of the set was dealt with.
    Done,
    /// It was told to stop.
    Stopped,
    /// Too many failed again.
    Aborted,
    /// What became of the canaries did not show in time.
    OutcomeTimeout,
    /// Too many messages that are not wanted stand before the next one that is.
    Blocked {
        /// How many.
        before: usize,
    },
    /// Somebody else keeps the rest under lock.
    Locked,
    /// A queue cannot be used any more.
    Failed(Box<str>),
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The run.
    pub replay: Uuid,
    /// How far it has come.
    pub progress: Progress,
    /// Copies whose outcome is not known; none in a run that does not watch.
    pub open: u64,
    /// Whether outcomes were watched.
    pub watched: bool,
    /// Members that somebody else took out before their turn.
    pub gone: u64,
    /// Members that cannot be copied.
    pub left: u64,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: ReplayEnd,
}

impl Progress {
    fn json(&self) -> Value {
        json!({"members": self.members, "replayed": self.replayed, "well": self.well, "failed": self.failed})
    }
}

impl Event {
    /// The event as a line of JSON holds it.
    #[must_use]
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Started { replay, members, looked_at } => {
                json!({"event": "started", "replay": replay.to_string(), "members": members, "lookedAt": looked_at})
            }
            Self::Replayed(audit) => audit.json(),
            Self::Removed(letter) => {
                json!({"event": "removed", "sequence": letter.sequence.0, "reason": letter.reason})
            }
            Self::Left { sequence, why } => json!({"event": "left", "sequence": sequence.0, "why": why}),
            Self::Waiting(what) => json!({"event": "waiting", "what": what}),
            Self::Progress(progress) => tagged("progress", progress.json()),
            Self::Finished(summary) => tagged("summary", summary.json()),
        }
    }
}

impl Audit {
    fn json(&self) -> Value {
        json!({
            "event": "replayed", "replay": self.replay.to_string(), "at": self.at.to_string(),
            "sequence": self.letter.sequence.0, "reason": self.letter.reason, "code": self.letter.code,
            "target": self.letter.target, "enqueued": self.letter.since.map(|since| since.to_string()),
            "originalMessageId": self.letter.message_id, "messageId": self.message_id,
            "completed": self.completed,
        })
    }
}

impl Summary {
    fn json(&self) -> Value {
        let mut object = self.progress.json();
        object["replay"] = json!(self.replay.to_string());
        object["watched"] = json!(self.watched);
        object["open"] = json!(self.open);
        object["gone"] = json!(self.gone);
        object["left"] = json!(self.left);
        object["seconds"] = json!(self.took.as_secs_f64());
        object["end"] = json!(self.end.name());
        object["detail"] = json!(self.end.explain());
        object
    }
}

impl ReplayEnd {
    /// A short name for scripts.
    #[must_use]
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::OutcomeTimeout => "untold",
            Self::Blocked { .. } => "blocked",
            Self::Locked => "locked",
            Self::Failed(_) => "failed",
        }
    }

    /// What it means and what to do.
    #[must_use]
    pub(crate) fn explain(&self) -> String {
        match self {
            Self::Done => "all of the set was dealt with".into(),
            Self::Stopped => "stopped; the rest stays where it is, and the same command goes on with it".into(),
            Self::Aborted => {
                "aborted because too many became dead letters again; mend the cause (dead-letters list shows it), and \
                 the same command goes on with the rest"
                    .into()
            }
            Self::OutcomeTimeout => {
                "stopped because the outcome of the canaries did not show in time; is a worker running? --wait takes \
                 more patience"
                    .into()
            }
            Self::Blocked { before } => format!(
                "stopped because {before} messages that are not in the set stand before the next one that is, and \
                 Service Bus hands out from the front only; replay or purge those first, or raise --window"
            ),
            Self::Locked => {
                "stopped because somebody else keeps the rest under lock (another replay, or one that was killed less \
                 than the queue's lock duration ago); the same command goes on with it"
                    .into()
            }
            Self::Failed(what) => format!("stopped because a queue cannot be used: {what}"),
        }
    }
}

fn tagged(event: &str, mut value: Value) -> Value {
    value["event"] = json!(event);
    value
}
