//! A table from the values of a column to texts: `{ "1" = "Gold", "2" = "Silver" }`.

use std::collections::BTreeMap;

use super::convert::Invalid;
use crate::change::ColumnValue;

/// A table that is not empty, of texts that are not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices(BTreeMap<Box<str>, Box<str>>);

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoicesError {
    /// It has no entry.
    #[error("choices is empty, so that no value would be taken; name at least one")]
    Empty,
    /// It gives no text for a value.
    #[error(
        "choices give an empty text for {0}; leave that value out, and say by on_invalid what becomes of it"
    )]
    Blank(Box<str>),
}

impl Choices {
    /// A table of these values and what each becomes.
    ///
    /// A choice is named by its number, a two-option column by `true` and `false`, a lookup by the id of its record
    /// (hyphenated), and everything else by its text without blanks around it.
    pub fn new(entries: impl IntoIterator<Item = (String, String)>) -> Result<Self, ChoicesError> {
        let entry = |(value, text): (String, String)| (value.trim().into(), text.into());
        let table: BTreeMap<Box<str>, Box<str>> = entries.into_iter().map(entry).collect();
        if table.is_empty() {
            return Err(ChoicesError::Empty);
        }
        match table.iter().find(|(_, text)| text.trim().is_empty()) {
            Some((value, _)) => Err(ChoicesError::Blank(value.clone())),
            None => Ok(Self(table)),
        }
    }

    /// Values and what each becomes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(value, text)| (&**value, &**text))
    }

    /// What a value becomes; `None` if the column is empty.
    pub(super) fn text(&self, value: &ColumnValue) -> Result<Option<String>, Invalid> {
        let value = match value {
            ColumnValue::Null => return Ok(None),
            ColumnValue::Text(text) if text.trim().is_empty() => return Ok(None),
            ColumnValue::Text(text) => text.trim().to_owned(),
            ColumnValue::Bool(yes) => yes.to_string(),
            ColumnValue::Choice { value, .. } => value.to_string(),
            ColumnValue::Lookup { id: Some(id), .. } => id.as_hyphenated().to_string(),
            ColumnValue::Lookup { id: None, .. } => {
                return Err(Invalid::WrongKind { found: "lookup by an alternate key" });
            }
            ColumnValue::Unsupported(found) => return Err(Invalid::WrongKind { found }),
        };
        let known = self.0.get(&*value);
        known.map(|text| Some(text.clone().into_string())).ok_or(Invalid::NotAChoice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        mapping::{Convert, Error, Mapping, MappingRow, OnInvalid, OnNull, RowError, ValueSource},
        patch::PropertyValue,
        property::{ExtensionType, Property},
    };

    const EXTENSION: &str = "extension_0123456789abcdef0123456789abcdef_tier";
    const RECORD: Uuid = Uuid::from_u128(0xac);

    fn row(property: &str) -> MappingRow {
        let property = Property::named(property).expect("known");
        MappingRow {
            on_null: OnNull::Keep,
            ..MappingRow::new(ValueSource::Column("column".into()), property)
        }
    }

    fn typed(kind: ExtensionType) -> MappingRow {
        MappingRow { extension_type: Some(kind), on_null: OnNull::Clear, ..row(EXTENSION) }
    }

    fn table(entries: &[(&str, &str)]) -> Choices {
        let entries = entries.iter().map(|(value, text)| ((*value).to_owned(), (*text).to_owned()));
        Choices::new(entries).expect("a table")
    }

    fn with(choices: &[(&str, &str)], property: &str) -> MappingRow {
        MappingRow { choices: Some(table(choices)), ..row(property) }
    }

    fn text(text: &str) -> ColumnValue {
        ColumnValue::Text(text.into())
    }

    fn choice(value: i64, label: Option<&str>) -> ColumnValue {
        ColumnValue::Choice { value, label: label.map(Into::into) }
    }

    fn lookup(id: Option<Uuid>, name: Option<&str>) -> ColumnValue {
        ColumnValue::Lookup { id, name: name.map(Into::into) }
    }

    /// What becomes of a value: the value that is written, `keep`, `clear`, or why it cannot be.
    fn told(row: &MappingRow, value: &ColumnValue) -> String {
        match row.value(|_| Some(value)) {
            Ok(None) => "keep".to_owned(),
            Ok(Some(PropertyValue::Clear)) => "clear".to_owned(),
            Ok(Some(PropertyValue::Bool(yes))) => format!("bool {yes}"),
            Ok(Some(PropertyValue::Integer(number))) => format!("int {number}"),
            Ok(Some(PropertyValue::SignIn(wanted))) => format!("sign-in {}", wanted.address),
            Ok(Some(value)) => value.text().map_or_else(|| "clear".to_owned(), |text| format!("text {text}")),
            Err(RowError::Invalid(invalid)) => invalid.to_string(),
            Err(RowError::Missing(column)) => format!("missing {column}"),
        }
    }

    #[test]
    fn each_conversion_makes_this_of_each_kind_of_value() {
        let tiers: &[(&str, &str)] = &[("1", "Gold"), ("2", "Silver")];
        let records: &[(&str, &str)] = &[("00000000-0000-0000-0000-0000000000ac", "Contoso")];
        let not_there = "is not in choices";
        let (boolean, integer) = (typed(ExtensionType::Boolean), typed(ExtensionType::Integer));
        let enabled = with(&[("0", "true"), ("1", "false")], "accountEnabled");
        let words = with(&[("true", "yes"), ("false", "no")], "city");
        let yes_no = "is a yes/no value, which cannot feed this property";
        for (row, value, expected) in [
            // A table: the number of a choice counts, and never its label.
            (with(tiers, "city"), choice(1, None), "text Gold"),
            (with(tiers, "city"), choice(2, Some("Gold")), "text Silver"),
            (with(tiers, "city"), choice(3, Some("Gold")), not_there),
            (with(tiers, "city"), text(" 1 "), "text Gold"),
            (with(tiers, "city"), text("Gold"), not_there),
            (with(tiers, "city"), ColumnValue::Bool(true), not_there),
            (with(tiers, "city"), ColumnValue::Null, "keep"),
            (with(tiers, "city"), text("  "), "keep"),
            (
                with(tiers, "city"),
                ColumnValue::Unsupported("records"),
                "is a records, which cannot feed this property",
            ),
            (with(tiers, "otherMails"), ColumnValue::Null, "keep"),
            // Two options.
            (words.clone(), ColumnValue::Bool(true), "text yes"),
            (words, ColumnValue::Bool(false), "text no"),
            (row("city"), ColumnValue::Bool(true), yes_no),
            (enabled.clone(), choice(0, Some("Active")), "bool true"),
            (enabled.clone(), choice(1, None), "bool false"),
            (enabled, choice(2, None), not_there),
            // A lookup.
            (row("companyName"), lookup(Some(RECORD), Some("Contoso")), "text Contoso"),
            (
                row("companyName"),
                lookup(Some(RECORD), None),
                "is a lookup without the name of its record in the message",
            ),
            (with(records, "companyName"), lookup(Some(RECORD), None), "text Contoso"),
            (with(records, "companyName"), lookup(Some(Uuid::max()), Some("Contoso")), not_there),
            (
                with(records, "companyName"),
                lookup(None, Some("Contoso")),
                "is a lookup by an alternate key, which cannot feed this property",
            ),
            // Directory extensions that are no texts.
            (boolean.clone(), ColumnValue::Bool(false), "bool false"),
            (boolean.clone(), text(" True "), "bool true"),
            (boolean.clone(), text("yes"), "is not true or false"),
            (boolean.clone(), choice(1, Some("true")), "bool true"),
            (boolean.clone(), choice(1, None), "is not true or false"),
            (boolean, ColumnValue::Null, "clear"),
            (integer.clone(), text("-7"), "int -7"),
            (integer.clone(), text("2147483648"), "is not a whole number of 32 bits"),
            (integer.clone(), text("7.0"), "is not a whole number of 32 bits"),
            (integer.clone(), choice(100_000_001, Some("Gold")), "int 100000001"),
            (integer.clone(), choice(i64::MAX, None), "is not a whole number of 32 bits"),
            (integer.clone(), ColumnValue::Bool(true), yes_no),
            (integer, ColumnValue::Null, "clear"),
            (typed(ExtensionType::String), text("7"), "text 7"),
        ] {
            assert_eq!(told(&row, &value), expected, "{value:?} for {row:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_handled_as_what_graph_would_refuse() {
        let skipping = MappingRow { on_invalid: OnInvalid::Skip, ..with(&[("1", "Gold")], "city") };
        assert_eq!(told(&skipping, &choice(2, None)), "keep");
        assert_eq!(told(&skipping, &choice(1, None)), "text Gold");
        let converted = MappingRow { convert: vec![Convert::Upper], ..with(&[("1", "Gold")], "city") };
        assert_eq!(told(&converted, &choice(1, None)), "text GOLD");
        let source = ValueSource::FirstOf(vec!["a".into(), "b".into()]);
        let first = MappingRow { source, ..with(&[("1", "Gold")], "city") };
        let (none, gold) = (ColumnValue::Null, choice(1, None));
        let value = first.value(|name| Some(if name == "a" { &none } else { &gold }));
        assert_eq!(value, Ok(Some(PropertyValue::Text("Gold".into()))));
    }

    #[test]
    fn a_table_is_never_empty_and_names_each_value_once() {
        assert_eq!(Choices::new([]), Err(ChoicesError::Empty));
        let blank = [("1".to_owned(), " ".to_owned())];
        assert_eq!(Choices::new(blank), Err(ChoicesError::Blank("1".into())));
        let told = table(&[("2", "b"), (" 1 ", "a")]);
        assert_eq!(told.iter().collect::<Vec<_>>(), [("1", "a"), ("2", "b")]);
    }

    #[test]
    fn a_constant_that_would_never_fit_is_refused_with_the_table() {
        let constant = |text: &str, property: &str| MappingRow {
            source: ValueSource::Constant(text.into()),
            ..row(property)
        };
        let name = |constant| Mapping::new(vec![row("givenName"), constant]).map(drop);
        assert_eq!(name(constant("Portal", "department")), Ok(()));
        let named = |property| Property::named(property).expect("known");
        assert!(name(constant(" ", "department")).is_err());
        assert_eq!(name(constant("a@b.c", "mail")), Err(Error::SharedAddress(named("mail"))));
        assert_eq!(name(constant("a@b.c", "signInEmail")), Err(Error::SharedAddress(named("signInEmail"))));
        let yes = MappingRow { extension_type: Some(ExtensionType::Boolean), ..constant("true", EXTENSION) };
        assert_eq!(name(yes.clone()), Ok(()));
        assert_eq!(told(&yes, &ColumnValue::Null), "bool true");
        let maybe = MappingRow { source: ValueSource::Constant("maybe".into()), ..yes };
        assert_eq!(
            name(maybe).unwrap_err().to_string(),
            format!("the value of {EXTENSION} is not true or false")
        );
    }

    fn value() -> impl Strategy<Value = ColumnValue> {
        let words = prop_oneof![
            "Zq[a-z]{3,90}".prop_map(String::from),
            "[0-9]{1,12}".prop_map(String::from),
            Just("true".to_owned()),
            Just("False".to_owned()),
            Just("  ".to_owned()),
        ];
        let name = proptest::option::of("Zq[a-z]{3,90}");
        prop_oneof![
            Just(ColumnValue::Null),
            words.prop_map(|words| text(&words)),
            any::<bool>().prop_map(ColumnValue::Bool),
            (any::<i64>(), name.clone()).prop_map(|(value, label)| choice(value % 4, label.as_deref())),
            (proptest::option::of(0..3_u128), name)
                .prop_map(|(id, name)| lookup(id.map(Uuid::from_u128), name.as_deref())),
            Just(ColumnValue::Unsupported("record")),
        ]
    }

    fn any_row() -> impl Strategy<Value = MappingRow> {
        let targets = prop_oneof![
            Just(row("city")),
            Just(row("givenName")),
            Just(row("businessPhones")),
            Just(row("accountEnabled")),
            Just(typed(ExtensionType::Boolean)),
            Just(typed(ExtensionType::Integer)),
        ];
        let on_invalid =
            prop_oneof![Just(OnInvalid::Reject), Just(OnInvalid::Skip), Just(OnInvalid::Truncate)];
        let keys =
            [("1", "1"), ("2", "true"), ("true", "false"), ("00000000-0000-0000-0000-000000000001", "3")];
        (targets, on_invalid, any::<bool>()).prop_map(move |(row, on_invalid, choosing)| MappingRow {
            on_invalid,
            choices: choosing.then(|| table(&keys)),
            ..row
        })
    }

    /// The text of a value by itself, as a person would read it.
    fn read(value: &ColumnValue, numbers: bool) -> Option<String> {
        match value {
            ColumnValue::Text(text) => Some(text.to_string()),
            ColumnValue::Bool(yes) => Some(yes.to_string()),
            ColumnValue::Choice { label: Some(label), .. } if !numbers => Some(label.to_string()),
            ColumnValue::Choice { value, .. } => Some(value.to_string()),
            ColumnValue::Lookup { name, id } if !numbers => {
                name.as_deref().map(Into::into).or_else(|| id.map(|id| id.to_string()))
            }
            ColumnValue::Lookup { id, .. } => id.map(|id| id.to_string()),
            ColumnValue::Null | ColumnValue::Unsupported(_) => None,
        }
    }

    proptest! {
        #[test]
        fn no_conversion_invents_a_value_and_no_error_tells_one(value in value(), row in any_row()) {
            let integer = row.extension_type == Some(ExtensionType::Integer);
            let own = read(&value, integer);
            let source = match &row.choices {
                Some(choices) => {
                    let key = read(&value, true);
                    choices.iter().find(|(known, _)| Some(*known) == key.as_deref()).map(|(_, text)| text.to_owned())
                }
                None => own.clone(),
            };
            let result = row.value(|_| Some(&value));
            match &result {
                Ok(None) => {}
                Ok(Some(PropertyValue::Clear)) => prop_assert!(own.is_none_or(|text| text.trim().is_empty())),
                Ok(Some(value @ (PropertyValue::Text(_) | PropertyValue::Element(_) | PropertyValue::List(_)))) => {
                    let text = value.text().unwrap_or_default();
                    let whole = source.as_deref().unwrap_or_default().trim() == text.trim();
                    let cut = row.on_invalid == OnInvalid::Truncate && source.is_some_and(|source| source.starts_with(text));
                    prop_assert!(whole || cut, "{:?}", result);
                }
                Ok(Some(PropertyValue::Bool(yes))) => {
                    prop_assert!(source.is_some_and(|source| source.to_lowercase() == yes.to_string()));
                }
                Ok(Some(PropertyValue::Integer(number))) => {
                    prop_assert_eq!(source.and_then(|source| source.parse().ok()), Some(*number));
                }
                Ok(Some(PropertyValue::SignIn(_))) | Err(RowError::Missing(_)) => {
                    return Err(TestCaseError::fail(format!("{result:?}")));
                }
                Err(RowError::Invalid(invalid)) => {
                    let told = invalid.to_string();
                    prop_assert!(!told.contains("Zq"), "{}", told);
                }
            }
        }
    }
}
