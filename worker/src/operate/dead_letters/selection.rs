//! Which dead letters are meant: filters that all have to agree.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use clap::builder::PossibleValuesParser;
use jiff::{SignedDuration, Timestamp};
use servicebus::{ApplicationValue, Message};
use shared::{
    ids::{SequenceNumber, UserId},
    plan::Planner,
    reason::DeadLetterReason,
};
use uuid::Uuid;

use super::Letter;
use crate::{duration, preview::Subjects};

/// Filters. One that is given several times matches any of its values; different ones must all match.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which messages (filters combine; one given twice matches either)")]
pub(crate) struct Selection {
    /// Only this dead-letter reason, for example `UserNotFound`; none for those without a reason. Large and small letters are
    /// the same. Of reasons that somebody else has made up: `--where DeadLetterReason=TEXT`.
    #[arg(long, value_name = "REASON", ignore_case = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(reasons()))]
    pub reason: Vec<String>,
    /// Only what Graph refused with this code, for example `Request_BadRequest`.
    #[arg(long, value_name = "CODE")]
    pub code: Vec<String>,
    /// Only what is about this property of the user, for example mail.
    #[arg(long, value_name = "PROPERTY")]
    pub property: Vec<String>,
    /// Only changes of this contact.
    #[arg(long, value_name = "GUID")]
    pub contact: Vec<Uuid>,
    /// Only changes whose link names this user.
    #[arg(long, value_name = "GUID", value_parser = user)]
    pub user: Vec<UserId>,
    /// Only what reached the queue longer ago than this, for example 2d, 12h, 30m.
    #[arg(long, value_name = "AGE", value_parser = span)]
    pub older_than: Option<Duration>,
    /// Only what reached the queue within this time.
    #[arg(long, value_name = "AGE", value_parser = span)]
    pub newer_than: Option<Duration>,
    /// Only these numbers of the dead-letter queue: A, A..B, A.. or ..B, both ends included.
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub sequence: Option<RangeInclusive<i64>>,
    /// Only messages with this property: NAME=VALUE, NAME!=VALUE, or NAME for any value. Besides application
    /// properties: message-id, correlation-id, content-type, subject, session-id, delivery-count.
    #[arg(long = "where", value_name = "CONDITION")]
    pub conditions: Vec<Condition>,
    /// Only the first so many, oldest first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// What stands for the reason of a dead letter that has none.
const NO_REASON: &str = "none";
/// Why Service Bus itself dead-letters.
const OF_SERVICE: [&str; 5] = [
    "HeaderSizeExceeded",
    "MaxDeliveryCountExceeded",
    "MaxTransferHopCountExceeded",
    "Session ID is null",
    "TTLExpiredException",
];

/// Every reason that is known.
fn reasons() -> impl Iterator<Item = &'static str> {
    DeadLetterReason::ALL.into_iter().map(DeadLetterReason::as_str).chain(OF_SERVICE).chain([NO_REASON])
}

/// A condition on a property of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    name: Box<str>,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Present,
    Equal(Box<str>),
    Different(Box<str>),
}

impl FromStr for Condition {
    type Err = &'static str;

    fn from_str(condition: &str) -> Result<Self, Self::Err> {
        let (name, test) = match condition.split_once('=') {
            None => (condition, Test::Present),
            Some((name, value)) => match name.strip_suffix('!') {
                Some(name) => (name, Test::Different(value.into())),
                None => (name, Test::Equal(value.into())),
            },
        };
        let name = name.trim();
        if name.is_empty() {
            return Err("a condition is NAME=VALUE, NAME!=VALUE or NAME");
        }
        Ok(Self { name: name.into(), test })
    }
}

impl Condition {
    fn holds(&self, message: &Message) -> bool {
        let value = value_of(message, &self.name);
        match &self.test {
            Test::Present => value.is_some(),
            Test::Equal(wanted) => value.is_some_and(|value| value == **wanted),
            Test::Different(unwanted) => value.is_none_or(|value| value != **unwanted),
        }
    }
}

/// A property as text, the application's before the message's own.
fn value_of(message: &Message, name: &str) -> Option<String> {
    if let Some(property) = message.properties.get(name) {
        return Some(shown(property));
    }
    let own = match name {
        "message-id" => message.message_id.as_deref(),
        "correlation-id" => message.correlation_id.as_deref(),
        "content-type" => message.content_type.as_deref(),
        "subject" => message.subject.as_deref(),
        "session-id" => message.session_id.as_deref(),
        "delivery-count" => return Some(message.delivery_count.0.to_string()),
        _ => None,
    };
    own.map(str::to_owned)
}

/// A property as a person writes it.
#[must_use]
pub(crate) fn shown(property: &ApplicationValue) -> String {
    Shown(property).to_string()
}

struct Shown<'a>(&'a ApplicationValue);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ApplicationValue::Null => f.write_str("null"),
            ApplicationValue::Bool(yes) => yes.fmt(f),
            ApplicationValue::U8(n) => n.fmt(f),
            ApplicationValue::U16(n) => n.fmt(f),
            ApplicationValue::U32(n) => n.fmt(f),
            ApplicationValue::U64(n) => n.fmt(f),
            ApplicationValue::I8(n) => n.fmt(f),
            ApplicationValue::I16(n) => n.fmt(f),
            ApplicationValue::I32(n) => n.fmt(f),
            ApplicationValue::I64(n) => n.fmt(f),
            ApplicationValue::F32(n) => n.fmt(f),
            ApplicationValue::F64(n) => n.fmt(f),
            ApplicationValue::Char(character) => character.fmt(f),
            ApplicationValue::Time(millis) => match Timestamp::from_millisecond(*millis) {
                Ok(time) => time.fmt(f),
                Err(_) => millis.fmt(f),
            },
            ApplicationValue::Uuid(id) => id.fmt(f),
            ApplicationValue::Text(text) | ApplicationValue::Symbol(text) => f.write_str(text),
            ApplicationValue::Binary(bytes)
            | ApplicationValue::Decimal(bytes)
            | ApplicationValue::Described(bytes) => {
                write!(f, "({} bytes)", bytes.len())
            }
        }
    }
}

impl Selection {
    /// Whether it leaves anything out; `--limit` alone does not say which messages are meant.
    #[must_use]
    pub(crate) fn is_selective(&self) -> bool {
        !(self.reason.is_empty()
            && self.code.is_empty()
            && self.property.is_empty()
            && self.contact.is_empty()
            && self.user.is_empty()
            && self.older_than.is_none()
            && self.newer_than.is_none()
            && self.sequence.is_none()
            && self.conditions.is_empty())
    }

    /// The first number that can match.
    #[must_use]
    pub(crate) fn first(&self) -> SequenceNumber {
        SequenceNumber(self.sequence.as_ref().map_or(0, |range| (*range.start()).max(0)))
    }

    /// Whether no later message can match.
    #[must_use]
    pub(crate) fn is_behind(&self, sequence: SequenceNumber) -> bool {
        self.sequence.as_ref().is_some_and(|range| sequence.0 >= *range.end())
    }

    /// Whether a message is meant; `--limit` is for the caller to count.
    #[must_use]
    pub(crate) fn matches(&self, message: &Message, now: Timestamp, planner: &Planner) -> bool {
        let letter = Letter::of(message);
        self.is_for(&letter.reason)
            && any(&self.code, letter.code.as_deref())
            && any(&self.property, letter.target.as_deref())
            && self.sequence.as_ref().is_none_or(|range| range.contains(&message.sequence.0))
            && self.is_of_age(letter.since, now)
            && self.conditions.iter().all(|condition| condition.holds(message))
            && self.is_about(message, planner)
    }

    fn is_for(&self, reason: &str) -> bool {
        let reason = if reason.is_empty() { NO_REASON } else { reason };
        self.reason.is_empty() || self.reason.iter().any(|wanted| wanted.eq_ignore_ascii_case(reason))
    }

    /// A message that does not tell its age is neither older nor newer than anything.
    fn is_of_age(&self, since: Option<Timestamp>, now: Timestamp) -> bool {
        let age = since.map(|since| now.duration_since(since));
        let signed = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let older = |span| age.is_some_and(|age| age > signed(span));
        let newer = |span| age.is_some_and(|age| age <= signed(span));
        self.older_than.is_none_or(older) && self.newer_than.is_none_or(newer)
    }

    /// The last filter, because it decodes the body.
    fn is_about(&self, message: &Message, planner: &Planner) -> bool {
        if self.contact.is_empty() && self.user.is_empty() {
            return true;
        }
        let subjects = Subjects::of(message, planner);
        let contact = subjects.contacts.iter().any(|contact| self.contact.contains(&contact.0));
        let user = subjects.users.iter().any(|user| self.user.contains(user));
        (self.contact.is_empty() || contact) && (self.user.is_empty() || user)
    }
}

fn any(wanted: &[String], value: Option<&str>) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::parse(text).ok_or("is not the object id of a user (a GUID)")
}

/// A length of time as an option.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .ok_or_else(|| format!("{text:?} is not a length of time such as 90s, 30m, 12h, 2d or 1w"))
}

fn range(text: &str) -> Result<RangeInclusive<i64>, String> {
    let wrong =
        || format!("{text:?} is not a range of sequence numbers such as 4711, 100..200, 100.. or ..200");
    let end = |text: &str, open: i64| match text.trim() {
        "" => Ok(open),
        text => text.parse().map_err(|_| wrong()),
    };
    let range = match text.split_once("..") {
        None => {
            let one = text.trim().parse().map_err(|_| wrong())?;
            one..=one
        }
        Some((first, last)) => end(first, 0)?..=end(last.trim_start_matches('='), i64::MAX)?,
    };
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use shared::mapping::Mapping;

    use super::*;
    use crate::envelope::{CODE, DEAD_LETTER_REASON};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        selection: Selection,
    }

    const CONTACT: &str = "03d0d059-3dcf-41f2-9e20-57b85dbff932";
    const USER: &str = "6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10";

    fn message() -> Message {
        let body = serde_json::json!({
            "InputParameters": [{"key": "Target", "value": {
                "__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts",
                "Attributes": [{"key": "firstname", "value": "Ada"},
                    {"key": "adx_identity_username", "value": USER}],
                "Id": CONTACT, "LogicalName": "contact"}}],
            "MessageName": "Update", "PrimaryEntityId": CONTACT, "PrimaryEntityName": "contact"});
        Message {
            sequence: SequenceNumber(42),
            enqueued: Timestamp::from_second(1_000_000).ok(),
            subject: Some("update".into()),
            properties: [
                (DEAD_LETTER_REASON, ApplicationValue::from("GraphRefused")),
                (CODE, ApplicationValue::from("Request_BadRequest")),
                ("depth", ApplicationValue::I32(2)),
            ]
            .into_iter()
            .collect(),
            body: Ok(serde_json::to_vec(&body).expect("serializes").into()),
            ..Message::default()
        }
    }

    /// Whether the message matches an hour after it reached the queue.
    #[track_caller]
    fn check(arguments: &str, expected: bool) {
        let line = Line::try_parse_from(std::iter::once("test").chain(arguments.split_whitespace()));
        let selection = line.unwrap_or_else(|error| panic!("{arguments}: {error}")).selection;
        let now = Timestamp::from_second(1_003_600).expect("small");
        let planner = Planner::new(Mapping::preset_default());
        assert_eq!(selection.matches(&message(), now, &planner), expected, "{arguments}");
        assert_eq!(selection.is_selective(), !arguments.is_empty() && !arguments.starts_with("--limit"));
    }

    #[test]
    fn every_filter_has_its_say() {
        for (arguments, expected) in [
            ("", true),
            ("--limit 3", true),
            ("--reason GraphRefused", true),
            ("--reason graphrefused", true),
            ("--reason UserNotFound", false),
            ("--reason none", false),
            ("--reason UserNotFound --reason GraphRefused", true),
            ("--code Request_BadRequest", true),
            ("--code Other", false),
            ("--property mail", false),
            ("--older-than 59m", true),
            ("--older-than 1h", false),
            ("--newer-than 1h", true),
            ("--newer-than 59m", false),
            ("--older-than 30m --newer-than 2h", true),
            ("--sequence 42", true),
            ("--sequence 43..", false),
            ("--sequence ..41", false),
            ("--sequence 40..42", true),
            ("--where depth", true),
            ("--where depth=2", true),
            ("--where depth!=2", false),
            ("--where other!=2", true),
            ("--where other", false),
            ("--where subject=update --where depth=2", true),
            ("--where delivery-count=0", true),
            ("--contact 03d0d059-3dcf-41f2-9e20-57b85dbff932", true),
            ("--contact 03d0d059-3dcf-41f2-9e20-57b85dbff933", false),
            ("--user 6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10", true),
            ("--user 6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b11", false),
            ("--reason GraphRefused --user 6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b11", false),
        ] {
            check(arguments, expected);
        }
    }

    #[test]
    fn a_reason_that_nobody_gives_is_refused_with_the_one_that_was_meant() {
        let line = Line::try_parse_from(["test", "--reason", "UserNotFoundd"]);
        let error = line.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("UserNotFoundd") && error.contains("'UserNotFound'"), "{error}");
        let mut without = message();
        without.properties = servicebus::ApplicationProperties::default();
        let line =
            Line::try_parse_from(["test", "--reason", "none"]).unwrap_or_else(|error| panic!("{error}"));
        let planner = Planner::new(Mapping::preset_default());
        assert!(line.selection.matches(&without, Timestamp::UNIX_EPOCH, &planner));
    }

    #[test]
    fn ranges_that_hold_nothing_are_refused() {
        for text in ["", "a..b", "5..4", "-"] {
            range(text).expect_err(text);
        }
        assert_eq!(range("..9").map(|range| range.contains(&9)), Ok(true));
    }
}
