//! From a change to the write it asks for. A plan leaves no choice to whoever carries it out, and can be
//! shown before it is.

mod entries;
mod filter;
mod forced;
mod foreign;
mod intent;
mod letters;
mod link_match;
mod new_link;
mod planner;
mod rows;
mod rules;
mod user;

use self::{entries::Entries, filter::Filtered, user::NoUser};
pub use self::{
    filter::{ChangeFilter, Requirement},
    forced::Forced,
    intent::{Plan, SkipReason},
    letters::{is_logical_name, truncated, unsupported},
    planner::{LinkMatch, OnForeign, Planner},
    rows::{Judgement, KnownRows, ReadCause, RowAnswer, RowGrounds, RowId, WantedRow},
    rules::{IdentityIssuer, KnownLinks, LinkAnswer, LinkQuery, LinkRule},
};
use crate::{
    change::{Change, ColumnValue, Operation},
    ids::UserId,
    mapping::MappingRow,
    patch::{ListElement, MovesFrom, Previous, PropertyValue, SignIn},
    reason::DeadLetter,
};

impl Planner {
    /// Plans one change.
    #[must_use]
    pub fn plan(&self, change: &Change) -> Plan {
        self.plan_moving(change, self.moves_from(change))
    }

    /// Plans one change whose address may be moved from there.
    fn plan_moving(&self, change: &Change, from: MovesFrom) -> Plan {
        self.try_plan(change, from).unwrap_or_else(Plan::Impossible)
    }

    /// The user that a change links to, whatever the plan for it is.
    #[must_use]
    pub fn linked_user(&self, change: &Change) -> Option<UserId> {
        self.user(change).ok()
    }

    fn try_plan(&self, change: &Change, from: MovesFrom) -> Result<Plan, DeadLetter> {
        self.check_organization(change)?;
        match change.operation {
            Operation::Create | Operation::Update | Operation::Merge | Operation::Unknown => {}
            Operation::Delete | Operation::Administrative => {
                return Ok(Plan::Nothing(SkipReason::OperationIgnored));
            }
        }
        self.try_filtered(change, from, self.filter.judge(change))
    }

    /// Plans one change of which is known whether it counts.
    fn try_filtered(&self, change: &Change, from: MovesFrom, filtered: Filtered) -> Result<Plan, DeadLetter> {
        if let Filtered::Out(why) = filtered {
            return Ok(Plan::Nothing(why));
        }
        if change.truncated {
            return Err(truncated());
        }
        let changed: Vec<_> = change.columns.iter().filter(|(column, _)| self.mapping.maps(column)).collect();
        let links_anew = self.links_anew(change, !changed.is_empty());
        let admitted_anew = matches!(filtered, Filtered::In { anew: true });
        if changed.is_empty() && !links_anew && !admitted_anew {
            return match change.operation {
                Operation::Unknown => Err(unsupported(&change.origin.message)),
                _ => Ok(Plan::Nothing(SkipReason::NothingMapped)),
            };
        }
        let user = match self.user(change) {
            Ok(user) => user,
            Err(NoUser::Passed(why)) => return Ok(Plan::Nothing(why)),
            Err(NoUser::Asked(queries)) => return Ok(Plan::LookUp(queries)),
            Err(NoUser::Failed(letter)) => return Err(letter),
        };
        if let Filtered::Unknown(letter) = filtered {
            return Err(letter);
        }
        if links_anew || admitted_anew {
            return Ok(self.all_entries(change, links_anew)?.write(user, change, from));
        }
        // What the change did not really change need not be written: the column had this value already.
        let differing: Vec<_> = changed
            .into_iter()
            .filter(|(column, value)| !change.before.get(column).is_some_and(|before| before.is_same(value)))
            .map(|(column, _)| column)
            .collect();
        if differing.is_empty() {
            return Ok(Plan::Nothing(SkipReason::SameAsBefore));
        }
        Ok(self.entries(change, differing)?.write(user, change, from))
    }

    fn check_organization(&self, change: &Change) -> Result<(), DeadLetter> {
        let accepted = self.organizations.is_empty()
            || change.organization.is_some_and(|organization| self.organizations.contains(&organization));
        if accepted { Ok(()) } else { Err(letters::foreign(change.organization)) }
    }

    fn entries<'c>(&self, change: &'c Change, differing: Vec<&'c str>) -> Result<Entries, DeadLetter> {
        // A column that the change did not touch is as the post image shows it. One left out at creation is empty.
        let created = (change.operation == Operation::Create).then_some(&ColumnValue::Null);
        let present = |column: &str| change.present(column).or(created);
        let mut entries = Entries::default();
        for row in self.mapping.fed_by(differing) {
            let unmappable = |error| letters::unmappable(row, &error, change);
            if row.is_met(present).map_err(unmappable)? {
                let value = row.value(present).map_err(unmappable)?;
                entries.put(row, value.map(|value| with_previous(value, row, change)));
            } else {
                entries.unmet = true;
            }
        }
        for row in self.mapping.constants() {
            let value = row.value(|_| None).map_err(|error| letters::unmappable(row, &error, change))?;
            entries.put(row, value);
        }
        Ok(entries)
    }
}

/// What stood there before, for a sign-in address and for an element of a list: it tells which of several to change.
fn with_previous(value: PropertyValue, row: &MappingRow, change: &Change) -> PropertyValue {
    let before = || row.value(|column| change.before.get(column));
    match value {
        PropertyValue::SignIn(wanted) => {
            let previous = match before() {
                Ok(Some(PropertyValue::SignIn(before))) => Some(before.address),
                _ => None,
            };
            SignIn { previous, ..*wanted }.into()
        }
        PropertyValue::Element(wanted) => {
            let previous = match before() {
                _ if change.operation == Operation::Create => Previous::Empty,
                Ok(Some(PropertyValue::Element(before))) => {
                    before.text.map_or(Previous::Empty, Previous::Was)
                }
                Ok(_) => Previous::Empty,
                // What Graph would have refused was never written, but something before it may have been.
                Err(_) => Previous::Unknown,
            };
            ListElement { previous, ..*wanted }.into()
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    pub(super) mod samples;

    use uuid::Uuid;

    use self::samples::{USER, change};
    use super::*;
    use crate::{change::Columns, ids::OrganizationId, mapping::Mapping, reason::DeadLetterReason};

    const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(7));

    fn columns(columns: &[(&str, Option<&str>)]) -> Columns {
        columns
            .iter()
            .map(|(name, value)| {
                (*name, value.map_or(ColumnValue::Null, |text| ColumnValue::Text(text.into())))
            })
            .collect()
    }

    fn update(target: &[(&str, Option<&str>)], after: &[(&str, Option<&str>)]) -> Change {
        Change {
            organization: Some(ORGANIZATION),
            columns: columns(target),
            after: columns(after),
            ..change(Operation::Update, &[], &[], &[])
        }
    }

    fn planner() -> Planner {
        Planner::new(Mapping::preset_default())
    }

    #[track_caller]
    fn check_write(change: &Change, expected: &[(&str, PropertyValue)]) {
        let Plan::Write { user, patch } = planner().plan(change) else { panic!("no write planned") };
        assert_eq!(user.to_string(), USER);
        let entries: Vec<_> =
            patch.iter().map(|(property, value)| (property.name(), value.clone())).collect();
        assert_eq!(entries, expected);
    }

    #[track_caller]
    fn check_nothing(change: &Change, expected: SkipReason) {
        assert_eq!(planner().plan(change), Plan::Nothing(expected));
    }

    #[track_caller]
    fn check_impossible(change: &Change, reason: DeadLetterReason, text: &str) {
        let Plan::Impossible(letter) = planner().plan(change) else { panic!("planned after all") };
        assert_eq!((letter.reason, letter.description.as_str()), (reason, text));
    }

    fn text(text: &str) -> PropertyValue {
        PropertyValue::Text(text.into())
    }

    #[test]
    fn mapped_columns_are_written_to_the_user_of_the_link_column() {
        let link = ("adx_identity_username", Some(USER));
        let changed = [("firstname", Some("Ada")), ("lastname", None), ("telephone1", Some("1")), link];
        check_write(&update(&changed, &[]), &[("givenName", text("Ada")), ("surname", PropertyValue::Clear)]);
        check_write(&update(&[("emailaddress1", Some("a@b.c"))], &[link]), &[("mail", text("a@b.c"))]);
    }

    #[test]
    fn the_link_may_come_from_a_pre_image() {
        let mut change = update(&[("firstname", Some("Ada"))], &[]);
        change.before = columns(&[("adx_identity_username", Some(USER))]);
        check_write(&change, &[("givenName", text("Ada"))]);
    }

    #[test]
    fn a_contact_without_a_portal_user_needs_nothing() {
        for empty in [None, Some(""), Some("  ")] {
            check_nothing(
                &update(&[("firstname", Some("Ada"))], &[("adx_identity_username", empty)]),
                SkipReason::NotAPortalUser,
            );
        }
        let mut created = update(&[("firstname", Some("Ada"))], &[]);
        created.operation = Operation::Create;
        check_nothing(&created, SkipReason::NotAPortalUser);
    }

    #[test]
    fn a_sign_in_that_touches_no_mapped_column_needs_nothing() {
        check_nothing(&update(&[("adx_identity_lastsuccessfullogin", None)], &[]), SkipReason::NothingMapped);
    }

    #[test]
    fn values_equal_to_the_pre_image_are_not_written_again() {
        let link = ("adx_identity_username", Some(USER));
        let mut change = update(&[("firstname", Some("Ada")), ("lastname", Some("King"))], &[link]);
        change.before = columns(&[("firstname", Some("Ada")), ("lastname", Some("Byron"))]);
        check_write(&change, &[("surname", text("King"))]);
        change.before = columns(&[("firstname", Some("Ada")), ("lastname", Some("King"))]);
        check_nothing(&change, SkipReason::SameAsBefore);
    }

    #[test]
    fn an_emptied_mail_is_left_alone_because_graph_cannot_empty_it() {
        let link = ("adx_identity_username", Some(USER));
        check_nothing(&update(&[("emailaddress1", None)], &[link]), SkipReason::NothingMapped);
    }

    #[test]
    fn deletes_and_changes_of_state_need_nothing() {
        for operation in [Operation::Delete, Operation::Administrative] {
            let mut change = update(&[("firstname", Some("Ada"))], &[]);
            change.operation = operation;
            check_nothing(&change, SkipReason::OperationIgnored);
        }
    }

    #[test]
    fn a_registered_image_without_the_link_column_shows_that_it_is_empty() {
        let imaged =
            Change { imaged: true, ..update(&[("firstname", Some("Ada"))], &[("lastname", Some("King"))]) };
        check_nothing(&imaged, SkipReason::LinkNotInImage);
    }

    #[test]
    fn an_update_without_any_link_names_the_image_to_register() {
        check_impossible(
            &update(&[("firstname", Some("Ada"))], &[]),
            DeadLetterReason::UserLinkUnknown,
            "adx_identity_username is neither in the target nor in an image; register a post image with that \
             column on the step",
        );
    }

    #[test]
    fn a_link_that_is_no_guid_is_refused_without_being_repeated() {
        let change = update(&[("firstname", Some("Ada"))], &[("adx_identity_username", Some("../me"))]);
        check_impossible(
            &change,
            DeadLetterReason::UserLinkInvalid,
            "adx_identity_username is not the object id of a user (a GUID); set it to the object id, or clear \
             it if the contact does not sign in through this directory",
        );
    }

    #[test]
    fn a_value_graph_would_refuse_names_column_and_property_but_not_the_value() {
        let link = ("adx_identity_username", Some(USER));
        check_impossible(
            &update(&[("firstname", Some(&"x".repeat(65))), link], &[]),
            DeadLetterReason::ValueInvalid,
            "firstname, mapped to givenName, is 65 characters long and Graph takes 64; correct the contact",
        );
    }

    #[test]
    fn a_stripped_message_is_impossible_rather_than_empty() {
        let mut change = update(&[], &[]);
        change.truncated = true;
        let Plan::Impossible(letter) = planner().plan(&change) else { panic!("planned after all") };
        assert_eq!(letter.reason, DeadLetterReason::ContextTruncated);
    }

    #[test]
    fn only_listed_organizations_are_served() {
        let change = update(&[("firstname", Some("Ada"))], &[("adx_identity_username", Some(USER))]);
        let mut planner = planner();
        planner.organizations = vec![OrganizationId(Uuid::from_u128(8))];
        let Plan::Impossible(letter) = planner.plan(&change) else { panic!("planned after all") };
        assert_eq!(letter.reason, DeadLetterReason::ForeignOrganization);
        planner.organizations.push(ORGANIZATION);
        assert!(matches!(planner.plan(&change), Plan::Write { .. }));
    }
}
