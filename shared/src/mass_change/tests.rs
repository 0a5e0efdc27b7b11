//! Laws of counting and holding.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::patch::{ListElement, PropertyValue};

const WINDOW: Duration = Duration::from_secs(40);

fn policy(users: u32) -> MassChangePolicy {
    MassChangePolicy { users: NonZeroU32::new(users), window: WINDOW, ..MassChangePolicy::default() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

fn user(n: u32) -> UserId {
    UserId(Uuid::from_u128(u128::from(n) + 1))
}

fn author(n: u8) -> Author {
    Author::User(Uuid::from_u128(u128::from(n) + 1_000))
}

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn patch(entries: &[(&str, PropertyValue)]) -> UserPatch {
    let entries = entries.iter().map(|(name, value)| (property(name), value.clone()));
    UserPatch::new(entries).expect("some entries")
}

fn text() -> PropertyValue {
    PropertyValue::Text("x".into())
}

fn stream(author: Author, name: &str, kind: ChangeKind) -> Stream {
    Stream { author, property: property(name), kind }
}

/// The streams for which a message is held aside, if it is.
fn aside(screened: Screened) -> Option<Box<[Stream]>> {
    match screened {
        Screened::HeldAside(streams) => Some(streams),
        Screened::Through(_) => None,
    }
}

/// A message of one change of `mail`.
fn one(change: &mut MassChange, by: Author, of: u32, second: i64) -> bool {
    aside(change.judge(&Provenance::of(by), [(user(of), &patch(&[("mail", text())]))], at(second))).is_none()
}

#[derive(Clone, Debug)]
struct Told {
    author: u8,
    users: Vec<u32>,
    blank: bool,
    second: i64,
}

fn messages() -> impl Strategy<Value = Vec<Told>> {
    let told = (0_u8..2, vec(0_u32..30, 1..4), any::<bool>(), 0_i64..200);
    let told = told.prop_map(|(author, users, blank, second)| Told { author, users, blank, second });
    vec(told, 1..150)
}

/// The most users of one stream that were let through within any window, counted the plain way.
fn fullest(passed: &[(Stream, UserId, i64)]) -> usize {
    let of_window = |stream: &Stream, from: i64| {
        let within = |(other, _, second): &&(Stream, UserId, i64)| {
            other == stream && (from..=from + 40).contains(second)
        };
        passed.iter().filter(within).map(|(_, user, _)| *user).collect::<BTreeSet<_>>().len()
    };
    passed.iter().map(|(stream, _, second)| of_window(stream, *second)).max().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_has_more_users_of_one_stream_than_allowed(all in messages(), most in 1_u32..12) {
        let mut change = MassChange::new(policy(most));
        let mut passed = Vec::new();
        for Told { author: by, users, blank, second } in all {
            let value = if blank { PropertyValue::Clear } else { text() };
            let patch = patch(&[("mail", value), ("givenName", text())]);
            let writes = users.iter().map(|of| (user(*of), &patch));
            if aside(change.judge(&Provenance::of(author(by)), writes, at(second))).is_none() {
                let kind = if blank { ChangeKind::Blanked } else { ChangeKind::Rewritten };
                for of in users {
                    passed.push((stream(author(by), "mail", kind), user(of), second));
                    passed.push((stream(author(by), "givenName", ChangeKind::Rewritten), user(of), second));
                }
            }
        }
        prop_assert!(fullest(&passed) <= most as usize);
    }

    #[test]
    fn nothing_is_held_of_those_who_stay_below(all in messages()) {
        let mut passed = Vec::new();
        for Told { author: by, users, second, .. } in &all {
            let of = |of: &u32| (stream(author(*by), "mail", ChangeKind::Rewritten), user(*of), *second);
            passed.extend(users.iter().map(of));
        }
        // A window is counted by whole steps, so what is within a quarter more may count.
        let wider = |stream: &Stream, from: i64| {
            let within = |(other, _, second): &&(Stream, UserId, i64)| {
                other == stream && (from..=from + 50).contains(second)
            };
            passed.iter().filter(within).map(|(_, user, _)| *user).collect::<BTreeSet<_>>().len()
        };
        let most = passed.iter().map(|(stream, _, second)| wider(stream, *second)).max().unwrap_or(1);
        let mut change = MassChange::new(policy(u32::try_from(most).expect("few")));
        for Told { author: by, users, second, .. } in &all {
            let patch = patch(&[("mail", text())]);
            let writes = users.iter().map(|of| (user(*of), &patch));
            prop_assert_eq!(aside(change.judge(&Provenance::of(author(*by)), writes, at(*second))), None);
        }
        prop_assert!(change.peak() <= most);
        prop_assert_eq!(change.held().count(), 0);
    }

    #[test]
    fn the_counts_are_those_of_the_plain_way(added in vec((0_u32..20, 0_i64..300), 1..120)) {
        let mut windows = Windows::new(WINDOW);
        let key = stream(author(0), "mail", ChangeKind::Blanked);
        let mut plain: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
        for (of, second) in added {
            let step = at(second).as_millisecond().div_euclid(10_000);
            let with = windows.with(&key, &[user(of)], at(second));
            let was_there = plain.entry(step).or_default().contains(&of);
            plain.entry(step).or_default().insert(of);
            let window = |start: i64| plain.range(start..=start + 4).flat_map(|(_, users)| users).collect::<BTreeSet<_>>();
            let fullest = (step - 4..=step).map(|start| window(start).len()).max().unwrap_or_default();
            prop_assert_eq!(with, if was_there { 0 } else { fullest });
            windows.count(key.clone(), &[user(of)], at(second));
        }
        prop_assert_eq!(windows.users(), plain.values().map(BTreeSet::len).sum::<usize>());
    }

    #[test]
    fn writers_that_die_let_no_more_through_than_those_who_began_before_anything_was_held(
        rows in 1_u32..60, most in 1_u32..12, lives in vec((1_usize..30, 0_usize..4), 0..8),
    ) {
        let held = HeldStream { stream: stream(author(0), "mail", ChangeKind::Rewritten), since: at(0), last: at(0) };
        let mut waiting: BTreeSet<u32> = (0..rows).collect();
        let (mut written, mut copies, mut blind) = (BTreeSet::new(), BTreeSet::new(), 0);
        // Each writer takes some messages before it dies, with its last settlements; the last one takes all that there are.
        for (takes, lost) in lives.into_iter().chain([(usize::MAX, 0)]) {
            let mut change = MassChange::new(policy(most));
            change.seen((!copies.is_empty()).then(|| held.clone()));
            blind += usize::from(copies.is_empty());
            let taken: Vec<u32> = waiting.iter().copied().take(takes).collect();
            for (index, of) in taken.iter().enumerate() {
                let passes = one(&mut change, author(0), *of, 0);
                let settled = index + lost < taken.len();
                if passes {
                    // A write takes effect although nobody hears of it.
                    written.insert(*of);
                } else if settled {
                    copies.insert(*of);
                }
                if settled {
                    waiting.remove(of);
                }
            }
        }
        prop_assert!(written.len() <= most as usize * blind, "{} by {} blind writers", written.len(), blind);
        prop_assert_eq!(written.union(&copies).count(), rows as usize);
    }

    #[test]
    fn memory_is_bounded(added in vec((0_u8..6, 0_u32..100, 0_i64..100_000), 1..300)) {
        let mut windows = Windows::bounded(WINDOW, 20);
        for (by, of, second) in added {
            windows.count(stream(author(by), "mail", ChangeKind::Blanked), &[user(of)], at(second));
            prop_assert!(windows.users() <= 20);
        }
    }
}

#[test]
fn the_first_so_many_pass_and_the_rest_waits_while_others_flow() {
    let mut change = MassChange::new(policy(3));
    let passed: Vec<_> = (0..10).map(|of| one(&mut change, author(0), of, 1)).collect();
    assert_eq!(passed, [[true; 3].as_slice(), &[false; 7]].concat());
    assert!(!one(&mut change, author(0), 0, 2), "what was let through once is no longer trusted either");
    assert!(one(&mut change, author(1), 0, 2), "another person");
    let name = patch(&[("givenName", text())]);
    assert_eq!(
        aside(change.judge(&Provenance::of(author(0)), [(user(9), &name)], at(2))),
        None,
        "another property"
    );
    let blank = patch(&[("mail", PropertyValue::Clear)]);
    assert_eq!(
        aside(change.judge(&Provenance::of(author(0)), [(user(9), &blank)], at(2))),
        None,
        "another kind"
    );
    let both = patch(&[("givenName", text()), ("mail", text())]);
    let held = aside(change.judge(&Provenance::of(author(0)), [(user(9), &both)], at(2)));
    assert_eq!(held.as_deref(), Some(&[stream(author(0), "mail", ChangeKind::Rewritten)][..]));
    let held: Vec<_> = change.held().map(|held| (held.since, held.last)).collect();
    assert_eq!(held, [(at(1), at(2))]);
}

#[test]
fn one_message_about_many_is_held_as_a_whole() {
    let mut change = MassChange::new(policy(3));
    let patch = patch(&[("mail", text())]);
    let writes = |count: u32| (0..count).map(|of| (user(of), &patch)).collect::<Vec<_>>();
    assert!(aside(change.judge(&Provenance::of(author(0)), writes(4), at(0))).is_some());
    assert_eq!(aside(change.judge(&Provenance::of(author(1)), writes(3), at(0))), None);
}

#[test]
fn a_stream_is_held_until_nothing_waits_and_nothing_comes() {
    let mut change = MassChange::new(policy(1));
    assert!(one(&mut change, author(0), 0, 0) && !one(&mut change, author(0), 1, 1));
    assert!(!one(&mut change, author(0), 2, 500), "copies of it wait");
    let mark = change.mark();
    change.found([], mark);
    assert!(!one(&mut change, author(0), 2, 530), "something of it came a moment ago");
    change.found([], mark);
    assert!(!one(&mut change, author(0), 3, 600), "held since that look began");
    change.found([], change.mark());
    assert!(one(&mut change, author(0), 3, 700));
    assert_eq!(change.held().count(), 0);
}

#[test]
fn a_successor_holds_at_once_what_the_queue_shows_to_be_held() {
    let mut change = MassChange::new(policy(5));
    let held = stream(author(0), "mail", ChangeKind::Rewritten);
    change.found([HeldStream { stream: held.clone(), since: at(10), last: at(20) }], change.mark());
    assert!(!one(&mut change, author(0), 0, 30) && !one(&mut change, author(0), 0, 9_000));
    assert!(one(&mut change, author(0), 0, -40), "made long before");
}

#[test]
fn what_is_seen_of_a_part_of_the_queue_takes_nothing_back_from_another_part() {
    let mut change = MassChange::new(policy(5));
    let held = |name: &str, second| HeldStream {
        stream: stream(author(0), name, ChangeKind::Rewritten),
        since: at(second),
        last: at(second),
    };
    let mark = change.mark();
    change.seen([held("mail", 10)]);
    change.seen([held("surname", 20)]);
    assert!(!one(&mut change, author(0), 0, 9_000), "its copies wait still, as far as is known");
    change.found([held("surname", 20)], mark);
    assert!(!one(&mut change, author(0), 0, 9_010), "held since that look began");
    change.found([held("surname", 20)], change.mark());
    assert!(one(&mut change, author(0), 0, 19_000));
}

#[test]
fn what_is_approved_passes_and_all_that_comes_within_the_window_after_it() {
    let mut change = MassChange::new(policy(1));
    assert!(one(&mut change, author(0), 0, 0) && !one(&mut change, author(0), 1, 1));
    let streams: Box<[Stream]> = [stream(author(0), "mail", ChangeKind::Rewritten)].into();
    let approved = |streams: Box<[Stream]>, second| Provenance {
        author: author(0),
        standing: PriorDecision::Approved { at: at(second), streams },
    };
    let mail = patch(&[("mail", text())]);
    assert_eq!(
        aside(change.judge(&approved(Box::default(), 5), [(user(1), &mail)], at(1))),
        None,
        "one message"
    );
    assert!(!one(&mut change, author(0), 2, 6));
    assert_eq!(aside(change.judge(&approved(streams.clone(), 5), [(user(1), &mail)], at(1))), None);
    assert!((2..9).all(|of| one(&mut change, author(0), of, 45)));
    assert!(one(&mut change, author(0), 2, 55) && !one(&mut change, author(0), 3, 56), "it counts again");
    // Copies that an approval has not come to yet do not close what it has opened.
    aside(change.judge(&approved(streams.clone(), 100), [(user(1), &mail)], at(1)));
    change.found([HeldStream { stream: streams[0].clone(), since: at(1), last: at(2) }], change.mark());
    assert!(one(&mut change, author(0), 7, 101));
}

#[test]
fn what_was_held_is_held_again_whatever_the_settings_say() {
    let mut change = MassChange::new(MassChangePolicy::default());
    let streams: Box<[Stream]> = [stream(author(0), "mail", ChangeKind::Rewritten)].into();
    let provenance = Provenance { author: author(0), standing: PriorDecision::HeldAside(streams.clone()) };
    assert_eq!(aside(change.judge(&provenance, [], at(0))), Some(streams));
    assert!(one(&mut change, author(0), 1, 0), "nothing else is held while the guard is off");
}

#[test]
fn neither_the_exempt_nor_constants_are_counted() {
    let Author::User(exempt) = author(0) else { panic!("a user") };
    let constants = vec![property("department")];
    let mut change = MassChange::new(MassChangePolicy { exempt: vec![exempt], constants, ..policy(1) });
    assert!((0..9).all(|of| one(&mut change, author(0), of, 0)));
    let constant = patch(&[("department", text())]);
    let by_other = Provenance::of(author(1));
    assert!((0..9).all(|of| aside(change.judge(&by_other, [(user(of), &constant)], at(0))).is_none()));
    assert_eq!(change.peak(), 0);
}

#[test]
fn the_peak_is_counted_while_nothing_is_held() {
    let mut change = MassChange::new(MassChangePolicy { window: WINDOW, ..MassChangePolicy::default() });
    assert!((0..50).all(|of| one(&mut change, author(0), of, i64::from(of % 10))));
    assert!((0..9).all(|of| one(&mut change, author(0), of, 5_000)));
    assert_eq!(change.peak(), 50);
}

#[test]
fn an_element_that_goes_is_blanked() {
    let gone = PropertyValue::from(ListElement { text: None, ..ListElement::default() });
    for (value, kind) in [
        (PropertyValue::Clear, ChangeKind::Blanked),
        (PropertyValue::List(Box::default()), ChangeKind::Blanked),
        (gone, ChangeKind::Blanked),
        (PropertyValue::from(ListElement::of("1")), ChangeKind::Rewritten),
        (PropertyValue::Bool(false), ChangeKind::Rewritten),
        (text(), ChangeKind::Rewritten),
    ] {
        assert_eq!(ChangeKind::of(&value), kind, "{value:?}");
    }
}

#[test]
fn an_author_is_read_as_it_is_written() {
    let id = Uuid::from_u128(7);
    for author in [Author::User(id), Author::Run(id), Author::Unknown] {
        assert_eq!(Author::parse(&author.to_string()), Some(author));
    }
    for text in ["", "user:", "run:7", "person:00000000-0000-0000-0000-000000000007"] {
        assert_eq!(Author::parse(text), None, "{text}");
    }
}

#[test]
fn what_one_author_changes_of_many_comes_after_what_others_change_whether_or_not_too_many_are_held() {
    let mail = patch(&[("mail", text())]);
    for policy in [MassChangePolicy::default(), policy(30)] {
        let mut change = MassChange::new(policy);
        let mut judge =
            |by: Author, of: u32| change.judge(&Provenance::of(by), [(user(of), &mail)], at(i64::from(of)));
        let bulk = u32::try_from(BULK).expect("small");
        assert!((0..bulk).all(|of| judge(author(0), of) == Screened::Through(Priority::Live)));
        assert_eq!(judge(author(0), bulk), Screened::Through(Priority::Bulk));
        assert_eq!(judge(author(0), 0), Screened::Through(Priority::Bulk), "a redelivery, too");
        assert_eq!(judge(author(1), 0), Screened::Through(Priority::Live));
        let unnamed = |of| judge(Author::Unknown, of) == Screened::Through(Priority::Live);
        assert!((0..=bulk).all(unnamed), "whoever is not named may be everybody");
    }
}

#[test]
fn nobody_saves_more_than_a_few_contacts_within_a_second() {
    let mail = patch(&[("mail", text())]);
    let mut change = MassChange::new(MassChangePolicy::default());
    let mut judge = |by: Author, of: u32, millis: i64| {
        let enqueued = Timestamp::from_millisecond(millis).expect("a time");
        change.judge(&Provenance::of(by), [(user(of), &mail)], enqueued)
    };
    let (live, bulk) = (Screened::Through(Priority::Live), Screened::Through(Priority::Bulk));
    assert!((0..3).all(|of| judge(author(0), of, 0) == live));
    assert_eq!(judge(author(0), 3, 900), bulk);
    assert_eq!(judge(author(1), 3, 900), live, "somebody else");
    assert_eq!(judge(author(0), 4, 2_500), live, "it is over");
    assert!((0..9).all(|_| judge(author(2), 5, 3_000) == live), "one contact, saved again and again");
    assert!(
        (0..9).all(|of| judge(Author::Unknown, of, 3_000) == live),
        "whoever is not named may be everybody"
    );
}

#[test]
fn what_was_let_through_is_many_all_the_same() {
    let (mut change, mail) = (MassChange::new(policy(1)), patch(&[("mail", text())]));
    let streams: Box<[_]> = Box::new([stream(author(0), "mail", ChangeKind::Rewritten)]);
    let approved = Provenance { author: author(0), standing: PriorDecision::Approved { at: at(5), streams } };
    assert_eq!(change.judge(&approved, [(user(1), &mail)], at(1)), Screened::Through(Priority::Bulk));
    let further = change.judge(&Provenance::of(author(0)), [(user(2), &mail)], at(6));
    assert_eq!(further, Screened::Through(Priority::Bulk));
}

#[test]
fn no_time_is_too_early_or_too_late() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        let mut change = MassChange::new(policy(1));
        let mail = patch(&[("mail", text())]);
        let mut judge =
            |of| aside(change.judge(&Provenance::of(author(0)), [(user(of), &mail)], time)).is_none();
        assert!(judge(0) && !judge(1) && !judge(2));
    }
}
