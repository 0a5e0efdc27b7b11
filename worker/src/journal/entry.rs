//! What is told: one entry for each thing that happens to a message, a write or the pipeline.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    ids::{ContactId, JobId, SequenceNumber, UserId},
    lanes::{Failure, Success},
    outcome::Outcome,
    property::Property,
    reason::DeadLetter,
};
use uuid::Uuid;

use super::calls::{GraphCall, RequestIds};

/// Longest code of Graph that is kept.
const LONGEST_CODE: usize = 128;

/// An id as the pipeline tells it. It is a [`Tag`](super::Tag) before it reaches a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    /// Of a contact.
    Contact(Uuid),
    /// Of a user.
    User(Uuid),
    /// Of a system job of Dataverse.
    Job(Uuid),
}

impl From<ContactId> for Id {
    fn from(id: ContactId) -> Self {
        Self::Contact(id.0)
    }
}

impl From<UserId> for Id {
    fn from(id: UserId) -> Self {
        Self::User(id.0)
    }
}

impl From<JobId> for Id {
    fn from(id: JobId) -> Self {
        Self::Job(id.0)
    }
}

/// Something that happened. Ids are [`Id`]s when it is told, and tags in the file. Messages are named by their sequence
/// numbers, writes by a number that is unique within a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Entry<I> {
    /// A pipeline began, or goes on in a new file.
    Began {
        /// Names the run; all that follows is of it, until the next one begins.
        run: String,
        /// Of contactsync.
        version: String,
        /// Where messages come from.
        queue: String,
        /// Which of several directories.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// The pipeline stopped because it was told to. Without it, the process was killed.
    Ended,
    /// A message was delivered, and what it asks for is known.
    Seen(Sighting<I>),
    /// Graph has said which users a message means.
    Found {
        /// The message.
        message: i64,
        /// Who.
        users: Vec<I>,
    },
    /// A write is going to be begun.
    Write {
        /// Its number.
        write: u64,
        /// The ids of its calls.
        request: RequestIds,
        /// Whom it is about.
        user: I,
        /// The contacts whose changes are merged into it.
        contacts: Vec<I>,
        /// The messages merged into it; none if it only repairs what a second look has found.
        messages: Vec<i64>,
        /// The properties that may be written, by name.
        properties: Vec<String>,
    },
    /// A write ended.
    Wrote {
        /// Its number.
        write: u64,
        /// How.
        end: WriteEnd,
        /// What was asked of Graph.
        calls: Vec<GraphCall>,
    },
    /// A second look at a user ended.
    Looked {
        /// Whom.
        user: I,
        /// Properties that another replica had undone, by name; they are written again.
        undone: Vec<String>,
        /// Why nothing was seen, if that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<FailureCause>,
        /// What was asked of Graph.
        calls: Vec<GraphCall>,
    },
    /// A message is going to be settled, or its copy for later to be sent.
    Settling {
        /// The message.
        message: i64,
        /// How, in the words of the metric.
        outcome: Cow<'static, str>,
        /// Why nothing was to be done, if that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needless: Option<Cow<'static, str>>,
        /// What failed, of a dead letter and of what comes back later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<FailureCause>,
        /// When the copy of a message that comes back later is due, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<i64>,
    },
    /// Messages were settled as was told before: the queue has confirmed it, or it was sent to a queue that confirms nothing.
    Settled {
        /// The messages.
        messages: Vec<i64>,
    },
    /// A settlement was not confirmed, so the message comes again unless it reached the queue all the same.
    Unsettled {
        /// The message.
        message: i64,
    },
    /// Writes of everybody are held back, or go on.
    State {
        /// What holds them back: `throttled`, `breaker_open`, `paused`, `trial`, `standby`; `open` if nothing does.
        state: String,
    },
}

/// A delivery of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sighting<I> {
    /// Its sequence number.
    pub(crate) message: i64,
    /// Number of the original that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) copy_of: Option<i64>,
    /// How often it came back by itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) attempt: u32,
    /// How often it was put back from the dead letters.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) replays: u32,
    /// Earlier deliveries that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) deliveries: u32,
    /// When its original reached the queue, in milliseconds since 1970.
    pub(crate) enqueued: i64,
    /// Whom it is about.
    pub(crate) contacts: Vec<I>,
    /// Whom it means, as far as it tells.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(crate) users: Vec<I>,
    /// Who posted it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<I>,
}

fn none<T>() -> Option<T> {
    None
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum WriteEnd {
    /// Graph has it.
    Written {
        /// Properties that were left out because the user shows newer versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        newer: Vec<String>,
        /// Properties that were so already.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        same: Vec<String>,
    },
    /// Nothing was left to write.
    Needless {
        /// As above.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        newer: Vec<String>,
        /// As above.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        same: Vec<String>,
    },
    /// It failed; the messages tell whether it was tried again.
    Failed {
        /// `transient`, `throttled`, `permanent` or `installation`.
        class: String,
        /// How long Graph asked to wait, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// What failed.
        cause: FailureCause,
    },
    /// The replica was not sure to be the writer any more, so nothing was sent.
    NotBegun,
    /// The replica let go of it: it was not the writer any more, or its time to stop was over. What had been sent may take
    /// effect.
    CutOff,
}

/// Why something failed, in words that are ours or Graph's, never a contact's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureCause {
    /// The dead-letter reason that it is, or would be.
    pub(crate) reason: String,
    /// Graph's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// The property of the user that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) property: Option<String>,
}

impl From<&DeadLetter> for FailureCause {
    /// Without the description, which names ids.
    fn from(letter: &DeadLetter) -> Self {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let word = |text: &Option<Box<str>>| {
            let text = text.as_deref()?;
            ((1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
        };
        Self {
            reason: letter.reason.as_str().to_owned(),
            code: word(&letter.code),
            property: word(&letter.target),
        }
    }
}

impl WriteEnd {
    /// How a write ended that was answered.
    pub(crate) fn of(result: &Result<Success, Failure>) -> Self {
        use shared::class::Class;

        match result {
            Ok(Success { written, superseded, unchanged, .. }) => {
                let (newer, same) = (names(superseded), names(unchanged));
                if *written { Self::Written { newer, same } } else { Self::Needless { newer, same } }
            }
            Err(failure) => {
                let (class, wait) = match failure.class {
                    Class::Transient => ("transient", None),
                    Class::Throttled { retry_after } => ("throttled", retry_after),
                    Class::Permanent => ("permanent", None),
                    Class::Installation => ("installation", None),
                };
                Self::Failed {
                    class: class.to_owned(),
                    retry_after_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
                    cause: FailureCause::from(&failure.dead_letter),
                }
            }
        }
    }
}

/// Names of properties.
pub(crate) fn names<'p>(properties: impl IntoIterator<Item = &'p Property>) -> Vec<String> {
    properties.into_iter().map(|property| property.name().to_owned()).collect()
}

impl<I> Entry<I> {
    /// How a message is going to end. `due` is when its copy comes, if one is sent.
    pub(crate) fn settling(message: SequenceNumber, outcome: &Outcome, due: Option<Timestamp>) -> Self {
        let needless = match outcome {
            Outcome::Unchanged(why) => Some(why.as_str().into()),
            _ => None,
        };
        Self::Settling {
            message: message.0,
            outcome: outcome.as_str().into(),
            needless,
            cause: outcome.letter().map(FailureCause::from),
            due: due.map(Timestamp::as_millisecond),
        }
    }

    /// The same with other ids.
    pub(crate) fn map<J>(self, id: impl Fn(I) -> J) -> Entry<J> {
        let all = |ids: Vec<I>| ids.into_iter().map(&id).collect();
        match self {
            Self::Began { run, version, queue, target } => Entry::Began { run, version, queue, target },
            Self::Ended => Entry::Ended,
            Self::Seen(Sighting {
                message,
                copy_of,
                attempt,
                replays,
                deliveries,
                enqueued,
                contacts,
                users,
                job,
            }) => {
                let (contacts, users, job) = (all(contacts), all(users), job.map(&id));
                Entry::Seen(Sighting {
                    message,
                    copy_of,
                    attempt,
                    replays,
                    deliveries,
                    enqueued,
                    contacts,
                    users,
                    job,
                })
            }
            Self::Found { message, users } => Entry::Found { message, users: all(users) },
            Self::Write { write, request, user, contacts, messages, properties } => {
                let (user, contacts) = (id(user), all(contacts));
                Entry::Write { write, request, user, contacts, messages, properties }
            }
            Self::Wrote { write, end, calls } => Entry::Wrote { write, end, calls },
            Self::Looked { user, undone, failed, calls } => {
                Entry::Looked { user: id(user), undone, failed, calls }
            }
            Self::Settling { message, outcome, needless, cause, due } => {
                Entry::Settling { message, outcome, needless, cause, due }
            }
            Self::Settled { messages } => Entry::Settled { messages },
            Self::Unsettled { message } => Entry::Unsettled { message },
            Self::State { state } => Entry::State { state },
        }
    }
}
