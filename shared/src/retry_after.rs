//! The `Retry-After` header: seconds, fractions of seconds (Graph has been seen to send them), or a date.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

/// How long the header asks to wait from `now` on; `None` if it says nothing that can be understood.
#[must_use]
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        let now = Timestamp::from_second(1_767_225_600).expect("in range");
        assert_eq!(parse(value, now), expected.map(Duration::from_millis), "{value}");
    }

    #[test]
    fn all_forms_that_occur_are_understood() {
        check("7", Some(7_000));
        check(" 0 ", Some(0));
        check("1.5", Some(1_500));
        check("Thu, 01 Jan 2026 00:00:30 GMT", Some(30_000));
    }

    #[test]
    fn a_date_in_the_past_means_now() {
        check("Wed, 31 Dec 2025 23:59:00 GMT", Some(0));
    }

    #[test]
    fn anything_else_says_nothing() {
        for value in ["", "soon", "-1", "inf", "NaN", "1e40", "2026-01-01"] {
            check(value, None);
        }
    }
}
