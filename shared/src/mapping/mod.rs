//! Which contact column feeds which property of the user; validated once, so that nothing later has to ask.

mod choices;
mod convert;
mod country;
mod row;
mod template;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use self::{
    choices::Choices,
    convert::{Convert, Invalid},
    row::{MappingRow, OnInvalid, OnNull, RowError, ValueSource},
    template::{Template, TemplateError},
};
use crate::property::{Property, PropertyKind};

/// A validated table: every property is fed once and every rule can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    rows: Vec<MappingRow>,
    by_column: HashMap<Box<str>, Vec<usize>>,
}

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No row at all.
    #[error("the mapping has no row; map at least one contact column, or choose a preset")]
    Empty,
    /// A property is fed by two rows.
    #[error("{property} is fed by both {first} and {second}; keep one of the two rows")]
    Duplicate {
        /// The property.
        property: Property,
        /// Source of the earlier row.
        first: ValueSource,
        /// Source of the later row.
        second: ValueSource,
    },
    /// The row wants to empty a property that Graph never empties.
    #[error(
        "{property} cannot be emptied in Graph; give the row of {column} on_null = \"keep\" or a default"
    )]
    NotClearable {
        /// Source of the row.
        column: ValueSource,
        /// The property.
        property: Property,
    },
    /// The default is itself a value that Graph refuses.
    #[error("the default of {property} {invalid}")]
    Default {
        /// The property.
        property: Property,
        /// What is wrong with it.
        invalid: Invalid,
    },
    /// Only texts can be cut.
    #[error("{property} cannot be cut to fit; give its row on_invalid = \"reject\" or \"skip\"")]
    NotTruncatable {
        /// The property.
        property: Property,
    },
    /// Two properties that Graph keeps in one place.
    #[error("{0} has no column")]
    NoColumn(Property),
    /// There would never be anything to write the constants together with.
    #[error(
        "no row reads a column, and a constant is written together with other properties only; map at least one \
         contact column"
    )]
    OnlyConstants,
    /// The constant is itself a value that Graph refuses.
    #[error("the value of {property} {invalid}")]
    Constant {
        /// The property.
        property: Property,
        /// What is wrong with it.
        invalid: Invalid,
    },
    /// An address belongs to one user.
    #[error("{0} is an address, and no two users can have the same; give its row a column")]
    SharedAddress(Property),
    /// A table for a text that has several columns.
    #[error("{0} has choices and a template; choices need column or columns")]
    ChoicesInTemplate(Property),
    /// What the table gives is itself a value that Graph refuses.
    #[error("what choices of {property} give for {key} {invalid}")]
    Choice {
        /// The property.
        property: Property,
        /// The value of the column.
        key: Box<str>,
        /// What is wrong with what it becomes.
        invalid: Invalid,
    },
    /// Only the type of a directory extension is anybody's choice.
    #[error(
        "the type of {0} is given by Graph; only a directory extension (extension_...) has a type in its row"
    )]
    Typed(Property),
}

impl Mapping {
    /// Checks a table.
    pub fn new(rows: Vec<MappingRow>) -> Result<Self, Error> {
        if rows.is_empty() {
            return Err(Error::Empty);
        }
        for (index, row) in rows.iter().enumerate() {
            if let Some(first) = rows[..index].iter().find(|earlier| earlier.property == row.property) {
                return Err(Error::Duplicate {
                    property: row.property.clone(),
                    first: first.source.clone(),
                    second: row.source.clone(),
                });
            }
            check(row)?;
        }
        if rows.iter().all(|row| row.source.is_constant()) {
            return Err(Error::OnlyConstants);
        }
        Ok(Self::indexed(rows))
    }

    /// The presets with their names in the settings.
    #[must_use]
    pub fn presets() -> [(&'static str, Self); 3] {
        [
            ("default", Self::preset_default()),
            ("b2c", Self::preset_b2c()),
            ("external_id", Self::preset_external_id()),
        ]
    }

    /// What most portals do: e-mail address, first name and last name.
    #[must_use]
    pub fn preset_default() -> Self {
        Self::preset(&[("emailaddress1", "mail", OnNull::Keep), ("firstname", "givenName", OnNull::Clear)])
    }

    /// For Azure AD B2C, where `mail` takes ten values in the life of an account and never goes away again:
    /// the address goes to `otherMails` and to the address with which the user signs in.
    #[must_use]
    pub fn preset_b2c() -> Self {
        Self::preset(&[
            ("emailaddress1", "otherMails", OnNull::Keep),
            ("emailaddress1", Property::SIGN_IN, OnNull::Keep),
            ("firstname", "givenName", OnNull::Clear),
        ])
    }

    /// For Entra External ID: the address goes everywhere where the directory keeps it, also to the address with which
    /// the user signs in, by password or by a code.
    #[must_use]
    pub fn preset_external_id() -> Self {
        Self::preset(&[
            ("emailaddress1", "mail", OnNull::Keep),
            ("emailaddress1", "otherMails", OnNull::Keep),
            ("emailaddress1", Property::SIGN_IN, OnNull::Keep),
            ("firstname", "givenName", OnNull::Clear),
        ])
    }

    /// The same, and the address for password reset follows the address that is mapped: the one to sign in with, else
    /// `mail`, else `otherMails`. `None` if no column goes to any of them.
    #[must_use]
    pub fn with_reset(mut self) -> Option<Self> {
        let followed = self.row(self.followed()?)?.clone();
        self.rows.retain(|row| !row.property.is_reset());
        let property = Property::named(Property::RESET)?;
        // Where nothing is left of an address, the one that is there stays: it may be the last way into the account.
        self.rows.push(MappingRow { property, on_null: OnNull::Keep, ..followed });
        Some(Self::indexed(self.rows))
    }

    /// The property that the address for password reset follows, if that is asked for.
    #[must_use]
    pub fn reset_follows(&self) -> Option<&Property> {
        self.rows.iter().find(|row| row.property.is_reset()).and_then(|_| self.followed())
    }

    fn followed(&self) -> Option<&Property> {
        let named = |name| self.rows.iter().map(|row| &row.property).find(|property| property.name() == name);
        [Property::SIGN_IN, "mail", "otherMails"].into_iter().find_map(named)
    }

    fn row(&self, property: &Property) -> Option<&MappingRow> {
        self.rows.iter().find(|row| row.property == *property)
    }

    fn preset(rows: &[(&str, &str, OnNull)]) -> Self {
        let last = ("lastname", "surname", OnNull::Clear);
        let rows = rows.iter().chain([&last]).filter_map(|(column, property, on_null)| {
            let property = Property::named(property)?;
            let trims = matches!(
                property.rules().kind,
                PropertyKind::Address { .. } | PropertyKind::List { .. } | PropertyKind::SignIn
            );
            let convert = if trims { vec![Convert::Trim] } else { Vec::new() };
            Some(MappingRow {
                convert,
                on_null: on_null.clone(),
                ..MappingRow::new(ValueSource::Column((*column).into()), property)
            })
        });
        Self::indexed(rows.collect())
    }

    fn indexed(rows: Vec<MappingRow>) -> Self {
        let mut by_column: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            for column in row.columns() {
                let fed = by_column.entry(column.into()).or_default();
                if fed.last() != Some(&index) {
                    fed.push(index);
                }
            }
        }
        Self { rows, by_column }
    }

    /// The table.
    #[must_use]
    pub fn rows(&self) -> &[MappingRow] {
        &self.rows
    }

    /// The rows that no column feeds.
    pub fn constants(&self) -> impl Iterator<Item = &MappingRow> {
        self.rows.iter().filter(|row| row.source.is_constant())
    }

    /// Whether a column feeds anything.
    #[must_use]
    pub fn maps(&self, column: &str) -> bool {
        self.by_column.contains_key(column)
    }

    /// The rows that any of these columns feeds, each once, in the order of the table.
    pub fn fed_by<'m>(
        &'m self,
        columns: impl IntoIterator<Item = &'m str>,
    ) -> impl Iterator<Item = &'m MappingRow> {
        let mut fed: Vec<usize> =
            columns.into_iter().filter_map(|column| self.by_column.get(column)).flatten().copied().collect();
        fed.sort_unstable();
        fed.dedup();
        fed.into_iter().map(|index| &self.rows[index])
    }
}

fn check(row: &MappingRow) -> Result<(), Error> {
    let property = || row.property.clone();
    if row.extension_type.is_some() && !row.property.is_extension() {
        return Err(Error::Typed(property()));
    }
    if let ValueSource::Constant(text) = &row.source {
        return check_constant(row, text);
    }
    if row.source.columns().next().is_none() {
        return Err(Error::NoColumn(property()));
    }
    match &row.on_null {
        OnNull::Clear if !row.property.rules().clearable => {
            return Err(Error::NotClearable { column: row.source.clone(), property: property() });
        }
        OnNull::Default(text) => {
            convert::fit(row.kind(), text)
                .map_err(|invalid| Error::Default { property: property(), invalid })?;
        }
        OnNull::Clear | OnNull::Keep => {}
    }
    if row.on_invalid == OnInvalid::Truncate && !matches!(row.kind(), PropertyKind::Text { .. }) {
        return Err(Error::NotTruncatable { property: property() });
    }
    check_choices(row)
}

fn check_constant(row: &MappingRow, text: &str) -> Result<(), Error> {
    if matches!(
        row.kind(),
        PropertyKind::SignIn
            | PropertyKind::Reset
            | PropertyKind::Address { .. }
            | PropertyKind::List { addresses: true, .. }
    ) {
        return Err(Error::SharedAddress(row.property.clone()));
    }
    // It would empty the property of everybody.
    if text.trim().is_empty() {
        return Err(Error::NoColumn(row.property.clone()));
    }
    let fitted = convert::fit(row.kind(), text);
    fitted.map(drop).map_err(|invalid| Error::Constant { property: row.property.clone(), invalid })
}

/// What a table gives must fit, or the value would be found wanting when it is too late.
fn check_choices(row: &MappingRow) -> Result<(), Error> {
    let Some(choices) = &row.choices else { return Ok(()) };
    if matches!(row.source, ValueSource::Template(_)) {
        return Err(Error::ChoicesInTemplate(row.property.clone()));
    }
    for (key, text) in choices.iter() {
        row.of_text(Some(text.to_owned())).map_err(|invalid| Error::Choice {
            property: row.property.clone(),
            key: key.into(),
            invalid,
        })?;
    }
    Ok(())
}
