//! A plan for a change that a person wants to see through, whatever the pre image says.

use super::{intent::Plan, planner::Planner};
use crate::{
    change::{Change, ColumnValue},
    mapping::{Mapping, MappingRow, RowError},
    property::Property,
};

/// The plan, and what it leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// What to write.
    pub plan: Plan,
    /// Properties for which the message lacks a column, and that column.
    pub left_out: Vec<(Property, Box<str>)>,
}

impl Planner {
    /// Plans a change as if every mapped column that it carries, in the target or in a post image, had changed.
    ///
    /// Unlike in [`Planner::plan`], a property of several columns that only an image touches is left out where one
    /// of them is missing: what `run` would have written must not fail because more is asked for.
    #[must_use]
    pub fn plan_forced(&self, change: &Change) -> Forced {
        let present = |column: &str| change.present(column);
        let (mut rows, mut left_out) = (Vec::new(), Vec::new());
        for row in self.mapping.rows() {
            let value = row.is_met(present).and_then(|met| if met { row.value(present) } else { Ok(None) });
            match value {
                Err(RowError::Missing(column)) if !is_touched(row, change) => {
                    if row.columns().any(|column| present(column).is_some()) {
                        left_out.push((row.property.clone(), column));
                    }
                }
                _ => rows.push(row.clone()),
            }
        }
        // Without any row there is nothing to force, and the usual plan says why.
        let mapping = Mapping::new(rows).unwrap_or_else(|_| self.mapping.clone());
        let planner = Self { mapping, ..self.clone() };
        // What the link is like, the change itself tells; among what is forced it may stand as if it were new.
        let from = self.moves_from(change);
        Forced { plan: planner.plan_moving(&all_changed(change, &planner.mapping), from), left_out }
    }
}

/// Whether the change itself sets a column of a row.
fn is_touched(row: &MappingRow, change: &Change) -> bool {
    row.columns().any(|column| change.columns.get(column).is_some())
}

/// The change with every mapped column of its post image among what it set, and none of them as it was before.
fn all_changed(change: &Change, mapping: &Mapping) -> Change {
    let shown = change.after.iter().filter(|(column, _)| mapping.maps(column));
    // The target stands behind the image, because the last of two values for one column wins.
    let columns = shown.chain(change.columns.iter()).map(|(column, value)| (column, value.clone()));
    let columns: crate::change::Columns = columns.collect();
    let differs = |(column, value): &(&str, &ColumnValue)| {
        !mapping.maps(column) || !columns.get(column).is_some_and(|set| set.is_same(value))
    };
    let before =
        change.before.iter().filter(differs).map(|(column, value)| (column, value.clone())).collect();
    Change { columns, before, ..change.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::{Columns, Operation},
        mapping::{OnNull, Template, ValueSource},
        patch::PropertyValue,
        plan::{
            SkipReason,
            tests::samples::{USER, change},
        },
        reason::DeadLetterReason,
    };

    const LINK: (&str, Option<&str>) = ("adx_identity_username", Some(USER));

    type MappingRow<'a> = (&'a str, Option<&'a str>);

    fn columns(columns: &[MappingRow<'_>]) -> Columns {
        let value =
            |text: Option<&str>| text.map_or(ColumnValue::Null, |text| ColumnValue::Text(text.into()));
        columns.iter().map(|(name, text)| (*name, value(*text))).collect()
    }

    fn update(target: &[MappingRow<'_>], before: &[MappingRow<'_>], after: &[MappingRow<'_>]) -> Change {
        let imaged = !before.is_empty() || !after.is_empty();
        let (target, before, after) = (columns(target), columns(before), columns(after));
        Change { columns: target, before, after, imaged, ..change(Operation::Update, &[], &[], &[]) }
    }

    #[track_caller]
    fn check_write(planner: &Planner, change: &Change, expected: &[(&str, Option<&str>)]) {
        let forced = planner.plan_forced(change);
        let Plan::Write { user, patch } = forced.plan else { panic!("no write: {:?}", forced.plan) };
        assert_eq!(user.to_string(), USER);
        let text = |value: &PropertyValue| value.text().map(str::to_owned);
        let written: Vec<_> = patch.iter().map(|(property, value)| (property.name(), text(value))).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| (*name, value.map(str::to_owned))).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn what_the_pre_image_shows_and_what_only_the_post_image_shows_is_written_too() {
        let planner = Planner::new(Mapping::preset_default());
        let name = ("firstname", Some("Ada"));
        // The usual plan finds that nothing has changed.
        let saved_again = update(&[name], &[name], &[LINK]);
        assert_eq!(planner.plan(&saved_again), Plan::Nothing(SkipReason::SameAsBefore));
        check_write(&planner, &saved_again, &[("givenName", Some("Ada"))]);
        let image =
            [LINK, ("firstname", Some("image")), ("lastname", Some("King")), ("telephone1", Some("1"))];
        check_write(
            &planner,
            &update(&[name], &[], &image),
            &[("givenName", Some("Ada")), ("surname", Some("King"))],
        );
        check_write(
            &planner,
            &update(&[("telephone1", None)], &[], &image),
            &[("givenName", Some("image")), ("surname", Some("King"))],
        );
        check_write(
            &planner,
            &update(&[("lastname", None), LINK], &[("lastname", None)], &[]),
            &[("surname", None)],
        );
    }

    #[test]
    fn a_value_that_the_pre_image_shows_with_its_label_is_forced_too() {
        let source = ValueSource::Column("gendercode".into());
        let row = crate::mapping::MappingRow::new(source, Property::named("jobTitle").expect("known"));
        let planner = Planner::new(Mapping::new(vec![row]).expect("valid"));
        let choice = |label: Option<&str>| -> Columns {
            let value = ColumnValue::Choice { value: 2, label: label.map(Into::into) };
            [("gendercode", value)].into_iter().collect()
        };
        let saved_again =
            Change { columns: choice(None), before: choice(Some("Female")), ..update(&[], &[], &[LINK]) };
        assert_eq!(planner.plan(&saved_again), Plan::Nothing(SkipReason::SameAsBefore));
        check_write(&planner, &saved_again, &[("jobTitle", Some("2"))]);
    }

    #[test]
    fn a_sign_in_address_is_written_and_the_one_before_still_tells_which() {
        let planner = Planner::new(Mapping::preset_b2c());
        let after = [LINK, ("emailaddress1", Some("new@example.com"))];
        let change =
            update(&[("firstname", Some("Ada"))], &[("emailaddress1", Some("old@example.com"))], &after);
        let Plan::Write { patch, .. } = planner.plan_forced(&change).plan else { panic!("no write") };
        let sign_in = patch.get(&Property::named(Property::SIGN_IN).expect("known"));
        let Some(PropertyValue::SignIn(wanted)) = sign_in else { panic!("{sign_in:?}") };
        assert_eq!(
            (&*wanted.address, wanted.previous.as_deref()),
            ("new@example.com", Some("old@example.com"))
        );
    }

    #[test]
    fn what_only_an_image_touches_is_left_out_if_a_column_is_missing() {
        let row = |source: ValueSource, property: &str| {
            crate::mapping::MappingRow::new(source, Property::named(property).expect("known"))
        };
        let whole = ValueSource::Template(Template::parse("{firstname} {lastname}").expect("a template"));
        let mapping = Mapping::new(vec![
            row(ValueSource::Column("firstname".into()), "givenName"),
            crate::mapping::MappingRow { on_null: OnNull::Keep, ..row(whole, "displayName") },
        ]);
        let planner = Planner::new(mapping.expect("valid"));
        let shown = update(&[("telephone1", None)], &[], &[LINK, ("firstname", Some("Ada"))]);
        check_write(&planner, &shown, &[("givenName", Some("Ada"))]);
        let left_out = planner.plan_forced(&shown).left_out;
        assert_eq!(left_out, [(Property::named("displayName").expect("known"), "lastname".into())]);
        // What the change itself sets fails as it does in `run`.
        let set = update(&[("firstname", Some("Ada"))], &[], &[LINK]);
        let Plan::Impossible(letter) = planner.plan_forced(&set).plan else { panic!("planned") };
        assert_eq!(letter.reason, DeadLetterReason::ColumnMissing);
    }

    #[test]
    fn what_cannot_be_written_at_all_is_said_as_usual() {
        let planner = Planner::new(Mapping::preset_default());
        let nothing = |change: &Change| match planner.plan_forced(change).plan {
            Plan::Nothing(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(nothing(&update(&[("telephone1", None)], &[], &[LINK])), SkipReason::NothingMapped);
        let unlinked = [("adx_identity_username", None), ("firstname", Some("Ada"))];
        assert_eq!(nothing(&update(&[("firstname", None)], &[], &unlinked)), SkipReason::NotAPortalUser);
        let deleted = Change { operation: Operation::Delete, ..update(&[], &[], &[LINK]) };
        assert_eq!(nothing(&deleted), SkipReason::OperationIgnored);
    }
}
