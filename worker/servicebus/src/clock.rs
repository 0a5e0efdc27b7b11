//! The one place that reads the wall clock.

use jiff::Timestamp;

/// The time now, in UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
