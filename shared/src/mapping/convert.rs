//! From the text of a column to a value that Graph takes.

use super::country;
use crate::{
    patch::{ListElement, PropertyValue, SignIn},
    property::PropertyKind,
    utf16,
};

/// A change of the text before it is fitted to the property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convert {
    /// Blanks around the text go.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// The two-letter code of a country, from that code, the three-letter one, or a name in common use.
    Country,
}

impl Convert {
    /// All of them with their names in the settings.
    pub const NAMES: [(&'static str, Self); 4] =
        [("trim", Self::Trim), ("lower", Self::Lower), ("upper", Self::Upper), ("country", Self::Country)];

    /// The conversion of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, convert)| *convert)
    }

    pub(super) fn apply(self, text: &str) -> Result<String, Invalid> {
        match self {
            Self::Trim => Ok(text.trim().to_owned()),
            Self::Lower => Ok(text.to_lowercase()),
            Self::Upper => Ok(text.to_uppercase()),
            Self::Country => {
                country::code(text).map(ToOwned::to_owned).ok_or(Invalid::NotACode { expected: "a country" })
            }
        }
    }
}

/// Why a value would be refused by Graph. Never says the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is longer than Graph takes.
    #[error("is {length} characters long and Graph takes {max}")]
    TooLong {
        /// Its length in UTF-16 units.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// It does not have the form of an e-mail address.
    #[error("is not an e-mail address of plain ASCII letters")]
    NotAnAddress,
    /// It does not have the form of a country or culture code.
    #[error("is not {expected}")]
    NotACode {
        /// What was expected.
        expected: &'static str,
    },
    /// Graph refuses a character of it.
    #[error("holds < or >, which Graph refuses here")]
    Forbidden,
    /// The property takes a yes/no value or a number, and it does not read as one.
    #[error("is not {expected}")]
    WrongType {
        /// What was expected.
        expected: &'static str,
    },
    /// The table of the row does not know it.
    #[error("is not in choices")]
    NotAChoice,
    /// It is a lookup, and the message does not tell the name of the record.
    #[error("is a lookup without the name of its record in the message")]
    Unnamed,
    /// Its kind cannot be written into that property.
    #[error("is a {found}, which cannot feed this property")]
    WrongKind {
        /// Kind of the column.
        found: &'static str,
    },
}

/// A non-blank text in the form the property wants, if it has one.
pub(super) fn fit(kind: PropertyKind, text: &str) -> Result<PropertyValue, Invalid> {
    let limit = |max: usize| {
        let length = utf16::length(text);
        if length > max { Err(Invalid::TooLong { length, max }) } else { Ok(()) }
    };
    match kind {
        PropertyKind::Text { max } => limit(max)?,
        PropertyKind::DisplayName { max } => {
            limit(max)?;
            if text.contains(['<', '>']) {
                return Err(Invalid::Forbidden);
            }
        }
        PropertyKind::Address { max } => {
            limit(max)?;
            address(text)?;
        }
        PropertyKind::List { max, addresses, .. } => {
            limit(max)?;
            if addresses {
                address(text)?;
            }
            return Ok(PropertyValue::from(ListElement::of(text)));
        }
        PropertyKind::SignIn => {
            limit(crate::property::LONGEST_SIGN_IN)?;
            address(text)?;
            return Ok(PropertyValue::from(SignIn::to(text)));
        }
        PropertyKind::Reset => {
            limit(crate::property::LONGEST_RESET)?;
            address(text)?;
            return Ok(PropertyValue::from(SignIn::to(text)));
        }
        PropertyKind::Country => code(text, "a two-letter country code", |text| {
            text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
        })?,
        PropertyKind::Culture => code(text, "a culture code such as en-US", |text| {
            text.len() <= 20 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })?,
        PropertyKind::Bool => {
            return match text.trim() {
                text if text.eq_ignore_ascii_case("true") => Ok(PropertyValue::Bool(true)),
                text if text.eq_ignore_ascii_case("false") => Ok(PropertyValue::Bool(false)),
                _ => Err(Invalid::WrongType { expected: "true or false" }),
            };
        }
        PropertyKind::Integer => {
            let number = text.trim().parse().map(PropertyValue::Integer);
            return number.map_err(|_| Invalid::WrongType { expected: "a whole number of 32 bits" });
        }
    }
    Ok(PropertyValue::Text(text.into()))
}

fn code(text: &str, expected: &'static str, good: impl Fn(&str) -> bool) -> Result<(), Invalid> {
    if good(text) { Ok(()) } else { Err(Invalid::NotACode { expected }) }
}

/// Graph says "SMTP address" and "no accented characters"; anything stricter would refuse what Graph takes.
fn address(text: &str) -> Result<(), Invalid> {
    let good = text.is_ascii()
        && !text.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control())
        && matches!(text.split_once('@'), Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if good { Ok(()) } else { Err(Invalid::NotAnAddress) }
}
