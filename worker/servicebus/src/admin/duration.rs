//! Durations as .NET writes them in XML.

use std::time::Duration;

/// Longer than anybody means: .NET's longest time span, its way to say "for ever", is 29,227 years.
const FOR_EVER_DAYS: u64 = 3_650_000;

/// A duration such as `PT1M30.5S` or `P14D`. Years and months, which have no fixed length, do not occur.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (days, clock) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, clock)) => (days, clock),
        None => (text.strip_prefix('P')?, ""),
    };
    let days: u64 = if days.is_empty() { 0 } else { days.strip_suffix('D')?.parse().ok()? };
    let mut total = Duration::from_secs(days.checked_mul(86_400)?);
    let mut rest = clock;
    for (unit, seconds) in [('H', 3_600), ('M', 60)] {
        if let Some((number, after)) = rest.split_once(unit) {
            total =
                total.checked_add(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        let seconds = rest.strip_suffix('S')?;
        let plain = seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds = seconds.parse::<f64>().ok().filter(|_| plain)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
    }
    Some(total)
}

/// Whether a duration stands for "for ever".
pub(super) fn is_for_ever(duration: Duration) -> bool {
    duration.as_secs() / 86_400 >= FOR_EVER_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<f64>) {
        assert_eq!(parse(text), expected.map(Duration::from_secs_f64), "{text}");
    }

    #[test]
    fn all_forms_that_the_service_writes_are_read() {
        check("PT1M", Some(60.0));
        check("PT5S", Some(5.0));
        check("PT1M30.5S", Some(90.5));
        check("P14D", Some(1_209_600.0));
        check("P1DT2H", Some(93_600.0));
        check("PT0S", Some(0.0));
        assert!(parse("P10675199DT2H48M5.4775807S").is_some_and(is_for_ever));
        assert!(!parse("P14D").is_some_and(is_for_ever));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in ["", "1", "P1M", "PT1", "PTS", "PT-1S", "PT1M1H", "PTinfS", "P99999999999999999999D"] {
            check(text, None);
        }
    }
}
