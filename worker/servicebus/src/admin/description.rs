//! What the service says about a queue or subscription.

use std::{fmt, time::Duration};

use super::{duration, xml::Elements};
use crate::QueueCounts;

/// Settings and contents of a queue or subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What is set.
    pub properties: EntityProperties,
    /// How much is in it, if the service told all of it.
    pub counts: Option<QueueCounts>,
}

/// What is set. What the service does not tell is `None`; a subscription has no size and no duplicate detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityProperties {
    /// How long a delivery stays locked.
    pub lock_duration: Option<Duration>,
    /// Failed deliveries after which a message is dead-lettered.
    pub max_delivery_count: Option<u32>,
    /// Whether messages can be received by session only.
    pub requires_session: Option<bool>,
    /// Whether messages with a known id are dropped.
    pub duplicate_detection: Option<bool>,
    /// How long ids are known.
    pub duplicate_window: Option<Duration>,
    /// Whether messages that outlive their time become dead letters.
    pub dead_letters_expired: Option<bool>,
    /// How long messages live; `None` for ever.
    pub default_ttl: Option<Duration>,
    /// Time without a receiver after which the service deletes it; `None` for never.
    pub auto_delete_on_idle: Option<Duration>,
    /// Whether it can be used.
    pub status: Status,
    /// Most megabytes that it holds.
    pub max_size_megabytes: Option<u64>,
    /// The entity that gets every message instead.
    pub forward_to: Option<Box<str>>,
    /// The entity that gets the dead letters.
    pub forward_dead_letters_to: Option<Box<str>>,
}

/// Whether an entity can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// For everything.
    Active,
    /// For nothing.
    Disabled,
    /// For receiving only.
    SendDisabled,
    /// For sending only.
    ReceiveDisabled,
    /// Something else, in the service's words; empty if it said nothing.
    Other(Box<str>),
}

impl Status {
    /// As the service names it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Active => "Active",
            Self::Disabled => "Disabled",
            Self::SendDisabled => "SendDisabled",
            Self::ReceiveDisabled => "ReceiveDisabled",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::SendDisabled => "disabled for sending",
            Self::ReceiveDisabled => "disabled for receiving",
            Self::Other(text) if text.is_empty() => "unknown",
            Self::Other(text) => text,
        })
    }
}

impl Description {
    /// The description in an entry; `Err` names the element whose value cannot be read.
    pub(super) fn of(elements: &Elements) -> Result<Self, &'static str> {
        let read = Values(elements);
        let status = match read.text("Status") {
            Some("Active") => Status::Active,
            Some("Disabled") => Status::Disabled,
            Some("SendDisabled") => Status::SendDisabled,
            Some("ReceiveDisabled") => Status::ReceiveDisabled,
            other => Status::Other(other.unwrap_or_default().into()),
        };
        let lasting = |time: Option<Duration>| time.filter(|time| !duration::is_for_ever(*time));
        Ok(Self {
            properties: EntityProperties {
                lock_duration: read.duration("LockDuration")?,
                max_delivery_count: read.parsed("MaxDeliveryCount")?,
                requires_session: read.parsed("RequiresSession")?,
                duplicate_detection: read.parsed("RequiresDuplicateDetection")?,
                duplicate_window: read.duration("DuplicateDetectionHistoryTimeWindow")?,
                dead_letters_expired: read.parsed("DeadLetteringOnMessageExpiration")?,
                default_ttl: lasting(read.duration("DefaultMessageTimeToLive")?),
                auto_delete_on_idle: lasting(read.duration("AutoDeleteOnIdle")?),
                status,
                max_size_megabytes: read.parsed("MaxSizeInMegabytes")?,
                forward_to: read.entity("ForwardTo"),
                forward_dead_letters_to: read.entity("ForwardDeadLetteredMessagesTo"),
            },
            counts: counts(&read)?,
        })
    }
}

/// All counts or none: a count that is missing is unknown, not 0.
fn counts(read: &Values<'_>) -> Result<Option<QueueCounts>, &'static str> {
    let (on_the_way, stuck): (Option<u64>, Option<u64>) =
        (read.parsed("TransferMessageCount")?, read.parsed("TransferDeadLetterMessageCount")?);
    let counts = QueueCounts {
        active: read.parsed("ActiveMessageCount")?,
        dead_letter: read.parsed("DeadLetterMessageCount")?,
        scheduled: read.parsed("ScheduledMessageCount")?,
        transfer: on_the_way.zip(stuck).map(|(on_the_way, stuck)| on_the_way.saturating_add(stuck)),
        size_bytes: read.parsed("SizeInBytes")?,
        ..QueueCounts::default()
    };
    let told = counts.active.and(counts.dead_letter).and(counts.scheduled).and(counts.transfer);
    Ok(told.map(|_| counts))
}

/// Values by name; an empty element counts as absent.
struct Values<'a>(&'a Elements);

impl<'a> Values<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The name of another entity, which the service writes as a URL of its namespace.
    fn entity(&self, name: &str) -> Option<Box<str>> {
        let text = self.text(name)?;
        let path = text.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        Some(path.filter(|path| !path.is_empty()).unwrap_or(text).trim_end_matches('/').into())
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, &'static str> {
        self.text(name).map(|text| text.parse().map_err(|_| name)).transpose()
    }

    fn duration(&self, name: &'static str) -> Result<Option<Duration>, &'static str> {
        self.text(name).map(|text| duration::parse(text).ok_or(name)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(pairs: &[(&str, &str)]) -> Elements {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    const COUNTS: [(&str, &str); 6] = [
        ("ActiveMessageCount", "1"),
        ("DeadLetterMessageCount", "2"),
        ("ScheduledMessageCount", "3"),
        ("TransferMessageCount", "4"),
        ("TransferDeadLetterMessageCount", "5"),
        ("SizeInBytes", "6"),
    ];

    #[test]
    fn counts_and_settings_are_read() {
        let mut pairs = COUNTS.to_vec();
        pairs.extend([
            ("LockDuration", "PT30S"),
            ("MaxDeliveryCount", "10"),
            ("RequiresSession", "false"),
            ("DefaultMessageTimeToLive", "P10675199DT2H48M5.4775807S"),
            ("Status", "ReceiveDisabled"),
            ("AutoDeleteOnIdle", "P1D"),
            ("ForwardDeadLetteredMessagesTo", "https://contoso.servicebus.windows.net/team/failed"),
        ]);
        let description = Description::of(&elements(&pairs)).expect("a description");
        let counts = description.counts.expect("counts");
        assert_eq!((counts.active, counts.dead_letter, counts.scheduled), (Some(1), Some(2), Some(3)));
        assert_eq!((counts.transfer, counts.size_bytes), (Some(4 + 5), Some(6)), "with what is stuck");
        assert_eq!(description.properties.lock_duration, Some(Duration::from_secs(30)));
        assert_eq!(description.properties.default_ttl, None);
        assert_eq!(description.properties.auto_delete_on_idle, Some(Duration::from_hours(24)));
        assert_eq!(description.properties.forward_dead_letters_to.as_deref(), Some("team/failed"));
        assert_eq!(description.properties.status, Status::ReceiveDisabled);
        assert_eq!(description.properties.duplicate_detection, None);
    }

    #[test]
    fn a_count_that_is_missing_makes_all_unknown() {
        for missing in 0..5 {
            let mut pairs = COUNTS.to_vec();
            pairs.remove(missing);
            assert_eq!(Description::of(&elements(&pairs)).map(|read| read.counts), Ok(None));
        }
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named() {
        for (name, text) in [("ActiveMessageCount", "-1"), ("LockDuration", "soon"), ("RequiresSession", "2")]
        {
            let result = Description::of(&elements(&[(name, text)]));
            assert_eq!(result.err(), Some(name));
        }
    }
}
