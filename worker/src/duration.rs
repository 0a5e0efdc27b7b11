//! Lengths of time as people write and read them: in settings, on the command line, in findings and on screens.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Reads what people write: `500ms`, `30s`, `1h 30m`, `2d`, `1w`. A day has 24 hours, a week seven days; months and
/// years have no fixed length and are not understood.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    // Without days, what is read is exact; only with them it depends on what a day is.
    let exact = text.parse::<SignedDuration>().ok();
    let with_days = || text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok();
    Duration::try_from(exact.or_else(with_days)?).ok()
}

/// All of a length of time, as it would be written in the settings: `1h 30m`, `6m 15s 500ms`.
#[must_use]
pub(crate) fn exact(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |time| format!("{time:#}"))
}

/// A length of time in its two largest units, for figures that change while somebody looks: `2d 7h`, `1m 0s`.
#[must_use]
pub(crate) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(number, _)| *number > 0).unwrap_or(parts.len() - 1);
    let shown: Vec<_> =
        parts[first..].iter().take(2).map(|(number, unit)| format!("{number}{unit}")).collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            (" 90s ", 90_000),
            ("5m", 300_000),
            ("1h 30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("2 hours", 7_200_000),
            ("PT2H", 7_200_000),
            ("0s", 0),
            ("2d", 172_800_000),
            ("2 d", 172_800_000),
            ("1w", 604_800_000),
            ("1d 12h", 129_600_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "d", "soon", "10", "two days", "-1h", "1mo", "99999999999999999999d", "3x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_exactly_can_be_read_back() {
        for (seconds, expected) in
            [(0.0, "0s"), (375.5, "6m 15s 500ms"), (86_400.0, "24h"), (5_400.0, "1h 30m")]
        {
            let duration = Duration::from_secs_f64(seconds);
            assert_eq!((exact(duration).as_str(), parse(expected)), (expected, Some(duration)));
        }
    }

    #[test]
    fn what_is_shown_roughly_has_two_units() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (130, "2m 10s"), (7_384, "2h 3m"), (200_000, "2d 7h")]
        {
            assert_eq!(rough(Duration::from_secs(seconds)), expected);
        }
    }
}
