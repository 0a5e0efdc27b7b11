//! Text records: the many ways in which binary XML spells a piece of text.

use std::borrow::Cow;

use uuid::Uuid;

use super::bytes::Bytes;
use crate::decode::{
    datetime::DateTime,
    error::{DecodeProblem, Error},
    infoset::{Decimal, Scalar},
};

const ZERO: u8 = 0x80;
const ONE: u8 = 0x82;
const FALSE: u8 = 0x84;
const TRUE: u8 = 0x86;
const INT8: u8 = 0x88;
const INT16: u8 = 0x8A;
const INT32: u8 = 0x8C;
const INT64: u8 = 0x8E;
const FLOAT: u8 = 0x90;
const DOUBLE: u8 = 0x92;
const DECIMAL: u8 = 0x94;
const DATE_TIME: u8 = 0x96;
const CHARS8: u8 = 0x98;
const CHARS16: u8 = 0x9A;
const CHARS32: u8 = 0x9C;
const BYTES8: u8 = 0x9E;
const BYTES16: u8 = 0xA0;
const BYTES32: u8 = 0xA2;
const START_LIST: u8 = 0xA4;
const END_LIST: u8 = 0xA6;
const EMPTY: u8 = 0xA8;
const DICTIONARY: u8 = 0xAA;
const UNIQUE_ID: u8 = 0xAC;
const TIME_SPAN: u8 = 0xAE;
const GUID: u8 = 0xB0;
const UNSIGNED64: u8 = 0xB2;
const BOOL: u8 = 0xB4;
const UNICODE8: u8 = 0xB6;
const UNICODE16: u8 = 0xB8;
const UNICODE32: u8 = 0xBA;
const QNAME_DICTIONARY: u8 = 0xBC;

/// Whether the items of an array can have a type, which is given with the end of the element included.
pub(super) fn fits_array(record: u8) -> bool {
    let fixed = [BOOL, INT16, INT32, INT64, FLOAT, DOUBLE, DECIMAL, DATE_TIME, TIME_SPAN, GUID];
    record % 2 == 1 && fixed.contains(&(record - 1))
}

/// The value of a text record, given its type without the end of the element.
pub(super) fn scalar<'a>(bytes: &mut Bytes<'a>, record: u8) -> Result<Scalar<'a>, Error> {
    Ok(match record {
        START_LIST => return list(bytes),
        DICTIONARY => return Err(bytes.dictionary()),
        QNAME_DICTIONARY => {
            bytes.byte()?;
            return Err(bytes.dictionary());
        }
        _ => single(bytes, record)?,
    })
}

/// Steps over the value of a text record, given its type without the end of the element.
pub(super) fn skip(bytes: &mut Bytes<'_>, record: u8) -> Result<(), Error> {
    let first = match record {
        CHARS8 | CHARS16 | CHARS32 => CHARS8,
        BYTES8 | BYTES16 | BYTES32 => BYTES8,
        UNICODE8 | UNICODE16 | UNICODE32 => UNICODE8,
        _ => return scalar(bytes, record).map(drop),
    };
    let length = announced(bytes, record - first)?;
    bytes.slice(length).map(drop)
}

/// Records with a blank between each two.
fn list<'a>(bytes: &mut Bytes<'a>) -> Result<Scalar<'a>, Error> {
    let mut joined = String::new();
    loop {
        let record = bytes.byte()?;
        if record == END_LIST {
            return Ok(Scalar::Text(Cow::Owned(joined)));
        }
        let text = single(bytes, record)?.into_text();
        let text = text.ok_or_else(|| bytes.fail(DecodeProblem::Encoding("UTF-16")))?;
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(&text);
    }
}

fn single<'a>(bytes: &mut Bytes<'a>, record: u8) -> Result<Scalar<'a>, Error> {
    Ok(match record {
        ZERO => Scalar::Int(0),
        ONE => Scalar::Int(1),
        FALSE => Scalar::Bool(false),
        TRUE => Scalar::Bool(true),
        INT8 => Scalar::Int(i8::from_le_bytes(bytes.array()?).into()),
        INT16 => Scalar::Int(i16::from_le_bytes(bytes.array()?).into()),
        INT32 => Scalar::Int(i32::from_le_bytes(bytes.array()?).into()),
        INT64 => Scalar::Int(i64::from_le_bytes(bytes.array()?)),
        FLOAT => Scalar::Double(f32::from_le_bytes(bytes.array()?).into()),
        DOUBLE => Scalar::Double(f64::from_le_bytes(bytes.array()?)),
        DECIMAL => Scalar::Decimal(decimal(bytes)?),
        DATE_TIME => {
            let date = DateTime::from_binary(u64::from_le_bytes(bytes.array()?));
            Scalar::DateTime(
                date.ok_or_else(|| bytes.fail(DecodeProblem::Expected("a date before the year 10000")))?,
            )
        }
        CHARS8 | CHARS16 | CHARS32 => {
            let length = announced(bytes, record - CHARS8)?;
            Scalar::Text(Cow::Borrowed(bytes.utf8(length)?))
        }
        BYTES8 | BYTES16 | BYTES32 => {
            let length = announced(bytes, record - BYTES8)?;
            Scalar::Bytes(Cow::Borrowed(bytes.slice(length)?))
        }
        UNICODE8 | UNICODE16 | UNICODE32 => {
            let length = announced(bytes, record - UNICODE8)?;
            utf16(bytes.slice(length)?).ok_or_else(|| bytes.fail(DecodeProblem::Encoding("UTF-16")))?
        }
        EMPTY => Scalar::Text(Cow::Borrowed("")),
        UNIQUE_ID => Scalar::Text(Cow::Owned(Uuid::from_bytes_le(bytes.array()?).urn().to_string())),
        TIME_SPAN => Scalar::Text(Cow::Owned(duration(i64::from_le_bytes(bytes.array()?)))),
        GUID => Scalar::Guid(Uuid::from_bytes_le(bytes.array()?)),
        UNSIGNED64 => Scalar::Unsigned(u64::from_le_bytes(bytes.array()?)),
        BOOL => match bytes.byte()? {
            0 => Scalar::Bool(false),
            1 => Scalar::Bool(true),
            _ => return Err(bytes.fail(DecodeProblem::Expected("a truth value of 0 or 1"))),
        },
        _ => return Err(bytes.fail(DecodeProblem::Expected("a text record"))),
    })
}

/// The length that stands in front of text or bytes: one, two or four bytes, the last of them signed.
fn announced(bytes: &mut Bytes<'_>, width: u8) -> Result<usize, Error> {
    match width {
        0 => bytes.byte().map(usize::from),
        2 => bytes.array().map(u16::from_le_bytes).map(usize::from),
        _ => {
            let length = i32::from_le_bytes(bytes.array()?);
            usize::try_from(length)
                .map_err(|_| bytes.fail(DecodeProblem::Expected("a length that is not negative")))
        }
    }
}

fn decimal(bytes: &mut Bytes<'_>) -> Result<Decimal, Error> {
    let [_, _, scale, sign] = bytes.array()?;
    if scale > 28 || !matches!(sign, 0 | 0x80) {
        return Err(bytes.fail(DecodeProblem::Expected("a decimal with a scale of at most 28")));
    }
    let high = u32::from_le_bytes(bytes.array()?);
    let low = u64::from_le_bytes(bytes.array()?);
    Ok(Decimal { negative: sign == 0x80, scale, digits: u128::from(high) << 64 | u128::from(low) })
}

/// Text in UTF-16; `None` if it has half a code unit.
fn utf16(units: &[u8]) -> Option<Scalar<'static>> {
    let (units, []) = units.as_chunks::<2>() else { return None };
    let units = units.iter().copied().map(u16::from_le_bytes);
    let text: Result<String, _> = char::decode_utf16(units).collect();
    Some(text.map_or(Scalar::IllFormed, |text| Scalar::Text(Cow::Owned(text))))
}

/// An `xsd:duration` of seconds.
fn duration(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let ticks = ticks.unsigned_abs();
    format!("{sign}PT{}.{:07}S", ticks / 10_000_000, ticks % 10_000_000)
}
