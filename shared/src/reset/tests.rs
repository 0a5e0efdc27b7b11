//! When the address for password reset moves, and when it stays.

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::{
    admission::Person,
    identities::ObjectIdentity,
    ids::{ContactId, SequenceNumber, UserId},
    lww_register::Stamp,
    patch::PatchEntry,
    priority::Priority,
    version::Version,
};

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn entry(name: &str, second: i64, wanted: SignIn) -> PatchEntry {
    let version = Version::at(Timestamp::from_second(second).expect("small"));
    let stamp = Stamp { version, arrival: SequenceNumber(0) };
    PatchEntry { property: property(name), value: wanted.into(), stamp }
}

fn write(wanted: SignIn) -> UserWrite {
    UserWrite {
        user: UserId(Uuid::from_u128(1)),
        entries: vec![entry(Property::RESET, 20, wanted)],
        known: Vec::new(),
        urgency: Priority::Live,
        contacts: vec![ContactId(Uuid::from_u128(7))],
    }
}

fn signing_in(identities: &[(&str, &str, &str)]) -> Current {
    let of = |(kind, issuer, id): &(&str, &str, &str)| ObjectIdentity::new(kind, issuer, id);
    let identities = Some(identities.iter().map(of).collect());
    Current { person: Person { identities, ..Person::default() }, ..Current::default() }
}

fn local(address: &str) -> Current {
    signing_in(&[("emailAddress", "contoso.onmicrosoft.com", address)])
}

fn following(name: &str) -> ReadPolicy {
    ReadPolicy { reset_follows: Some(property(name)), ..ReadPolicy::default() }
}

fn from_old() -> SignIn {
    SignIn { previous: Some("old@b.c".into()), ..SignIn::to("new@b.c") }
}

#[track_caller]
fn check(wanted: SignIn, current: &Current, has: Option<&str>, expected: &ResetEdit) {
    assert_eq!(
        edit(&write(wanted), current, has, &following(Property::SIGN_IN)),
        *expected,
        "{current:?} {has:?}"
    );
}

fn moved() -> ResetEdit {
    ResetEdit::Move("new@b.c".into())
}

#[test]
fn it_moves_from_an_address_of_the_contact_and_from_no_other() {
    let there = local("New@b.c");
    check(from_old(), &there, Some("Old@B.C"), &moved());
    check(from_old(), &there, Some("own@person"), &ResetEdit::NotOurs);
    check(SignIn::to("new@b.c"), &there, Some("old@b.c"), &ResetEdit::NotOurs);
    check(from_old(), &there, Some("NEW@b.c"), &ResetEdit::Present);
    check(from_old(), &there, None, &ResetEdit::Absent);
    let earlier = SignIn { earlier: vec!["new@b.c".into(), "older@b.c".into()].into(), ..from_old() };
    check(earlier, &there, Some("older@b.c"), &moved());
}

#[test]
fn it_comes_after_the_address_that_it_follows_whatever_kind_of_user_has_it() {
    check(from_old(), &local("old@b.c"), Some("old@b.c"), &ResetEdit::NotFollowed);
    check(from_old(), &Current::default(), Some("old@b.c"), &ResetEdit::NotFollowed);
    let code = signing_in(&[("federated", "mail", "new@b.c")]);
    check(from_old(), &code, Some("old@b.c"), &moved());
    // Who signs in with no address has nothing that could come first.
    for kind in [("userName", "contoso.onmicrosoft.com", "ada"), ("federated", "google.com", "118")] {
        check(from_old(), &signing_in(&[kind]), Some("old@b.c"), &moved());
    }
    let both = [("emailAddress", "c", "other@b.c"), ("emailAddress", "c", "new@b.c")];
    check(from_old(), &signing_in(&both), Some("old@b.c"), &moved());
    // A look lags behind what this replica has written.
    let mut known = write(from_old());
    known.known = vec![entry(Property::SIGN_IN, 20, SignIn::to("new@b.c"))];
    assert_eq!(edit(&known, &local("old@b.c"), Some("old@b.c"), &following(Property::SIGN_IN)), moved());
}

#[test]
fn a_message_that_may_move_no_address_moves_this_one_neither() {
    let nowhere = SignIn { from: MovesFrom::Nowhere, ..from_old() };
    check(nowhere, &local("new@b.c"), Some("old@b.c"), &ResetEdit::NotFollowed);
}

#[test]
fn it_follows_mail_and_other_mails_where_nothing_goes_to_the_address_to_sign_in_with() {
    let shown = |name: &str, value| Current { values: vec![(property(name), value)], ..local("login@b.c") };
    let mail = |text: &str| shown("mail", PropertyValue::Text(text.into()));
    let list = |text: &str| shown("otherMails", PropertyValue::List(["x@b.c".into(), text.into()].into()));
    for (name, current, expected) in [
        ("mail", mail("new@b.c"), moved()),
        ("mail", mail("old@b.c"), ResetEdit::NotFollowed),
        ("otherMails", list("new@b.c"), moved()),
        ("otherMails", list("old@b.c"), ResetEdit::NotFollowed),
    ] {
        assert_eq!(edit(&write(from_old()), &current, Some("old@b.c"), &following(name)), expected, "{name}");
    }
}

#[test]
fn what_an_older_change_knows_helps_a_newer_one_and_never_brings_its_own_address_back() {
    let guarded =
        ReadPolicy { guard: Some(property("extensionAttribute15")), ..following(Property::SIGN_IN) };
    let mut mark = Mark::default();
    mark.note(&property(Property::SIGN_IN), Version::at(Timestamp::from_second(30).expect("small")));
    let newer = Current { mark: mark.write(1024).map(Into::into), ..local("newest@b.c") };
    let told = |has| edit(&write(from_old()), &newer, Some(has), &guarded);
    assert_eq!(told("old@b.c"), ResetEdit::Move("newest@b.c".into()));
    assert_eq!(told("own@person"), ResetEdit::Superseded);
    assert_eq!(told("newest@b.c"), ResetEdit::Superseded);
}

#[test]
fn a_lagging_look_at_it_is_not_believed_against_what_was_written_last() {
    let mut back = write(SignIn { previous: Some("b@b.c".into()), ..SignIn::to("new@b.c") });
    back.known = vec![entry(Property::RESET, 10, SignIn::to("b@b.c"))];
    assert_eq!(edit(&back, &local("new@b.c"), Some("new@b.c"), &following(Property::SIGN_IN)), moved());
}
