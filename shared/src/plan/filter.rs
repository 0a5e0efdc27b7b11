//! Which changes are nobody's business: by who made them, how deep, by what operation, and of which contacts.

use uuid::Uuid;

use super::{
    intent::SkipReason,
    letters::{self, is_logical_name},
};
use crate::{
    change::{Change, ColumnValue, Operation},
    reason::DeadLetter,
};

/// What a change must be to count. By default everything does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Operations that count. Messages of names that we do not know always do.
    pub operations: Vec<Operation>,
    /// Dataverse users whose changes do not count.
    pub initiating_users: Vec<Uuid>,
    /// Changes of a greater depth do not count; 0 for any.
    pub max_depth: u32,
    /// What the contact must be like, all of it.
    pub require: Vec<Requirement>,
}

impl ChangeFilter {
    /// Operations that can be switched off, with their names in the settings.
    pub const OPERATIONS: [(&'static str, Operation); 3] =
        [("create", Operation::Create), ("update", Operation::Update), ("merge", Operation::Merge)];

    pub(super) fn judge(&self, change: &Change) -> Filtered {
        if let Some(why) = self.turns_away(change) {
            return Filtered::Out(why);
        }
        match self.admits(change) {
            Ok(true) => Filtered::In { anew: self.kept_out_before(change) },
            Ok(false) => Filtered::Out(SkipReason::FilterNotMet),
            Err(letter) => Filtered::Unknown(letter),
        }
    }

    /// Whether a change counts, as far as the message tells.
    #[must_use]
    pub fn lets_count(&self, change: &Change) -> bool {
        !matches!(self.judge(change), Filtered::Out(_))
    }

    /// Why a change does not count, by who made it and how. What the message does not tell turns nothing away.
    fn turns_away(&self, change: &Change) -> Option<SkipReason> {
        let (operation, origin) = (change.operation, &change.origin);
        if operation != Operation::Unknown && !self.operations.contains(&operation) {
            return Some(SkipReason::OperationSwitchedOff);
        }
        if origin.initiating_user.is_some_and(|user| self.initiating_users.contains(&user)) {
            return Some(SkipReason::InitiatingUserIgnored);
        }
        let deep = |depth: i32| self.max_depth > 0 && i64::from(depth) > i64::from(self.max_depth);
        origin.depth.is_some_and(deep).then_some(SkipReason::TooDeep)
    }

    /// Whether the contact is as required, or why that cannot be told. One requirement that is not met decides, whatever
    /// is known of the others.
    pub(super) fn admits(&self, change: &Change) -> Result<bool, DeadLetter> {
        let judged: Vec<_> = self.require.iter().map(|required| (required, required.judge(change))).collect();
        if judged.iter().any(|(_, judged)| *judged == Standing::NotMet) {
            return Ok(false);
        }
        for (required, judged) in judged {
            match judged {
                Standing::Met | Standing::NotMet => {}
                Standing::Absent => return Err(letters::filter_unknown(&required.column, change)),
                Standing::Incomparable => return Err(letters::filter_incomparable(&required.column)),
            }
        }
        Ok(true)
    }

    /// Whether a pre image shows that the contact was not as required before this change.
    fn kept_out_before(&self, change: &Change) -> bool {
        self.require.iter().any(|required| {
            change.before.get(&required.column).is_some_and(|before| required.is_met(before) == Some(false))
        })
    }
}

impl Default for ChangeFilter {
    /// What the file of default settings says.
    fn default() -> Self {
        Self {
            operations: Self::OPERATIONS.map(|(_, operation)| operation).to_vec(),
            initiating_users: Vec::new(),
            max_depth: 0,
            require: Vec::new(),
        }
    }
}

/// What the filter says about a change.
pub(super) enum Filtered {
    /// It does not count.
    Out(SkipReason),
    /// It does; `anew` if earlier changes of the contact did not, so that nothing of it is known to be there.
    In { anew: bool },
    /// It cannot be told.
    Unknown(DeadLetter),
}

/// A column that must have one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    column: Box<str>,
    values: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Met,
    NotMet,
    /// The column is in no place of the message.
    Absent,
    /// The column holds what cannot be compared.
    Incomparable,
}

impl Requirement {
    /// Reads `column = value`, or several values with `|` between them. `None` if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (column, values) = text.split_once('=')?;
        let (column, values) = (column.trim(), values.split('|').map(str::trim));
        let values: Vec<Box<str>> = values.map(Into::into).collect();
        let fits = is_logical_name(column) && values.iter().all(|value| !value.is_empty());
        fits.then(|| Self { column: column.into(), values })
    }

    /// The column that is looked at.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The present value counts: that of the target, else of a post image. A pre image is as good where the change did
    /// not touch the column.
    fn judge(&self, change: &Change) -> Standing {
        let places = [&change.columns, &change.after, &change.before];
        match places.into_iter().find_map(|columns| columns.get(&self.column)) {
            None => Standing::Absent,
            Some(value) => match self.is_met(value) {
                Some(true) => Standing::Met,
                Some(false) => Standing::NotMet,
                None => Standing::Incomparable,
            },
        }
    }

    fn is_met(&self, value: &ColumnValue) -> Option<bool> {
        let is = |found: &str| self.values.iter().any(|value| value.eq_ignore_ascii_case(found));
        match value {
            ColumnValue::Null => Some(false),
            ColumnValue::Text(text) => Some(is(text.trim())),
            ColumnValue::Bool(yes) => Some(is(if *yes { "true" } else { "false" })),
            // The label depends on somebody's language.
            ColumnValue::Choice { value, .. } => Some(is(&value.to_string())),
            // So does a name, and a record can be renamed.
            ColumnValue::Lookup { id, .. } => id.map(|id| is(&id.to_string())),
            ColumnValue::Unsupported(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        change::{ChangeOrigin, Columns},
        mapping::Mapping,
        plan::{
            Plan, Planner,
            tests::samples::{LINK, Table, USER, change, columns},
        },
        reason::DeadLetterReason,
    };

    const ME: Uuid = Uuid::from_u128(0xabc);

    fn told(planner: &Planner, change: &Change) -> String {
        match planner.plan(change) {
            Plan::Write { patch, .. } => {
                let names = patch.iter().map(|(property, _)| property.name().to_owned());
                names.collect::<Vec<_>>().join(" ")
            }
            Plan::Nothing(why) => why.as_str().to_owned(),
            Plan::Impossible(letter) => letter.reason.to_string(),
            Plan::LookUp(_) => "look up".to_owned(),
        }
    }

    fn planner(filter: ChangeFilter) -> Planner {
        Planner { filter, ..Planner::new(Mapping::preset_default()) }
    }

    fn requiring(texts: &[&str]) -> Planner {
        let require = texts.iter().map(|text| Requirement::parse(text).expect("a requirement")).collect();
        planner(ChangeFilter { require, ..ChangeFilter::default() })
    }

    fn choice(value: i64) -> ColumnValue {
        ColumnValue::Choice { value, label: Some("Aktiv".into()) }
    }

    /// An update of the first name with these columns in the post image, and a state.
    fn update(state: Option<ColumnValue>) -> Change {
        let table: Table<'_> = &[(LINK, USER), ("firstname", "Ada"), ("lastname", "King")];
        let mut update = change(Operation::Update, &[("firstname", "Ada")], &[], table);
        update.after = with(&update.after, state);
        update
    }

    fn with(shown: &Columns, state: Option<ColumnValue>) -> Columns {
        let shown = shown.iter().map(|(name, value)| (name.to_owned(), value.clone()));
        shown.chain(state.map(|state| ("statecode".to_owned(), state))).collect()
    }

    fn from(initiating_user: Option<Uuid>, depth: Option<i32>) -> Change {
        let origin = ChangeOrigin { initiating_user, depth, ..ChangeOrigin::default() };
        Change { origin, ..update(None) }
    }

    #[test]
    fn changes_of_some_users_and_of_a_greater_depth_are_ignored() {
        let mine = planner(ChangeFilter { initiating_users: vec![ME], ..ChangeFilter::default() });
        let shallow = planner(ChangeFilter { max_depth: 2, ..ChangeFilter::default() });
        let written = "givenName";
        for (who, depth, by_user, by_depth) in [
            (Some(ME), Some(1), "initiating-user-ignored", written),
            (Some(Uuid::from_u128(1)), Some(2), written, written),
            (None, Some(3), written, "too-deep"),
            (Some(ME), Some(i32::MAX), "initiating-user-ignored", "too-deep"),
            // What is not told turns nothing away.
            (None, None, written, written),
            (None, Some(-1), written, written),
        ] {
            let change = from(who, depth);
            assert_eq!(told(&mine, &change), by_user, "{who:?} {depth:?}");
            assert_eq!(told(&shallow, &change), by_depth, "{who:?} {depth:?}");
        }
        let truncated = Change { truncated: true, ..from(Some(ME), None) };
        assert_eq!(told(&mine, &truncated), "initiating-user-ignored");
    }

    #[test]
    fn operations_are_switched_off_one_by_one() {
        for (_, off) in ChangeFilter::OPERATIONS {
            let mut filter = ChangeFilter::default();
            filter.operations.retain(|operation| *operation != off);
            let planner = planner(filter);
            for operation in [Operation::Create, Operation::Update, Operation::Merge, Operation::Unknown] {
                let target: Table<'_> = &[(LINK, USER), ("firstname", "Ada")];
                let change = change(operation, target, target, target);
                let change = Change { before: Columns::default(), ..change };
                let ignored = told(&planner, &change) == "operation-switched-off";
                assert_eq!(ignored, operation == off, "{off:?} {operation:?}");
            }
            let deleted = change(Operation::Delete, &[], &[], &[]);
            assert_eq!(told(&planner, &deleted), "operation-ignored");
        }
    }

    #[test]
    fn only_contacts_that_are_as_required_are_written_and_what_cannot_be_told_is_for_a_person() {
        let planner = requiring(&["statecode = 0 | 7"]);
        for (state, expected) in [
            (Some(choice(0)), "givenName"),
            (Some(choice(7)), "givenName"),
            (Some(ColumnValue::Text(" 0 ".into())), "givenName"),
            (Some(choice(1)), "filter-not-met"),
            (Some(ColumnValue::Null), "filter-not-met"),
            (Some(ColumnValue::Text("Aktiv".into())), "filter-not-met"),
            (None, "ColumnMissing"),
            (Some(ColumnValue::Unsupported("lookup")), "ValueInvalid"),
        ] {
            assert_eq!(told(&planner, &update(state.clone())), expected, "{state:?}");
            // The pre image tells it as well, and the target better than both.
            let seen_before = Change { before: with(&Columns::default(), state.clone()), ..update(None) };
            assert_eq!(told(&planner, &seen_before), expected, "{state:?}, before");
            let set = with(&columns(&[("firstname", "Ada")]), state.clone());
            let target = Change { columns: set, ..update(state.is_some().then(|| choice(3))) };
            assert_eq!(told(&planner, &target), expected, "{state:?}, set");
        }
        // Whoever needs nothing anyhow costs nobody's time.
        let needless = Change { columns: columns(&[("telephone1", "1")]), ..update(None) };
        assert_eq!(told(&planner, &needless), "nothing-mapped");
        let unlinked = Change { after: columns(&[(LINK, "-")]), ..update(None) };
        assert_eq!(told(&planner, &unlinked), "not-a-portal-user");
        let created = change(Operation::Create, &[(LINK, USER), ("firstname", "Ada")], &[], &[]);
        assert_eq!(told(&planner, &created), "ColumnMissing");
    }

    #[test]
    fn one_requirement_that_is_not_met_decides_and_yes_and_no_are_words() {
        let both = requiring(&["new_portal = TRUE", "statecode = 0"]);
        let shown = |yes| {
            let mut change = update(None);
            change.after = change
                .after
                .iter()
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .chain([("new_portal".to_owned(), ColumnValue::Bool(yes))])
                .collect();
            told(&both, &change)
        };
        assert_eq!((shown(false).as_str(), shown(true).as_str()), ("filter-not-met", "ColumnMissing"));
        let letter = match both.plan(&update(Some(choice(0)))) {
            Plan::Impossible(letter) => letter,
            plan => panic!("{plan:?}"),
        };
        assert_eq!(letter.reason, DeadLetterReason::ColumnMissing);
        assert!(letter.description.as_str().starts_with("filter.require needs new_portal, which is neither"));
    }

    #[test]
    fn a_contact_that_comes_to_be_as_required_is_written_as_a_whole() {
        let planner = requiring(&["statecode = 0"]);
        let back = Change {
            columns: with(&Columns::default(), Some(choice(0))),
            before: with(&Columns::default(), Some(choice(1))),
            ..update(None)
        };
        assert_eq!(told(&planner, &back), "givenName surname");
        let without_image = Change { after: columns(&[(LINK, USER)]), ..back.clone() };
        let Plan::Impossible(letter) = planner.plan(&without_image) else { panic!("planned") };
        assert!(
            letter
                .description
                .as_str()
                .starts_with("the contact did not meet filter.require before, so every")
        );
        let left = Change {
            columns: with(&columns(&[("firstname", "Ada")]), Some(choice(1))),
            before: with(&Columns::default(), Some(choice(0))),
            ..update(None)
        };
        assert_eq!(told(&planner, &left), "filter-not-met");
        let still = Change { before: with(&Columns::default(), Some(choice(0))), ..update(Some(choice(0))) };
        assert_eq!(told(&planner, &still), "givenName");
    }

    #[test]
    fn a_requirement_is_a_column_and_values() {
        for (text, expected) in [
            ("statecode = 0", Some(("statecode", vec!["0"]))),
            ("new_kind=a | b=c", Some(("new_kind", vec!["a", "b=c"]))),
            ("statecode", None),
            ("= 0", None),
            ("state code = 0", None),
            ("statecode =", None),
            ("statecode = 0 |", None),
        ] {
            let parsed = Requirement::parse(text);
            let expected = expected.map(|(column, values)| Requirement {
                column: column.into(),
                values: values.into_iter().map(Into::into).collect(),
            });
            assert_eq!(parsed, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_filter_never_changes_what_is_written_and_drops_nothing_that_it_cannot_judge(
            state in prop_oneof![Just(None), (0..3_i64).prop_map(|state| Some(choice(state)))],
            who in prop_oneof![Just(None), Just(Some(ME)), Just(Some(Uuid::from_u128(1)))],
            depth in proptest::option::of(-1..4_i32),
            max_depth in 0..3_u32,
            switched_on in proptest::sample::subsequence(vec![Operation::Create, Operation::Update, Operation::Merge], 0..=3),
        ) {
            let origin = ChangeOrigin { initiating_user: who, depth, ..ChangeOrigin::default() };
            let change = Change { origin, ..update(state.clone()) };
            let unfiltered = Planner::new(Mapping::preset_default()).plan(&change);
            let updates = switched_on.contains(&Operation::Update);
            let require = vec![Requirement::parse("statecode = 0").expect("a requirement")];
            let filter = ChangeFilter { operations: switched_on, initiating_users: vec![ME], max_depth, require };
            match planner(filter).plan(&change) {
                written @ Plan::Write { .. } => prop_assert_eq!(written, unfiltered),
                Plan::Impossible(_) => prop_assert!(state.is_none()),
                Plan::LookUp(_) => prop_assert!(false, "nobody is looked up"),
                Plan::Nothing(_) => {
                    let deep = max_depth > 0 && depth.is_some_and(|depth| i64::from(depth) > i64::from(max_depth));
                    let known = state.is_some_and(|state| state != choice(0));
                    prop_assert!(known || deep || who == Some(ME) || !updates);
                }
            }
        }
    }
}
