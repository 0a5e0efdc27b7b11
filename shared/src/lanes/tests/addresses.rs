//! Addresses: what gives way to a new one, what is there already, and what somebody else has.

use super::*;
use crate::{
    patch::{ListElement, Previous, SignIn},
    plan::SkipReason,
};

const GRACE: Duration = Duration::from_secs(5);

fn moved(id: usize, version: i64, from: Option<&str>, to: &str) -> Work<Message> {
    let work = work(id, 0, version, &[("mail", "of the form")]);
    let contact = Some(work.contact);
    let previous = from.map_or(Previous::Unknown, |from| Previous::Was(from.into()));
    let element = ListElement { previous, contact, ..ListElement::of(to) };
    let address = SignIn { previous: from.map(Into::into), contact, ..SignIn::to(to) };
    let entries = [(property("otherMails"), element.into()), (property(Property::SIGN_IN), address.into())];
    Work { patch: UserPatch::new(entries).expect("not empty"), ..work }
}

/// What the next write says that its addresses may take the place of, besides what the message itself tells.
#[track_caller]
fn earlier(lanes: &mut Lanes<Message>, now: u64) -> Vec<String> {
    let Step::Do(Action::Write { write, .. }) = lanes.next(at(now)) else { panic!("no write") };
    let told = |value: &PropertyValue| match value {
        PropertyValue::SignIn(wanted) => wanted.earlier.join(" "),
        PropertyValue::Element(wanted) => wanted.earlier.join(" "),
        value => panic!("{value:?}"),
    };
    write.entries.iter().map(|entry| told(&entry.value)).collect()
}

#[test]
fn a_write_tells_what_its_contact_had_before_merged_and_written_ones_alike() {
    let mut lanes = lanes();
    lanes.push(moved(1, 10, Some("a"), "b"), at(0));
    lanes.push(moved(2, 20, Some("b"), "c"), at(0));
    assert_eq!(earlier(&mut lanes, 0), ["c b a", "c b a"]);
    lanes.finished(user(0), Ok(applied()), at(0), 0.5);
    lanes.push(moved(3, 30, None, "d"), at(1));
    assert_eq!(earlier(&mut lanes, 1), ["d c b a", "d c b a"]);
    lanes.finished(user(0), Ok(applied()), at(1), 0.5);
    // What comes late was there before.
    lanes.push(moved(4, 5, Some("y"), "z"), at(2));
    lanes.push(moved(5, 40, None, "e"), at(2));
    let late = earlier(&mut lanes, 2);
    assert!(late[0].starts_with("e d c b a") && late[0].contains('z'), "{late:?}");
}

#[test]
fn what_another_contact_had_or_a_message_that_moves_nothing_gives_way_to_nobody() {
    let mut lanes = lanes();
    let mut other = moved(1, 10, Some("a"), "b");
    other.contact = ContactId(Uuid::from_u128(77));
    let strange = |value: PropertyValue| match value {
        PropertyValue::SignIn(wanted) => SignIn { contact: Some(other.contact), ..*wanted }.into(),
        PropertyValue::Element(wanted) => ListElement { contact: Some(other.contact), ..*wanted }.into(),
        value => value,
    };
    let entries = other.patch.into_iter().map(|(property, value)| (property, strange(value)));
    other.patch = UserPatch::new(entries).expect("not empty");
    lanes.push(other, at(0));
    let mut bound = moved(2, 15, Some("x"), "y");
    let nowhere = |value: PropertyValue| match value {
        PropertyValue::SignIn(wanted) => SignIn { from: crate::patch::MovesFrom::Nowhere, ..*wanted }.into(),
        value => value,
    };
    let sign_in = property(Property::SIGN_IN);
    let entries = bound.patch.into_iter().map(|(property, value)| (property, nowhere(value)));
    bound.patch = UserPatch::new(entries.filter(|(property, _)| *property == sign_in)).expect("not empty");
    lanes.push(bound, at(0));
    lanes.push(moved(3, 20, None, "c"), at(0));
    assert_eq!(earlier(&mut lanes, 0), ["c", "c"]);
}

#[test]
fn what_a_user_has_already_is_unchanged_and_not_applied() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 10, &[("mail", "a"), ("surname", "b")]), at(0));
    lanes.push(work(2, 0, 20, &[("givenName", "c")]), at(0));
    lanes.push(work(3, 0, 5, &[("mail", "older")]), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })));
    let unchanged = vec![property("mail"), property("surname")];
    let settled = lanes.finished(user(0), Ok(Success { unchanged, ..applied() }), at(0), 0.5);
    let there = Outcome::Unchanged(SkipReason::AlreadyThere);
    assert_eq!(verdicts(&settled), [(3, &Outcome::Stale), (1, &there), (2, &Outcome::Applied)]);
    // One of two properties was written.
    lanes.push(work(4, 1, 10, &[("mail", "a"), ("surname", "b")]), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })));
    let unchanged = vec![property("mail")];
    let settled = lanes.finished(user(1), Ok(Success { unchanged, ..applied() }), at(0), 0.5);
    assert_eq!(verdicts(&settled), [(4, &Outcome::Applied)]);
}

fn conflict() -> Result<Success, Failure> {
    failure(Class::Permanent).map_err(|failure| Failure { grace: Some(GRACE), ..failure })
}

#[test]
fn a_value_that_somebody_else_has_is_tried_for_a_moment_and_nothing_else_waits_for_it() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 10, &[("givenName", "Ada")]), at(0));
    lanes.push(work(1, 0, 10, &[("mail", "taken")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("givenName", "Ada"), ("mail", "taken")], 1);
    assert_eq!(lanes.finished(user(0), conflict(), at(0), 0.5), []);
    expect_write(lanes.next(at(0)), 0, &[("givenName", "Ada")], 1);
    let settled = lanes.finished(user(0), Ok(applied()), at(0), 0.5);
    assert_eq!(verdicts(&settled), [(1, &Outcome::Applied)], "the name at once");

    let mut now = 0;
    let mut tries = 0;
    let letter = loop {
        match lanes.next(at(now)) {
            Step::Do(Action::Write { write, .. }) => {
                tries += 1;
                assert_eq!(write.entries.len(), 1, "only the address");
                let settled = lanes.finished(user(0), conflict(), at(now), 0.5);
                if let [(_, outcome)] = &settled[..] {
                    break outcome.clone();
                }
            }
            _ => now += 1,
        }
        assert!(now < 60, "it is never given up");
    };
    assert!(
        matches!(letter, Outcome::DeadLettered(_)) && tries > 1 && at(now) >= at(0) + GRACE,
        "{tries} {now}"
    );
}
