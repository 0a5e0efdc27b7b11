//! The values of a record, reduced to what a mapping can use.

use std::borrow::Cow;

use uuid::Uuid;

use super::{
    number,
    value::{Entity, Member, Parameters, TextPair, Value},
};
use crate::change::{self, Columns};

/// The value of a key; the last one, should there be several.
pub(super) fn attribute<'v, 'a>(parameters: &'v Member<Parameters<'a>>, name: &str) -> Option<&'v Value<'a>> {
    parameters.items().iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A GUID, which JSON gives as text.
pub(super) fn guid(value: &Value<'_>) -> Option<Uuid> {
    match value {
        Value::Guid(guid) => Some(*guid),
        Value::Text(text) if text.len() == 36 => Uuid::try_parse(text).ok(),
        _ => None,
    }
    .filter(|guid| !guid.is_nil())
}

/// A row version, which JSON gives as a number of no particular type.
pub(super) fn unsigned(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Long(number) => u64::try_from(*number).ok(),
        Value::Number(text) | Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// The columns of some records together; a later record wins over an earlier one.
pub(super) fn columns<'e, 'a: 'e>(entities: impl IntoIterator<Item = &'e Entity<'a>>) -> Columns {
    let column = |labels: &mut Labels<'e, 'a>, (name, value): &'e (Cow<'a, str>, Value<'a>)| {
        (Box::from(&**name), reduce(name, value, labels))
    };
    entities
        .into_iter()
        .flat_map(|entity| {
            let mut labels = Labels::Unsorted(entity.formatted_values.items());
            entity.attributes.items().iter().map(move |attribute| column(&mut labels, attribute))
        })
        .collect::<Vec<(Box<str>, change::Value)>>()
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

fn reduce(name: &str, value: &Value<'_>, labels: &mut Labels<'_, '_>) -> change::Value {
    let text = |text: &str| change::Value::Text(text.into());
    match value {
        Value::Null => change::Value::Null,
        Value::Text(value) | Value::Decimal(value) | Value::Money(value) | Value::Number(value) => {
            text(value)
        }
        Value::Bool(value) => change::Value::Bool(*value),
        Value::Int(number) => text(&number.to_string()),
        Value::Long(number) => text(&number.to_string()),
        Value::Double(number) => text(&number::double(*number)),
        Value::Guid(guid) => text(guid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())),
        Value::DateTime(date) => text(&date.to_string()),
        Value::OptionSet(value) => change::Value::Choice { value: (*value).into(), label: labels.get(name) },
        Value::ManagedBool(managed) => {
            managed.value.get().map_or(change::Value::Null, |value| change::Value::Bool(*value))
        }
        Value::Enum(named) => text(&named.1),
        Value::IllFormedText => change::Value::Unsupported("text with half of a surrogate pair"),
        Value::Reference(_) => change::Value::Unsupported("lookup"),

        Value::Entity(_) => change::Value::Unsupported("record"),
        // JSON tells these no better apart than this, and a change must read the same in every format.
        Value::Bytes(_)
        | Value::OptionSets(_)
        | Value::References(_)
        | Value::StringMap(_)
        | Value::Array(_)
        | Value::List(_) => change::Value::Unsupported("list or file"),
        Value::Entities(_) => change::Value::Unsupported("records"),
        Value::Aliased(_) => change::Value::Unsupported("value of a linked table"),
        Value::Relationship(_) | Value::TextPair(_) | Value::Pair(_) | Value::Other(_) => {
            change::Value::Unsupported("value of a type that no mapping can use")
        }
    }
}
