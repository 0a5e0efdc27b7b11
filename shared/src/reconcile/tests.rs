//! What a look at a user leaves of a write.

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::{
    ids::{ContactId, SequenceNumber, UserId},
    lww_register::Stamp,
    patch::Previous,
    priority::Priority,
    version::Version,
};

const ADA: ContactId = ContactId(Uuid::from_u128(0xada));
const EVE: ContactId = ContactId(Uuid::from_u128(0xe7e));

fn showing(identities: Vec<ObjectIdentity>) -> Current {
    Current { person: Person { identities: Some(identities), ..Person::default() }, ..Current::default() }
}

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn text(text: &str) -> PropertyValue {
    PropertyValue::Text(text.into())
}

fn stamp(second: i64) -> Stamp {
    let at = Timestamp::from_second(second).expect("small");
    Stamp { version: Version::at(at), arrival: SequenceNumber(0) }
}

fn write(second: i64, entries: &[(&str, PropertyValue)]) -> UserWrite {
    let entry = |(name, value): &(&str, PropertyValue)| PatchEntry {
        property: property(name),
        value: value.clone(),
        stamp: stamp(second),
    };
    let entries = entries.iter().map(entry).collect();
    UserWrite {
        user: UserId(Uuid::from_u128(1)),
        entries,
        known: Vec::new(),
        urgency: Priority::Live,
        contacts: vec![ADA],
    }
}

fn guarded() -> ReadPolicy {
    ReadPolicy { guard: Some(property("extensionAttribute15")), ..ReadPolicy::default() }
}

fn after(reconciled: &Reconciled) -> Current {
    let body = reconciled.body.as_ref().expect("something to write");
    let (_, PropertyValue::Text(mark)) = body.properties.last().expect("the mark") else { panic!("no text") };
    Current { mark: Some(mark.clone()), ..Current::default() }
}

#[test]
fn the_mark_travels_in_the_same_write_and_keeps_old_changes_out() {
    let newer =
        reconcile(&write(20, &[("mail", text("new"))]), &Current::default(), &guarded()).expect("clear");
    let current = after(&newer);
    let older = write(10, &[("mail", text("old")), ("surname", text("King"))]);
    let reconciled = reconcile(&older, &current, &guarded()).expect("clear");
    assert_eq!(reconciled.superseded, [property("mail")]);
    let body = reconciled.body.expect("the surname is left");
    assert_eq!(body.properties[0], (property("surname"), text("King")));
    assert_eq!(body.properties.len(), 2, "and the mark");
}

#[test]
fn a_mark_that_lags_behind_does_not_make_a_replica_forget_what_it_has_written() {
    let mut next = write(20, &[("mail", text("new"))]);
    next.known = write(15, &[("surname", text("King"))]).entries;
    let current = after(&reconcile(&next, &Current::default(), &guarded()).expect("clear"));
    let older = reconcile(&write(10, &[("surname", text("old"))]), &current, &guarded()).expect("clear");
    assert_eq!(older, Reconciled { superseded: vec![property("surname")], ..Reconciled::default() });
}

#[test]
fn what_a_lagging_read_shows_is_not_believed_against_what_was_written_last() {
    let reading = ReadPolicy { diff: true, ..ReadPolicy::default() };
    let current = Current { values: vec![(property("mail"), text("a@b.c"))], ..Current::default() };
    let mut back = write(30, &[("mail", text("a@b.c"))]);
    back.known = write(20, &[("mail", text("x@y.z"))]).entries;
    let body = reconcile(&back, &current, &reading).expect("clear").body.expect("it may have changed");
    assert_eq!(body.properties, [(property("mail"), text("a@b.c"))]);
    back.known = write(20, &[("mail", text("a@b.c"))]).entries;
    assert_eq!(reconcile(&back, &current, &reading).expect("clear").body, None);
}

#[test]
fn an_address_that_is_there_already_is_marked_so_that_an_older_one_stays_out() {
    let address = |text: &str| PropertyValue::from(SignIn::to(text));
    let identity = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", "new@example.com");
    let there = showing(vec![identity]);
    let same = write(20, &[(Property::SIGN_IN, address("new@example.com"))]);
    let marked = reconcile(&same, &there, &guarded()).expect("clear");
    assert_eq!(marked.body.as_ref().map(|body| &body.identities), Some(&None));
    let current = Current { mark: after(&marked).mark, ..there };
    let older = write(10, &[(Property::SIGN_IN, address("old@example.com"))]);
    let kept_out = reconcile(&older, &current, &guarded()).expect("clear");
    assert_eq!(kept_out.superseded, [property(Property::SIGN_IN)]);
}

#[test]
fn a_write_that_is_entirely_old_is_not_made() {
    let newer =
        reconcile(&write(20, &[("mail", text("new"))]), &Current::default(), &guarded()).expect("clear");
    let older = reconcile(&write(10, &[("mail", text("old"))]), &after(&newer), &guarded()).expect("clear");
    assert_eq!(older, Reconciled { superseded: vec![property("mail")], ..Reconciled::default() });
}

#[test]
fn with_diff_only_what_differs_is_written() {
    let current = Current {
        values: vec![(property("mail"), text("a@b.c")), (property("surname"), PropertyValue::Clear)],
        ..Current::default()
    };
    let reading = ReadPolicy { diff: true, ..ReadPolicy::default() };
    let both = write(1, &[("mail", text("a@b.c")), ("surname", text("King"))]);
    let body = reconcile(&both, &current, &reading).expect("clear").body.expect("the surname differs");
    assert_eq!(body.properties, [(property("surname"), text("King"))]);
    let same = write(1, &[("mail", text("a@b.c")), ("surname", PropertyValue::Clear)]);
    assert_eq!(reconcile(&same, &current, &reading).expect("clear").body, None);
}

#[test]
fn a_sign_in_address_becomes_the_whole_list_beside_the_other_properties() {
    let address = PropertyValue::from(SignIn::to("new@example.com"));
    let wanted = write(1, &[("givenName", text("Ada")), (Property::SIGN_IN, address)]);
    let old = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", "old@example.com");
    let current = showing(vec![old.clone()]);
    let body = reconcile(&wanted, &current, &ReadPolicy::default()).expect("clear").body.expect("a write");
    assert_eq!(body.properties, [(property("givenName"), text("Ada"))]);
    assert_eq!(
        body.identities,
        Some(vec![ObjectIdentity { issuer_assigned_id: "new@example.com".into(), ..old.clone() }])
    );
    let two = showing(vec![old.clone(), ObjectIdentity { issuer_assigned_id: "x@y.z".into(), ..old }]);
    assert_eq!(reconcile(&wanted, &two, &ReadPolicy::default()), Err(Withheld::Ambiguous));
}

#[test]
fn an_address_that_may_not_be_moved_is_not_and_what_was_written_for_the_contact_last_counts_as_its_own() {
    let old = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", "old@example.com");
    let current = showing(vec![old]);
    let address = |text: &str, from: MovesFrom, contact: ContactId| {
        PropertyValue::from(SignIn { from, contact: Some(contact), ..SignIn::to(text) })
    };
    let ask = |from: MovesFrom, last: Option<ContactId>| {
        let mut wanted = write(20, &[(Property::SIGN_IN, address("new@example.com", from, ADA))]);
        let last = last.map(|contact| (Property::SIGN_IN, address("OLD@example.com", from, contact)));
        wanted.known = last.map(|last| write(10, &[last]).entries).unwrap_or_default();
        reconcile(&wanted, &current, &ReadPolicy::default()).map(|reconciled| reconciled.body.is_some())
    };
    assert_eq!(ask(MovesFrom::Nowhere, Some(ADA)), Err(Withheld::LinkAndAddress));
    assert_eq!(ask(MovesFrom::Previous, None), Err(Withheld::NotPrevious));
    assert_eq!(ask(MovesFrom::Previous, Some(EVE)), Err(Withheld::NotPrevious), "not what she had written");
    assert_eq!(ask(MovesFrom::Previous, Some(ADA)), Ok(true));
}

#[test]
fn a_user_is_claimed_in_the_same_write_and_not_for_nothing() {
    let terms = Terms { owner: Some(property("extensionAttribute14")), ..Terms::default() };
    let reading = ReadPolicy { diff: true, terms, ..guarded() };
    let wanted = write(10, &[("surname", text("King"))]);
    let body = reconcile(&wanted, &Current::default(), &reading).expect("hers").body.expect("a write");
    let names: Vec<_> = body.properties.iter().map(|(property, _)| property.name()).collect();
    assert_eq!(names, ["surname", "extensionAttribute14", "extensionAttribute15"]);
    assert_eq!(body.properties[1].1, text(&ADA.to_string()));
    let same = Current { values: vec![(property("surname"), text("King"))], ..Current::default() };
    assert_eq!(reconcile(&wanted, &same, &reading).expect("hers").body, None);
    let owned = Current {
        person: Person { owner: Some(EVE.to_string().into()), ..Person::default() },
        ..Current::default()
    };
    assert_eq!(reconcile(&wanted, &owned, &reading), Err(Withheld::OtherContact));
}

fn list(texts: &[&str]) -> PropertyValue {
    PropertyValue::List(texts.iter().map(|text| (*text).into()).collect())
}

fn element(text: &str, previous: &str) -> PropertyValue {
    ListElement { previous: Previous::Was(previous.into()), ..ListElement::of(text) }.into()
}

fn with_list(texts: &[&str]) -> Current {
    Current { values: vec![(property("otherMails"), list(texts))], ..Current::default() }
}

#[test]
fn one_element_of_a_list_is_changed_and_the_whole_list_is_written() {
    let reading = ReadPolicy::default();
    let moved = write(20, &[("otherMails", element("new@b.c", "old@b.c"))]);
    assert!(reading.is_needed(&moved), "it has to be read to be kept");
    let has = with_list(&["x@y.z", "old@b.c"]);
    let body = reconcile(&moved, &has, &reading).expect("clear").body.expect("a write");
    assert_eq!(body.properties, [(property("otherMails"), list(&["x@y.z", "new@b.c"]))]);

    let there = with_list(&["New@b.c"]);
    let same = reconcile(&moved, &there, &reading).expect("clear");
    assert_eq!((same.body, same.unchanged), (None, vec![property("otherMails")]));
    // Our last write has not come through yet: it must be undone.
    let mut back = moved.clone();
    back.known = write(10, &[("otherMails", element("other@b.c", "new@b.c"))]).entries;
    let body = reconcile(&back, &there, &reading).expect("clear").body.expect("a write");
    assert_eq!(body.properties, [(property("otherMails"), list(&["New@b.c"]))]);
}

#[test]
fn what_is_there_already_is_marked_so_that_an_older_one_stays_out() {
    let moved = write(20, &[("otherMails", element("new@b.c", "old@b.c"))]);
    let marked = reconcile(&moved, &with_list(&["new@b.c"]), &guarded()).expect("clear");
    assert_eq!(marked.unchanged, [property("otherMails")]);
    let current = Current { mark: after(&marked).mark, ..with_list(&["new@b.c"]) };
    let older = write(10, &[("otherMails", element("old@b.c", "older@b.c"))]);
    assert_eq!(reconcile(&older, &current, &guarded()).expect("clear").superseded, [property("otherMails")]);
}

#[test]
fn a_list_that_is_not_shown_or_not_clear_or_full_is_not_written() {
    let ask = |value: PropertyValue, current: &Current| {
        reconcile(&write(20, &[("otherMails", value)]), current, &ReadPolicy::default()).map(|left| left.body)
    };
    let new = || PropertyValue::from(ListElement::of("new@b.c"));
    assert_eq!(ask(new(), &Current::default()), Err(Withheld::NotShown("otherMails")));
    let full: Vec<String> = (0..250).map(|n| format!("{n}@b.c")).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    assert_eq!(ask(new(), &with_list(&full)), Err(Withheld::Full("otherMails")));
    let emptied = || PropertyValue::from(ListElement::default());
    assert_eq!(ask(emptied(), &with_list(&["x@y.z"])), Err(Withheld::Unclear("otherMails")));
    assert_eq!(ask(PropertyValue::Clear, &with_list(&["x@y.z"])), Err(Withheld::Unclear("otherMails")));
    assert_eq!(ask(emptied(), &with_list(&[])), Ok(None));
    let sign_in = write(20, &[(Property::SIGN_IN, SignIn::to("new@b.c").into())]);
    let blank = reconcile(&sign_in, &Current::default(), &ReadPolicy::default());
    assert_eq!(blank, Err(Withheld::NotShown("identities")), "no list is not an empty list");
}
