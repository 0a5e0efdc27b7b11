//! The end of a certificate, read from its DER. The library that checks certificates keeps it to itself.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, which holds the version.
const VERSION: u8 = 0xa0;

/// `notAfter` of a certificate (RFC 5280, section 4.1); `None` if it is none that can be read.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (body, _) = expect(certificate, SEQUENCE)?;
    let rest = expect(body, VERSION).map_or(body, |(_, rest)| rest);
    let (_serial, rest) = expect(rest, INTEGER)?;
    let (_signature, rest) = expect(rest, SEQUENCE)?;
    let (_issuer, rest) = expect(rest, SEQUENCE)?;
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    self::time(tag, time)
}

/// The content of the first element, if it has this tag, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Four bytes of length are more than any certificate has.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, or the same with four digits of the year.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            // Two digits are of 1950 to 2049.
            (if year < 50 { 2_000 + year } else { 1_900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let part = |at: usize| i8::try_from(number(rest.get(at..at + 2)?)?).ok();
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

fn number(text: &str) -> Option<i16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A certificate of which nothing counts but its validity.
    fn certificate(not_after: &[u8], tag: u8) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).expect("short").to_be_bytes();
            [&[tag, 0x82], &length[..], content].concat()
        };
        let validity = [element(UTC_TIME, b"200101000000Z"), element(tag, not_after)].concat();
        let body = [
            element(VERSION, &element(INTEGER, &[2])),
            element(INTEGER, &[1]),
            element(SEQUENCE, b"algorithm"),
            element(SEQUENCE, b"issuer"),
            element(SEQUENCE, &validity),
            element(SEQUENCE, b"subject"),
        ];
        element(SEQUENCE, &element(SEQUENCE, &body.concat()))
    }

    #[test]
    fn the_end_is_read_in_both_forms_of_a_time() {
        for (tag, text, expected) in [
            (UTC_TIME, "270301120000Z", Some("2027-03-01T12:00:00Z")),
            (UTC_TIME, "990301120000Z", Some("1999-03-01T12:00:00Z")),
            (GENERALIZED_TIME, "20510301120000Z", Some("2051-03-01T12:00:00Z")),
            // What stands for no end.
            (GENERALIZED_TIME, "99991231235959Z", None),
            (UTC_TIME, "271301120000Z", None),
            (UTC_TIME, "2703011200Z", None),
            (UTC_TIME, "270301120000+0100", None),
            (0x0c, "270301120000Z", None),
        ] {
            let read = not_after(&certificate(text.as_bytes(), tag));
            assert_eq!(read.map(|time| time.to_string()).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 0_usize..120, at in 0_usize..120, byte: u8,
        ) {
            let mut bent = certificate(b"270301120000Z", UTC_TIME);
            bent.truncate(bent.len().saturating_sub(cut));
            if let Some(place) = bent.get_mut(at) {
                *place = byte;
            }
            let _any = (not_after(&bytes), not_after(&bent));
        }
    }
}
