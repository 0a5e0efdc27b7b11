//! How much is in a queue: the one form in which it is read, counted and shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much is in a queue or subscription. What is not known is `None`, never 0: an empty queue is good news, and nobody
/// should get good news because a call failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueCounts {
    /// Messages to be delivered now, or under a lock.
    pub active: Option<u64>,
    /// Messages in the dead-letter queue.
    pub dead_letter: Option<u64>,
    /// Messages to appear later.
    pub scheduled: Option<u64>,
    /// Messages on the way to another entity. The service counts those that could not get there apart, as transfer
    /// dead letters; here they are included.
    pub transfer: Option<u64>,
    /// Bytes of all of them; a subscription has no figure of its own.
    pub size_bytes: Option<u64>,
    /// Age of the oldest message that waits; zero if none does. The management interface does not tell it.
    #[serde(rename = "oldestAgeSeconds", with = "whole_seconds")]
    pub oldest_age: Option<Duration>,
    /// Whether only a bounded number of messages was looked at, so that there may be more.
    pub lower_bound: bool,
}

mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(age: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        age.map(|age| age.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(from)?.map(Duration::from_secs))
    }
}
