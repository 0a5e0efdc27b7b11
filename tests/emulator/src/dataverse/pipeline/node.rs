//! A context as its data contract sees it: members in order, lists of pairs, and values that carry their type along.
//!
//! Each format spells the same tree its own way (`format`).

use jiff::Timestamp;
use uuid::Uuid;

/// One value of the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing.
    Nil,
    /// Yes or no.
    Bool(bool),
    /// A whole number of 32 bits.
    Int(i32),
    /// A whole number of 64 bits.
    Long(i64),
    /// A number with decimals.
    Double(f64),
    /// Text.
    Text(String),
    /// An id.
    Guid(Uuid),
    /// A moment whose kind is UTC.
    Moment(Timestamp),
    /// A UTC clock reading whose kind was lost, as `OperationCreatedOn` is one. The server's zone is UTC.
    Reading(Timestamp),
    /// An object where the contract says of which type it is.
    Members(Members),
    /// An object where the contract allows any type: it says itself of which it is.
    Typed(&'static str, Members),
    /// A dictionary, which the serializer writes as a list of pairs.
    Pairs(Pairs, Vec<(String, Node)>),
}

/// Names of members and their values, in the order of the contract.
pub type Members = Vec<(&'static str, Node)>;

/// The kinds of dictionaries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pairs {
    /// Parameters or attributes: text to a value of any type.
    Any,
    /// The same for alternate keys, which came with a later contract.
    Keys,
    /// Aliases to entities.
    Images,
    /// Text to text.
    Texts,
    /// Relationships to collections; always empty here.
    Related,
}

impl Node {
    /// The text, or nothing where there is none.
    #[must_use]
    pub fn text_or_nil(text: Option<&str>) -> Self {
        text.map_or(Self::Nil, |text| Self::Text(text.to_owned()))
    }

    /// A choice.
    #[must_use]
    pub fn choice(value: i32) -> Self {
        Self::Typed("OptionSetValue", vec![("Value", Self::Int(value))])
    }

    /// The members of a reference to a row.
    #[must_use]
    pub fn reference(table: &str, id: Uuid, name: Option<&str>) -> Members {
        vec![
            ("Id", Self::Guid(id)),
            ("KeyAttributes", Self::Pairs(Pairs::Keys, Vec::new())),
            ("LogicalName", Self::Text(table.to_owned())),
            ("Name", Self::text_or_nil(name)),
            ("RowVersion", Self::Nil),
        ]
    }

    /// The members of a row.
    #[must_use]
    pub fn entity(
        table: &str,
        id: Uuid,
        attributes: Vec<(String, Self)>,
        formatted: Vec<(String, Self)>,
    ) -> Members {
        vec![
            ("Attributes", Self::Pairs(Pairs::Any, attributes)),
            ("EntityState", Self::Nil),
            ("FormattedValues", Self::Pairs(Pairs::Texts, formatted)),
            ("Id", Self::Guid(id)),
            ("KeyAttributes", Self::Pairs(Pairs::Keys, Vec::new())),
            ("LogicalName", Self::Text(table.to_owned())),
            ("RelatedEntities", Self::Pairs(Pairs::Related, Vec::new())),
            ("RowVersion", Self::Nil),
        ]
    }
}
