//! The values a context can hold, without loss: section 4 of the contract, order kept.

use std::{borrow::Cow, fmt};

use uuid::Uuid;

use super::datetime::DateTime;

/// A nullable member of a contract type. A member that was not sent and one that was sent as null are two
/// different things, and only the format knows whether it matters.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ContractMember<T> {
    /// Not in the message.
    #[default]
    Absent,
    /// In the message, as null.
    Nil,
    /// In the message, with a value.
    Value(T),
}

impl<T> ContractMember<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Nil => None,
        }
    }

    /// Whether the member was in the message, be it as null.
    #[must_use]
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

impl<T> ContractMember<Vec<T>> {
    /// The items, none if the list is null or absent.
    #[must_use]
    pub fn items(&self) -> &[T] {
        self.get().map_or(&[], Vec::as_slice)
    }
}

impl ContractMember<Cow<'_, str>> {
    /// The text, if there is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.get().map(AsRef::as_ref)
    }
}

/// A list of keys with values of any type, in the order of the message.
pub type Parameters<'a> = Vec<(Cow<'a, str>, ContextValue<'a>)>;

/// A value of any type.
///
/// JSON says less than the other two formats. What it does not say is not guessed: numbers keep their literal,
/// ids are strings, and every kind of collection is a [`ContextValue::List`].
#[derive(Clone, Debug, PartialEq)]
pub enum ContextValue<'a> {
    /// Null.
    Null,
    /// Text; in JSON also ids.
    Text(Cow<'a, str>),
    /// JSON text with half of a surrogate pair, which .NET can hold and Rust cannot.
    IllFormedText,
    /// A truth value.
    Bool(bool),
    /// A 32-bit integer.
    Int(i32),
    /// A 64-bit integer.
    Long(i64),
    /// A decimal number with its scale, as canonical text.
    Decimal(Cow<'a, str>),
    /// A floating-point number.
    Double(f64),
    /// The literal of a JSON number.
    Number(Cow<'a, str>),
    /// A GUID.
    Guid(Uuid),
    /// A date.
    DateTime(DateTime),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A choice.
    OptionSet(i32),
    /// Several choices.
    OptionSets(Vec<i32>),
    /// An amount of money, as decimal text.
    Money(Cow<'a, str>),
    /// A lookup.
    Reference(Box<Reference<'a>>),
    /// Several lookups.
    References(Vec<Reference<'a>>),
    /// A record.
    Entity(Box<Entity<'a>>),
    /// Several records.
    Entities(Box<Entities<'a>>),
    /// A value of a linked table in a query result.
    Aliased(Box<Aliased<'a>>),
    /// A truth value with a flag that says who may change it.
    ManagedBool(Box<ManagedBool<'a>>),
    /// A relationship.
    Relationship(Box<Relationship<'a>>),
    /// A name from an enumeration.
    Enum(Box<(TypeName<'a>, Cow<'a, str>)>),
    /// A dictionary of strings.
    StringMap(Vec<TextPair<'a>>),
    /// An array whose item type is known.
    Array(Vec<ContextValue<'a>>),
    /// A JSON array.
    List(Vec<ContextValue<'a>>),
    /// A pair of strings among the items of a JSON array.
    TextPair(Box<TextPair<'a>>),
    /// A pair with a value of any type among the items of a JSON array.
    Pair(Box<(Cow<'a, str>, ContextValue<'a>)>),
    /// A value of a type that is not modelled; its content was skipped.
    Other(Box<TypeName<'a>>),
}

/// A key with a text that may be null.
pub type TextPair<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// A qualified type name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName<'a> {
    /// Namespace URI; empty for a type without one.
    pub namespace: Cow<'a, str>,
    /// Name within the namespace; empty for a JSON object that does not name its type.
    pub name: Cow<'a, str>,
}

impl fmt::Display for TypeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}{}", self.namespace, self.name)
    }
}

/// A name of an enumeration, which JSON gives as its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// The name.
    Name(Cow<'a, str>),
    /// The number.
    Number(i64),
}

/// A record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity<'a> {
    /// Columns and their values.
    pub attributes: ContractMember<Parameters<'a>>,
    /// What a client did with the record.
    pub entity_state: ContractMember<Named<'a>>,
    /// Display texts, also of columns that are not among the attributes.
    pub formatted_values: ContractMember<Vec<TextPair<'a>>>,
    /// Primary key; all zero if the record is named by its alternate key.
    pub id: ContractMember<Uuid>,
    /// Alternate key.
    pub key_attributes: ContractMember<Parameters<'a>>,
    /// Table.
    pub logical_name: ContractMember<Cow<'a, str>>,
    /// Records written together with this one.
    pub related_entities: ContractMember<Vec<(Relationship<'a>, Entities<'a>)>>,
    /// Row version, with optimistic concurrency only.
    pub row_version: ContractMember<Cow<'a, str>>,
}

/// A lookup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference<'a> {
    /// Primary key of the record.
    pub id: ContractMember<Uuid>,
    /// Alternate key; absent before platform 7.1.
    pub key_attributes: ContractMember<Parameters<'a>>,
    /// Table.
    pub logical_name: ContractMember<Cow<'a, str>>,
    /// Primary name of the record, usually null.
    pub name: ContractMember<Cow<'a, str>>,
    /// Row version; absent before platform 7.1.
    pub row_version: ContractMember<Cow<'a, str>>,
}

/// Several records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entities<'a> {
    /// The records.
    pub entities: ContractMember<Vec<Entity<'a>>>,
    /// Their table.
    pub entity_name: ContractMember<Cow<'a, str>>,
    /// Lowest active row version when the records were read.
    pub min_active_row_version: ContractMember<Cow<'a, str>>,
    /// Whether there are more of them.
    pub more_records: ContractMember<bool>,
    /// Where to go on reading.
    pub paging_cookie: ContractMember<Cow<'a, str>>,
    /// How many there are, -1 if not counted.
    pub total_record_count: ContractMember<i32>,
    /// Whether there are more than were counted.
    pub total_record_count_limit_exceeded: ContractMember<bool>,
}

/// A value of a linked table in a query result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aliased<'a> {
    /// Column.
    pub attribute_logical_name: ContractMember<Cow<'a, str>>,
    /// Table.
    pub entity_logical_name: ContractMember<Cow<'a, str>>,
    /// Whether the value still has to be formatted.
    pub need_formatting: ContractMember<bool>,
    /// Kind of aggregate.
    pub return_type: ContractMember<i32>,
    /// The value.
    pub value: ContractMember<ContextValue<'a>>,
}

/// A truth value with a flag that says who may change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManagedBool<'a> {
    /// Whether it can be changed.
    pub can_be_changed: ContractMember<bool>,
    /// Name of the managed property.
    pub logical_name: ContractMember<Cow<'a, str>>,
    /// The value.
    pub value: ContractMember<bool>,
}

/// A relationship.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relationship<'a> {
    /// Side on which the record stands.
    pub primary_entity_role: ContractMember<Named<'a>>,
    /// Name.
    pub schema_name: ContractMember<Cow<'a, str>>,
}
