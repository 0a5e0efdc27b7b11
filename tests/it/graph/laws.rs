//! Laws: planning twice is planning once, and whatever order, repetition, replica and restart deliver the
//! changes of a user in, the user ends as the newest of them say.

use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;
use shared::{
    admission::Person,
    change::{Change, ChangeOrigin, ColumnValue, Columns, Operation},
    gate::{self, Gate},
    identities::ObjectIdentity,
    ids::{ContactId, SequenceNumber, UserId},
    lanes::{Action, LaneLimits, Lanes, Success, Work},
    lww_register::Stamp,
    mapping::Mapping,
    monotonic_time::MonotonicTime,
    patch::{ListElement, PropertyValue, SignIn, UserPatch, UserWrite},
    plan::{Plan, Planner, SkipReason},
    priority::Priority,
    property::Property,
    rate_limiter::RateLimiter,
    reconcile::{Current, ReadPolicy, Reconciled, reconcile},
    step::Step,
    version::{Realm, RowVersion, Version},
};
use uuid::Uuid;

const LIST: &str = "otherMails";
const PROPERTIES: [&str; 5] = ["givenName", "mail", "surname", Property::SIGN_IN, LIST];
/// What stands in the list and is nobody's of ours.
const OTHERS: [&str; 2] = ["x@elsewhere.example", "y@elsewhere.example"];
const CONTACT: ContactId = ContactId(Uuid::from_u128(1));
const USER: UserId = UserId(Uuid::from_u128(1));

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn reading() -> ReadPolicy {
    ReadPolicy { guard: Some(property("extensionAttribute15")), ..ReadPolicy::default() }
}

/// One change of the user: which properties get which of a few values. Its place in the history is its version.
type Patch = BTreeMap<usize, u8>;

fn value(name: &str, value: u8) -> PropertyValue {
    match (name, value) {
        (Property::SIGN_IN, value) => PropertyValue::from(SignIn::to(&format!("v{value}@example.com"))),
        (LIST, value) => {
            let text = format!("v{value}@example.com");
            ListElement { contact: Some(CONTACT), ..ListElement::of(&text) }.into()
        }
        ("mail", value) => PropertyValue::Text(format!("v{value}@example.com").into()),
        (_, 0) => PropertyValue::Clear,
        (_, value) => PropertyValue::Text(format!("v{value}").into()),
    }
}

fn patch(patch: &Patch) -> UserPatch {
    let entries = patch
        .iter()
        .map(|(index, chosen)| (property(PROPERTIES[*index]), value(PROPERTIES[*index], *chosen)));
    UserPatch::new(entries).expect("not empty")
}

/// A user as Graph keeps him, written to by replicas that share nothing else.
struct Directory {
    values: BTreeMap<Property, PropertyValue>,
    identities: Vec<ObjectIdentity>,
}

impl Default for Directory {
    fn default() -> Self {
        let identity =
            |sign_in_type: &str, id: &str| ObjectIdentity::new(sign_in_type, "contoso.onmicrosoft.com", id);
        let local = identity("emailAddress", "start@example.com");
        let principal = identity("userPrincipalName", "1@contoso.onmicrosoft.com");
        let list = PropertyValue::List(OTHERS.map(Into::into).into());
        Self { values: BTreeMap::from([(property(LIST), list)]), identities: vec![local, principal] }
    }
}

impl Directory {
    fn apply(&mut self, write: &UserWrite) -> Success {
        let mark = match self.values.get(&property("extensionAttribute15")) {
            Some(PropertyValue::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let person = Person { identities: Some(self.identities.clone()), ..Person::default() };
        let values = vec![(property(LIST), self.values[&property(LIST)].clone())];
        let current = Current { person, mark, values, ..Current::default() };
        let Reconciled { body, superseded, unchanged, went_back, .. } =
            reconcile(write, &current, &reading()).expect("one address is never ambiguous");
        let written = body.is_some();
        if let Some(body) = body {
            self.values.extend(body.properties);
            self.identities = body.identities.unwrap_or_else(|| self.identities.clone());
        }
        Success { written, superseded, unchanged, went_back, ..Success::default() }
    }

    /// The list without what is not ours in it, and that apart.
    fn list(&self) -> (Vec<&str>, Vec<&str>) {
        match &self.values[&property(LIST)] {
            PropertyValue::List(list) => {
                list.iter().map(|text| &**text).partition(|text| !OTHERS.contains(text))
            }
            value => panic!("{value:?}"),
        }
    }

    fn shows(&self, name: &str) -> Option<PropertyValue> {
        if name == Property::SIGN_IN {
            let address = self.identities[0].issuer_assigned_id.clone();
            return (&*address != "start@example.com").then(|| PropertyValue::from(SignIn::to(&address)));
        }
        self.values.get(&property(name)).cloned()
    }
}

/// A replica: its scheduler, with a memory that a restart wipes out.
struct Replica {
    lanes: Lanes<usize>,
    pushed: usize,
    settled: usize,
}

impl Default for Replica {
    fn default() -> Self {
        let remembered_users = NonZeroUsize::MIN;
        let limits = LaneLimits { concurrency: 1, remembered_users, ..LaneLimits::default() };
        let gate = Gate::new(gate::GateLimits::default(), RateLimiter::unlimited());
        Self { lanes: Lanes::new(limits, gate), pushed: 0, settled: 0 }
    }
}

impl Replica {
    fn push(&mut self, number: usize, stamp: Stamp, change: &Patch) {
        self.pushed += 1;
        let deadline = MonotonicTime::after_start(Duration::from_hours(1));
        self.lanes.push(
            Work {
                user: USER,
                contact: CONTACT,
                stamp,
                patch: patch(change),
                urgency: Priority::Live,
                deadline,
                refused_before: false,
                ticket: number,
            },
            MonotonicTime::START,
        );
    }

    /// Writes everything that waits, merged as it may be.
    fn work(&mut self, directory: &mut Directory) {
        loop {
            let settled = match self.lanes.next(MonotonicTime::START) {
                Step::Do(Action::Write { write, .. }) => {
                    let outcome = directory.apply(&write);
                    self.lanes.finished(write.user, Ok(outcome), MonotonicTime::START, 0.5)
                }
                Step::Do(Action::Settle(settled)) => settled,
                Step::Wait(_) | Step::Do(Action::Verify(_)) => return,
            };
            self.settled += settled.len();
        }
    }
}

/// What happens between deliveries.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A change of the history, by a number taken modulo its length, reaches one of the replicas.
    Deliver(usize, usize),
    /// A replica writes what it holds.
    Work(usize),
    /// A replica finishes and is started afresh.
    Restart(usize),
}

const REPLICAS: usize = 3;

fn step() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (any::<usize>(), 0..REPLICAS).prop_map(|(change, replica)| Event::Deliver(change, replica)),
        2 => (0..REPLICAS).prop_map(Event::Work),
        1 => (0..REPLICAS).prop_map(Event::Restart),
    ]
}

fn history() -> impl Strategy<Value = Vec<Patch>> {
    let patch = prop::collection::btree_map(0..PROPERTIES.len(), 0_u8..3, 1..3);
    prop::collection::vec(patch, 1..8)
}

/// The place in the history as a version, by row or by time: an installation has one kind or the other.
fn stamp(place: usize, by_row: bool, arrival: usize) -> Stamp {
    let at = Timestamp::from_second(1_800_000_000 + i64::try_from(place).expect("small")).expect("in range");
    let row = by_row.then(|| RowVersion { number: 1_000 + place as u64, realm: Realm::UNKNOWN });
    Stamp { version: Version { row, at }, arrival: SequenceNumber(i64::try_from(arrival).expect("small")) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn with_marks_every_order_repetition_and_restart_ends_with_the_newest_values(
        history in history(),
        steps in prop::collection::vec(step(), 0..40),
        by_row in any::<bool>(),
    ) {
        let mut directory = Directory::default();
        let mut replicas: Vec<Replica> = (0..REPLICAS).map(|_| Replica::default()).collect();
        // Whatever was not delivered by chance is delivered at the end: at least once is the queue's promise.
        let rest = (0..history.len()).map(|change| Event::Deliver(change, change % REPLICAS));
        for (arrival, step) in steps.into_iter().chain(rest).enumerate() {
            match step {
                Event::Deliver(number, replica) => {
                    let place = number % history.len();
                    replicas[replica].push(arrival, stamp(place, by_row, arrival), &history[place]);
                }
                Event::Work(replica) => replicas[replica].work(&mut directory),
                Event::Restart(replica) => {
                    replicas[replica].work(&mut directory);
                    prop_assert_eq!(replicas[replica].settled, replicas[replica].pushed);
                    replicas[replica] = Replica::default();
                }
            }
        }
        for replica in &mut replicas {
            replica.work(&mut directory);
            prop_assert_eq!(replica.settled, replica.pushed);
        }
        for (index, name) in PROPERTIES.iter().enumerate() {
            let newest = history.iter().rev().find_map(|patch| patch.get(&index));
            let expected = newest.map(|chosen| value(name, *chosen));
            if *name == LIST {
                let (ours, others) = directory.list();
                prop_assert_eq!(others, OTHERS);
                let newest = expected.as_ref().and_then(PropertyValue::text);
                prop_assert!(newest.is_none_or(|newest| ours.contains(&newest)));
                continue;
            }
            prop_assert_eq!(directory.shows(name), expected, "{}", name);
        }
    }
}

const COLUMNS: [&str; 4] = ["emailaddress1", "firstname", "lastname", "telephone1"];

fn columns(table: &BTreeMap<usize, Option<u8>>) -> Columns {
    let text = |column: &str, chosen: u8| match column {
        "emailaddress1" => ColumnValue::Text(format!("v{chosen}@example.com").into()),
        _ => ColumnValue::Text(format!("v{chosen}").into()),
    };
    let value = |(index, chosen): (&usize, &Option<u8>)| {
        (COLUMNS[*index], chosen.map_or(ColumnValue::Null, |chosen| text(COLUMNS[*index], chosen)))
    };
    table.iter().map(value).collect()
}

fn change(set: &BTreeMap<usize, Option<u8>>, before: &BTreeMap<usize, Option<u8>>) -> Change {
    let link = ("adx_identity_username", ColumnValue::Text(USER.to_string().into()));
    Change {
        organization: None,
        contact: ContactId(Uuid::from_u128(2)),
        operation: Operation::Update,
        version: None,
        columns: columns(set),
        before: columns(before),
        after: [link].into_iter().collect(),
        imaged: false,
        truncated: false,
        origin: ChangeOrigin::default(),
    }
}

fn table() -> impl Strategy<Value = BTreeMap<usize, Option<u8>>> {
    prop::collection::btree_map(0..COLUMNS.len(), prop::option::of(0_u8..3), 0..4)
}

proptest! {
    #[test]
    fn a_change_whose_values_were_there_before_needs_nothing_and_planning_has_no_memory(
        set in table(), before in table(),
    ) {
        for planner in [Planner::new(Mapping::preset_default()), Planner::new(Mapping::preset_b2c())] {
            let plan = planner.plan(&change(&set, &before));
            prop_assert_eq!(&plan, &planner.plan(&change(&set, &before)));
            let again = planner.plan(&change(&set, &set));
            prop_assert!(matches!(again, Plan::Nothing(SkipReason::SameAsBefore | SkipReason::NothingMapped)));
            // A pre image takes away what is equal and never changes what is left.
            let blind = planner.plan(&change(&set, &BTreeMap::new()));
            if let (Plan::Write { patch: with_image, .. }, Plan::Write { patch: without, .. }) = (&plan, &blind) {
                for (property, value) in with_image.iter() {
                    let same = without.get(property).is_some_and(|other| value.is_like(other));
                    prop_assert!(same, "{}", property);
                }
            }
        }
    }
}
