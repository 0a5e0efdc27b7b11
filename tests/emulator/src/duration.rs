//! Durations in the form of ISO 8601, as entities are described with them.

use std::time::Duration;

/// An ISO 8601 duration such as `PT1M30S`; none if it is not one. Years and months are not known here.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('P')?;
    let (days, times) = text.split_once('T').unwrap_or((text, ""));
    let mut duration = Duration::ZERO;
    let mut any = false;
    for (part, units) in [(days, &[('D', 86_400)][..]), (times, &[('H', 3_600), ('M', 60), ('S', 1)])] {
        let mut rest = part;
        for (unit, seconds) in units {
            let Some((number, after)) = rest.split_once(*unit) else { continue };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            let whole: u64 = whole.parse().ok()?;
            duration = duration.checked_add(Duration::from_secs(whole.checked_mul(*seconds)?))?;
            if !fraction.is_empty() {
                // Only the precision of the wire counts, which is milliseconds.
                let millis: String = fraction.chars().chain("00".chars()).take(3).collect();
                duration += Duration::from_millis(millis.parse().ok()?);
            }
            any = true;
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    any.then_some(duration)
}

/// A time to live; durations that .NET means as "for ever" are none.
pub(crate) fn lifetime(duration: Duration) -> Option<Duration> {
    (duration.as_secs() / 86_400 < 10_000_000).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_the_iso_way() {
        for (text, expected) in [
            ("PT1M", Some(60)),
            ("PT1H2M5S", Some(3_725)),
            ("P1DT1S", Some(86_401)),
            ("PT0.5S", Some(0)),
            ("P10675199DT2H48M5.4775807S", Some(922_337_203_685)),
            ("PT", None),
            ("PT5", None),
            ("-PT1S", None),
            ("1 minute", None),
        ] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs()), expected, "{text}");
        }
    }
}
