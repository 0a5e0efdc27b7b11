//! The one place that reads the wall clock.
//!
//! Delays and expiries are measured with tokio's clock; the wall clock is only for what goes out on the wire as a
//! date, or comes in as one.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "this is the single place the lint leaves for it")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
