//! Numbers and moments as .NET spells them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// .NET counts ticks of 100 ns from the year 1; this is the Unix epoch on that scale.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;

/// A number with decimals: the shortest digits that give it back, with an exponent from 10^15 on and below 10^-4.
pub(super) fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF" } else { "-INF" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..15).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}E{sign}{:02}", exponent.abs())
}

/// The reading of a clock in UTC.
pub(super) fn reading(moment: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(moment)
}

/// .NET's ticks of a moment.
pub(super) fn ticks(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_nanosecond() / 100 + UNIX_EPOCH_TICKS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_dotnet_spells_them() {
        let cases = [
            (51.50853, "51.50853"),
            (1.0, "1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e14, "100000000000000"),
            (1e15, "1E+15"),
            (1e20, "1E+20"),
            (0.0001, "0.0001"),
            (0.000_099, "9.9E-05"),
            (0.000_01, "1E-05"),
            (-3.932_277_104_468_085e-5, "-3.932277104468085E-05"),
            (-1e-300, "-1E-300"),
            (123_456_789_012_345_680.0, "1.2345678901234568E+17"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-INF"),
        ];
        for (value, expected) in cases {
            assert_eq!(double(value), expected);
        }
    }
}
