//! Which user a change means, by the first rule that gives one.

use super::{
    intent::SkipReason,
    letters,
    planner::Planner,
    rules::{IdentityIssuer, LinkAnswer, LinkQuery, LinkRule},
};
use crate::{
    change::{Change, ColumnValue, Columns, Operation},
    ids::UserId,
    reason::{DeadLetter, DeadLetterReason},
};

/// Why no user is known for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoUser {
    /// The contact has none.
    Passed(SkipReason),
    /// The directory has to be asked.
    Asked(Vec<LinkQuery>),
    /// It cannot be told.
    Failed(DeadLetter),
}

impl Planner {
    /// The columns of the contact that name its user.
    pub fn link_columns(&self) -> impl Iterator<Item = &str> {
        let usual = self.rules.is_empty().then_some(&*self.link_column);
        usual.into_iter().chain(self.rules.iter().flat_map(LinkRule::columns))
    }

    /// Whether the link column alone tells the user, so that messages show whether it is the right one.
    #[must_use]
    pub fn shows_link(&self) -> bool {
        self.rules.is_empty()
    }

    /// The user meant, or why there is none.
    ///
    /// What several rules have to ask is asked together, so that one round of answers is enough. Where no rule gives a
    /// user, that nobody was found counts most, because the user may be there soon; then what is wrong
    /// with a link; then why the contact has none.
    pub(super) fn user(&self, change: &Change) -> Result<UserId, NoUser> {
        if self.rules.is_empty() {
            return self.by_object_id(&self.link_column, change);
        }
        let (mut failed, mut passed, mut not_found, mut asked) = (None, None, None, Vec::new());
        for rule in &self.rules {
            match self.by_rule(rule, change) {
                Ok(user) if asked.is_empty() => return Ok(user),
                Err(NoUser::Asked(queries)) => asked.extend(queries),
                Err(NoUser::Passed(why)) => passed = passed.or(Some(why)),
                Err(NoUser::Failed(letter)) if letter.reason == DeadLetterReason::UserNotFound => {
                    not_found = Some(letter);
                }
                Err(NoUser::Failed(letter)) if letter.reason != DeadLetterReason::UserLinkAmbiguous => {
                    failed = failed.or(Some(letter));
                }
                // A guess would be somebody else's account.
                Err(NoUser::Failed(letter)) if asked.is_empty() => return Err(NoUser::Failed(letter)),
                // Whoever comes later counts only if the rules before find nobody.
                Ok(_) | Err(NoUser::Failed(_)) => break,
            }
        }
        if !asked.is_empty() {
            return Err(NoUser::Asked(asked));
        }
        let passed = NoUser::Passed(passed.unwrap_or(SkipReason::NotAPortalUser));
        Err(not_found.or(failed).map_or(passed, NoUser::Failed))
    }

    fn by_rule(&self, rule: &LinkRule, change: &Change) -> Result<UserId, NoUser> {
        match rule {
            LinkRule::ObjectId(column) => self.by_object_id(column, change),
            LinkRule::Attribute(attribute) => {
                self.by_query(LinkQuery::Attribute { attribute: attribute.clone(), contact: change.contact })
            }
            LinkRule::Identity { issuer, id } => {
                let issuer = match issuer {
                    IdentityIssuer::Fixed(issuer) => issuer,
                    IdentityIssuer::Column(column) => link_text(column, change)?,
                };
                let id = link_text(id, change)?;
                let query = LinkQuery::Identity { issuer: issuer.trim().into(), id: id.trim().into() };
                self.by_query(query)
            }
        }
    }

    fn by_object_id(&self, column: &str, change: &Change) -> Result<UserId, NoUser> {
        let text = match link(column, change)? {
            ColumnValue::Null => return Err(NoUser::Passed(SkipReason::NotAPortalUser)),
            ColumnValue::Text(text) if text.trim().is_empty() => {
                return Err(NoUser::Passed(SkipReason::NotAPortalUser));
            }
            ColumnValue::Text(text) => text,
            ColumnValue::Bool(_)
            | ColumnValue::Choice { .. }
            | ColumnValue::Lookup { .. }
            | ColumnValue::Unsupported(_) => {
                return Err(NoUser::Failed(letters::link_invalid(column)));
            }
        };
        let foreign = || self.foreign(text).map(NoUser::Passed);
        let nobody = || foreign().unwrap_or_else(|| NoUser::Failed(letters::link_invalid(column)));
        UserId::parse(text).ok_or_else(nobody)
    }

    fn by_query(&self, query: LinkQuery) -> Result<UserId, NoUser> {
        match self.known.get(&query) {
            Some(LinkAnswer::User(user)) => Ok(user),
            Some(LinkAnswer::Nobody) => Err(NoUser::Failed(letters::not_found(&query))),
            Some(LinkAnswer::Several(one, other)) => {
                Err(NoUser::Failed(letters::link_ambiguous(&query, one, other)))
            }
            None => Err(NoUser::Asked(vec![query])),
        }
    }
}

/// A text by which the directory is asked.
fn link_text<'c>(column: &str, change: &'c Change) -> Result<&'c str, NoUser> {
    match link(column, change)? {
        ColumnValue::Null => Err(NoUser::Passed(SkipReason::NotAPortalUser)),
        ColumnValue::Text(text) if text.trim().is_empty() => Err(NoUser::Passed(SkipReason::NotAPortalUser)),
        ColumnValue::Text(text) if LinkQuery::takes(text.trim()) => Ok(text),
        _ => Err(NoUser::Failed(letters::link_unfit(column))),
    }
}

/// What a link column holds.
fn link<'c>(column: &str, change: &'c Change) -> Result<&'c ColumnValue, NoUser> {
    let places: [&Columns; 3] = [&change.columns, &change.after, &change.before];
    let found = places.into_iter().find_map(|columns| columns.get(column));
    found.ok_or_else(|| without_link(column, change))
}

/// What it means that a link column is nowhere in the message.
fn without_link(column: &str, change: &Change) -> NoUser {
    // A column left out at creation is empty: there is no earlier value that it could have kept.
    if change.operation == Operation::Create {
        return NoUser::Passed(SkipReason::NotAPortalUser);
    }
    if change.imaged {
        return NoUser::Passed(SkipReason::LinkNotInImage);
    }
    NoUser::Failed(letters::link_unknown(column, change))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        ids::ContactId,
        mapping::Mapping,
        plan::{
            OnForeign, Plan,
            tests::samples::{LINK, OTHER, Table, USER, change},
        },
    };

    /// A name, what is known, a post image, and what is told.
    type Case<'c> = (&'c str, &'c [(LinkQuery, LinkAnswer)], Table<'c>, &'c str);

    const ATTRIBUTE: &str = "extensionAttribute7";
    const ISSUER: &str = "https://idp.example";

    fn user(text: &str) -> UserId {
        UserId::parse(text).expect("a GUID")
    }

    fn by_attribute() -> LinkQuery {
        LinkQuery::Attribute { attribute: ATTRIBUTE.into(), contact: ContactId(Uuid::from_u128(1)) }
    }

    fn by_identity(issuer: &str, id: &str) -> LinkQuery {
        LinkQuery::Identity { issuer: issuer.into(), id: id.into() }
    }

    fn identity() -> LinkRule {
        LinkRule::Identity { issuer: IdentityIssuer::Fixed(ISSUER.into()), id: "new_sub".into() }
    }

    fn planner(rules: &[LinkRule], known: &[(LinkQuery, LinkAnswer)]) -> Planner {
        let mut planner = Planner { rules: rules.to_vec(), ..Planner::new(Mapping::preset_default()) };
        planner.known.learn(known);
        planner
    }

    /// A change of the first name, with this post image.
    fn told(planner: &Planner, after: Table<'_>) -> String {
        let shown = [after, &[("firstname", "Ada")]].concat();
        match planner.plan(&change(Operation::Update, &[("firstname", "Ada")], &[], &shown)) {
            Plan::Write { user, .. } => user.to_string(),
            Plan::Nothing(why) => why.as_str().to_owned(),
            Plan::LookUp(queries) => {
                let filters = queries.iter().map(|query| format!("asks {}", query.filter()));
                filters.collect::<Vec<_>>().join(", ")
            }
            Plan::Impossible(letter) => letter.reason.to_string(),
        }
    }

    #[test]
    fn the_first_rule_that_gives_a_user_wins_and_what_is_not_known_is_asked() {
        let rules = [LinkRule::ObjectId(LINK.into()), LinkRule::Attribute(ATTRIBUTE.into()), identity()];
        let asks = |query: LinkQuery| format!("asks {}", query.filter());
        let (found, nobody) = (LinkAnswer::User(user(OTHER)), LinkAnswer::Nobody);
        let none = [(by_attribute(), nobody)];
        let one = [(by_attribute(), found)];
        let several = LinkAnswer::Several(user(USER), user(OTHER));
        let cases: &[Case<'_>] = &[
            ("by its id", &[], &[(LINK, USER)], USER),
            ("its id is enough", &one, &[(LINK, USER)], USER),
            ("an empty id", &[], &[(LINK, "-")], &asks(by_attribute())),
            (
                "both are asked at once",
                &[],
                &[(LINK, "-"), ("new_sub", "ada")],
                &format!("{}, {}", asks(by_attribute()), asks(by_identity(ISSUER, "ada"))),
            ),
            (
                "the later answer alone decides nothing",
                &[(by_identity(ISSUER, "ada"), found)],
                &[("new_sub", "ada")],
                &asks(by_attribute()),
            ),
            ("found by attribute", &one, &[(LINK, "-")], OTHER),
            ("not by attribute", &none, &[("new_sub", " ada ")], &asks(by_identity(ISSUER, "ada"))),
            (
                "by identity",
                &[none[0].clone(), (by_identity(ISSUER, "ada"), LinkAnswer::User(user(USER)))],
                &[("new_sub", "ada")],
                USER,
            ),
            (
                "another identity",
                &[none[0].clone(), (by_identity(ISSUER, "bob"), found)],
                &[("new_sub", "ada")],
                &asks(by_identity(ISSUER, "ada")),
            ),
            ("nobody at all", &none, &[(LINK, "-"), ("new_sub", "-")], "UserNotFound"),
            ("two of them", &[(by_attribute(), several)], &[("new_sub", "ada")], "UserLinkAmbiguous"),
        ];
        for (name, known, after, expected) in cases {
            assert_eq!(told(&planner(&rules, known), after), *expected, "{name}");
        }
        let letter = match planner(&rules, &[(by_attribute(), several)]).user(&change(
            Operation::Update,
            &[],
            &[],
            &[],
        )) {
            Err(NoUser::Failed(letter)) => letter,
            other => panic!("{other:?}"),
        };
        let text = letter.description.as_str();
        assert!(text.contains(USER) && text.contains(OTHER), "{text}");
    }

    #[test]
    fn an_identity_needs_both_parts_and_a_text_that_graph_can_look_for() {
        let by_column =
            LinkRule::Identity { issuer: IdentityIssuer::Column("new_issuer".into()), id: LINK.into() };
        let planner = planner(&[by_column], &[]);
        let long = "x".repeat(121);
        let fits = "x".repeat(120);
        for (after, expected) in [
            (
                &[("new_issuer", ISSUER), (LINK, "o'neill")][..],
                format!("asks {}", by_identity(ISSUER, "o'neill").filter()),
            ),
            (
                &[("new_issuer", ISSUER), (LINK, &fits)],
                format!("asks {}", by_identity(ISSUER, &fits).filter()),
            ),
            (&[("new_issuer", "-"), (LINK, "ada")], "not-a-portal-user".into()),
            (&[("new_issuer", ISSUER), (LINK, "-")], "not-a-portal-user".into()),
            (&[("new_issuer", ISSUER)], "link-not-in-image".into()),
            (&[("new_issuer", ISSUER), (LINK, &long)], "UserLinkInvalid".into()),
            (&[("new_issuer", ISSUER), (LINK, "a\nb")], "UserLinkInvalid".into()),
        ] {
            assert_eq!(told(&planner, after), expected, "{after:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_one_rule_is_told_if_no_other_finds_a_user() {
        let rules = [LinkRule::ObjectId(LINK.into()), identity()];
        let usual = planner(&rules, &[]);
        assert_eq!(told(&usual, &[(LINK, "ada"), ("new_sub", "-")]), "UserLinkInvalid");
        let ignoring = Planner { on_foreign: OnForeign::Ignore, ..usual };
        assert_eq!(told(&ignoring, &[(LINK, "ada"), ("new_sub", "-")]), "foreign-link-name");
        assert!(told(&ignoring, &[(LINK, "ada"), ("new_sub", "1")]).starts_with("asks "));
        let nobody = planner(&rules, &[(by_identity(ISSUER, "1"), LinkAnswer::Nobody)]);
        assert_eq!(told(&nobody, &[(LINK, "ada"), ("new_sub", "1")]), "UserNotFound");
    }

    #[test]
    fn a_link_is_new_if_any_column_that_names_the_user_is() {
        let known = [(by_identity(ISSUER, "ada"), LinkAnswer::User(user(USER)))];
        let rules = [LinkRule::ObjectId(LINK.into()), identity()];
        let planner = planner(&rules, &known);
        let after: Table<'_> = &[("new_sub", "ada"), ("firstname", "Ada"), ("lastname", "King")];
        let written = |change: &Change| match planner.plan(change) {
            Plan::Write { patch, .. } => patch.iter().count(),
            plan => panic!("{plan:?}"),
        };
        let moved = change(Operation::Update, &[("new_sub", "ada")], &[("new_sub", "bob")], after);
        assert_eq!((written(&moved), planner.moves_from(&moved)), (2, crate::patch::MovesFrom::Nowhere));
        let kept = change(Operation::Update, &[("firstname", "Ada")], &[("new_sub", "ada")], after);
        assert_eq!((written(&kept), planner.moves_from(&kept)), (1, crate::patch::MovesFrom::Any));
    }
}
