//! Whether a message may move the sign-in address of the user that its contact names.
//!
//! Who may edit a contact may move the sign-in address of its person; that is what contactsync is for. Who edits the
//! *link* names a user whose contact he may not even see. So a message in which the link is new moves no address.

use super::{
    new_link::is_same,
    planner::{LinkMatch, Planner},
};
use crate::{
    change::{Change, Columns, Operation},
    patch::MovesFrom,
};

impl Planner {
    /// From where this change may move the sign-in address of its user.
    #[must_use]
    pub fn moves_from(&self, change: &Change) -> MovesFrom {
        match self.link_match {
            LinkMatch::Anything => MovesFrom::Any,
            _ if !self.keeps_link(change) => MovesFrom::Nowhere,
            LinkMatch::Unchanged => MovesFrom::Any,
            LinkMatch::Previous => MovesFrom::Previous,
        }
    }

    /// Whether the contact is known to have had the same user before. What sets the link without a pre image that shows
    /// the same one may be the message that makes the user the contact's.
    fn keeps_link(&self, change: &Change) -> bool {
        change.operation != Operation::Create && self.link_columns().all(|column| keeps(column, change))
    }
}

fn keeps(column: &str, change: &Change) -> bool {
    let link = |columns: &Columns| columns.get(column).cloned();
    match (link(&change.columns), link(&change.before)) {
        (Some(now), Some(before)) => is_same(&now, &before),
        (Some(_), None) => false,
        // Something else in the same transaction may have set it.
        (None, Some(before)) => link(&change.after).is_none_or(|now| is_same(&now, &before)),
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::ColumnValue,
        mapping::{Mapping, MappingRow, OnNull, ValueSource},
        patch::{PropertyValue, UserPatch},
        plan::{
            Plan, SkipReason,
            tests::samples::{LINK, OTHER, USER, change, columns},
        },
        property::Property,
        reason::DeadLetterReason,
    };

    fn text(text: &str) -> ColumnValue {
        ColumnValue::Text(text.into())
    }

    fn planned(planner: &Planner, change: &Change) -> UserPatch {
        match planner.plan(change) {
            Plan::Write { patch, .. } => patch,
            plan => panic!("{plan:?}"),
        }
    }

    fn from(planner: &Planner, change: &Change) -> MovesFrom {
        let patch = planned(planner, change);
        let sign_in = Property::named(Property::SIGN_IN).and_then(|property| patch.get(&property).cloned());
        match sign_in {
            Some(PropertyValue::SignIn(wanted)) => wanted.from,
            value => panic!("{value:?}"),
        }
    }

    #[test]
    fn a_message_in_which_the_link_is_new_or_may_be_moves_no_address() {
        use Operation::{Create, Merge, Update};
        let (link, mail) = (LINK, ("emailaddress1", "new@b.c"));
        let (linked, other) = ((link, USER), (link, OTHER));
        let old = ("emailaddress1", "old@b.c");
        let braced = (link, "{11111111-2222-4333-8444-AAAAAAAAAAAA}");
        let cases: &[(&str, Change, bool)] = &[
            ("set", change(Update, &[linked, mail], &[old], &[linked, mail]), false),
            ("moved", change(Update, &[linked, mail], &[other, old], &[linked, mail]), false),
            ("alone", change(Update, &[linked], &[other, old], &[linked, mail]), false),
            ("by something else", change(Update, &[mail], &[other, old], &[linked, mail]), false),
            ("merged", change(Merge, &[linked, mail], &[], &[linked, mail]), false),
            ("created", change(Create, &[linked, mail], &[], &[]), false),
            ("nobody knows", change(Update, &[linked, mail], &[], &[]), false),
            ("nobody knows, imaged", change(Update, &[linked, mail], &[], &[linked, mail]), false),
            ("an unknown message", change(Operation::Unknown, &[linked, mail], &[], &[]), false),
            ("not in the message", change(Update, &[mail], &[old], &[linked, mail]), true),
            ("not in the images before", change(Update, &[mail], &[], &[linked, mail]), true),
            ("as before", change(Update, &[linked, mail], &[linked, old], &[linked, mail]), true),
            ("in other letters", change(Update, &[braced, mail], &[linked, old], &[linked, mail]), true),
            ("only before", change(Update, &[mail], &[linked, old], &[]), true),
        ];
        for (name, change, kept) in cases {
            let mut planner = Planner::new(Mapping::preset_b2c());
            let (as_a_rule, strict) = if *kept {
                (MovesFrom::Any, MovesFrom::Previous)
            } else {
                (MovesFrom::Nowhere, MovesFrom::Nowhere)
            };
            assert_eq!(from(&planner, change), as_a_rule, "{name}");
            planner.link_match = LinkMatch::Previous;
            assert_eq!(from(&planner, change), strict, "{name}");
            planner.link_match = LinkMatch::Anything;
            assert_eq!(from(&planner, change), MovesFrom::Any, "{name}");
        }
    }

    #[test]
    fn an_address_is_decided_apart_and_takes_what_is_like_it_along() {
        let planner = Planner::new(Mapping::preset_b2c());
        let parts = |change: &Change| -> Vec<Vec<String>> {
            let names = |part: UserPatch| part.iter().map(|(property, _)| property.to_string()).collect();
            planned(&planner, change).parted().map(names).collect()
        };
        let all = [(LINK, USER), ("emailaddress1", "new@b.c"), ("firstname", "Ada")];
        assert_eq!(
            parts(&change(Operation::Update, &all, &[], &all)),
            [vec!["givenName"], vec!["otherMails", "signInEmail"]]
        );
        let unlinked = change(Operation::Update, &all[1..], &[], &all);
        assert_eq!(parts(&unlinked), [vec!["givenName"], vec!["otherMails", "signInEmail"]], "bound or not");
    }

    #[test]
    fn a_row_is_written_only_if_the_column_that_it_requires_is_true() {
        let confirmed = "adx_identity_emailaddress1confirmed";
        let property = |name: &str| Property::named(name).expect("known");
        let address = MappingRow {
            on_null: OnNull::Keep,
            require: Some(confirmed.into()),
            ..MappingRow::new(ValueSource::Column("emailaddress1".into()), property(Property::SIGN_IN))
        };
        let name = MappingRow::new(ValueSource::Column("firstname".into()), property("givenName"));
        let planner = Planner::new(Mapping::new(vec![address, name]).expect("valid"));
        let yes = |value: Option<ColumnValue>, table: &[(&str, &str)]| -> Columns {
            let shown = columns(table);
            let shown = shown.iter().map(|(name, value)| (name.to_owned(), value.clone()));
            shown.chain(value.map(|value| (confirmed.to_owned(), value))).collect()
        };
        let told = |change: &Change| match planner.plan(change) {
            Plan::Write { patch, .. } => {
                patch.iter().map(|(property, _)| property.name()).collect::<Vec<_>>().join(" ")
            }
            Plan::Nothing(why) => why.as_str().to_owned(),
            Plan::Impossible(letter) => letter.reason.to_string(),
            Plan::LookUp(_) => "look up".to_owned(),
        };
        let mail = ("emailaddress1", "new@b.c");
        let linked = (LINK, USER);
        let update = |value: Option<ColumnValue>| Change {
            after: yes(value, &[linked, mail]),
            ..change(Operation::Update, &[mail], &[linked], &[linked])
        };
        let (both, only_name) = ("signInEmail givenName", "givenName");
        assert_eq!(told(&update(Some(ColumnValue::Bool(true)))), "signInEmail");
        assert_eq!(told(&update(Some(text("True")))), "signInEmail");
        for value in [
            ColumnValue::Bool(false),
            ColumnValue::Null,
            text("no"),
            ColumnValue::Choice { value: 1, label: None },
        ] {
            assert_eq!(told(&update(Some(value))), SkipReason::RequirementNotMet.as_str());
        }
        // The column is not registered: nobody can know, and silence would be for ever.
        assert_eq!(told(&update(None)), DeadLetterReason::ColumnMissing.as_str());
        // Confirmed at last.
        let target = yes(Some(ColumnValue::Bool(true)), &[]);
        assert_eq!(told(&Change { columns: target, ..update(None) }), "signInEmail");
        // A new link, and a new contact.
        let all = [linked, mail, ("firstname", "Ada")];
        let linking =
            |value| Change { after: yes(value, &all), ..change(Operation::Update, &[linked], &[], &all) };
        assert_eq!(told(&linking(Some(ColumnValue::Bool(true)))), both);
        assert_eq!(told(&linking(Some(ColumnValue::Bool(false)))), only_name);
        assert_eq!(told(&linking(None)), only_name);
        assert_eq!(told(&change(Operation::Create, &all, &[], &[])), only_name);
        let created = Change {
            columns: yes(Some(ColumnValue::Bool(true)), &all),
            ..change(Operation::Create, &all, &[], &[])
        };
        assert_eq!(told(&created), both);
    }
}
