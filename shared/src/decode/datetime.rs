//! Dates as the three formats write them.

use std::fmt;

use jiff::{Timestamp, civil, tz::Offset as ZoneOffset};

/// Ticks of 100 ns in a second.
const TICKS: i64 = 10_000_000;
/// Seconds from 0001-01-01 to 1970-01-01.
const EPOCH: i64 = 62_135_596_800;
/// The last tick of the year 9999.
const MAX_TICKS: i64 = 3_155_378_975_999_999_999;
/// What .NET can express, in milliseconds from 1970-01-01.
const MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// What .NET knew about the time zone of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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
        kind: Kind,
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
            0 => Kind::Unspecified,
            1 => Kind::Utc,
            _ => Kind::Local,
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
        let number = |from: usize, to: usize| digits(bytes.get(from..to)?);
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if !separators.iter().all(|&(at, byte)| bytes.get(at) == Some(&byte)) {
            return None;
        }
        let date = civil::Date::new(number(0, 4)? as i16, number(5, 7)? as i8, number(8, 10)? as i8).ok()?;
        let time =
            civil::Time::new(number(11, 13)? as i8, number(14, 16)? as i8, number(17, 19)? as i8, 0).ok()?;
        let (fraction, zone) = fraction(bytes.get(19..)?)?;
        let clock = ZoneOffset::UTC.to_timestamp(date.to_datetime(time)).ok()?.as_second();
        let ticks = (clock + EPOCH) * TICKS + fraction;
        let (kind, shift) = match zone {
            b"" => (Kind::Unspecified, 0),
            b"Z" => (Kind::Utc, 0),
            _ => (Kind::Local, zone_minutes(zone)?),
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
                // Toward zero, seen from 1970, because that is how the JSON serializer truncates.
                let millis = (ticks - EPOCH * TICKS) / (TICKS / 1000);
                (millis, if kind == Kind::Unspecified { None } else { Some(0) })
            }
            Self::Json { millis, offset } => {
                let minutes = offset.map_or(0, Offset::minutes);
                (millis + minutes * 60_000, Some(minutes))
            }
        };
        let Ok(clock) = Timestamp::from_millisecond(millis) else { return Err(fmt::Error) };
        let clock = ZoneOffset::UTC.to_datetime(clock);
        write_clock(f, clock)?;
        if clock.millisecond() != 0 {
            write!(f, ".{:03}", clock.millisecond())?;
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

/// Writes ticks as a clock reading with all seven fraction digits.
pub(super) fn write_ticks(f: &mut impl fmt::Write, ticks: i64) -> fmt::Result {
    let Ok(second) = Timestamp::from_second(ticks.div_euclid(TICKS) - EPOCH) else { return Err(fmt::Error) };
    write_clock(f, ZoneOffset::UTC.to_datetime(second))?;
    write!(f, ".{:07}", ticks.rem_euclid(TICKS))
}

fn write_clock(f: &mut impl fmt::Write, clock: civil::DateTime) -> fmt::Result {
    let (date, time) = (clock.date(), clock.time());
    write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
    write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

fn instant(ticks: i64) -> Option<Timestamp> {
    let nanos = i32::try_from(ticks.rem_euclid(TICKS) * 100).ok()?;
    Timestamp::new(ticks.div_euclid(TICKS) - EPOCH, nanos).ok()
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
