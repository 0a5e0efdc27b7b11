//! The addresses with which a user signs in. Graph replaces the list as a whole, so a change is: read it,
//! change one element, write all of it back.
//!
//! Who moves a sign-in address can take the account over by resetting its password, so from where it may be moved
//! is a question of its own ([`MovesFrom`]).
//!
//! Source: Microsoft's "objectIdentity resource type" and "Update user", and reports from the field.

use crate::patch::{MovesFrom, SignIn};

/// One element of `identities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectIdentity {
    /// `emailAddress`, `userName`, `federated`, `userPrincipalName` or a custom name.
    pub sign_in_type: Box<str>,
    /// Domain or provider that vouches for the id.
    pub issuer: Box<str>,
    /// The id itself: here, the address.
    pub issuer_assigned_id: Box<str>,
}

/// What a new address means for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing is to be written: the user has no address to sign in with (a social account cannot be given one).
    Unchanged,
    /// The address is there. The list as it would have to be written, if what was read cannot be believed.
    Present(Vec<ObjectIdentity>),
    /// The whole list as it must be written.
    Replace(Vec<ObjectIdentity>),
    /// There are several addresses, and nothing tells which one is meant.
    Ambiguous,
    /// The user has another address, which this change may not move.
    Bound,
}

/// Whether an identity is of an account of the directory itself, which its user signs up for: not the name by which
/// administrators sign in, and no other provider's.
#[must_use]
pub fn is_local(identity: &ObjectIdentity) -> bool {
    ![PRINCIPAL, FEDERATED].contains(&&*identity.sign_in_type)
}

const FEDERATED: &str = "federated";
const EMAIL: &str = "emailAddress";
const PRINCIPAL: &str = "userPrincipalName";

/// Works out the list with the new address in it. `written` is the address that was written last for the same contact, if
/// known; `principal_name` is the user's `userPrincipalName`.
///
/// With one address there is no doubt which one is meant, even if it is not the previous one: changes that
/// were merged, and directories that nobody kept in step before, both look like that. With several, only the
/// previous address tells.
#[must_use]
pub fn edit(
    list: &[ObjectIdentity],
    wanted: &SignIn,
    written: Option<&str>,
    principal_name: Option<&str>,
) -> Edit {
    let SignIn { address, previous, from, .. } = wanted;
    let is_email = |identity: &&ObjectIdentity| identity.sign_in_type.starts_with(EMAIL);
    let has = |identity: &ObjectIdentity, text: &str| identity.issuer_assigned_id.eq_ignore_ascii_case(text);
    let emails: Vec<_> = list.iter().filter(is_email).collect();
    if emails.iter().any(|identity| has(identity, address)) {
        return Edit::Present(with_principal(list.to_vec(), principal_name));
    }
    let named = |address: Option<&str>| {
        let address = address?;
        emails.iter().copied().find(|email| has(email, address))
    };
    let meant: &ObjectIdentity = match (&emails[..], from) {
        ([], _) => return Edit::Unchanged,
        (_, MovesFrom::Nowhere) => return Edit::Bound,
        (_, MovesFrom::Previous) => match named(previous.as_deref()).or_else(|| named(written)) {
            Some(meant) => meant,
            None => return Edit::Bound,
        },
        ([only], MovesFrom::Any) => only,
        (_, MovesFrom::Any) => match named(previous.as_deref()) {
            Some(meant) => meant,
            None => return Edit::Ambiguous,
        },
    };
    let mut edited = list.to_vec();
    for identity in edited.iter_mut().filter(|identity| *identity == meant) {
        identity.issuer_assigned_id = address.clone();
    }
    Edit::Replace(with_principal(edited, principal_name))
}

/// The element of the principal name must be in the list, or Graph refuses the list.
fn with_principal(mut list: Vec<ObjectIdentity>, principal_name: Option<&str>) -> Vec<ObjectIdentity> {
    let there = list.iter().any(|identity| &*identity.sign_in_type == PRINCIPAL);
    if let (false, Some((name, domain))) =
        (there, principal_name.and_then(|name| Some((name, name.rsplit_once('@')?.1))))
    {
        list.push(ObjectIdentity {
            sign_in_type: PRINCIPAL.into(),
            issuer: domain.into(),
            issuer_assigned_id: name.into(),
        });
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINCIPAL_NAME: &str = "1234@contoso.onmicrosoft.com";

    fn identity(sign_in_type: &str, id: &str) -> ObjectIdentity {
        let issuer = if sign_in_type == "federated" { "facebook.com" } else { "contoso.onmicrosoft.com" };
        ObjectIdentity {
            sign_in_type: sign_in_type.into(),
            issuer: issuer.into(),
            issuer_assigned_id: id.into(),
        }
    }

    fn principal() -> ObjectIdentity {
        identity("userPrincipalName", PRINCIPAL_NAME)
    }

    #[track_caller]
    fn check(list: &[ObjectIdentity], previous: Option<&str>, expected: &Edit) {
        let wanted = SignIn { previous: previous.map(Into::into), ..SignIn::to("new@example.com") };
        assert_eq!(edit(list, &wanted, None, Some(PRINCIPAL_NAME)), *expected);
    }

    #[test]
    fn a_bound_address_is_moved_from_where_it_may_be_and_from_nowhere_else() {
        use MovesFrom::{Nowhere, Previous};

        let list = |addresses: &[&str]| -> Vec<ObjectIdentity> {
            let emails = addresses.iter().map(|address| identity("emailAddress", address));
            emails.chain([principal()]).collect()
        };
        let told = |from: MovesFrom, has: &[&str], previous: Option<&str>, last: Option<&str>| {
            let wanted = SignIn { previous: previous.map(Into::into), from, ..SignIn::to("new@b.c") };
            match edit(&list(has), &wanted, last, None) {
                Edit::Replace(list) => {
                    list.iter().map(|identity| &*identity.issuer_assigned_id).collect::<Vec<_>>().join(" ")
                }
                edit => format!("{edit:?}").split('(').next().unwrap_or_default().to_owned(),
            }
        };
        let moved = format!("new@b.c {PRINCIPAL_NAME}");
        for (from, has, previous, last, expected) in [
            (Nowhere, &["old@b.c"][..], Some("old@b.c"), Some("old@b.c"), "Bound"),
            (Nowhere, &["a@b.c", "old@b.c"], Some("old@b.c"), None, "Bound"),
            // After a registration, and for who signs in with a social account, there is nothing to move.
            (Nowhere, &["NEW@b.c"], None, None, "Present"),
            (Nowhere, &[], None, None, "Unchanged"),
            (Previous, &["old@b.c"], Some("OLD@b.c"), None, &moved),
            (Previous, &["old@b.c"], Some("older@b.c"), Some("old@b.c"), &moved),
            (Previous, &["old@b.c"], Some("other@b.c"), Some("another@b.c"), "Bound"),
            (Previous, &["old@b.c"], None, None, "Bound"),
            (Previous, &[""], None, None, "Bound"),
            (Previous, &["new@b.c"], None, None, "Present"),
            (Previous, &[], Some("old@b.c"), None, "Unchanged"),
        ] {
            assert_eq!(told(from, has, previous, last), expected, "{from:?} {has:?} {previous:?} {last:?}");
        }
    }

    #[test]
    fn one_element_changes_and_everything_else_is_written_back() {
        let social = identity("federated", "fb-1");
        check(
            &[social.clone(), identity("emailAddress", "old@example.com"), principal()],
            Some("old@example.com"),
            &Edit::Replace(vec![social, identity("emailAddress", "new@example.com"), principal()]),
        );
    }

    #[test]
    fn a_missing_principal_name_is_put_into_the_list() {
        check(
            &[identity("emailAddress", "old@example.com")],
            None,
            &Edit::Replace(vec![identity("emailAddress", "new@example.com"), principal()]),
        );
    }

    #[test]
    fn the_only_address_changes_even_if_it_is_not_the_previous_one() {
        check(
            &[identity("emailAddress", "older@example.com"), principal()],
            Some("old@example.com"),
            &Edit::Replace(vec![identity("emailAddress", "new@example.com"), principal()]),
        );
    }

    #[test]
    fn an_address_that_is_there_already_in_any_case_needs_no_write() {
        let one = vec![identity("emailAddress", "NEW@example.com"), principal()];
        check(&one, None, &Edit::Present(one.clone()));
        let two = vec![
            identity("emailAddress", "a@b.c"),
            identity("emailAddress1", "new@example.com"),
            principal(),
        ];
        check(&two, Some("a@b.c"), &Edit::Present(two.clone()));
    }

    #[test]
    fn a_user_without_an_address_to_sign_in_with_is_left_alone() {
        check(&[identity("federated", "fb-1"), principal()], None, &Edit::Unchanged);
        check(&[identity("userName", "ada"), principal()], Some("old@example.com"), &Edit::Unchanged);
        check(&[], None, &Edit::Unchanged);
    }

    #[test]
    fn of_several_addresses_the_previous_one_changes() {
        let other = identity("emailAddress", "other@example.com");
        check(
            &[other.clone(), identity("emailAddress2", "Old@Example.com"), principal()],
            Some("old@example.com"),
            &Edit::Replace(vec![other, identity("emailAddress2", "new@example.com"), principal()]),
        );
    }

    #[test]
    fn several_addresses_without_a_clue_are_ambiguous() {
        let two = [identity("emailAddress", "a@b.c"), identity("emailAddress", "d@e.f"), principal()];
        check(&two, None, &Edit::Ambiguous);
        check(&two, Some("x@y.z"), &Edit::Ambiguous);
    }
}
