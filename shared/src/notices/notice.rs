//! What is observed, and what is told of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// When there is time. It is told once and not repeated.
    Info,
    /// Soon.
    Warning,
    /// Now: changes do not arrive.
    Critical,
}

impl Urgency {
    /// All of them, the least urgent first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// Stable word for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a notice is about. What has one topic is told together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Whether messages are taken and users written.
    Work,
    /// Whether any of several replicas writes.
    Writer,
    /// Messages that became dead letters, by reason.
    DeadLetters,
    /// How long messages wait.
    Queue,
    /// What must be seen to though the worker works.
    Warnings,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Work, Self::Writer, Self::DeadLetters, Self::Queue, Self::Warnings];

    /// Stable word for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Writer => "writer",
            Self::DeadLetters => "dead_letters",
            Self::Queue => "queue",
            Self::Warnings => "warnings",
        }
    }
}

/// What is told together: one topic of one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// Which of several targets; empty where there is one without a name.
    pub target: Box<str>,
    /// What it is about.
    pub topic: Topic,
}

/// One thing that can be the case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeKey {
    /// With what it is told.
    pub group: GroupKey,
    /// Its stable name in the group: of a check, a warning, or a reason.
    pub name: Box<str>,
}

/// Something that is the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What.
    pub key: NoticeKey,
    /// How soon somebody should look. If it rises, that is news.
    pub urgency: Urgency,
    /// How many there are, where that makes sense. If it rises, that is no news.
    pub count: Option<u64>,
    /// What is wrong, without values of anybody.
    pub text: Box<str>,
    /// What to do.
    pub remedy: Box<str>,
    /// Heading in the runbook.
    pub anchor: Box<str>,
    /// How long it must have lasted before it is news.
    pub patience: Duration,
    /// Whether it has happened, and so is told although it may be over by then.
    pub happened: bool,
    /// Whether something graver explains it, so that it does not become news now. What was told before stays told.
    pub muted: bool,
}

/// How much of a target was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeView {
    /// All: what was not observed is over.
    Whole,
    /// A part: what was not observed is as it was.
    Part,
    /// What a replica sees that does not write: everything but who writes is told by another one, and forgotten here.
    Standby,
}

/// How long to wait before and between notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeTiming {
    /// From the first news of a group to its notice, so that what belongs together comes together.
    pub group_wait: Duration,
    /// Between two notices of a group about changes.
    pub group_interval: Duration,
    /// Before what stays as it is is told again. It doubles with each time, up to [`NoticeTiming::LONGEST_REPEAT`].
    pub repeat_interval: Duration,
}

impl NoticeTiming {
    /// What repeats in the end are apart.
    pub const LONGEST_REPEAT: Duration = Duration::from_hours(24);

    /// The wait before the next repeat, after that many.
    #[must_use]
    pub fn repeat(&self, repeats: u32) -> Duration {
        let longest = Self::LONGEST_REPEAT.max(self.repeat_interval);
        let doubled = 1_u32.checked_shl(repeats).and_then(|times| self.repeat_interval.checked_mul(times));
        doubled.map_or(longest, |wait| wait.min(longest))
    }
}

impl Default for NoticeTiming {
    /// As Alertmanager has them.
    fn default() -> Self {
        Self {
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_mins(5),
            repeat_interval: Duration::from_hours(4),
        }
    }
}

/// What is said of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemState {
    /// It is new, or has become more urgent.
    New,
    /// It is over.
    Resolved,
    /// It is as it was when it was told.
    Still,
}

impl ItemState {
    /// Stable word for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "firing",
            Self::Resolved => "resolved",
            Self::Still => "still firing",
        }
    }
}

/// One thing in a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeItem {
    /// What is said of it.
    pub state: ItemState,
    /// What it is, as it was seen last.
    pub seen: Observation,
    /// Since when it is the case.
    pub since: Timestamp,
}

/// What a notice is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// Something is the case, and there is news of it.
    Firing,
    /// Nothing is the case any more.
    Resolved,
    /// What was told is still so.
    Repeat,
}

impl NoticeState {
    /// Stable word for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Repeat => "repeat",
        }
    }
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about first of all.
    pub group: GroupKey,
    /// Since when that is told of, which makes it one conversation.
    pub opened: Timestamp,
    /// Place in the conversation: 0 begins it.
    pub number: u32,
    /// What it is as a whole.
    pub state: NoticeState,
    /// What is told, news first; up to [`Notice::MOST_ITEMS`].
    pub items: Vec<NoticeItem>,
    /// How many more there were, which only the page tells.
    pub more: usize,
}

impl Notice {
    /// So much somebody reads.
    pub const MOST_ITEMS: usize = 12;

    /// The greatest urgency of what is the case; that of what is over, if nothing is.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        let of = |over: bool| {
            let items = self.items.iter().filter(move |item| (item.state == ItemState::Resolved) == over);
            items.map(|item| item.seen.urgency).max()
        };
        of(false).or_else(|| of(true)).unwrap_or(Urgency::Info)
    }
}
