//! Keyed hashes of values: they are compared, and nobody can read them.

use crate::{hash_key::HashKey, patch::PropertyValue};

/// Hash of one value; never one of the [reserved](ValueHash::RESERVED) numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ValueHash(pub(super) u64);

impl ValueHash {
    /// Numbers below this are no hashes.
    pub(super) const RESERVED: u64 = 16;

    /// Of an ordinary value.
    pub(super) fn of(key: &HashKey, value: &PropertyValue) -> Self {
        match value {
            PropertyValue::Text(text) => Self::hash(key, "text", text.as_bytes()),
            PropertyValue::Bool(yes) => Self::hash(key, "bool", &[u8::from(*yes)]),
            PropertyValue::Integer(number) => Self::hash(key, "integer", &number.to_be_bytes()),
            PropertyValue::Clear => Self::hash(key, "clear", b""),
            // Lists are kept by their elements, and the others are what is asked for, never what a user shows.
            PropertyValue::List(_) | PropertyValue::Element(_) | PropertyValue::SignIn(_) => {
                Self::hash(key, "other", b"")
            }
        }
    }

    /// Of an element, as it is written.
    pub(super) fn exactly(key: &HashKey, text: &str) -> Self {
        Self::hash(key, "element", text.as_bytes())
    }

    /// Of an element or address, for which `A` and `a` are the same.
    pub(super) fn whatever_case(key: &HashKey, text: &str) -> Self {
        Self::hash(key, "lower", text.to_ascii_lowercase().as_bytes())
    }

    fn hash(key: &HashKey, kind: &str, bytes: &[u8]) -> Self {
        Self(u64::from_be_bytes(key.hash(kind, bytes)).max(Self::RESERVED))
    }
}
