//! The values of a record, reduced to what a mapping can use.

use std::borrow::Cow;

use uuid::Uuid;

use super::{
    number,
    value::{ContextValue, ContractMember, Entity, Parameters, TextPair},
};
use crate::change::{self, Columns};

/// The value of a key; the last one, should there be several.
pub(super) fn attribute<'v, 'a>(
    parameters: &'v ContractMember<Parameters<'a>>,
    name: &str,
) -> Option<&'v ContextValue<'a>> {
    parameters.items().iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A GUID, which JSON gives as text.
pub(super) fn guid(value: &ContextValue<'_>) -> Option<Uuid> {
    match value {
        ContextValue::Guid(guid) => Some(*guid),
        ContextValue::Text(text) if text.len() == 36 => Uuid::try_parse(text).ok(),
        _ => None,
    }
    .filter(|guid| !guid.is_nil())
}

/// A row version, which JSON gives as a number of no particular type.
pub(super) fn unsigned(value: &ContextValue<'_>) -> Option<u64> {
    match value {
        ContextValue::Int(number) => u64::try_from(*number).ok(),
        ContextValue::Long(number) => u64::try_from(*number).ok(),
        ContextValue::Number(text) | ContextValue::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// The columns of some records together; a later record wins over an earlier one.
pub(super) fn columns<'e, 'a: 'e>(entities: impl IntoIterator<Item = &'e Entity<'a>>) -> Columns {
    let column = |labels: &mut Labels<'e, 'a>, (name, value): &'e (Cow<'a, str>, ContextValue<'a>)| {
        (Box::from(&**name), reduce(name, value, labels))
    };
    entities
        .into_iter()
        .flat_map(|entity| {
            let mut labels = Labels::Unsorted(entity.formatted_values.items());
            entity.attributes.items().iter().map(move |attribute| column(&mut labels, attribute))
        })
        .collect::<Vec<(Box<str>, change::ColumnValue)>>()
        .into_iter()
        .collect()
}

/// Display texts by column. Sorted when the first choice asks for its label, because most updates have none and
/// a search from the start for each of very many choices would take quadratic time.
enum Labels<'e, 'a> {
    Unsorted(&'e [TextPair<'a>]),
    Sorted(Vec<&'e TextPair<'a>>),
}

impl Labels<'_, '_> {
    fn get(&mut self, column: &str) -> Option<Box<str>> {
        if let Self::Unsorted(pairs) = self {
            if pairs.is_empty() {
                return None;
            }
            let mut sorted: Vec<_> = pairs.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            *self = Self::Sorted(sorted);
        }
        let Self::Sorted(pairs) = self else { return None };
        let found = pairs.binary_search_by(|(name, _)| (**name).cmp(column)).ok()?;
        pairs[found].1.as_deref().map(Box::from)
    }
}

fn reduce(name: &str, value: &ContextValue<'_>, labels: &mut Labels<'_, '_>) -> change::ColumnValue {
    let text = |text: &str| change::ColumnValue::Text(text.into());
    match value {
        ContextValue::Null => change::ColumnValue::Null,
        ContextValue::Text(value)
        | ContextValue::Decimal(value)
        | ContextValue::Money(value)
        | ContextValue::Number(value) => text(value),
        ContextValue::Bool(value) => change::ColumnValue::Bool(*value),
        ContextValue::Int(number) => text(&number.to_string()),
        ContextValue::Long(number) => text(&number.to_string()),
        ContextValue::Double(number) => text(&number::double(*number)),
        ContextValue::Guid(guid) => text(guid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())),
        ContextValue::DateTime(date) => text(&date.to_string()),
        ContextValue::OptionSet(value) => {
            change::ColumnValue::Choice { value: (*value).into(), label: labels.get(name) }
        }
        ContextValue::ManagedBool(managed) => {
            managed.value.get().map_or(change::ColumnValue::Null, |value| change::ColumnValue::Bool(*value))
        }
        ContextValue::Enum(named) => text(&named.1),
        ContextValue::IllFormedText => change::ColumnValue::Unsupported("text with half of a surrogate pair"),
        ContextValue::Reference(reference) => change::ColumnValue::Lookup {
            id: reference.id.get().copied().filter(|id| !id.is_nil()),
            name: reference
                .name
                .text()
                .map(Box::from)
                .or_else(|| labels.get(name))
                .filter(|text| !text.trim().is_empty()),
        },
        ContextValue::Entity(_) => change::ColumnValue::Unsupported("record"),
        // JSON tells these no better apart than this, and a change must read the same in every format.
        ContextValue::Bytes(_)
        | ContextValue::OptionSets(_)
        | ContextValue::References(_)
        | ContextValue::StringMap(_)
        | ContextValue::Array(_)
        | ContextValue::List(_) => change::ColumnValue::Unsupported("list or file"),
        ContextValue::Entities(_) => change::ColumnValue::Unsupported("records"),
        ContextValue::Aliased(_) => change::ColumnValue::Unsupported("value of a linked table"),
        ContextValue::Relationship(_)
        | ContextValue::TextPair(_)
        | ContextValue::Pair(_)
        | ContextValue::Other(_) => {
            change::ColumnValue::Unsupported("value of a type that no mapping can use")
        }
    }
}
