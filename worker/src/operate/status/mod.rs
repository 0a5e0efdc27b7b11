//! What `contactsync status` shows: the queue as it is, and one worker as it tells about itself.
//!
//! [`Snapshot`] is everything at one moment; [`text`] and [`json`] are its forms for pipes, [`live`] the one for a
//! terminal. The queue is read by [`crate::operate::backlog`]; [`worker`] asks a worker's `/status.json`.

pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod text;
pub(crate) mod units;
pub(crate) mod worker;

pub(crate) use worker::WorkerSource;

use crate::{operate::backlog::BacklogReading, settings::check::Caution, status_page::StatusPage};

/// Everything at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The queue's name and where it is.
    pub queue: String,
    /// How much is in it.
    pub reading: BacklogReading,
    /// What takes messages to where nobody looks for them.
    pub cautions: Vec<Caution>,
    /// What the worker says, or why it says nothing.
    pub worker: Result<StatusPage, String>,
    /// Where the worker was asked.
    pub worker_url: Option<String>,
}
