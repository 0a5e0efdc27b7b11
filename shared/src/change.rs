//! What one message says about one contact, freed from the format it came in.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    ids::{ContactId, JobId, OrganizationId},
    version::Version,
};

/// The pipeline messages of Dataverse that can reach us, as far as they mean something different here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A contact was created (`Create`, `Upsert` of a new row, an item of `CreateMultiple`).
    Create,
    /// Columns of a contact changed (`Update`, `Upsert` of an existing row, an item of `UpdateMultiple`).
    Update,
    /// A contact was deleted; there is nothing to write.
    Delete,
    /// Another contact was merged into this one; `UpdateContent` holds the columns that changed.
    Merge,
    /// State or owner changed (`SetState`, `SetStateDynamicEntity`, `Assign`); no column of ours can have.
    Administrative,
    /// A message whose name we do not know, with a contact that carries columns as an update does.
    Unknown,
}

/// A value of one column, reduced to what a mapping can use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnValue {
    /// The column was cleared, or is empty in an image.
    Null,
    /// Text, and everything that reads as text: GUIDs, numbers and dates as written on the wire.
    Text(Box<str>),
    /// A two-option column.
    Bool(bool),
    /// A choice column: its number, and the label in the user's language where the message carried one.
    Choice {
        /// Number of the option.
        value: i64,
        /// Display text of the option, from the formatted values.
        label: Option<Box<str>>,
    },
    /// A lookup: the record it points to, and the name of that record where the message carried it.
    Lookup {
        /// Id of the record; none if it is named by an alternate key.
        id: Option<uuid::Uuid>,
        /// Primary name of the record, or its display text from the formatted values.
        name: Option<Box<str>>,
    },
    /// A kind of value that no mapping can use (files, lists); named for error texts.
    Unsupported(&'static str),
}

impl ColumnValue {
    /// Whether both are known to be the same value. Display texts do not count: they come with some messages only,
    /// in the language of whoever made the change. What cannot be told apart is not known to be the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Choice { value: a, .. }, Self::Choice { value: b, .. }) => a == b,
            (Self::Lookup { id: Some(a), .. }, Self::Lookup { id: Some(b), .. }) => a == b,
            (Self::Lookup { .. }, Self::Lookup { .. }) | (Self::Unsupported(_), Self::Unsupported(_)) => {
                false
            }
            (a, b) => a == b,
        }
    }

    /// Whether its display text is missing.
    fn is_unnamed(&self) -> bool {
        matches!(self, Self::Choice { label: None, .. } | Self::Lookup { name: None, .. })
    }
}

/// Columns and their values, by logical name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<(Box<str>, ColumnValue)>);

impl Columns {
    /// The value of a column, if the message holds that column at all.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ColumnValue> {
        let found = self.0.binary_search_by(|(column, _)| (**column).cmp(name)).ok()?;
        Some(&self.0[found].1)
    }

    /// All columns, ordered by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &ColumnValue)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many columns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Box<str>>> FromIterator<(N, ColumnValue)> for Columns {
    /// The last of several values for one name wins, as it does when Dataverse applies them.
    fn from_iter<I: IntoIterator<Item = (N, ColumnValue)>>(columns: I) -> Self {
        let mut columns: Vec<_> = columns.into_iter().map(|(name, value)| (name.into(), value)).collect();
        // Stable, so that equal names keep their order and the later one can win. Sorting rather than
        // searching keeps a message with very many columns from costing quadratic time.
        columns.sort_by(|(a, _), (b, _)| a.cmp(b));
        columns.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Self(columns)
    }
}

/// Where a change came from, for filters, logs and traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeOrigin {
    /// Name of the pipeline message, as the sender wrote it.
    pub message: Arc<str>,
    /// Place among the `Targets` of a message about several contacts, counted from 1. Such a message has no images.
    pub position: Option<usize>,
    /// Whether the sender has marked the message as one that it cut because of its size limit.
    pub marked: bool,
    /// User on whose behalf the request was made.
    pub initiating_user: Option<uuid::Uuid>,
    /// Correlation id of the top-level request.
    pub correlation: Option<uuid::Uuid>,
    /// The system job that posted the message.
    pub job: Option<JobId>,
    /// Nesting depth of the request, 1 for a direct one.
    pub depth: Option<i32>,
    /// When Dataverse recorded the event, in UTC.
    pub created: Option<Timestamp>,
}

/// One contact's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Organization that posted the message.
    pub organization: Option<OrganizationId>,
    /// The contact.
    pub contact: ContactId,
    /// What happened to it.
    pub operation: Operation,
    /// Where this change stands among the changes of its contact; `None` if the message itself does not tell.
    pub version: Option<Version>,
    /// Columns that this change set.
    pub columns: Columns,
    /// Columns before the change, all registered pre images together.
    pub before: Columns,
    /// Columns after the change, all registered post images together.
    pub after: Columns,
    /// Whether a registered image of the contact came along. Null columns may be left out of images.
    pub imaged: bool,
    /// Whether there are no input parameters at all, which only the size limit of the sender can be the reason of.
    pub truncated: bool,
    /// Where it came from.
    pub origin: ChangeOrigin,
}

impl Change {
    /// The value of a column after the change: what the change set, or else what a post image shows.
    ///
    /// Dataverse leaves the display text out of a choice or lookup that was just set, and the post image has it. It
    /// counts if the image shows the same value; a text of another value never does.
    #[must_use]
    pub fn present(&self, column: &str) -> Option<&ColumnValue> {
        match (self.columns.get(column), self.after.get(column)) {
            (Some(set), Some(shown)) if set.is_unnamed() && set.is_same(shown) => Some(shown),
            (set, shown) => set.or(shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn choice(value: i64, label: Option<&str>) -> ColumnValue {
        ColumnValue::Choice { value, label: label.map(Into::into) }
    }

    fn lookup(id: Option<u128>, name: Option<&str>) -> ColumnValue {
        ColumnValue::Lookup { id: id.map(Uuid::from_u128), name: name.map(Into::into) }
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_known_to_be_the_same() {
        for (a, b, same) in [
            (choice(1, None), choice(1, Some("Gold")), true),
            (choice(1, Some("Gold")), choice(2, Some("Gold")), false),
            (lookup(Some(1), None), lookup(Some(1), Some("Contoso")), true),
            (lookup(Some(1), Some("Contoso")), lookup(Some(2), Some("Contoso")), false),
            (lookup(None, None), lookup(None, None), false),
            (ColumnValue::Unsupported("list or file"), ColumnValue::Unsupported("list or file"), false),
            (ColumnValue::Bool(true), ColumnValue::Bool(true), true),
            (ColumnValue::Null, ColumnValue::Null, true),
            (ColumnValue::Text("a".into()), ColumnValue::Text("b".into()), false),
        ] {
            assert_eq!((a.is_same(&b), b.is_same(&a)), (same, same), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_display_text_comes_from_the_post_image_of_the_same_value_only() {
        let change = |set: ColumnValue, shown: Option<ColumnValue>| Change {
            organization: None,
            contact: ContactId(Uuid::from_u128(1)),
            operation: Operation::Update,
            version: None,
            columns: Columns::from_iter([("column", set)]),
            before: Columns::default(),
            after: shown.map(|value| ("column", value)).into_iter().collect(),
            imaged: true,
            truncated: false,
            origin: ChangeOrigin::default(),
        };
        for (set, shown, expected) in [
            (choice(1, None), Some(choice(1, Some("Gold"))), choice(1, Some("Gold"))),
            (choice(1, None), Some(choice(2, Some("Silver"))), choice(1, None)),
            (choice(1, None), None, choice(1, None)),
            (lookup(Some(1), None), Some(lookup(Some(1), Some("A"))), lookup(Some(1), Some("A"))),
            (lookup(Some(1), None), Some(lookup(Some(2), Some("B"))), lookup(Some(1), None)),
            (lookup(Some(1), Some("A")), Some(lookup(Some(1), Some("B"))), lookup(Some(1), Some("A"))),
            (ColumnValue::Null, Some(lookup(Some(2), Some("B"))), ColumnValue::Null),
        ] {
            assert_eq!(change(set, shown).present("column"), Some(&expected));
        }
        assert_eq!(change(ColumnValue::Null, None).present("other"), None);
    }
}
