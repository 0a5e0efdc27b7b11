//! The three formats in which a context is posted.

mod binary;
mod infoset;
mod json;
mod number;
mod text;

use super::node::Members;

/// `messageformat` of a service endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// .NET binary XML.
    Binary,
    /// JSON as the data contract serializer writes it.
    Json,
    /// Text XML.
    Text,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Binary, Self::Json, Self::Text];

    /// The format that `messageformat` names; binary XML is the default.
    #[must_use]
    pub fn of(messageformat: Option<i32>) -> Self {
        match messageformat {
            Some(2) => Self::Json,
            Some(3) => Self::Text,
            _ => Self::Binary,
        }
    }

    /// `messageformat`.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Binary => 1,
            Self::Json => 2,
            Self::Text => 3,
        }
    }

    /// The content type of its messages.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Binary => "application/msbin1",
            Self::Json => "application/json",
            Self::Text => "application/xml",
        }
    }

    /// The context in this format.
    #[must_use]
    pub fn write(self, context: &Members) -> Vec<u8> {
        match self {
            Self::Binary => binary::write(context),
            Self::Json => json::write(context).into_bytes(),
            Self::Text => text::write(context).into_bytes(),
        }
    }
}
