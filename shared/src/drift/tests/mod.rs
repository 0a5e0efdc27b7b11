//! Laws of the comparison, over random tables, directories and histories.

mod kept;
mod standing;

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    admission::{Person, Terms},
    change::{ColumnValue, Columns},
    hash_key::HashKey,
    identities::ObjectIdentity,
    ids::{ContactId, OrganizationId, SequenceNumber, UserId},
    lww_register::Stamp,
    mapping::Mapping,
    mark::Mark,
    patch::{PatchEntry, PropertyValue, UserWrite},
    plan::{LinkMatch, Planner, SkipReason},
    priority::Priority,
    property::Property,
    reason::DeadLetterReason,
    reconcile::{Body, Current, ReadPolicy, reconcile},
    version::{Realm, RowVersion, Version},
};

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(7));
const NOW: i64 = 1_772_438_400;

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(0x1000 + number))
}

fn contact(number: u128) -> ContactId {
    ContactId(Uuid::from_u128(0x2000 + number))
}

fn version(row: u64, second: i64) -> Version {
    let row = RowVersion { number: row, realm: Realm::of(ORGANIZATION) };
    Version { row: Some(row), at: Timestamp::from_second(NOW + second).expect("small") }
}

fn text(text: Option<&str>) -> ColumnValue {
    text.map_or(ColumnValue::Null, |text| ColumnValue::Text(text.into()))
}

fn row(number: u128, link: Option<&str>, values: [Option<&str>; 3], version: Version) -> TableRow {
    let [first, last, mail] = values.map(text);
    let columns: Columns = [
        (Planner::DEFAULT_LINK_COLUMN, text(link)),
        ("firstname", first),
        ("lastname", last),
        ("emailaddress1", mail),
    ]
    .into_iter()
    .collect();
    TableRow { organization: ORGANIZATION, contact: contact(number), version, columns }
}

fn guarded() -> ReadPolicy {
    ReadPolicy {
        guard: Some(property("extensionAttribute15")),
        diff: false,
        terms: Terms::default(),
        reset_follows: None,
    }
}

fn trusting(mapping: Mapping) -> Planner {
    Planner { link_match: LinkMatch::Anything, ..Planner::new(mapping) }
}

/// A user as Graph shows him: names, other addresses, addresses to sign in with.
fn shown(names: [Option<&str>; 2], others: &[&str], sign_in: &[&str]) -> Current {
    let value =
        |text: Option<&str>| text.map_or(PropertyValue::Clear, |text| PropertyValue::Text(text.into()));
    let [first, last] = names.map(value);
    let others = PropertyValue::List(others.iter().map(|text| (*text).into()).collect());
    let identity = |address: &&str| ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", address);
    Current {
        person: Person { identities: Some(sign_in.iter().map(identity).collect()), ..Person::default() },
        values: vec![
            (property("givenName"), first),
            (property("surname"), last),
            (property("otherMails"), others),
        ],
        ..Current::default()
    }
}

/// Takes a write over into a user.
fn written(current: &mut Current, body: Body) {
    for (property, value) in body.properties {
        if property == *guarded().guard.as_ref().expect("on") {
            current.mark = value.text().map(Into::into);
            continue;
        }
        let slot = current.values.iter_mut().find(|(known, _)| *known == property).expect("all are shown");
        slot.1 = value;
    }
    if let Some(identities) = body.identities {
        current.person.identities = Some(identities);
    }
}

/// What `run` makes of the message that a difference becomes; how many writes that are.
fn apply(planner: &Planner, reading: &ReadPolicy, repair: &TableRow, current: &mut Current) -> usize {
    let Ok(linked) = repair.plan(planner) else { return 0 };
    let mut all = Vec::new();
    for part in linked.patch.parted() {
        let stamp = Stamp { version: repair.version, arrival: SequenceNumber(1) };
        let entries = part.into_iter().map(|(property, value)| PatchEntry { property, value, stamp });
        all.extend(entries);
    }
    let contacts = vec![repair.contact];
    let write = UserWrite {
        user: linked.user,
        entries: all,
        known: Vec::new(),
        urgency: Priority::Replayed,
        contacts,
    };
    let left = reconcile(&write, current, &ReadPolicy { diff: true, ..reading.clone() })
        .expect("nothing is withheld");
    let Some(body) = left.body else { return 0 };
    written(current, body);
    1
}

fn table(reading: &ReadPolicy, planner: &Planner, users: &[(UserId, Current)]) -> UserTable {
    let mut table = UserTable::new(HashKey::new([7; 32]), &planner.mapping, reading);
    for (user, current) in users {
        table.insert(*user, current);
    }
    table.seal();
    table
}

fn name() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![None, Some("Ada"), Some("Bob"), Some("ada")])
}

fn address() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![None, Some("a@b.c"), Some("A@b.c"), Some("x@y.z")])
}

fn addresses() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a@b.c", "A@B.C", "x@y.z", "p@q.r"]), 0..3)
}

/// A mark with any history of the names.
fn mark() -> impl Strategy<Value = Option<Box<str>>> {
    let noted = (
        prop::sample::select(vec!["givenName", "surname", "otherMails", Property::SIGN_IN]),
        1_u64..9,
        -3_i64..3,
    );
    prop::collection::vec((noted, any::<bool>()), 0..4).prop_map(|notes| {
        let mut mark = Mark::default();
        for ((name, row, second), has_row) in notes {
            let version = version(row, second * 600);
            mark.note(&property(name), if has_row { version } else { Version::at(version.at) });
        }
        mark.write(1024).map(Into::into)
    })
}

prop_compose! {
    fn pair()(
        names in (name(), name()), mail in address(), others in addresses(), sign_in in addresses(),
        has in (name(), name()), mark in mark(), number in 1_u64..9, second in -2_i64..2,
    ) -> (TableRow, Current) {
        let link = user(1).to_string();
        let row = row(1, Some(&link), [names.0, names.1, mail], version(number, second * 600));
        let current = Current { mark, ..shown([has.0, has.1], &others, &sign_in) };
        (row, current)
    }
}

/// The properties that plan and reconcile would write, whatever a mark says; and whether anything is withheld.
fn due(planner: &Planner, row: &TableRow, current: &Current) -> (Vec<Property>, bool) {
    let Ok(linked) = row.plan(planner) else { return (Vec::new(), false) };
    let reading = ReadPolicy { diff: true, ..ReadPolicy::default() };
    let (mut due, mut withheld) = (Vec::new(), false);
    for part in linked.patch.parted() {
        let stamp = Stamp { version: row.version, arrival: SequenceNumber(0) };
        let entries =
            part.into_iter().map(|(property, value)| PatchEntry { property, value, stamp }).collect();
        let contacts = vec![row.contact];
        let write =
            UserWrite { user: linked.user, entries, known: Vec::new(), urgency: Priority::Live, contacts };
        match reconcile(&write, current, &reading) {
            Ok(left) => {
                let body = left.body.unwrap_or_default();
                due.extend(body.identities.map(|_| property(Property::SIGN_IN)));
                due.extend(body.properties.into_iter().map(|(property, _)| property));
            }
            Err(_) => withheld = true,
        }
    }
    due.sort();
    (due, withheld)
}

proptest! {
    /// The hashes alone decide exactly as a look does; where they do not know, they say that it has to be looked.
    #[test]
    fn a_user_is_looked_at_exactly_if_something_is_left_to_write((row, current) in pair(), trusts in any::<bool>()) {
        let mapping = Mapping::preset_b2c();
        let planner = if trusts { trusting(mapping) } else { Planner::new(mapping) };
        let Ok(linked) = row.plan(&planner) else { return Ok(()) };
        let table = table(&guarded(), &planner, &[(user(1), current.clone())]);
        let (due, withheld) = due(&planner, &row, &current);
        let has = table.has(table.find(user(1)).expect("he is in"), &linked.patch, row.contact);
        prop_assert_eq!(has, due.is_empty() && !withheld);
    }

    /// What is found is what would be written, each with a cause, and nothing else.
    #[test]
    fn the_differences_are_those_that_plan_and_reconcile_would_write((row, current) in pair()) {
        let planner = trusting(Mapping::preset_b2c());
        let Ok(linked) = row.plan(&planner) else { return Ok(()) };
        let (due, withheld) = due(&planner, &row, &current);
        let found = RowComparison::new(&guarded()).judge(&row, &linked, &current);
        let found = found.map(|difference| difference.found).unwrap_or_default();
        let is_withheld = |found: &FoundProperty| matches!(found.cause, DriftCause::Withheld(_));
        let names: Vec<_> = found.iter().filter(|(_, found)| !is_withheld(found)).map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(names, due);
        prop_assert_eq!(found.values().any(is_withheld), withheld);
    }

    /// One write, and nothing is left but what is not to be written; however the mark and the row stand to each other.
    #[test]
    fn after_the_repair_nothing_is_left_and_it_is_one_write((row, mut current) in pair()) {
        let planner = trusting(Mapping::preset_b2c());
        let comparison = RowComparison::new(&guarded());
        let Ok(linked) = row.plan(&planner) else { return Ok(()) };
        let Some(difference) = comparison.judge(&row, &linked, &current) else { return Ok(()) };
        let repair = difference.change(&row, &planner);
        let writes = repair.map_or(0, |repair| apply(&planner, &guarded(), &repair, &mut current));
        prop_assert!(writes <= usize::from(difference.is_written()));
        let is_kept = |property: &Property| difference.found.get(property).is_some_and(|found| !found.written);
        let left = comparison.judge(&row, &linked, &current).map(|difference| difference.found).unwrap_or_default();
        for property in left.keys() {
            prop_assert!(is_kept(property), "{property} is left: {left:?} of {:?}", difference.found);
        }
    }

    /// A newer message that comes before the repair keeps it out, and one that comes after it is not kept out.
    #[test]
    fn a_repair_never_overwrites_a_newer_message((row, current) in pair(), gap in 1_i64..500, first in any::<bool>()) {
        let planner = trusting(Mapping::preset_default());
        let comparison = RowComparison::new(&guarded());
        let Ok(linked) = row.plan(&planner) else { return Ok(()) };
        let mut current = Current { values: current.values.into_iter().chain([(property("mail"), PropertyValue::Clear)]).collect(), ..current };
        let Some(difference) = comparison.judge(&row, &linked, &current) else { return Ok(()) };
        prop_assume!(difference.is_written());
        let Some(repair) = difference.change(&row, &planner) else { return Ok(()) };
        let later = Version {
            row: row.version.row.map(|row| RowVersion { number: row.number + 1, ..row }),
            // A change after the row was read has a later time than all that was applied before.
            at: repair.version.at.checked_add(jiff::SignedDuration::from_millis(gap)).expect("small"),
        };
        let before = Mark::read(current.mark.as_deref().unwrap_or_default());
        let link = user(1).to_string();
        let newer = TableRow { version: later, ..self::row(1, Some(&link), [Some("New"), Some("Newer"), None], later) };
        let (one, other) = if first { (&newer, &repair) } else { (&repair, &newer) };
        apply(&planner, &guarded(), one, &mut current);
        apply(&planner, &guarded(), other, &mut current);
        for (name, value) in [("givenName", "New"), ("surname", "Newer")] {
            let property = property(name);
            // What was there before says so, rightly or not: no repair changes that.
            let ahead = before.is_newer(&property, &later);
            if !ahead {
                prop_assert_eq!(current.shown(&property), Some(&PropertyValue::Text(value.into())), "{}", name);
            }
        }
    }

    /// All contacts against all users: nobody is missed, and nobody is named twice.
    #[test]
    fn every_linked_contact_is_equal_a_candidate_or_doubled(
        rows in prop::collection::vec((0_u128..6, 0_u128..8, name()), 0..12),
        users in prop::collection::vec((0_u128..6, name()), 0..8),
    ) {
        let planner = trusting(Mapping::preset_default());
        let mut directory: BTreeMap<UserId, Current> = BTreeMap::new();
        let mut table = UserTable::new(HashKey::new([9; 32]), &planner.mapping, &guarded());
        for (number, first) in &users {
            let mut current = shown([*first, None], &[], &[]);
            current.values.push((property("mail"), PropertyValue::Clear));
            table.insert(user(*number), &current);
            directory.insert(user(*number), current);
        }
        let mut pairing = Pairing::with(table);
        let mut newest: BTreeMap<ContactId, (UserId, TableRow)> = BTreeMap::new();
        for (number, linked, first) in &rows {
            // One contact keeps its link, however often its page is read.
            let linked = newest.get(&contact(*number)).map_or(user(*linked), |(user, _)| *user);
            let row = row(*number, Some(&linked.to_string()), [*first, None, None], version(1, 0));
            pairing.take(&row, &planner).expect("nobody has to be asked");
            newest.insert(row.contact, (linked, row));
        }
        let paired = pairing.end();
        let named = |user: UserId| newest.values().filter(|(linked, _)| *linked == user).count();
        for (contact, (user, row)) in &newest {
            let candidate = Candidate { contact: *contact, user: *user };
            let known = directory.get(user);
            if named(*user) > 1 {
                prop_assert!(paired.doubled.contains(&candidate) && !paired.candidates.contains(&candidate));
                continue;
            }
            let differs = known.is_none_or(|current| !due(&planner, row, current).0.is_empty());
            if differs {
                prop_assert!(paired.candidates.contains(&candidate), "{contact} is missed");
            }
        }
        let mut once = paired.candidates.clone();
        once.dedup();
        prop_assert_eq!(&once, &paired.candidates);
        prop_assert_eq!(paired.totals.of(DriftCause::Doubled), paired.doubled.len() as u64);
        prop_assert_eq!(paired.totals.contacts, rows.len() as u64);
    }
}

#[test]
fn a_sign_in_address_is_held_back_where_a_new_link_may_not_move_it_and_the_names_are_written() {
    let planner = Planner::new(Mapping::preset_b2c());
    let link = user(1).to_string();
    let row = row(1, Some(&link), [Some("Ada"), None, Some("new@b.c")], version(5, 0));
    let mut current = shown([None, None], &["old@b.c"], &["old@b.c"]);
    let linked = row.plan(&planner).expect("linked");
    let comparison = RowComparison::new(&guarded());
    let difference = comparison.judge(&row, &linked, &current).expect("it differs");
    let told: Vec<_> =
        difference.found.iter().map(|(property, found)| (property.name(), found.cause)).collect();
    let withheld = DriftCause::Withheld(DeadLetterReason::LinkAndAddressTogether);
    assert_eq!(
        told,
        [("givenName", DriftCause::NeverApplied), ("otherMails", withheld), (Property::SIGN_IN, withheld)]
    );
    let repair = difference.change(&row, &planner).expect("the name is written");
    assert_eq!(repair.columns.get("emailaddress1"), None, "nobody can take it for a change of the address");
    assert_eq!(apply(&planner, &guarded(), &repair, &mut current), 1);
    let left = comparison.judge(&row, &linked, &current).expect("the address");
    assert!(!left.is_written() && left.change(&row, &planner).is_none());
}

#[test]
fn contacts_without_a_user_and_rows_that_cannot_be_planned_are_counted_by_reason() {
    let planner = Planner::new(Mapping::preset_default());
    let mut pairing = Pairing::with(table(&guarded(), &planner, &[]));
    let long = "x".repeat(65);
    for (number, link, first) in
        [(1, None, "Ada"), (2, Some("ada@b.c".to_owned()), "Ada"), (3, Some(user(3).to_string()), &*long)]
    {
        let row = row(number, link.as_deref(), [Some(first), None, None], version(1, 0));
        pairing.take(&row, &planner).expect("nobody is asked");
    }
    let totals = pairing.end().totals;
    assert_eq!(totals.passed, [(SkipReason::NotAPortalUser, 1)].into());
    let unfit = [DeadLetterReason::UserLinkInvalid, DeadLetterReason::ValueInvalid];
    assert_eq!(totals.causes, unfit.map(|reason| (DriftCause::Unfit(reason), 1)).into());
}

#[test]
fn a_row_that_is_read_again_counts_once_and_as_it_is_later() {
    let planner = Planner::new(Mapping::preset_default());
    let of = |number: u128, first: &str, at: i64| {
        let link = user(number).to_string();
        row(number, Some(&link), [Some(first), None, None], version(1, at))
    };
    let person = |first: &'static str| {
        let mut current = shown([Some(first), None], &[], &[]);
        current.values.push((property("mail"), PropertyValue::Clear));
        current
    };
    let users = [(user(1), person("Ada")), (user(2), person("Ada")), (user(3), person("Ada"))];
    let mut pairing = Pairing::with(table(&guarded(), &planner, &users));
    for row in [of(1, "Ada", 0), of(2, "Bob", 0)] {
        pairing.take(&row, &planner).expect("nobody is asked");
    }
    // 1 has changed since, 2 has not, and 3 is new.
    for row in [of(1, "Bob", 5), of(2, "Bob", 0), of(3, "Ada", 5), of(1, "Bob", 5)] {
        pairing.take_again(&row, &planner).expect("nobody is asked");
    }
    let Paired { candidates, totals, .. } = pairing.end();
    assert_eq!(candidates.iter().map(|one| one.contact).collect::<Vec<_>>(), [contact(1), contact(2)]);
    assert_eq!((totals.contacts, totals.linked, totals.equal), (3, 3, 1));
}
