//! Which contact column feeds which property of the user; validated once, so that nothing later has to ask.

use std::collections::HashMap;

use crate::{
    change::Value,
    patch::PropertyValue,
    property::{Kind, Property, Rules},
};

/// What to do when a mapped column was emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNull {
    /// Empty the property too.
    #[default]
    Clear,
    /// Leave the property as it is.
    Keep,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Logical name of the contact's column.
    pub column: Box<str>,
    /// Property it feeds.
    pub property: Property,
    /// What an emptied column means.
    pub on_null: OnNull,
}

/// A validated table: every property is fed once and every rule can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    rows: Vec<Row>,
    by_column: HashMap<Box<str>, Vec<usize>>,
}

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No row at all.
    #[error(
        "the mapping has no row; map at least one contact column, or leave the section out for the default"
    )]
    Empty,
    /// A property is fed by two rows.
    #[error("{property} is fed by both {first} and {second}; keep one of the two rows")]
    Duplicate {
        /// The property.
        property: Property,
        /// Column of the earlier row.
        first: Box<str>,
        /// Column of the later row.
        second: Box<str>,
    },
    /// The row wants to empty a property that Graph never empties.
    #[error("{property} cannot be emptied in Graph; give the row of {column} on_null = \"keep\"")]
    NotClearable {
        /// Column of the row.
        column: Box<str>,
        /// The property.
        property: Property,
    },
}

/// Why a value would be refused by Graph. Never says the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is longer than Graph takes.
    #[error("is {length} characters long and Graph takes {max}")]
    TooLong {
        /// Its length in characters.
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
    /// Its kind cannot be written into that property.
    #[error("is a {found}, which cannot feed this property")]
    WrongKind {
        /// Kind of the column.
        found: &'static str,
    },
}

impl Mapping {
    /// Checks a table.
    pub fn new(rows: Vec<Row>) -> Result<Self, Error> {
        if rows.is_empty() {
            return Err(Error::Empty);
        }
        for (index, row) in rows.iter().enumerate() {
            if let Some(first) = rows[..index].iter().find(|earlier| earlier.property == row.property) {
                return Err(Error::Duplicate {
                    property: row.property.clone(),
                    first: first.column.clone(),
                    second: row.column.clone(),
                });
            }
            if row.on_null == OnNull::Clear && !row.property.rules().clearable {
                return Err(Error::NotClearable {
                    column: row.column.clone(),
                    property: row.property.clone(),
                });
            }
        }
        Ok(Self::indexed(rows))
    }

    /// What most portals do: e-mail address, first name and last name.
    #[must_use]
    pub fn preset_default() -> Self {
        let row = |column: &str, property, on_null| {
            Property::named(property).map(|property| Row { column: column.into(), property, on_null })
        };
        let rows = [
            row("emailaddress1", "mail", OnNull::Keep),
            row("firstname", "givenName", OnNull::Clear),
            row("lastname", "surname", OnNull::Clear),
        ];
        Self::indexed(rows.into_iter().flatten().collect())
    }

    fn indexed(rows: Vec<Row>) -> Self {
        let mut by_column: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            by_column.entry(row.column.clone()).or_default().push(index);
        }
        Self { rows, by_column }
    }

    /// The table.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows that a column feeds.
    pub fn fed_by(&self, column: &str) -> impl Iterator<Item = &Row> {
        self.by_column.get(column).into_iter().flatten().map(|&index| &self.rows[index])
    }
}

impl Row {
    /// What the property shall be when the column has this value; `None` if it is to be left alone.
    pub fn convert(&self, value: &Value) -> Result<Option<PropertyValue>, Invalid> {
        let rules = self.property.rules();
        match value {
            Value::Null => Ok(self.emptied()),
            // Dataverse stores an emptied text as null, but integrations do send empty texts. Graph refuses
            // them, so both mean the same here.
            Value::Text(text) if text.trim().is_empty() => Ok(self.emptied()),
            Value::Text(text) => fit(rules, text).map(Some),
            Value::Choice { label: Some(label), .. } => fit(rules, label).map(Some),
            Value::Choice { label: None, value } => fit(rules, &value.to_string()).map(Some),
            Value::Bool(yes) if rules.kind == Kind::Bool => Ok(Some(PropertyValue::Bool(*yes))),
            Value::Bool(_) => Err(Invalid::WrongKind { found: "yes/no value" }),
            Value::Unsupported(found) => Err(Invalid::WrongKind { found }),
        }
    }

    fn emptied(&self) -> Option<PropertyValue> {
        (self.on_null == OnNull::Clear).then_some(PropertyValue::Clear)
    }
}

/// A non-blank text in the form the property wants, if it has one.
fn fit(rules: Rules, text: &str) -> Result<PropertyValue, Invalid> {
    let limit = |max: usize| {
        let length = text.chars().count();
        if length > max { Err(Invalid::TooLong { length, max }) } else { Ok(()) }
    };
    match rules.kind {
        Kind::Text { max } => limit(max)?,
        Kind::Address { max } => {
            limit(max)?;
            address(text)?;
        }
        Kind::List { max, addresses } => {
            limit(max)?;
            if addresses {
                address(text)?;
            }
            return Ok(PropertyValue::Single(text.into()));
        }
        Kind::Country => code(text, "a two-letter country code", |text| {
            text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
        })?,
        Kind::Culture => code(text, "a culture code such as en-US", |text| {
            text.len() <= 20 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })?,
        Kind::Bool => return Err(Invalid::WrongKind { found: "text" }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(property: &str, on_null: OnNull) -> Row {
        Row { column: "column".into(), property: Property::named(property).expect("known"), on_null }
    }

    #[track_caller]
    fn check(property: &str, value: &Value, expected: Result<Option<PropertyValue>, Invalid>) {
        assert_eq!(row(property, OnNull::Keep).convert(value), expected);
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn the_presets_are_valid() {
        let preset = Mapping::preset_default();
        assert_eq!(preset.rows().len(), 3);
        assert_eq!(Mapping::new(preset.rows().to_vec()), Ok(preset));
    }

    #[test]
    fn a_value_in_the_form_of_its_property_is_taken_as_it_is() {
        check("givenName", &text("Zoë"), Ok(Some(PropertyValue::Text("Zoë".into()))));
        check("mail", &text("ada@example.com"), Ok(Some(PropertyValue::Text("ada@example.com".into()))));
        check(
            "otherMails",
            &text("ada@example.com"),
            Ok(Some(PropertyValue::Single("ada@example.com".into()))),
        );
        check("accountEnabled", &Value::Bool(true), Ok(Some(PropertyValue::Bool(true))));
        check(
            "jobTitle",
            &Value::Choice { value: 2, label: Some("Buyer".into()) },
            Ok(Some(PropertyValue::Text("Buyer".into()))),
        );
        check("usageLocation", &text("TR"), Ok(Some(PropertyValue::Text("TR".into()))));
    }

    #[test]
    fn a_value_that_graph_would_refuse_is_found_before_the_call() {
        check("givenName", &text(&"ö".repeat(65)), Err(Invalid::TooLong { length: 65, max: 64 }));
        check("mail", &text("adä@example.com"), Err(Invalid::NotAnAddress));
        check("mail", &text("nobody"), Err(Invalid::NotAnAddress));
        check("mail", &text("a b@example.com"), Err(Invalid::NotAnAddress));
        check(
            "usageLocation",
            &text("Turkey"),
            Err(Invalid::NotACode { expected: "a two-letter country code" }),
        );
        check("givenName", &Value::Bool(true), Err(Invalid::WrongKind { found: "yes/no value" }));
        check("givenName", &Value::Unsupported("lookup"), Err(Invalid::WrongKind { found: "lookup" }));
    }

    #[test]
    fn an_emptied_column_clears_or_keeps_as_the_row_says() {
        for empty in [Value::Null, text(""), text(" \t")] {
            assert_eq!(row("surname", OnNull::Clear).convert(&empty), Ok(Some(PropertyValue::Clear)));
            assert_eq!(row("surname", OnNull::Keep).convert(&empty), Ok(None));
        }
    }

    #[test]
    fn a_table_that_cannot_work_is_refused_with_what_to_change() {
        assert_eq!(Mapping::new(vec![]).unwrap_err(), Error::Empty);
        let clear_mail = Mapping::new(vec![row("mail", OnNull::Clear)]).unwrap_err();
        assert_eq!(
            clear_mail.to_string(),
            "mail cannot be emptied in Graph; give the row of column on_null = \"keep\""
        );
        let twice = vec![row("surname", OnNull::Keep), row("surname", OnNull::Keep)];
        assert!(matches!(Mapping::new(twice).unwrap_err(), Error::Duplicate { .. }));
    }
}
