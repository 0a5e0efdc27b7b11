//! What happened, in order, for tests to assert on and to wait for.
//!
//! A test never sleeps: it waits for the event that it needs and learns, if that does not come, what came instead.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::watch;

use crate::broker;

/// One thing that happened on the wire or in the broker.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A connection was opened (AMQP open was received).
    Opened {
        /// Number of the connection.
        connection: u64,
        /// The client's container id.
        container: String,
    },
    /// A connection ended.
    Closed {
        /// Number of the connection.
        connection: u64,
        /// Why, in words.
        why: String,
    },
    /// A link was attached.
    Attached {
        /// Number of the connection.
        connection: u64,
        /// The address as the client wrote it.
        address: String,
        /// The client's side of the link.
        role: Role,
    },
    /// A link was refused.
    Refused {
        /// Number of the connection.
        connection: u64,
        /// The address as the client wrote it.
        address: String,
        /// The AMQP condition given.
        condition: &'static str,
    },
    /// A link ended.
    Detached {
        /// Number of the connection.
        connection: u64,
        /// The address as the client wrote it.
        address: String,
        /// The AMQP condition, if the service ended it.
        condition: Option<&'static str>,
    },
    /// A receiver announced credit.
    Credit {
        /// Number of the connection.
        connection: u64,
        /// The address as the client wrote it.
        address: String,
        /// Deliveries that may be sent now.
        credit: u32,
        /// Whether the client asked for what there is, to be told that there is no more.
        drain: bool,
    },
    /// A token was put.
    Token {
        /// Number of the connection.
        connection: u64,
        /// The audience as the client wrote it.
        audience: String,
        /// The answer: 202, 401 and so on.
        status: i32,
    },
    /// A request on a management node was answered.
    Request {
        /// Number of the connection.
        connection: u64,
        /// The operation, without its `com.microsoft:` prefix.
        operation: String,
        /// The answer: 200, 410 and so on.
        status: i32,
    },
    /// A connection was made silent: nothing is read from its client any more and nothing is written to it.
    Silenced {
        /// Number of the connection.
        connection: u64,
    },
    /// A silent connection was let speak again.
    Restored {
        /// Number of the connection.
        connection: u64,
    },
    /// A scripted fault struck.
    Fault {
        /// What it did, in words.
        what: String,
    },
    /// Something happened to a message.
    Broker(broker::Event),
}

/// Which end of a link the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client sends.
    Sender,
    /// The client receives.
    Receiver,
}

/// How many events are kept; older ones are forgotten, so that a long run does not fill memory.
const KEPT: usize = 1 << 16;

/// How long [`Journal::wait_for`] waits.
const PATIENCE: Duration = Duration::from_mins(5);

/// How many of the latest events a disappointed waiter reports.
const REPORTED: usize = 12;

/// What long runs are judged by; counted from the start, whatever has been forgotten since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages completed.
    pub completed: u64,
    /// Messages stored to appear later.
    pub scheduled: u64,
}

impl Totals {
    fn count(&mut self, event: &Event) {
        match event {
            Event::Broker(broker::Event::Settled { how: broker::Settled::Completed, .. }) => {
                self.completed += 1;
            }
            Event::Broker(broker::Event::Scheduled { .. }) => self.scheduled += 1,
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    /// How many were forgotten.
    forgotten: u64,
    totals: Totals,
}

impl Kept {
    fn end(&self) -> u64 {
        self.forgotten + self.events.len() as u64
    }

    fn from(&self, mark: Mark) -> impl Iterator<Item = &Event> {
        let skipped = usize::try_from(mark.0.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.events.iter().skip(skipped)
    }
}

/// A point between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Mark {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// After this many events.
    #[must_use]
    pub const fn from_number(events: u64) -> Self {
        Self(events)
    }

    /// How many events came before.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The record of what happened. Clones are handles to the same record.
#[derive(Clone, Debug)]
pub struct Journal {
    kept: Arc<Mutex<Kept>>,
    end: Arc<watch::Sender<u64>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { kept: Arc::default(), end: Arc::new(watch::Sender::new(0)) }
    }
}

impl Journal {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, events: impl IntoIterator<Item = Event>) {
        let mut kept = self.kept();
        let before = kept.end();
        for event in events {
            if kept.events.len() == KEPT {
                kept.events.pop_front();
                kept.forgotten += 1;
            }
            kept.totals.count(&event);
            kept.events.push_back(event);
        }
        let end = kept.end();
        drop(kept);
        if end != before {
            self.end.send_replace(end);
        }
    }

    /// The present end of the record, to wait for what comes after it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.kept().end())
    }

    /// All events after a mark that are still kept.
    #[must_use]
    pub fn since(&self, mark: Mark) -> Vec<Event> {
        self.kept().from(mark).cloned().collect()
    }

    /// All events that are still kept.
    #[must_use]
    pub fn all(&self) -> Vec<Event> {
        self.since(Mark::START)
    }

    /// What happened since the start, in numbers.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.kept().totals
    }

    /// How many of the kept events satisfy `wanted`.
    pub fn count(&self, mut wanted: impl FnMut(&Event) -> bool) -> usize {
        self.kept().events.iter().filter(|event| wanted(event)).count()
    }

    /// Waits for an event, past ones included, for up to five minutes. `what` names it in the failure.
    pub async fn wait_for(&self, what: &str, wanted: impl FnMut(&Event) -> bool) -> Result<Event, Missed> {
        self.wait_nth(1, Mark::START, PATIENCE, what, wanted).await
    }

    /// Waits for an event after a mark, for up to five minutes.
    pub async fn wait_after(
        &self,
        mark: Mark,
        what: &str,
        wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Event, Missed> {
        self.wait_nth(1, mark, PATIENCE, what, wanted).await
    }

    /// Waits until `count` events after a mark satisfy `wanted` and returns the last of them.
    pub async fn wait_nth(
        &self,
        count: usize,
        mark: Mark,
        patience: Duration,
        what: &str,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Event, Missed> {
        let mut changed = self.end.subscribe();
        let mut next = mark;
        let mut seen = 0;
        let search = async {
            loop {
                changed.borrow_and_update();
                {
                    let kept = self.kept();
                    for event in kept.from(next) {
                        if wanted(event) {
                            seen += 1;
                            if seen == count {
                                return event.clone();
                            }
                        }
                    }
                    next = Mark(kept.end());
                }
                if changed.changed().await.is_err() {
                    // The sender lives as long as this journal does.
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(patience, search).await {
            Ok(event) => Ok(event),
            Err(_) => Err(Missed { what: what.to_owned(), patience, last: self.last(mark) }),
        }
    }

    fn last(&self, mark: Mark) -> Vec<Event> {
        let mut events = self.since(mark);
        events.drain(..events.len().saturating_sub(REPORTED));
        events
    }
}

/// An event did not come in time.
#[derive(Clone, Debug, Error)]
pub struct Missed {
    what: String,
    patience: Duration,
    last: Vec<Event>,
}

impl fmt::Display for Missed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} did not happen within {:?}; last seen:", self.what, self.patience)?;
        if self.last.is_empty() {
            return formatter.write_str(" nothing");
        }
        self.last.iter().try_for_each(|event| write!(formatter, "\n  {event:?}"))
    }
}
