//! Text, which binary XML may write as a number, a date or bytes. The record is only a spelling: the type that
//! the element states decides, and any spelling that fits is accepted.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use uuid::Uuid;

use crate::decode::{
    datetime::{Clock, DateTime, DateTimeKind},
    number,
};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::decode) enum Scalar<'a> {
    Text(Cow<'a, str>),
    /// One character, by reference.
    Char(char),
    /// UTF-16 with half of a surrogate pair.
    IllFormed,
    Int(i64),
    Unsigned(u64),
    Double(f64),
    Decimal(Decimal),
    DateTime(DateTime),
    Bytes(Cow<'a, [u8]>),
    Bool(bool),
    Guid(Uuid),
}

/// A decimal number with its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) struct Decimal {
    pub(in crate::decode) negative: bool,
    /// Digits behind the point, at most 28.
    pub(in crate::decode) scale: u8,
    /// 96 bits.
    pub(in crate::decode) digits: u128,
}

impl<'a> Scalar<'a> {
    pub(super) const EMPTY: Self = Self::Text(Cow::Borrowed(""));

    /// This and what follows it, as one.
    pub(super) fn join(self, next: Self) -> Self {
        match (self, next) {
            (Self::Bytes(first), Self::Bytes(next)) => {
                let mut joined = first.into_owned();
                joined.extend_from_slice(&next);
                Self::Bytes(Cow::Owned(joined))
            }
            (first, next) => {
                let (Some(first), Some(next)) = (first.into_text(), next.into_text()) else {
                    return Self::IllFormed;
                };
                let mut joined = first.into_owned();
                joined.push_str(&next);
                Self::Text(Cow::Owned(joined))
            }
        }
    }

    /// The text; `None` if it is none.
    pub(in crate::decode) fn into_text(self) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Text(text) => text,
            Self::Char(character) => Cow::Owned(character.into()),
            Self::IllFormed => return None,
            Self::Int(number) => match number {
                0 => Cow::Borrowed("0"),
                1 => Cow::Borrowed("1"),
                _ => Cow::Owned(number.to_string()),
            },
            Self::Unsigned(number) => Cow::Owned(number.to_string()),
            Self::Double(number) => Cow::Owned(number::double(number)),
            Self::Decimal(decimal) => Cow::Owned(decimal.to_text()),
            Self::DateTime(date) => Cow::Owned(date_text(date)),
            Self::Bytes(bytes) => Cow::Owned(BASE64.encode(bytes)),
            Self::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Self::Guid(guid) => Cow::Owned(guid.to_string()),
        })
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Text(text) => text.trim_ascii().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Int(0) => Some(false),
            Self::Int(1) => Some(true),
            Self::Text(text) => match text.trim_ascii() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn double(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            // Writers use these records for whole doubles only where nothing is lost, so reading them as text is exact.
            Self::Int(number) => number.to_string().parse().ok(),
            Self::Unsigned(number) => number.to_string().parse().ok(),
            Self::Decimal(decimal) => decimal.to_text().parse().ok(),
            Self::Text(text) => match text.trim_ascii() {
                "NaN" => Some(f64::NAN),
                "INF" => Some(f64::INFINITY),
                "-INF" => Some(f64::NEG_INFINITY),
                // Rust also reads words like `infinity`, which XML does not have.
                text if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// A decimal number, as canonical text: no plus, and no minus in front of a zero.
    pub(super) fn decimal(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(Cow::Borrowed(text)) => canonical(text.trim_ascii()),
            Self::Text(Cow::Owned(text)) => {
                canonical(text.trim_ascii()).map(|text| Cow::Owned(text.into_owned()))
            }
            Self::Decimal(decimal) => Some(Cow::Owned(decimal.to_text())),
            number @ (Self::Int(_) | Self::Unsigned(_)) => number.into_text(),
            _ => None,
        }
    }

    pub(super) fn date(&self) -> Option<DateTime> {
        match self {
            Self::DateTime(date) => Some(*date),
            Self::Text(text) => DateTime::parse_xml(text.trim_ascii()),
            _ => None,
        }
    }

    pub(super) fn guid(&self) -> Option<Uuid> {
        match self {
            Self::Guid(guid) => Some(*guid),
            Self::Text(text) => {
                let text = text.trim_ascii();
                (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
            }
            _ => None,
        }
    }

    pub(in crate::decode) fn bytes(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            text => {
                let mut text = text.into_text()?;
                if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
                    text.to_mut().retain(|character| !character.is_ascii_whitespace());
                }
                BASE64.decode(text.as_bytes()).ok().map(Cow::Owned)
            }
        }
    }

    /// Whether this is text that may stand between elements.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Text(text) => text.bytes().all(|byte| byte.is_ascii_whitespace()),
            Self::Char(character) => character.is_ascii_whitespace(),
            _ => false,
        }
    }
}

impl Decimal {
    fn to_text(self) -> String {
        let mut text = self.digits.to_string();
        let scale = usize::from(self.scale);
        if scale > 0 {
            if text.len() <= scale {
                text.insert_str(0, &"0".repeat(scale + 1 - text.len()));
            }
            text.insert(text.len() - scale, '.');
        }
        if self.negative && self.digits != 0 {
            text.insert(0, '-');
        }
        text
    }
}

fn canonical(text: &str) -> Option<Cow<'_, str>> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let zero = unsigned.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    Some(Cow::Borrowed(if zero { unsigned } else { text }))
}

/// A date where text was asked for.
fn date_text(date: DateTime) -> String {
    match date {
        DateTime::Clock { kind, ticks } => {
            let mut text = Clock(ticks).to_string();
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
            text.push_str(if kind == DateTimeKind::Unspecified { "" } else { "Z" });
            text
        }
        DateTime::Json { .. } => date.to_string(),
    }
}
