//! The failure of a write that was heard of last, for whoever asks why nothing goes on.

use std::fmt;

use jiff::Timestamp;
use shared::property::Property;

/// A call of a write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedCall {
    /// What was answered, if anything was.
    pub status: Option<u16>,
    /// Graph's code, if it gave one.
    pub code: Option<Box<str>>,
    /// What happened, with all causes in one line and no remedy.
    pub text: Box<str>,
    /// The properties that it was to write.
    pub properties: Vec<Property>,
}

impl FailedCall {
    /// Whether Graph says that the fault is its own.
    #[must_use]
    pub(crate) fn is_servers(&self) -> bool {
        self.status.is_some_and(|status| (500..600).contains(&status))
    }
}

/// Failures of one kind in a row: no write has succeeded between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastError {
    /// What was answered, if anything was.
    pub status: Option<u16>,
    /// Graph's code, if it gave one.
    pub code: Option<Box<str>>,
    /// What happened last.
    pub text: Box<str>,
    /// How often.
    pub count: u64,
    /// When it happened first.
    pub since: Timestamp,
    /// When it happened last.
    pub at: Timestamp,
    /// Whether a write has succeeded since.
    pub over: bool,
}

impl LastError {
    /// One more failure.
    pub(super) fn after(before: Option<Self>, failed: &FailedCall, now: Timestamp) -> Self {
        let same =
            |before: &Self| !before.over && (before.status, &before.code) == (failed.status, &failed.code);
        let (count, since) = match before.filter(same) {
            Some(before) => (before.count + 1, before.since),
            None => (1, now),
        };
        let (code, text) = (failed.code.clone(), failed.text.clone());
        Self { status: failed.status, code, text, count, since, at: now, over: false }
    }
}

impl fmt::Display for LastError {
    /// Such as `503 ServiceUnavailable, 24 times since 23:31:06Z: graph answered 503`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, "{status} {code}")?,
            (Some(status), None) => write!(f, "{status}")?,
            (None, Some(code)) => write!(f, "{code}")?,
            (None, None) => f.write_str("no answer")?,
        }
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        write!(f, ", {times} since {:.0}: {}", self.since, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: Option<u16>, code: Option<&str>) -> FailedCall {
        FailedCall { status, code: code.map(Into::into), text: "it failed".into(), properties: Vec::new() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("small")
    }

    #[test]
    fn failures_of_one_kind_are_counted_until_a_write_succeeds() {
        let (busy, other) = (failed(Some(503), Some("Busy")), failed(Some(500), None));
        let first = LastError::after(None, &busy, at(10));
        let second = LastError::after(Some(first), &busy, at(20));
        assert_eq!(second.to_string(), "503 Busy, 2 times since 1970-01-01T00:00:10Z: it failed");
        let another = LastError::after(Some(second.clone()), &other, at(30));
        assert_eq!(another.to_string(), "500, once since 1970-01-01T00:00:30Z: it failed");
        let again = LastError::after(Some(LastError { over: true, ..second }), &busy, at(40));
        assert_eq!((again.count, again.since), (1, at(40)));
        let away = LastError::after(None, &failed(None, None), at(0));
        assert!(away.to_string().starts_with("no answer, once"));
    }

    #[test]
    fn a_server_error_is_one_with_five_hundred() {
        for (status, servers) in
            [(None, false), (Some(499), false), (Some(500), true), (Some(599), true), (Some(600), false)]
        {
            assert_eq!(failed(status, None).is_servers(), servers, "{status:?}");
        }
    }
}
