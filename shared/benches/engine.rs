//! What the decisions about one message cost: planning, the engine from arrival to settlement, the mark.
//!
//! The figures and how to read them are in `README.md` beside this file.

use std::{fs, path::Path, time::Duration};

use divan::{AllocProfiler, Bencher, black_box, counter::ItemsCount};
use jiff::Timestamp;
use shared::{
    change::Change,
    engine::{
        Arrival, Effect, Engine, EnginePolicy, Failures, Intake, Lineage,
        intake::{DecodedBody, Planned, changes},
    },
    ids::{ContactId, LockToken, SequenceNumber, UserId},
    lanes::{self, Success},
    mapping::Mapping,
    mark::Mark,
    mass_change::{Author, Provenance},
    monotonic_time::MonotonicTime,
    patch::{PropertyValue, UserPatch},
    plan::Planner,
    priority::Priority,
    property::Property,
    rate_limiter::RateLimiter,
    step::Step,
    version::Version,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Messages in one measurement of the engine.
const MESSAGES: u32 = 1_000;

fn main() {
    divan::main();
}

/// A change of three mapped columns among fourteen.
fn change() -> Change {
    let path = "../tests/fixtures/contexts/contact-update-portal-identity.json";
    let body = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a fixture can be read");
    match changes(&body, None, false) {
        Ok(DecodedBody::Changes(mut changes, _)) => changes.remove(0),
        other => panic!("a change was expected: {other:?}"),
    }
}

/// From a decoded change to the write it asks for.
#[divan::bench(args = ["default", "b2c"])]
fn plan(bencher: Bencher, preset: &str) {
    let mapping = if preset == "b2c" { Mapping::preset_b2c() } else { Mapping::preset_default() };
    let (planner, change) = (Planner::new(mapping), change());
    bencher.bench_local(|| planner.plan(black_box(&change)));
}

fn engine() -> Engine<LockToken> {
    let lanes = lanes::LaneLimits { concurrency: 64, messages: 5_000, ..lanes::LaneLimits::default() };
    Engine::new(EnginePolicy { lanes, pace: RateLimiter::unlimited(), ..EnginePolicy::default() })
}

/// Message n, a change of two properties of one of so many users.
fn arrival(number: u32, users: u32) -> Arrival<LockToken> {
    let property = |name| Property::named(name).expect("a known property");
    let value = |text: &str| PropertyValue::Text(format!("{text}#{number}").into());
    let patch =
        UserPatch::new([(property("mail"), value("ada@example.org")), (property("givenName"), value("Ada"))]);
    let at = Timestamp::from_second(1_700_000_000 + i64::from(number)).expect("in range");
    let lock = LockToken(Uuid::from_u128(u128::from(number)));
    Arrival {
        message: lock,
        lock,
        taken: MonotonicTime::START,
        jitter: 0.5,
        locked_for: Duration::from_mins(1),
        bytes: 4_000,
        enqueued: at,
        age: Duration::ZERO,
        lineage: Lineage { origin: SequenceNumber(i64::from(number)), generation: 0, attempt: 0, content: 0 },
        urgency: Priority::Live,
        provenance: Provenance::of(Author::Unknown),
        intake: Intake::Work(
            vec![Planned {
                user: UserId(Uuid::from_u128(u128::from(number % users) + 1)),
                contact: ContactId(Uuid::from_u128(u128::from(number % users) + 1)),
                organization: None,
                version: Some(Version::at(at)),
                read: None,
                patch: patch.expect("two entries"),
                member: None,
            }],
            Failures::default(),
        ),
    }
}

/// Everything that the engine decides about a thousand messages, of as many users and of fifty.
#[divan::bench(args = [MESSAGES, 50])]
fn arrival_to_settlement(bencher: Bencher, users: u32) {
    bencher
        .counter(ItemsCount::new(MESSAGES))
        .with_inputs(|| (engine(), (1..=MESSAGES).map(|number| arrival(number, users)).collect::<Vec<_>>()))
        .bench_local_values(|(mut engine, arrivals)| {
            let now = MonotonicTime::after_start(Duration::from_secs(1));
            for arrival in arrivals {
                engine.arrived(arrival, now);
            }
            let (mut settled, mut flying) = (0, Vec::new());
            loop {
                while let Step::Do(effect) = engine.next(now) {
                    match effect {
                        Effect::Write { write, .. } => flying.push(write.user),
                        Effect::Settle { message, .. } => {
                            engine.settled(message);
                            settled += 1;
                        }
                        Effect::Verify(_)
                        | Effect::Probe
                        | Effect::Renew(_)
                        | Effect::Find { .. }
                        | Effect::Read { .. } => {}
                    }
                }
                let Some(user) = flying.pop() else { break };
                engine.write_ended(user, Ok(written()), now, 0.5);
            }
            assert_eq!(settled, MESSAGES);
        });
}

fn written() -> Success {
    Success { written: true, ..Success::default() }
}

fn mark() -> (Mark, [Property; 3]) {
    let properties =
        ["mail", "givenName", "surname"].map(|name| Property::named(name).expect("a known property"));
    let mut mark = Mark::default();
    for (number, property) in properties.iter().enumerate() {
        let second = 1_700_000_000 + i64::try_from(number).expect("small");
        mark.note(property, Version::at(Timestamp::from_second(second).expect("in range")));
    }
    (mark, properties)
}

/// The text of a mark of three properties with three versions.
#[divan::bench]
fn mark_written(bencher: Bencher) {
    let (mark, _) = mark();
    bencher.bench_local(|| black_box(&mark).write(1_024));
}

/// The same text read, and asked about each property.
#[divan::bench]
fn mark_read(bencher: Bencher) {
    let (mark, properties) = mark();
    let text = mark.write(1_024).expect("it fits");
    let version = Version::at(Timestamp::from_second(1_600_000_000).expect("in range"));
    bencher.bench_local(|| {
        let mark = Mark::read(black_box(&text));
        properties.iter().filter(|property| mark.is_newer(property, &version)).count()
    });
}
