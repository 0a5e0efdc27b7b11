//! One row of the mapping: where a value comes from and what is done with it.

use std::fmt;

use super::{
    choices::Choices,
    convert::{Convert, Invalid, fit},
    template::Template,
};
use crate::{
    change::ColumnValue,
    patch::{ListElement, PropertyValue},
    property::{ExtensionType, Property, PropertyKind},
    utf16,
};

/// Where the value of a property comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// One column.
    Column(Box<str>),
    /// The first of several columns that is not empty.
    FirstOf(Vec<Box<str>>),
    /// A text with columns in it.
    Template(Template),
    /// This text, for every user who is written anyway.
    Constant(Box<str>),
}

/// What to do when there is no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnNull {
    /// Empty the property too.
    #[default]
    Clear,
    /// Leave the property as it is.
    Keep,
    /// Write this.
    Default(Box<str>),
}

/// What to do with a value that Graph would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// Dead-letter the message, so that a person sees it.
    #[default]
    Reject,
    /// Cut a text that is too long.
    Truncate,
    /// Leave the property as it is.
    Skip,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingRow {
    /// Where the value comes from.
    pub source: ValueSource,
    /// Property it feeds.
    pub property: Property,
    /// Type of a directory extension that is not a text.
    pub extension_type: Option<ExtensionType>,
    /// A table that the value is looked up in first.
    pub choices: Option<Choices>,
    /// What is done with the text, in order.
    pub convert: Vec<Convert>,
    /// What an empty source means.
    pub on_null: OnNull,
    /// What an unfit value means.
    pub on_invalid: OnInvalid,
    /// A column that must be true, or the property is left as it is.
    pub require: Option<Box<str>>,
}

/// Why a row has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowError {
    /// A column that the row needs is nowhere in the message.
    Missing(Box<str>),
    /// The value cannot be written.
    Invalid(Invalid),
}

/// What the columns of a row give.
enum Filled {
    Value(PropertyValue),
    Empty,
    /// A value that Graph would refuse, and that the row passes over.
    Skipped,
}

impl ValueSource {
    /// The columns it reads, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let (names, template): (&[Box<str>], _) = match self {
            Self::Column(name) => (std::slice::from_ref(name), None),
            Self::FirstOf(names) => (names, None),
            Self::Template(template) => (&[], Some(template)),
            Self::Constant(_) => (&[], None),
        };
        names.iter().map(|name| &**name).chain(template.into_iter().flat_map(Template::columns))
    }

    /// Whether it is the same for everybody.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => f.write_str(name),
            Self::FirstOf(names) => f.write_str(&names.join(", else ")),
            Self::Template(template) => template.fmt(f),
            Self::Constant(_) => f.write_str("a constant"),
        }
    }
}

impl MappingRow {
    /// A row without conversions that clears what is emptied and rejects what is unfit.
    #[must_use]
    pub fn new(source: ValueSource, property: Property) -> Self {
        Self {
            source,
            property,
            extension_type: None,
            choices: None,
            convert: Vec::new(),
            on_null: OnNull::default(),
            on_invalid: OnInvalid::default(),
            require: None,
        }
    }

    /// Kind of value that the row writes.
    #[must_use]
    pub fn kind(&self) -> PropertyKind {
        self.extension_type.map_or_else(|| self.property.rules().kind, ExtensionType::kind)
    }

    /// The columns that decide about the property.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.source.columns().chain(self.require.as_deref())
    }

    /// Whether the required column is true, if there is one. Empty or of another kind, it is not.
    pub fn is_met<'v>(&self, column: impl Fn(&str) -> Option<&'v ColumnValue>) -> Result<bool, RowError> {
        let Some(name) = &self.require else { return Ok(true) };
        match column(name).ok_or_else(|| RowError::Missing(name.clone()))? {
            ColumnValue::Bool(yes) => Ok(*yes),
            ColumnValue::Text(text) => Ok(text.trim().eq_ignore_ascii_case("true")),
            ColumnValue::Null
            | ColumnValue::Choice { .. }
            | ColumnValue::Lookup { .. }
            | ColumnValue::Unsupported(_) => Ok(false),
        }
    }

    /// What the property shall be, given the columns' present values; `None` if it is to be left alone.
    pub fn value<'v>(
        &self,
        column: impl Fn(&str) -> Option<&'v ColumnValue>,
    ) -> Result<Option<PropertyValue>, RowError> {
        let filled = self.filled(|name| column(name).ok_or_else(|| RowError::Missing(name.into())))?;
        Ok(match filled {
            Filled::Value(value) => Some(value),
            Filled::Empty => self.emptied(),
            Filled::Skipped => None,
        })
    }

    /// The same where columns that are empty may be absent: they count as empty, and an empty source leaves the
    /// property alone.
    pub fn value_if_filled<'v>(
        &self,
        column: impl Fn(&str) -> Option<&'v ColumnValue>,
    ) -> Result<Option<PropertyValue>, RowError> {
        Ok(match self.filled(|name| Ok(column(name).unwrap_or(&ColumnValue::Null)))? {
            Filled::Value(value) => Some(value),
            Filled::Empty | Filled::Skipped => None,
        })
    }

    fn filled<'v>(
        &self,
        present: impl Fn(&str) -> Result<&'v ColumnValue, RowError>,
    ) -> Result<Filled, RowError> {
        let value = match &self.source {
            ValueSource::Column(name) => self.of_value(present(name)?),
            ValueSource::FirstOf(names) => {
                let mut found = Ok(None);
                for name in names {
                    found = self.of_value(present(name)?);
                    if !matches!(found, Ok(None)) {
                        break;
                    }
                }
                found
            }
            ValueSource::Template(template) => {
                match template.fill(|name| text_of(present(name)?).map_err(RowError::Invalid)) {
                    Ok(text) => self.of_text(text),
                    Err(RowError::Invalid(invalid)) => Err(invalid),
                    Err(missing) => return Err(missing),
                }
            }
            ValueSource::Constant(text) => self.of_text(Some(text.clone().into_string())),
        };
        match value {
            Ok(Some(value)) => Ok(Filled::Value(value)),
            Ok(None) => Ok(Filled::Empty),
            Err(_) if self.on_invalid == OnInvalid::Skip => Ok(Filled::Skipped),
            Err(invalid) => Err(RowError::Invalid(invalid)),
        }
    }

    fn of_value(&self, value: &ColumnValue) -> Result<Option<PropertyValue>, Invalid> {
        match (&self.choices, value, self.kind()) {
            (Some(choices), value, _) => self.of_text(choices.text(value)?),
            (None, ColumnValue::Bool(yes), PropertyKind::Bool) => Ok(Some(PropertyValue::Bool(*yes))),
            // The number is what the choice is; a label is for people.
            (None, ColumnValue::Choice { value, .. }, PropertyKind::Integer) => {
                self.of_text(Some(value.to_string()))
            }
            (None, value, _) => self.of_text(text_of(value)?),
        }
    }

    /// What the row makes of a text.
    pub(super) fn of_text(&self, text: Option<String>) -> Result<Option<PropertyValue>, Invalid> {
        let Some(text) = text else { return Ok(None) };
        let text = self.convert.iter().try_fold(text, |text, convert| convert.apply(&text))?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let kind = self.kind();
        match (fit(kind, &text), self.on_invalid) {
            (Err(Invalid::TooLong { max, .. }), OnInvalid::Truncate) => {
                fit(kind, utf16::cut(&text, max).trim_end()).map(Some)
            }
            (fitted, _) => fitted.map(Some),
        }
    }

    fn emptied(&self) -> Option<PropertyValue> {
        match &self.on_null {
            // Of a list only the contact's own is taken out.
            OnNull::Clear if matches!(self.property.rules().kind, PropertyKind::List { .. }) => {
                Some(ListElement::default().into())
            }
            OnNull::Clear => Some(PropertyValue::Clear),
            OnNull::Keep => None,
            // That it fits was checked when the table was made.
            OnNull::Default(text) => fit(self.kind(), text).ok(),
        }
    }
}

/// The text of a column; `None` if it is empty. Dataverse stores an emptied text as null, but integrations do
/// send empty texts, which Graph refuses; so both mean the same here.
fn text_of(value: &ColumnValue) -> Result<Option<String>, Invalid> {
    match value {
        ColumnValue::Null => Ok(None),
        ColumnValue::Text(text) if text.trim().is_empty() => Ok(None),
        ColumnValue::Text(text) | ColumnValue::Choice { label: Some(text), .. } => {
            Ok(Some(text.clone().into_string()))
        }
        ColumnValue::Choice { label: None, value } => Ok(Some(value.to_string())),
        ColumnValue::Lookup { name: Some(name), .. } => Ok(Some(name.clone().into_string())),
        // Its id would be no name, and its name before may be another record's.
        ColumnValue::Lookup { name: None, .. } => Err(Invalid::Unnamed),
        ColumnValue::Bool(_) => Err(Invalid::WrongKind { found: "yes/no value" }),
        ColumnValue::Unsupported(found) => Err(Invalid::WrongKind { found }),
    }
}
