//! What is counted together: one author, one property, blanked or given.

use std::fmt;

use uuid::Uuid;

use crate::{patch::PropertyValue, property::Property};

/// Whose changes are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Author {
    /// The user of Dataverse on whose behalf they were made.
    User(Uuid),
    /// A run of reconcile, or of a replay of messages that tell nobody.
    Run(Uuid),
    /// The messages tell nobody.
    Unknown,
}

impl Author {
    const UNKNOWN: &'static str = "unknown";

    /// Reads what [`Author`] displays.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::UNKNOWN {
            return Some(Self::Unknown);
        }
        let (kind, id) = text.split_once(':')?;
        let id = Uuid::try_parse(id).ok()?;
        match kind {
            "user" => Some(Self::User(id)),
            "run" => Some(Self::Run(id)),
            _ => None,
        }
    }

    /// The id of the user or run.
    #[must_use]
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::User(id) | Self::Run(id) => Some(id),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Run(id) => write!(f, "run:{id}"),
            Self::Unknown => f.write_str(Self::UNKNOWN),
        }
    }
}

/// What becomes of a value. Blanking is counted apart, because it is rarer and worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is emptied.
    Blanked,
    /// It is given, whether or not there was one.
    Rewritten,
}

impl ChangeKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blanked, Self::Rewritten];

    /// Its word, in messages and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blanked => "blanked",
            Self::Rewritten => "rewritten",
        }
    }

    pub(super) fn of(value: &PropertyValue) -> Self {
        match value {
            PropertyValue::Clear => Self::Blanked,
            PropertyValue::Element(wanted) if wanted.text.is_none() => Self::Blanked,
            PropertyValue::List(all) if all.is_empty() => Self::Blanked,
            PropertyValue::Text(_)
            | PropertyValue::Element(_)
            | PropertyValue::List(_)
            | PropertyValue::Bool(_)
            | PropertyValue::Integer(_)
            | PropertyValue::SignIn(_) => Self::Rewritten,
        }
    }
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// Whose changes.
    pub author: Author,
    /// Of which property.
    pub property: Property,
    /// To what.
    pub kind: ChangeKind,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} by {}", self.property, self.kind.as_str(), self.author)
    }
}
