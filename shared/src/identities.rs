//! The addresses with which a user signs in. Graph replaces the list as a whole, so a change is: read it,
//! change what is meant, write all of it back, each element as it was read.
//!
//! Who moves a sign-in address can take the account over by resetting its password, so from where it may be moved
//! is a question of its own ([`MovesFrom`]).
//!
//! Source: Microsoft's "objectIdentity resource type" and "Update user", and reports from the field. That users of
//! External ID who sign in with a code by e-mail are `federated` with the issuer `mail`, and that the address is their
//! `issuerAssignedId`, is not verified; the page knows the issuer.

use crate::patch::{MovesFrom, SignIn};

/// One element of `identities`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectIdentity {
    /// `emailAddress`, `userName`, `federated`, `userPrincipalName` or a custom name; empty if it is no text.
    pub sign_in_type: Box<str>,
    /// Domain or provider that vouches for the id; empty if it is no text.
    pub issuer: Box<str>,
    /// The id itself: here, the address; empty if it is no text.
    pub issuer_assigned_id: Box<str>,
    /// The JSON in which it was read, with whatever else is in it; `None` if it was never read. It is written back
    /// as it was, but for the id.
    pub json: Option<Box<str>>,
}

/// What a new address means for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing is to be written: the user has no address to sign in with (a social account cannot be given one).
    NoAddress,
    /// The address is there. The list as it would have to be written, if what was read cannot be believed.
    Present(Vec<ObjectIdentity>),
    /// The whole list as it must be written.
    Replace(Vec<ObjectIdentity>),
    /// Nothing tells which address is meant: there are several, or one that cannot be understood.
    Ambiguous,
    /// The user has another address, which this change may not move.
    Bound,
}

impl ObjectIdentity {
    /// An identity that was never read.
    #[must_use]
    pub fn new(sign_in_type: &str, issuer: &str, issuer_assigned_id: &str) -> Self {
        Self {
            sign_in_type: sign_in_type.into(),
            issuer: issuer.into(),
            issuer_assigned_id: issuer_assigned_id.into(),
            json: None,
        }
    }

    /// Whether a local user signs in with an e-mail address and a password by it, or somebody with a code that is sent
    /// to the address.
    #[must_use]
    pub fn is_email(&self) -> bool {
        self.sign_in_type.starts_with(EMAIL) || self.is_code()
    }

    /// Whether a code is sent to the address.
    fn is_code(&self) -> bool {
        &*self.sign_in_type == FEDERATED && self.issuer.eq_ignore_ascii_case(CODE)
    }

    fn is(&self, address: &str) -> bool {
        self.is_whole() && self.issuer_assigned_id.eq_ignore_ascii_case(address)
    }

    fn is_whole(&self) -> bool {
        !self.issuer.is_empty() && !self.issuer_assigned_id.is_empty()
    }
}

/// Whether an identity is of an account of the directory itself, which its user signs up for: not the name by which
/// administrators sign in, and no other provider's.
#[must_use]
pub fn is_local(identity: &ObjectIdentity) -> bool {
    !["", PRINCIPAL, FEDERATED].contains(&&*identity.sign_in_type)
}

const FEDERATED: &str = "federated";
const EMAIL: &str = "emailAddress";
const PRINCIPAL: &str = "userPrincipalName";
/// Issuer of those who sign in with a code by e-mail.
const CODE: &str = "mail";

/// The user whose list it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner<'u> {
    /// His `userPrincipalName`, if it is known.
    pub principal_name: Option<&'u str>,
    /// Whether he is a guest. Guests are invited, administrators often so; the code by which one signs in is not a
    /// contact's to redirect.
    pub is_guest: bool,
}

impl Owner<'_> {
    /// Whether the user signs in with an address by this identity that can be moved.
    #[must_use]
    pub fn signs_in_by(&self, identity: &ObjectIdentity) -> bool {
        identity.is_email() && !(identity.is_code() && self.is_guest)
    }
}

/// Works out the list with the new address in it. `written` is the address that was written last for the same contact, if
/// known.
///
/// With one address there is no doubt which one is meant, even if it is not the previous one: changes that
/// were merged, and directories that nobody kept in step before, both look like that. With several, only the
/// previous address tells, or the one before that where a look lags behind. Whoever signs in with one address in two
/// ways, a password and a code, keeps both ways.
#[must_use]
pub fn edit(list: &[ObjectIdentity], wanted: &SignIn, written: Option<&str>, owner: Owner<'_>) -> Edit {
    let emails: Vec<_> = list.iter().filter(|identity| owner.signs_in_by(identity)).collect();
    let has = |address: &str| emails.iter().any(|identity| identity.is(address));
    if has(&wanted.address) {
        return Edit::Present(with_principal(list.to_vec(), owner.principal_name));
    }
    let known = || {
        wanted.previous.as_deref().into_iter().chain(written).chain(wanted.earlier.iter().map(|text| &**text))
    };
    let before = || known().find(|address| has(address));
    let only = || {
        let first = emails.first()?;
        emails.iter().all(|email| email.is(&first.issuer_assigned_id)).then_some(&*first.issuer_assigned_id)
    };
    let meant = match wanted.from {
        _ if emails.is_empty() => return Edit::NoAddress,
        MovesFrom::Nowhere => return Edit::Bound,
        MovesFrom::Previous => before().ok_or(Edit::Bound),
        MovesFrom::Any => only().or_else(before).ok_or(Edit::Ambiguous),
    };
    let meant = match meant {
        Ok(meant) => meant,
        Err(edit) => return edit,
    };
    let mut edited = list.to_vec();
    for identity in edited.iter_mut().filter(|identity| owner.signs_in_by(identity) && identity.is(meant)) {
        identity.issuer_assigned_id = wanted.address.clone();
    }
    Edit::Replace(with_principal(edited, owner.principal_name))
}

/// The element of the principal name must be in the list, or Graph refuses the list.
fn with_principal(mut list: Vec<ObjectIdentity>, principal_name: Option<&str>) -> Vec<ObjectIdentity> {
    let there = list.iter().any(|identity| &*identity.sign_in_type == PRINCIPAL);
    if let (false, Some((name, domain))) =
        (there, principal_name.and_then(|name| Some((name, name.rsplit_once('@')?.1))))
    {
        list.push(ObjectIdentity::new(PRINCIPAL, domain, name));
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRINCIPAL_NAME: &str = "1234@contoso.onmicrosoft.com";
    const OWNER: Owner<'_> = Owner { principal_name: Some(PRINCIPAL_NAME), is_guest: false };

    fn identity(sign_in_type: &str, id: &str) -> ObjectIdentity {
        let issuer = if sign_in_type == "federated" { "facebook.com" } else { "contoso.onmicrosoft.com" };
        ObjectIdentity::new(sign_in_type, issuer, id)
    }

    fn principal() -> ObjectIdentity {
        identity("userPrincipalName", PRINCIPAL_NAME)
    }

    #[track_caller]
    fn check(list: &[ObjectIdentity], previous: Option<&str>, expected: &Edit) {
        let wanted = SignIn { previous: previous.map(Into::into), ..SignIn::to("new@example.com") };
        assert_eq!(edit(list, &wanted, None, OWNER), *expected);
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
            match edit(&list(has), &wanted, last, Owner::default()) {
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
            (Nowhere, &[], None, None, "NoAddress"),
            (Previous, &["old@b.c"], Some("OLD@b.c"), None, &moved),
            (Previous, &["old@b.c"], Some("older@b.c"), Some("old@b.c"), &moved),
            (Previous, &["old@b.c"], Some("other@b.c"), Some("another@b.c"), "Bound"),
            (Previous, &["old@b.c"], None, None, "Bound"),
            (Previous, &[""], None, None, "Bound"),
            (Previous, &["new@b.c"], None, None, "Present"),
            (Previous, &[], Some("old@b.c"), None, "NoAddress"),
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
        check(&[identity("federated", "fb-1"), principal()], None, &Edit::NoAddress);
        check(&[identity("userName", "ada"), principal()], Some("old@example.com"), &Edit::NoAddress);
        check(&[], None, &Edit::NoAddress);
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

    fn code(id: &str) -> ObjectIdentity {
        ObjectIdentity::new("federated", "mail", id)
    }

    #[test]
    fn who_signs_in_with_a_code_moves_too_and_guests_do_not() {
        let social = identity("federated", "old@example.com");
        let list = [code("Old@example.com"), social.clone(), principal()];
        check(&list, None, &Edit::Replace(vec![code("new@example.com"), social, principal()]));
        let both = [identity("emailAddress", "old@example.com"), code("old@example.com"), principal()];
        let moved = vec![identity("emailAddress", "new@example.com"), code("new@example.com"), principal()];
        check(&both, None, &Edit::Replace(moved));
        let guest = Owner { is_guest: true, ..OWNER };
        let wanted = SignIn::to("new@example.com");
        assert_eq!(edit(&list, &wanted, None, guest), Edit::NoAddress);
    }

    #[test]
    fn what_cannot_be_understood_is_never_moved_and_stands_in_the_way_of_a_guess() {
        let odd = ObjectIdentity {
            json: Some("{\"signInType\":\"emailAddress\"}".into()),
            ..identity("emailAddress", "")
        };
        check(std::slice::from_ref(&odd), None, &Edit::Ambiguous);
        let list = [odd.clone(), identity("emailAddress", "old@example.com"), principal()];
        check(&list, None, &Edit::Ambiguous);
        let moved = vec![odd, identity("emailAddress", "new@example.com"), principal()];
        check(&list, Some("old@example.com"), &Edit::Replace(moved));
    }

    #[test]
    fn a_look_that_lags_behind_shows_an_address_of_before() {
        let list = [identity("emailAddress", "a@b.c"), identity("emailAddress", "x@y.z"), principal()];
        let earlier = vec!["b@b.c".into(), "a@b.c".into()].into();
        let wanted = SignIn { previous: Some("c@b.c".into()), earlier, ..SignIn::to("d@b.c") };
        let Edit::Replace(edited) = edit(&list, &wanted, None, OWNER) else { panic!("not replaced") };
        assert_eq!(&*edited[0].issuer_assigned_id, "d@b.c");
        assert_eq!(edited[1..], list[1..]);
    }

    fn any_identity() -> impl Strategy<Value = ObjectIdentity> {
        let kinds =
            vec!["emailAddress", "emailAddress1", "federated", "userName", "userPrincipalName", "odd", ""];
        let issuers = vec!["contoso.onmicrosoft.com", "mail", "google.com", ""];
        let ids = vec!["a@b.c", "A@b.c", "d@e.f", "new@b.c", "118", ""];
        let json = prop::option::of(prop::sample::select(vec!["null", "{}"]));
        (prop::sample::select(kinds), prop::sample::select(issuers), prop::sample::select(ids), json)
            .prop_map(|(kind, issuer, id, json)| ObjectIdentity {
                json: json.map(Into::into),
                ..ObjectIdentity::new(kind, issuer, id)
            })
    }

    proptest! {
        #[test]
        fn whatever_the_list_nothing_in_it_is_lost_or_moved_but_the_one_address(
            list in prop::collection::vec(any_identity(), 0..6),
            previous in prop::option::of(prop::sample::select(vec!["a@b.c", "d@e.f", "x@y.z"])),
            from in prop::sample::select(vec![MovesFrom::Any, MovesFrom::Previous, MovesFrom::Nowhere]),
            is_guest in any::<bool>(),
        ) {
            let wanted = SignIn { previous: previous.map(Into::into), from, ..SignIn::to("new@b.c") };
            let owner = Owner { principal_name: Some(PRINCIPAL_NAME), is_guest };
            let (Edit::Replace(edited) | Edit::Present(edited)) = edit(&list, &wanted, None, owner) else { return Ok(()) };
            prop_assert!(edited.len() - list.len() <= 1);
            prop_assert!(edited[list.len()..].iter().all(|added| *added == principal()));
            let moved: Vec<_> = list.iter().zip(&edited).filter(|(before, after)| before != after).collect();
            for (before, after) in &moved {
                prop_assert!(from != MovesFrom::Nowhere && before.is_email() && !(is_guest && before.is_code()));
                prop_assert!(!before.issuer.is_empty() && !before.issuer_assigned_id.is_empty());
                prop_assert!(before.issuer_assigned_id.eq_ignore_ascii_case(&moved[0].0.issuer_assigned_id));
                let same = ObjectIdentity { issuer_assigned_id: before.issuer_assigned_id.clone(), ..(*after).clone() };
                prop_assert_eq!(&same, *before, "only the id");
                prop_assert_eq!(&*after.issuer_assigned_id, "new@b.c");
            }
        }
    }
}
