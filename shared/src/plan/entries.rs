//! The properties that a change gives, on their way to a patch.

use super::intent::{Plan, SkipReason};
use crate::{
    change::Change,
    ids::UserId,
    mapping::MappingRow,
    patch::{ListElement, MovesFrom, PropertyValue, SignIn, UserPatch},
    property::Property,
};

/// What the rows of the mapping give.
#[derive(Default)]
pub(super) struct Entries {
    values: Vec<(Property, PropertyValue)>,
    /// Constants, which go along with values and are never written for their own sake: that they are due says no message.
    constants: Vec<(Property, PropertyValue)>,
    /// Whether a row gives nothing because the column that it requires is not true.
    pub(super) unmet: bool,
}

impl Entries {
    pub(super) fn put(&mut self, row: &MappingRow, value: Option<PropertyValue>) {
        let entries = if row.source.is_constant() { &mut self.constants } else { &mut self.values };
        entries.extend(value.map(|value| (row.property.clone(), value)));
    }

    pub(super) fn write(self, user: UserId, change: &Change, from: MovesFrom) -> Plan {
        let bound = |value| match value {
            PropertyValue::SignIn(wanted) => SignIn { from, contact: Some(change.contact), ..*wanted }.into(),
            PropertyValue::Element(wanted) => ListElement { contact: Some(change.contact), ..*wanted }.into(),
            value => value,
        };
        let constants = if self.values.is_empty() { Vec::new() } else { self.constants };
        let entries = self.values.into_iter().chain(constants);
        let entries = entries.map(|(property, value)| (property, bound(value)));
        match UserPatch::new(entries) {
            Some(patch) => Plan::Write { user, patch },
            None if self.unmet => Plan::Nothing(SkipReason::RequirementNotMet),
            None => Plan::Nothing(SkipReason::NothingMapped),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        change::{ColumnValue, Columns, Operation},
        mapping::{Mapping, OnNull, ValueSource},
        plan::{
            Planner,
            tests::samples::{LINK, USER, change},
        },
    };

    fn planner() -> Planner {
        let row = |source, property: &str| MappingRow {
            on_null: OnNull::Keep,
            ..MappingRow::new(source, Property::named(property).expect("known"))
        };
        let column = |name: &str| ValueSource::Column(name.into());
        Planner::new(
            Mapping::new(vec![
                row(ValueSource::Constant("Portal".into()), "department"),
                row(column("firstname"), "givenName"),
                row(column("parentcustomerid"), "companyName"),
            ])
            .expect("valid"),
        )
    }

    fn told(plan: &Plan) -> String {
        match plan {
            Plan::Write { patch, .. } => {
                let told = patch.iter().map(|(property, value)| format!("{property}={value:?}"));
                told.collect::<Vec<_>>().join(" ")
            }
            Plan::Nothing(why) => why.as_str().to_owned(),
            Plan::Impossible(letter) => letter.reason.to_string(),
            Plan::LookUp(_) => "look up".to_owned(),
        }
    }

    #[test]
    fn a_constant_goes_along_with_other_properties_and_causes_no_write() {
        use Operation::{Create, Update};
        let (linked, ada) = ((LINK, USER), ("firstname", "Ada"));
        let both = r#"givenName=Text("Ada") department=Text("Portal")"#;
        for (name, change, expected) in [
            ("another property", change(Update, &[ada], &[], &[linked]), both),
            ("a new contact", change(Create, &[linked, ada], &[], &[]), both),
            ("a new link", change(Update, &[linked], &[], &[linked, ada]), both),
            ("nothing mapped", change(Update, &[("telephone1", "1")], &[], &[linked]), "nothing-mapped"),
            ("nothing changed", change(Update, &[ada], &[ada], &[linked]), "same-as-before"),
            ("nothing to write", change(Update, &[("firstname", "-")], &[], &[linked]), "nothing-mapped"),
            ("a new contact without values", change(Create, &[linked], &[], &[]), "nothing-mapped"),
        ] {
            assert_eq!(told(&planner().plan(&change)), expected, "{name}");
        }
        let forced = planner().plan_forced(&change(Update, &[("telephone1", "1")], &[], &[linked, ada]));
        assert_eq!(told(&forced.plan), both);
        let forced = planner().plan_forced(&change(Update, &[("telephone1", "1")], &[], &[linked]));
        assert_eq!(told(&forced.plan), "nothing-mapped");
    }

    #[test]
    fn a_lookup_gives_the_name_of_the_record_that_it_points_to_now() {
        let lookup = |number: u128, name: Option<&str>| -> Columns {
            let value = ColumnValue::Lookup { id: Some(Uuid::from_u128(number)), name: name.map(Into::into) };
            [("parentcustomerid", value)].into_iter().collect()
        };
        let linked = |columns: Columns| -> Columns {
            let link = (LINK.to_owned(), ColumnValue::Text(USER.into()));
            columns.iter().map(|(name, value)| (name.to_owned(), value.clone())).chain([link]).collect()
        };
        let update = |set: Columns, before: Columns, after: Columns| Change {
            columns: set,
            before,
            after: linked(after),
            ..change(Operation::Update, &[], &[], &[])
        };
        let none = Columns::default;
        let (old, new) = (lookup(1, Some("Old")), lookup(2, Some("New")));
        let written = r#"companyName=Text("New") department=Text("Portal")"#;
        for (name, change, expected) in [
            ("named", update(new.clone(), none(), none()), written),
            ("named by the post image", update(lookup(2, None), old.clone(), new.clone()), written),
            ("nameless", update(lookup(2, None), none(), none()), "ValueInvalid"),
            ("named before", update(lookup(2, None), old.clone(), old.clone()), "ValueInvalid"),
            ("the same", update(lookup(1, None), old.clone(), old), "same-as-before"),
        ] {
            assert_eq!(told(&planner().plan(&change)), expected, "{name}");
        }
    }
}
