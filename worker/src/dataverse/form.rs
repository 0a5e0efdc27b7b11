//! In which form the Web API shows the values of a column, by the type of the column.

use super::metadata::Column;

/// The forms in which contacts hold something that messages tell, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnForm {
    /// A text.
    Text,
    /// The logical name of a table.
    TableName,
    /// Yes or no.
    Bool,
    /// A whole number.
    Number,
    /// A number whose digits behind the point are Dataverse's to choose.
    Decimal,
    /// A number of a currency.
    Money,
    /// A moment, or a day.
    Moment,
    /// A number, of which the label depends on somebody's language.
    Choice,
    /// The id of another row.
    Lookup,
}

impl ColumnForm {
    /// Source: the enumeration `AttributeTypeCode` of the metadata.
    fn of(attribute_type: &str) -> Option<Self> {
        Some(match attribute_type {
            "String" | "Memo" | "Uniqueidentifier" => Self::Text,
            "EntityName" => Self::TableName,
            "Boolean" => Self::Bool,
            "Integer" | "BigInt" => Self::Number,
            "Decimal" | "Double" => Self::Decimal,
            "Money" => Self::Money,
            "DateTime" => Self::Moment,
            "Picklist" | "State" | "Status" => Self::Choice,
            "Lookup" | "Customer" | "Owner" => Self::Lookup,
            _ => return None,
        })
    }
}

impl Column {
    /// The form of its values; `None` if nobody here knows it.
    #[must_use]
    pub(crate) fn form(&self) -> Option<ColumnForm> {
        ColumnForm::of(&self.attribute_type)
    }

    /// What the column is called in rows.
    #[must_use]
    pub(crate) fn in_rows(&self) -> String {
        match self.form() {
            Some(ColumnForm::Lookup) => format!("_{}_value", self.logical_name),
            _ => self.logical_name.to_string(),
        }
    }
}
