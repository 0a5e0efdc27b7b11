//! Laws of the address for password reset: whatever is cut off between two calls, the person has a way to sign in and to
//! reset that is his, what a person set stays, and what is delivered again completes what is left.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;
use shared::{
    admission::Person,
    gate::{self, Gate},
    identities::ObjectIdentity,
    ids::{ContactId, SequenceNumber, UserId},
    lanes::{Action, LaneLimits, Lanes, Success, Work},
    lww_register::Stamp,
    monotonic_time::MonotonicTime,
    patch::{PropertyValue, SignIn, UserPatch, UserWrite},
    priority::Priority,
    property::Property,
    rate_limiter::RateLimiter,
    reconcile::{Current, ReadPolicy, Reconciled, reconcile},
    reset::{self, ResetEdit},
    step::Step,
    version::Version,
};
use uuid::Uuid;

const CONTACT: ContactId = ContactId(Uuid::from_u128(1));
const USER: UserId = UserId(Uuid::from_u128(1));
const GUARD: &str = "extensionAttribute15";
/// What a person has set himself.
const OWN: &str = "own@elsewhere.example";

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn reading() -> ReadPolicy {
    let (guard, reset_follows) = (Some(property(GUARD)), Some(property(Property::SIGN_IN)));
    ReadPolicy { guard, reset_follows, ..ReadPolicy::default() }
}

fn address(number: u8) -> String {
    format!("v{number}@example.com")
}

/// How a user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Password,
    Code,
    Both,
    UserName,
    Social,
}

impl Kind {
    fn identities(self) -> Vec<ObjectIdentity> {
        let domain = "contoso.onmicrosoft.com";
        let email = ObjectIdentity::new("emailAddress", domain, &address(0));
        let code = ObjectIdentity::new("federated", "mail", &address(0));
        let mut identities = match self {
            Self::Password => vec![email],
            Self::Code => vec![code],
            Self::Both => vec![email, code],
            Self::UserName => vec![ObjectIdentity::new("userName", domain, "ada")],
            Self::Social => vec![],
        };
        identities.push(ObjectIdentity::new("federated", "google.com", "118"));
        identities.push(ObjectIdentity::new("userPrincipalName", domain, "1@contoso.onmicrosoft.com"));
        identities
    }

    fn signs_in_by_address(self) -> bool {
        matches!(self, Self::Password | Self::Code | Self::Both)
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The next message arrives.
    Deliver,
    /// A call is made and answered.
    Call,
    /// The worker ends in the middle of a call, which takes effect or not.
    Crash { written: bool },
}

struct World {
    kind: Kind,
    identities: Vec<ObjectIdentity>,
    mark: Option<Box<str>>,
    reset: Option<Box<str>>,
    /// The addresses of the contact, in order.
    history: Vec<u8>,
    images: bool,
    lanes: Lanes<usize>,
    delivered: usize,
    /// Parts of messages that are not settled.
    open: Vec<usize>,
    calls: usize,
}

fn lanes() -> Lanes<usize> {
    Lanes::new(
        LaneLimits { concurrency: 1, ..LaneLimits::default() },
        Gate::new(gate::GateLimits::default(), RateLimiter::unlimited()),
    )
}

impl World {
    fn new(kind: Kind, reset: Option<String>, history: Vec<u8>, images: bool) -> Self {
        let (identities, reset) = (kind.identities(), reset.map(Into::into));
        let (open, lanes) = (vec![0; history.len()], lanes());
        Self { kind, identities, mark: None, reset, history, images, lanes, delivered: 0, open, calls: 0 }
    }

    fn deliver(&mut self, number: usize) {
        let at = Timestamp::from_second(i64::try_from(number).expect("few") + 10).expect("small");
        let arrival = SequenceNumber(i64::try_from(number).expect("few"));
        let before = if number == 0 { 0 } else { self.history[number - 1] };
        let wanted = SignIn {
            previous: self.images.then(|| address(before).into()),
            contact: Some(CONTACT),
            ..SignIn::to(&address(self.history[number]))
        };
        let entries =
            [Property::SIGN_IN, Property::RESET].map(|name| (property(name), wanted.clone().into()));
        let parts: Vec<_> = UserPatch::new(entries).expect("two").parted().collect();
        self.open[number] = parts.len();
        for patch in parts {
            let work = Work {
                user: USER,
                contact: CONTACT,
                stamp: Stamp { version: Version::at(at), arrival },
                patch,
                urgency: Priority::Live,
                deadline: MonotonicTime::after_start(Duration::ZERO) + Duration::from_hours(1),
                refused_before: false,
                ticket: number,
            };
            self.lanes.push(work, MonotonicTime::after_start(Duration::ZERO));
        }
    }

    /// Makes the next call, if there is one; tells what came of it.
    fn call(&mut self) -> Option<Success> {
        loop {
            match self.lanes.next(MonotonicTime::after_start(Duration::ZERO)) {
                Step::Do(Action::Write { write, .. }) => return Some(self.apply(&write)),
                Step::Do(Action::Settle(settled)) => self.settle(settled),
                Step::Do(Action::Verify(_)) => panic!("nobody else writes"),
                Step::Wait(_) => return None,
            }
        }
    }

    fn settle<O>(&mut self, settled: Vec<(Work<usize>, O)>) {
        for (work, _) in settled {
            self.open[work.ticket] -= 1;
        }
    }

    fn apply(&mut self, write: &UserWrite) -> Success {
        let person = Person { identities: Some(self.identities.clone()), ..Person::default() };
        let current = Current { person, mark: self.mark.clone(), ..Current::default() };
        assert!(write.reset().is_none() || write.entries.len() == 1, "two calls in one write");
        if write.reset().is_some() {
            let edit = reset::edit(write, &current, self.reset.as_deref(), &reading());
            let ResetEdit::Move(to) = edit else {
                let undecided = !matches!(edit, ResetEdit::Present | ResetEdit::Superseded);
                let unchanged = vec![property(Property::RESET)];
                let undecided = if undecided { unchanged.clone() } else { Vec::new() };
                return Success { unchanged, undecided, ..Success::default() };
            };
            let arrived = self.emails().contains(&*to) || !self.kind.signs_in_by_address();
            assert!(arrived, "ahead of the address that it follows");
            self.reset = Some(to);
            self.calls += 1;
            return Success { written: true, ..Success::default() };
        }
        let Reconciled { body, superseded, unchanged, went_back, gives_way } =
            reconcile(write, &current, &reading()).expect("one address is never ambiguous");
        let written = body.is_some();
        if let Some(body) = body {
            self.calls += 1;
            self.identities = body.identities.unwrap_or_else(|| self.identities.clone());
            for (_, value) in body.properties {
                let PropertyValue::Text(mark) = value else { panic!("{value:?}") };
                self.mark = Some(mark);
            }
        }
        Success { written, superseded, unchanged, went_back, gave_way: gives_way, ..Success::default() }
    }

    fn emails(&self) -> BTreeSet<&str> {
        let emails = self.identities.iter().filter(|identity| identity.is_email());
        emails.map(|identity| &*identity.issuer_assigned_id).collect()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver => {
                if self.delivered < self.history.len() {
                    self.deliver(self.delivered);
                    self.delivered += 1;
                }
            }
            Event::Call => {
                if let Some(success) = self.call() {
                    let settled = self.lanes.finished(
                        USER,
                        Ok(success),
                        MonotonicTime::after_start(Duration::ZERO),
                        0.5,
                    );
                    self.settle(settled);
                }
            }
            Event::Crash { written } => {
                if written {
                    self.call();
                }
                self.lanes = lanes();
                for number in 0..self.delivered {
                    if self.open[number] > 0 {
                        self.deliver(number);
                    }
                }
            }
        }
    }

    fn finish(&mut self) {
        while self.delivered < self.history.len() {
            self.happen(Event::Deliver);
        }
        for _ in 0..4 * self.history.len() + 4 {
            self.happen(Event::Call);
        }
        assert!(self.open.iter().all(|open| *open == 0), "never settled: {:?}", self.open);
    }

    fn check(&self, first: Option<&str>) {
        let his: BTreeSet<String> = self.history.iter().copied().chain([0]).map(address).collect();
        assert!(self.emails().iter().all(|email| his.contains(*email)), "{:?}", self.emails());
        assert_eq!(self.emails().len(), usize::from(self.kind.signs_in_by_address()));
        let kept = |list: &[ObjectIdentity]| -> Vec<_> {
            list.iter().filter(|identity| !identity.is_email()).cloned().collect()
        };
        assert_eq!(kept(&self.identities), kept(&self.kind.identities()));
        assert_eq!(self.identities.len(), self.kind.identities().len());
        match first {
            Some(OWN) | None => assert_eq!(self.reset.as_deref(), first, "a person set it, or nobody did"),
            Some(_) => assert!(self.reset.as_ref().is_some_and(|reset| his.contains(&**reset))),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Deliver),
        6 => Just(Event::Call),
        2 => any::<bool>().prop_map(|written| Event::Crash { written }),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Password, Kind::Code, Kind::Both, Kind::UserName, Kind::Social])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_cut_off_between_two_calls_the_person_keeps_ways_in_that_are_his(
        kind in kind(),
        reset in prop::sample::select(vec![None, Some(address(0)), Some(OWN.to_owned())]),
        history in prop::collection::vec(0_u8..4, 1..5),
        events in prop::collection::vec(event(), 0..24),
        images in any::<bool>(),
    ) {
        let mut world = World::new(kind, reset.clone(), history, images);
        for event in &events {
            world.happen(*event);
            world.check(reset.as_deref());
        }
        world.finish();
        world.check(reset.as_deref());
        let newest = address(*world.history.last().expect("not empty"));
        let crashed = events.iter().any(|event| matches!(event, Event::Crash { .. }));
        if kind.signs_in_by_address() {
            prop_assert_eq!(world.emails(), BTreeSet::from([&*newest]));
        }
        // Without an image nothing but the worker's memory tells whose the address was.
        if reset == Some(address(0)) && (!crashed || (images && kind.signs_in_by_address())) && (images || kind.signs_in_by_address()) {
            prop_assert_eq!(world.reset.as_deref(), Some(&*newest));
        }
    }
}

#[test]
fn each_call_is_a_write_of_its_own_and_nothing_is_written_twice() {
    let mut world = World::new(Kind::Password, Some(address(0)), vec![1], true);
    world.finish();
    assert_eq!((world.calls, world.reset.as_deref()), (2, Some(&*address(1))));
    world.open[0] = 0;
    world.deliver(0);
    world.finish();
    assert_eq!(world.calls, 2, "what was done is known");
}
