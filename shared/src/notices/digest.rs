//! The daily digest.

use jiff::{SignedDuration, Timestamp, civil::Time, tz::Offset};

/// Who tells the digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestTeller {
    /// This replica, which writes.
    #[default]
    Us,
    /// Another one, or nobody.
    Others,
    /// It is not known yet. The digest waits for it.
    Unknown,
}

/// When the digest is due, by the wall clock in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyDigest {
    at: Time,
    told: Timestamp,
}

impl DailyDigest {
    /// A digest at this time of the day, the last one of which counts as told at `told`.
    #[must_use]
    pub const fn new(at: Time, told: Timestamp) -> Self {
        Self { at, told }
    }

    /// Whether that time has come since it was told. A clock that is set back makes none twice.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let today = Offset::UTC.to_datetime(now).date().to_datetime(self.at);
        let Ok(today) = Offset::UTC.to_timestamp(today) else { return false };
        let latest = if today <= now { today } else { today - SignedDuration::from_hours(24) };
        self.told < latest
    }

    /// It was told.
    pub fn tell(&mut self, now: Timestamp) {
        self.told = now;
    }

    /// When it was told last, or the time counts from which on.
    #[must_use]
    pub const fn told(&self) -> Timestamp {
        self.told
    }
}
