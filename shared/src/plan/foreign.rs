//! Links that mean no user of this directory: the contact signs in to the portal by a name of its own, or by somebody
//! else's account.
//!
//! A portal keeps in the link column whatever its first way of signing in calls the person: the object id for a
//! directory of ours, a local user name, an address, or the key of another provider.

use uuid::Uuid;

use super::{
    intent::SkipReason,
    planner::{OnForeign, Planner},
    user::NoUser,
};
use crate::change::Change;

/// The shortest text that is taken for a provider's key.
const KEY: usize = 8;
/// Length of a GUID with its hyphens.
const GUID: usize = 36;

impl Planner {
    /// Whether the contact's link means no user of ours and is passed over for that.
    #[must_use]
    pub fn passes_over_link(&self, change: &Change) -> bool {
        matches!(
            self.user(change),
            Err(NoUser::Passed(
                SkipReason::ForeignAddress | SkipReason::ForeignKey | SkipReason::ForeignName
            ))
        )
    }

    /// Why a link that is no object id is passed over; `None` if a person has to look at it.
    pub(super) fn foreign(&self, link: &str) -> Option<SkipReason> {
        (self.on_foreign == OnForeign::Ignore && !may_be_ours(link)).then(|| kind(link.trim()))
    }
}

/// Whether there is a GUID in the text. It may be that of a user of ours, written as nobody expects it, so that to
/// pass it over would lose his changes.
fn may_be_ours(link: &str) -> bool {
    let inside =
        |start: usize| link.get(start..start + GUID).is_some_and(|part| Uuid::try_parse(part).is_ok());
    Uuid::try_parse(link.trim()).is_ok() || (0..link.len().saturating_sub(GUID - 1)).any(inside)
}

/// What a text looks like.
fn kind(link: &str) -> SkipReason {
    let digits = link.chars().filter(char::is_ascii_digit).count();
    if link.contains('@') {
        SkipReason::ForeignAddress
    } else if link.chars().count() >= KEY && digits * 2 >= link.chars().count() {
        SkipReason::ForeignKey
    } else {
        SkipReason::ForeignName
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::{ColumnValue, Columns, Operation},
        mapping::Mapping,
        plan::{
            Plan,
            tests::samples::{LINK, USER, change},
        },
    };

    fn told(on_foreign: OnForeign, link: &str) -> String {
        let planner = Planner { on_foreign, ..Planner::new(Mapping::preset_default()) };
        let change = change(Operation::Update, &[("firstname", "Ada")], &[], &[(LINK, link)]);
        let told = match planner.plan(&change) {
            Plan::Write { .. } => "written".to_owned(),
            Plan::Nothing(why) => why.as_str().to_owned(),
            Plan::Impossible(letter) => letter.reason.to_string(),
            Plan::LookUp(_) => "look up".to_owned(),
        };
        assert_eq!(planner.passes_over_link(&change), told.starts_with("foreign-link"), "{link}");
        told
    }

    #[test]
    fn links_of_others_are_dead_letters_or_passed_over_by_kind_and_what_may_be_ours_never_is() {
        let simple = USER.replace('-', "");
        for (link, ignored) in [
            ("ada", "foreign-link-name"),
            ("ada lovelace 1815", "foreign-link-name"),
            (" ada@example.com ", "foreign-link-address"),
            ("109876543210987654321", "foreign-link-key"),
            ("3f9a1c0b77e2", "foreign-link-key"),
            ("1815", "foreign-link-name"),
            (USER, "written"),
            ("-", "not-a-portal-user"),
            (" ", "not-a-portal-user"),
            // Somebody meant an object id.
            (&simple, "UserLinkInvalid"),
            (&format!("urn:uuid:{USER}"), "UserLinkInvalid"),
            (&format!("{{{USER}"), "UserLinkInvalid"),
            (&format!("contoso.onmicrosoft.com/{USER}"), "UserLinkInvalid"),
            (&format!("ž{USER}"), "UserLinkInvalid"),
            ("00000000-0000-0000-0000-000000000000", "UserLinkInvalid"),
        ] {
            assert_eq!(told(OnForeign::Ignore, link), ignored, "{link}");
            let usual = if ignored.starts_with("foreign-link") { "UserLinkInvalid" } else { ignored };
            assert_eq!(told(OnForeign::DeadLetter, link), usual, "{link}");
        }
    }

    #[test]
    fn a_link_that_is_no_text_is_nobodys() {
        let planner = Planner { on_foreign: OnForeign::Ignore, ..Planner::new(Mapping::preset_default()) };
        let mut change = change(Operation::Update, &[("firstname", "Ada")], &[], &[]);
        change.after = [(LINK, ColumnValue::Bool(true))].into_iter().collect::<Columns>();
        assert!(matches!(planner.plan(&change), Plan::Impossible(_)));
    }
}
