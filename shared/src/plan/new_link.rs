//! Contacts that get a user, or another one: nothing of what the contact had before was ever told about this user.

use super::{entries::Entries, letters, planner::Planner};
use crate::{
    change::{Change, ColumnValue, Columns, Operation},
    ids::UserId,
    mapping::RowError,
    reason::DeadLetter,
};

impl Planner {
    /// Whether the change gives the contact another user than it had. `writes` tells that it sets mapped columns.
    ///
    /// An update that brings the link along with other columns, from a step without any image, does not say so:
    /// senders that always carry the link look like that, and without an image they have to.
    pub(super) fn links_anew(&self, change: &Change, writes: bool) -> bool {
        // What a new contact has is all in its target.
        if change.operation == Operation::Create {
            return false;
        }
        self.link_columns().any(|column| is_new(column, change, writes))
    }

    /// Every mapped column for a user about whom nothing is known: the link is new, or changes of the contact did not
    /// count until now.
    ///
    /// Images leave empty columns out, so a column that is absent from a post image counts as empty; but as it may
    /// not be registered either, that never empties a property.
    pub(super) fn all_entries(&self, change: &Change, links_anew: bool) -> Result<Entries, DeadLetter> {
        let present = |column: &str| change.present(column);
        let shown = change.after.iter().any(|(column, _)| self.mapping.maps(column));
        let (mut entries, mut missing) = (Entries::default(), Vec::new());
        for row in self.mapping.rows() {
            // An image that shows other columns leaves this one out because it is empty.
            let met = row.is_met(present).or_else(|error| if shown { Ok(false) } else { Err(error) });
            if met == Ok(false) {
                entries.unmet = true;
                continue;
            }
            let value = match row.value(present) {
                Err(RowError::Missing(_)) if shown => row.value_if_filled(present),
                value => value,
            };
            match value.and_then(|value| met.map(|_| value)) {
                Ok(value) => entries.put(row, value),
                Err(RowError::Missing(_)) => {
                    let absent = row.columns().filter(|column| present(column).is_none());
                    missing.extend(absent.filter(|column| !missing.contains(column)).collect::<Vec<_>>());
                }
                Err(error) => return Err(letters::unmappable(row, &error, change)),
            }
        }
        if missing.is_empty() {
            return Ok(entries);
        }
        let mut columns = self.link_columns();
        let new = columns.find(|column| links_anew && is_new(column, change, false));
        Err(letters::all_due(new, &missing, change))
    }
}

/// Whether one column that names the user has another value than before.
fn is_new(column: &str, change: &Change, writes: bool) -> bool {
    let link = |columns: &Columns| columns.get(column).cloned();
    match (link(&change.columns), link(&change.before)) {
        (Some(now), Some(before)) => !is_same(&now, &before),
        (Some(_), None) => change.operation == Operation::Merge || change.imaged || !writes,
        // Something else in the same transaction may have set it.
        (None, Some(before)) => link(&change.after).is_some_and(|now| !is_same(&now, &before)),
        (None, None) => false,
    }
}

/// Whether two values of the link column mean the same user. An id can be written in several ways.
pub(super) fn is_same(now: &ColumnValue, before: &ColumnValue) -> bool {
    let user = |value: &ColumnValue| match value {
        ColumnValue::Text(text) => UserId::parse(text),
        _ => None,
    };
    now == before || (user(now).is_some() && user(now) == user(before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::ChangeOrigin,
        mapping::{Mapping, MappingRow, OnNull, ValueSource},
        patch::PropertyValue,
        plan::{
            Plan, SkipReason,
            tests::samples::{LINK, OTHER, Table, USER, change},
        },
        property::Property,
        reason::DeadLetterReason,
    };

    fn told(planner: &Planner, change: &Change) -> String {
        match planner.plan(change) {
            Plan::Write { user, patch } => {
                assert_eq!(user.to_string(), USER);
                let told = patch.iter().map(|(property, value)| match value {
                    PropertyValue::Clear => format!("{property}=-"),
                    PropertyValue::Text(text) => format!("{property}={text}"),
                    PropertyValue::Element(wanted) => {
                        format!("{property}={}", wanted.text.as_deref().unwrap_or_default())
                    }
                    PropertyValue::SignIn(wanted) => {
                        format!("{property}={} was {:?}", wanted.address, wanted.previous)
                    }
                    PropertyValue::Bool(yes) => format!("{property}={yes}"),
                    PropertyValue::Integer(number) => format!("{property}={number}"),
                    value @ PropertyValue::List(_) => format!("{property}={value:?}"),
                });
                told.collect::<Vec<_>>().join(" ")
            }
            Plan::Nothing(why) => why.as_str().to_owned(),
            Plan::Impossible(letter) => letter.reason.to_string(),
            Plan::LookUp(_) => "look up".to_owned(),
        }
    }

    #[test]
    fn every_mapped_column_is_due_for_a_new_user_and_the_pre_image_says_nothing_about_him() {
        use Operation::{Create, Merge, Update};

        const LINKED: (&str, &str) = (LINK, USER);
        const ADA: (&str, &str) = ("firstname", "Ada");
        const KING: (&str, &str) = ("lastname", "King");
        const MAIL: (&str, &str) = ("emailaddress1", "a@b.c");
        let all: Table<'_> = &[LINKED, ADA, KING, MAIL];
        let written = "mail=a@b.c givenName=Ada surname=King";
        let missing = "ColumnMissing";
        let cases: &[(&str, Operation, Table<'_>, Table<'_>, Table<'_>, &str)] = &[
            // The link is set, moved, or comes with a merge.
            ("set", Update, &[LINKED], &[(LINK, "-"), ADA, KING, MAIL], all, written),
            ("set, left out before", Update, &[LINKED], &[ADA, KING, MAIL], all, written),
            ("moved", Update, &[LINKED], &[(LINK, OTHER), ADA, KING, MAIL], all, written),
            ("without a pre image", Update, &[LINKED], &[], all, written),
            ("merged", Merge, &[LINKED, MAIL], &[(LINK, "-"), ADA, KING, MAIL], all, written),
            ("by something else", Update, &[ADA], &[(LINK, OTHER), ADA], all, written),
            ("an unknown message", Operation::Unknown, &[LINKED], &[(LINK, "-"), ADA], all, written),
            // What the target says counts more than the image, and an emptied column is empty.
            ("emptied", Update, &[LINKED, ("lastname", "-")], &[], all, "mail=a@b.c givenName=Ada surname=-"),
            // An image leaves empty columns out, or they are not registered: that empties nothing.
            ("left out", Update, &[LINKED], &[], &[LINKED, ADA], "givenName=Ada"),
            // No post image with mapped columns.
            ("no image", Update, &[LINKED], &[], &[], missing),
            ("pre image only", Update, &[LINKED], &[(LINK, "-"), ADA, KING, MAIL], &[], missing),
            ("link in the post image only", Update, &[LINKED, ADA], &[], &[LINKED], missing),
            ("merge without an image", Merge, &[LINKED, MAIL], &[], &[], missing),
            ("all in the target", Update, all, &[(LINK, OTHER)], &[LINKED], written),
            // The link is not new.
            ("saved again", Update, all, all, all, "same-as-before"),
            (
                "in other letters",
                Update,
                &[(LINK, "{11111111-2222-4333-8444-AAAAAAAAAAAA}")],
                all,
                all,
                "nothing-mapped",
            ),
            (
                "one column changed",
                Update,
                &[LINKED, ADA],
                &[LINKED, ("firstname", "A")],
                all,
                "givenName=Ada",
            ),
            ("always carried", Update, &[LINKED, ADA], &[], &[], "givenName=Ada"),
            ("created", Create, &[LINKED, ADA], &[], &[], "givenName=Ada"),
            // There is no user any more, or none that could be one.
            (
                "taken away",
                Update,
                &[(LINK, "-")],
                &[LINKED, ADA],
                &[ADA],
                SkipReason::NotAPortalUser.as_str(),
            ),
            ("no id", Update, &[(LINK, "ada@b.c")], &[], all, "UserLinkInvalid"),
        ];
        for (name, operation, target, before, after, expected) in cases {
            let change = change(*operation, target, before, after);
            assert_eq!(told(&Planner::new(Mapping::preset_default()), &change), *expected, "{name}");
        }
    }

    #[test]
    fn the_address_before_belongs_to_the_user_before() {
        let planner = Planner::new(Mapping::preset_b2c());
        let after: Table<'_> = &[("emailaddress1", "a@b.c"), ("firstname", "Ada")];
        let moved =
            change(Operation::Update, &[(LINK, USER)], &[(LINK, OTHER), ("emailaddress1", "old@b.c")], after);
        assert_eq!(told(&planner, &moved), "otherMails=a@b.c signInEmail=a@b.c was None givenName=Ada");
    }

    #[test]
    fn what_is_made_of_several_columns_is_made_of_those_that_the_image_shows() {
        let first = ValueSource::FirstOf(vec!["mobilephone".into(), "telephone1".into()]);
        let mut row = MappingRow::new(first, Property::named("mobilePhone").expect("known"));
        row.on_null = OnNull::Default("none".into());
        let planner = Planner::new(Mapping::new(vec![row]).expect("valid"));
        let linked = |after| change(Operation::Update, &[(LINK, USER)], &[], after);
        assert_eq!(told(&planner, &linked(&[("telephone1", "2")])), "mobilePhone=2");
        assert_eq!(
            told(&planner, &linked(&[("telephone1", "-")])),
            "nothing-mapped",
            "it may not be registered"
        );
        assert_eq!(told(&planner, &linked(&[("mobilephone", "-"), ("telephone1", "-")])), "mobilePhone=none");
    }

    #[test]
    fn the_dead_letter_names_the_missing_columns_and_what_to_register() {
        let letter = |change: &Change| match Planner::new(Mapping::preset_default()).plan(change) {
            Plan::Impossible(letter) => letter,
            plan => panic!("{plan:?}"),
        };
        let mut change = change(Operation::Update, &[(LINK, USER)], &[], &[]);
        assert_eq!(
            letter(&change).description.as_str(),
            "adx_identity_username is new, so every mapped column is needed for this user, and no post image shows \
             emailaddress1, firstname, lastname; register a post image with all mapped columns on the step, then \
             force a later message of this contact through with contactsync apply"
        );
        change.origin.position = Some(1);
        let several = letter(&change);
        assert!(
            several.description.as_str().contains("carry no images; register the step on Create and Update")
        );
        change.origin = ChangeOrigin { marked: true, ..ChangeOrigin::default() };
        assert_eq!(letter(&change).reason, DeadLetterReason::ContextTruncated);
    }
}
