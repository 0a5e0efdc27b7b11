//! Dates as the three formats write them.

use std::{fmt, ops::Range};

use jiff::{Timestamp, civil};

/// Ticks of 100 ns in a second.
const TICKS: i64 = 10_000_000;
/// Seconds from 0001-01-01 to 1970-01-01.
const EPOCH: i64 = 62_135_596_800;
/// Midnight before the first day of .NET. Clock readings are counted from it, because instants of the last two
/// days of the year 9999 are beyond what a `Timestamp` holds.
const FIRST: civil::DateTime = civil::DateTime::constant(1, 1, 1, 0, 0, 0, 0);
/// The last tick of the year 9999.
const MAX_TICKS: i64 = 3_155_378_975_999_999_999;
/// What .NET can express, in milliseconds from 1970-01-01.
const MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// What .NET knew about the time zone of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTimeKind {
    /// Nothing: a clock reading somewhere.
    Unspecified,
    /// UTC.
    Utc,
    /// The sender's zone. The instant is known, the sender's clock reading is not kept.
    Local,
}

/// The offset in a JSON date, as written: a sign and four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset([u8; 5]);

impl Offset {
    /// The offset from UTC in minutes.
    #[must_use]
    pub fn minutes(self) -> i64 {
        let digit = |place: usize| i64::from(self.0[place] - b'0');
        let minutes = (digit(1) * 10 + digit(2)) * 60 + digit(3) * 10 + digit(4);
        if self.0[0] == b'-' { -minutes } else { minutes }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let written: [u8; 5] = text.try_into().ok()?;
        let digits = written[1..].iter().all(u8::is_ascii_digit);
        let offset = Self(written);
        (digits && matches!(written[0], b'+' | b'-') && offset.minutes().abs() <= 14 * 60).then_some(offset)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

/// A date with a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTime {
    /// From XML or binary XML, exact to 100 ns.
    Clock {
        /// What is known about the zone.
        kind: DateTimeKind,
        /// 100 ns steps since 0001-01-01T00:00:00; of UTC unless the kind is unspecified.
        ticks: i64,
    },
    /// From JSON, which tells neither the kind nor more than milliseconds.
    Json {
        /// Milliseconds since 1970-01-01T00:00:00Z, as written.
        millis: i64,
        /// The server's offset, if the value was not in UTC.
        offset: Option<Offset>,
    },
}

impl DateTime {
    /// The value of a .NET `DateTime` in binary form: a kind in the top two bits, ticks below.
    #[must_use]
    pub fn from_binary(bits: u64) -> Option<Self> {
        let kind = match bits >> 62 {
            0 => DateTimeKind::Unspecified,
            1 => DateTimeKind::Utc,
            _ => DateTimeKind::Local,
        };
        let ticks = i64::try_from(bits & (u64::MAX >> 2)).ok()?;
        (ticks <= MAX_TICKS).then_some(Self::Clock { kind, ticks })
    }

    /// Reads what follows `/Date(`, without the slashes: `1710408413000+0300)`.
    pub(super) fn parse_json(text: &str) -> Option<Self> {
        let text = text.strip_suffix(')')?;
        let signs = text.get(1..)?.find(['+', '-']).map(|at| at + 1);
        let (millis, offset) = match signs {
            Some(at) => (&text[..at], Some(Offset::parse(&text.as_bytes()[at..])?)),
            None => (text, None),
        };
        // `i64::from_str` takes a plus sign, which the serializer never writes.
        let millis: i64 = (!millis.starts_with('+')).then(|| millis.parse().ok())??;
        MILLIS.contains(&millis).then_some(Self::Json { millis, offset })
    }

    /// Reads an `xsd:dateTime`: `2024-02-29T23:59:59.1234567Z`, with an offset or with nothing for the zone.
    #[must_use]
    pub fn parse_xml(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if !separators.iter().all(|&(at, byte)| bytes.get(at) == Some(&byte)) {
            return None;
        }
        let date = civil::Date::new(part(bytes, 0..4)?, part(bytes, 5..7)?, part(bytes, 8..10)?).ok()?;
        let time =
            civil::Time::new(part(bytes, 11..13)?, part(bytes, 14..16)?, part(bytes, 17..19)?, 0).ok()?;
        let (fraction, zone) = fraction(bytes.get(19..)?)?;
        let ticks = date.to_datetime(time).duration_since(FIRST).as_secs() * TICKS + fraction;
        let (kind, shift) = match zone {
            b"" => (DateTimeKind::Unspecified, 0),
            b"Z" => (DateTimeKind::Utc, 0),
            _ => (DateTimeKind::Local, zone_minutes(zone)?),
        };
        // .NET clamps too: the zone of its smallest local date would otherwise lead before the year 1.
        let ticks = (ticks - shift * 60 * TICKS).clamp(0, MAX_TICKS);
        (date.year() >= 1).then_some(Self::Clock { kind, ticks })
    }

    /// The instant, if a clock reading of unknown zone is taken for UTC.
    ///
    /// That is how `OperationCreatedOn` has to be read: the platform loses the kind of a UTC reading, and the JSON
    /// serializer then takes it for the server's local time, so the offset must be added back.
    #[must_use]
    pub fn as_lost_utc(self) -> Option<Timestamp> {
        match self {
            Self::Clock { ticks, .. } => instant(ticks),
            Self::Json { millis, offset } => {
                let shift = offset.map_or(0, |offset| offset.minutes() * 60_000);
                Timestamp::from_millisecond(millis + shift).ok()
            }
        }
    }

    /// The value as the JSON serializer writes it on a server in UTC.
    #[must_use]
    pub fn in_json(self) -> Self {
        match self {
            Self::Clock { kind, ticks } => {
                let offset = (kind != DateTimeKind::Utc).then_some(Offset(*b"+0000"));
                Self::Json { millis: millis(ticks), offset }
            }
            Self::Json { .. } => self,
        }
    }

    /// The instant as the value itself tells it: JSON milliseconds are one, whatever the offset.
    #[must_use]
    pub fn as_instant(self) -> Option<Timestamp> {
        match self {
            Self::Clock { ticks, .. } => instant(ticks),
            Self::Json { millis, .. } => Timestamp::from_millisecond(millis).ok(),
        }
    }
}

/// RFC 3339 with milliseconds where there are any, so that the formats agree: `Z` for a known instant, an offset
/// where JSON names one, nothing for a clock reading of unknown zone.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (millis, zone) = match *self {
            Self::Clock { kind, ticks } => {
                (millis(ticks), if kind == DateTimeKind::Unspecified { None } else { Some(0) })
            }
            Self::Json { millis, offset } => {
                let minutes = offset.map_or(0, Offset::minutes);
                (millis + minutes * 60_000, Some(minutes))
            }
        };
        // Milliseconds are zero or more once they are counted from the first day.
        let since_first = millis + EPOCH * 1000;
        write_clock(f, since_first.div_euclid(1000))?;
        match since_first.rem_euclid(1000) {
            0 => {}
            fraction => write!(f, ".{fraction:03}")?,
        }
        match zone {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

/// Ticks as a clock reading with all seven fraction digits.
pub(super) struct Clock(pub(super) i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clock(f, self.0.div_euclid(TICKS))?;
        write!(f, ".{:07}", self.0.rem_euclid(TICKS))
    }
}

/// Writes the clock reading at a second counted from the first day.
fn write_clock(f: &mut fmt::Formatter<'_>, second: i64) -> fmt::Result {
    let (days, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let (year, month, day) = date_at(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The date some days behind 0001-01-01, in the Gregorian calendar as if it had always been in use. Years are
/// counted from March here, so that the leap day is the last one and all months before it have fixed places.
fn date_at(days: i64) -> (i64, i64, i64) {
    let days = days + 306;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, turn) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + turn, month, day)
}

/// Milliseconds since 1970, truncated toward zero as the JSON serializer does.
fn millis(ticks: i64) -> i64 {
    (ticks - EPOCH * TICKS) / (TICKS / 1000)
}

fn instant(ticks: i64) -> Option<Timestamp> {
    let nanos = i32::try_from(ticks.rem_euclid(TICKS) * 100).ok()?;
    Timestamp::new(ticks.div_euclid(TICKS) - EPOCH, nanos).ok()
}

/// A number at a fixed place.
fn part<T: TryFrom<i32>>(text: &[u8], place: Range<usize>) -> Option<T> {
    digits(text.get(place)?)?.try_into().ok()
}

/// A number of decimal digits and nothing else.
fn digits(text: &[u8]) -> Option<i32> {
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i32::from(byte - b'0')))
}

/// Splits the fraction of a second, in ticks, from the zone that follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=7).contains(&length) {
        return None;
    }
    let scale = 10_i64.pow(u32::try_from(7 - length).ok()?);
    Some((i64::from(digits(&rest[..length])?) * scale, &rest[length..]))
}

/// Minutes of `+hh:mm`.
fn zone_minutes(zone: &[u8]) -> Option<i64> {
    let [sign, h1, h2, b':', m1, m2] = *zone else { return None };
    Offset::parse(&[sign, h1, h2, m1, m2]).map(Offset::minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_dotnet_has_the_date_that_the_calendar_gives_it() {
        let mut date = FIRST.date();
        for days in 0..MAX_TICKS / TICKS / 86_400 {
            let expected = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            assert_eq!(date_at(days), expected);
            date = date.tomorrow().expect("a day before the last one");
        }
    }

    #[track_caller]
    fn check(xml: &str, shown: &str) {
        let date = DateTime::parse_xml(xml);
        assert_eq!(date.map(|date| date.to_string()).as_deref(), Some(shown), "{xml}");
    }

    #[test]
    fn xml_dates_are_shown_with_what_is_known_of_their_zone() {
        check("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z");
        check("2024-02-29T23:59:59.1234567Z", "2024-02-29T23:59:59.123Z");
        check("2024-03-14T12:26:53", "2024-03-14T12:26:53");
        check("2024-03-14T12:26:53.5+03:00", "2024-03-14T09:26:53.500Z");
        check("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z");
        check("0001-01-01T00:00:00+03:00", "0001-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2024-02-30T00:00:00Z",
            "2024-02-29 00:00:00Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T00:00:00.Z",
            "2024-02-29T00:00:00.12345678Z",
            "2024-02-29T00:00:00+3",
            "2024-02-29T00:00:00+15:00",
            "+024-02-29T00:00:00Z",
            "0000-02-29T00:00:00Z",
        ] {
            assert_eq!(DateTime::parse_xml(text), None, "{text}");
        }
    }

    #[track_caller]
    fn json(text: &str) -> DateTime {
        DateTime::parse_json(text).unwrap_or_else(|| panic!("{text} is a date"))
    }

    #[test]
    fn a_json_date_is_shown_at_the_clock_of_its_offset() {
        assert_eq!(json("1710408413000)").to_string(), "2024-03-14T09:26:53Z");
        assert_eq!(json("1710408413000+0000)").to_string(), "2024-03-14T09:26:53Z");
        assert_eq!(json("1710397613500+0300)").to_string(), "2024-03-14T09:26:53.500+03:00");
        assert_eq!(json("-1000)").to_string(), "1969-12-31T23:59:59Z");
        for text in ["", ")", "1", "+1)", "1+3)", "1+9900)", "253402300800000)", "1e3)", "1.5)"] {
            assert_eq!(DateTime::parse_json(text), None, "{text}");
        }
    }

    #[test]
    fn a_lost_utc_reading_is_found_again_by_adding_the_offset() {
        let expected: Timestamp = "2024-03-14T09:26:53Z".parse().expect("a time");
        for text in ["1710408413000)", "1710408413000+0000)", "1710433613000-0700)", "1710397613000+0300)"] {
            assert_eq!(json(text).as_lost_utc(), Some(expected), "{text}");
        }
        let unspecified = DateTime::parse_xml("2024-03-14T09:26:53").expect("a date");
        assert_eq!(unspecified.as_lost_utc(), Some(expected));
    }
}
