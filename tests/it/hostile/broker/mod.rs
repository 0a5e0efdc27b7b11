//! Messages, answers and frames that no Service Bus sends, and one that a sender can: nested without end.

mod mutants;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use emulator::{broker, graph::User};
use serde_json::Value as Json;
use tests::{
    load::usage::Usage,
    message::moment,
    rogue::{
        Behaviour, Flood, Rogue, Seen,
        encode::{self, NULL, Nest, annotations, data, described, list, map, symbol, text},
    },
    world::{DEAD_LETTERS, Options, QUEUE, Worker, World},
};
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, QUICK, user};
use crate::replay::{change, contactsync};

const MEGABYTE: u64 = 1 << 20;
/// More than a worker takes that keeps to its bounds, and far less than what it is asked to take.
const MEMORY: u64 = 150 * MEGABYTE;

/// A part of a message that can hold a value of any depth.
#[derive(Clone, Copy, Debug)]
enum Section {
    DeliveryAnnotations,
    Annotations,
    Properties,
    ApplicationProperties,
    Value,
    Sequence,
    Footer,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::DeliveryAnnotations,
        Self::Annotations,
        Self::Properties,
        Self::ApplicationProperties,
        Self::Value,
        Self::Sequence,
        Self::Footer,
    ];

    /// A message that is sound but for a value in this section.
    fn with(self, sequence: i64, value: &[u8]) -> Vec<u8> {
        let (key, name) = (symbol("x-evil"), text("evil"));
        let plain = annotations(sequence, &[]);
        let parts = match self {
            Self::DeliveryAnnotations => [described(0x71, &map(&[&key, value])), plain, data(b"{}")],
            Self::Annotations => [annotations(sequence, &[("x-evil", value)]), data(b"{}"), Vec::new()],
            Self::Properties => [plain, described(0x73, &list(&[value])), data(b"{}")],
            Self::ApplicationProperties => [plain, described(0x74, &map(&[&name, value])), data(b"{}")],
            Self::Value => [plain, described(0x77, &list(&[value])), Vec::new()],
            Self::Sequence => [plain, described(0x76, &list(&[value])), Vec::new()],
            Self::Footer => [plain, data(b"{}"), described(0x78, &map(&[&key, value]))],
        };
        parts.concat()
    }
}

/// Messages with one level too many, and with a hundred thousand, in each section and by all kinds of nesting.
fn deep_messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for section in Section::ALL {
        for nest in Nest::ALL {
            for levels in [33, 100_000] {
                let sequence = i64::try_from(messages.len()).expect("few") + 1;
                // The section is one level itself.
                messages.push(section.with(sequence, &nest.deep(levels - 1)));
            }
        }
    }
    messages
}

/// Settings of a worker for a world whose Service Bus is a rogue.
fn settings(world: &World, rogue: &Rogue) -> Result<PathBuf> {
    let path = world.settings(QUICK)?;
    let settings = std::fs::read_to_string(&path)?;
    let settings = settings.replace(&world.bus.connection_string(), &rogue.connection_string());
    std::fs::write(&path, settings)?;
    Ok(path)
}

/// A worker whose Service Bus is a rogue.
async fn betrayed(behaviour: Behaviour) -> Result<(World, Rogue, Worker)> {
    let world = World::start(Options::default()).await?;
    let rogue = Rogue::start(behaviour).await?;
    let worker = world.start_worker(&settings(&world, &rogue)?)?;
    Ok((world, rogue, worker))
}

/// Waits until a worker has said what is wrong and come again.
async fn complains(rogue: &Rogue, worker: &mut Worker, words: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = worker.log()?;
        if log.contains("does not keep to the protocol") && log.contains(words) {
            assert!(!log.contains("panicked"), "{log}");
            break;
        }
        ensure!(worker.is_running()?, "the worker has ended:\n{log}");
        ensure!(Instant::now() < deadline, "the worker does not say {words:?}:\n{log}");
        sleep(Duration::from_millis(5)).await;
    }
    let before = rogue.seen().connections;
    rogue.until("it comes again", |seen| seen.connections > before).await?;
    assert_unharmed(worker)
}

/// Waits until a worker has made dead letters of so many messages, unharmed.
async fn buried(rogue: &Rogue, worker: &mut Worker, messages: usize) -> Result<Seen> {
    let ended = async {
        while worker.is_running()? {
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the worker has ended:\n{}", worker.log()?)
    };
    let seen = tokio::select! {
        seen = rogue.until("all are dead letters", |seen| seen.dead.len() >= messages) => seen?,
        ended = ended => return ended,
    };
    assert_unharmed(worker)?;
    Ok(seen)
}

/// The worker is there still, and has not grown.
fn assert_unharmed(worker: &mut Worker) -> Result<()> {
    ensure!(worker.is_running()?, "the worker has ended:\n{}", worker.log()?);
    let peak = Usage::of(worker.id().context("a process")?).peak;
    ensure!(peak < MEMORY, "the worker took {} MB:\n{}", peak / MEGABYTE, worker.log()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_depth_in_any_section_stops_the_worker() -> Result<()> {
    let mut messages = deep_messages();
    let deep = messages.len();
    // The deepest that are taken. What they hold is no change.
    let section = Section::Footer;
    messages.extend(Nest::ALL.map(|nest| section.with(1_000, &nest.deep(31))));
    let all = messages.len();
    let (_world, rogue, mut worker) = betrayed(Behaviour { messages, ..Behaviour::default() }).await?;
    let seen = buried(&rogue, &mut worker, all).await?;
    let reasons = |wanted: &str| seen.dead.iter().filter(|(reason, _)| reason == wanted).count();
    assert_eq!(reasons("MessageUnreadable"), deep, "{seen:?}");
    assert!(!worker.log()?.contains("does not keep to the protocol"), "the frames are sound");
    assert!(seen.dead.iter().any(|(_, text)| text.contains("nested more than 32 levels")), "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_are_announced_take_no_memory() -> Result<()> {
    let mut messages = Vec::new();
    for length in [400_000_000_u32, 1_000_000_000, 2_147_483_647, u32::MAX] {
        for code in [0xa0_u8, 0xb0, 0xb1, 0xb3, 0xd0, 0xd1, 0xf0] {
            let value = [&[code | 0x10], &length.to_be_bytes()[..], b"abcdefgh"].concat();
            let key = [&map(&[&value, NULL])[..]].concat();
            messages.extend(Section::ALL.map(|section| section.with(1, &value)));
            messages.extend([0x71, 0x72, 0x74, 0x78].map(|section| described(section, &key)));
            messages.push([annotations(1, &[]), described(0x75, &value)].concat());
            messages.push([annotations(1, &[]), described(0x77, &value)].concat());
        }
        // As many items, out of nothing.
        for element in [0x40_u8, 0x45, 0x50, 0x98] {
            let count = length.to_be_bytes();
            let array = [&[0xf0, 0, 0, 0, 6], &count[..], &[element, 0]].concat();
            let items = [&[0xd0, 0, 0, 0, 5], &count[..], &[0x40]].concat();
            messages.extend(Section::ALL.map(|section| section.with(1, &array)));
            messages.extend(Section::ALL.map(|section| section.with(1, &items)));
        }
    }
    let all = messages.len();
    let (_world, rogue, mut worker) = betrayed(Behaviour { messages, ..Behaviour::default() }).await?;
    buried(&rogue, &mut worker, all).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_see_dead_letters_that_cannot_be_taken_apart() -> Result<()> {
    let mut peeked = deep_messages();
    let deep = peeked.len();
    let sound = [annotations(i64::try_from(deep)? + 1, &[]), data(b"{}")].concat();
    peeked.push(sound.clone());
    // One that does not even say its number, between two that do.
    peeked.push(vec![0x00, 0x53, 0x72, 0xff]);
    peeked.push([annotations(i64::try_from(deep)? + 3, &[]), data(b"{}")].concat());
    let total = peeked.len();
    let world = World::start(Options::default()).await?;
    let rogue = Rogue::start(Behaviour { peeked, ..Behaviour::default() }).await?;
    let settings = settings(&world, &rogue)?;
    let list = contactsync(&settings, "dead-letters list --json").await?.expect(0).out;
    assert_eq!(serde_json::from_str::<Json>(&list)?["total"], total);
    for number in [1, deep, deep + 2] {
        let shown =
            contactsync(&settings, &format!("dead-letters show {number} --json")).await?.expect(0).out;
        let shown: Json = serde_json::from_str(&shown)?;
        assert_eq!(shown["now"]["deadLetter"]["reason"], "MessageUnreadable", "{shown}");
        assert_eq!(shown["sequence"], number);
    }
    contactsync(&settings, "dead-letters export all.jsonl").await?.expect(0);
    let exported = std::fs::read_to_string(world.folder().join("all.jsonl"))?;
    assert_eq!(exported.lines().count(), total);
    let first: Json = serde_json::from_str(exported.lines().next().context("a line")?)?;
    assert!(first["unreadable"]["encoded"].is_string() && first["body"].is_null(), "{first}");
    contactsync(&settings, "replay --dry-run").await?.expect(0);
    contactsync(&settings, "status").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_nested_without_end_is_an_answer_that_makes_no_sense() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let status = map(&[&text("statusCode"), &encode::int(200)]);
    let head = described(0x74, &status);
    for nest in Nest::ALL {
        for answer in [
            [&head[..], &described(0x77, &map(&[&text("messages"), &nest.deep(100_000)]))].concat(),
            [&head[..], &described(0x77, NULL), &described(0x78, &map(&[&text("x"), &nest.deep(33)]))]
                .concat(),
        ] {
            let rogue = Rogue::start(Behaviour { answer: Some(answer), ..Behaviour::default() }).await?;
            let done = contactsync(&settings(&world, &rogue)?, "dead-letters show 1").await?.expect(1);
            assert!(done.err.contains("the reply is nested more than 32 levels"), "{nest:?}: {}", done.err);
        }
    }
    Ok(())
}

/// Frames in answer to the first one.
fn greetings() -> Vec<(Vec<u8>, &'static str)> {
    let head = |length: u32, offset: u8| [&length.to_be_bytes()[..], &[offset, 0, 0, 0]].concat();
    let open = |fields: &[u8]| encode::frame(0, 0, &described(0x10, fields), &[]);
    let long = |code: u8| open(&list(&[&[&[code], &0x7fff_ffff_u32.to_be_bytes()[..]].concat()]));
    let mut greetings = vec![
        (head(0, 2), "a frame of 0 bytes"),
        (head(4, 2), "a frame of 4 bytes"),
        (head(7, 2), "a frame of 7 bytes"),
        (head(0xffff_fff0, 2), "a frame of 4294967280 bytes"),
        ([head(16, 1), vec![0; 8]].concat(), "begins at byte 4"),
        ([head(16, 255), vec![0; 8]].concat(), "begins at byte 1020"),
        (long(0xb1), "announces a length"),
        (long(0xd0), "announces a length"),
        (open(NULL), "begins no value"),
    ];
    greetings.extend(Nest::ALL.map(|nest| (open(&list(&[&nest.deep(4_000)])), "nested more than 32 levels")));
    greetings
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_cannot_be_make_the_worker_connect_anew_and_say_why() -> Result<()> {
    let world = World::start(Options::default()).await?;
    for (greeting, words) in greetings() {
        let rogue = Rogue::start(Behaviour { greeting: Some(greeting), ..Behaviour::default() }).await?;
        let mut worker = world.start_worker(&settings(&world, &rogue)?)?;
        complains(&rogue, &mut worker, words).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_does_not_keep_the_worker_from_stopping() -> Result<()> {
    let greeting = Some(Vec::new());
    let (_world, rogue, worker) = betrayed(Behaviour { greeting, ..Behaviour::default() }).await?;
    rogue.until("it comes", |seen| seen.connections > 0).await?;
    timeout(PATIENCE, worker.stop()).await.context("the worker does not stop")??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn surprises_on_a_link_make_the_worker_connect_anew_and_say_why() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let range = [encode::TRUE, &encode::uint(0), &encode::uint(u32::MAX), encode::TRUE];
    let mut surprises = vec![(described(0x15, &list(&range)), "one disposition for 4294967295 messages")];
    for code in [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18] {
        let deep = Nest::Described.deep(10_000);
        surprises.push((described(code, &list(&[&deep])), "nested more than 32 levels"));
    }
    for (surprise, words) in surprises {
        let rogue = Rogue::start(Behaviour { surprise: Some(surprise), ..Behaviour::default() }).await?;
        let mut worker = world.start_worker(&settings(&world, &rogue)?)?;
        complains(&rogue, &mut worker, words).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_end_the_connection_and_fill_no_memory() -> Result<()> {
    for (flood, words) in [
        (Flood::Endless(60_000), "does not end"),
        (Flood::Endless(0), "does not end"),
        (Flood::Uncalled, "was not asked for"),
    ] {
        let (_world, rogue, mut worker) =
            betrayed(Behaviour { flood: Some(flood), ..Behaviour::default() }).await?;
        complains(&rogue, &mut worker, words).await?;
    }
    Ok(())
}

/// Puts a message into the queue of a world as a sender of the protocol could: whatever stands behind its body.
fn send(world: &World, body: Vec<u8>, properties: Vec<(String, serde_amqp::Value)>) -> Result<()> {
    let message = broker::Message {
        body: Bytes::from(body),
        application_properties: properties,
        ..broker::Message::default()
    };
    world.bus.broker(|broker, now| broker.send(broker.resolve(QUEUE)?, vec![message], now))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_footer_nested_without_end_costs_itself_and_nobody_else() -> Result<()> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("displayName", "Portal user"))?;
    let footer = described(0x78, &map(&[&symbol("x-evil"), &Nest::Described.deep(75_000)]));
    send(&world, [data(b"{}"), footer].concat(), Vec::new())?;
    world.post_changes(&[change(1, moment(1_000)).set("firstname", "Ada")]).await?;
    let path = world.settings(QUICK)?;
    let mut worker = world.start_worker(&path)?;
    world
        .until(PATIENCE, "the change is written, the other a dead letter", |world| {
            ensure!(worker.is_running()?, "the worker has ended:\n{}", worker.log()?);
            let counts = (world.bus.counts(QUEUE)?, world.bus.counts(DEAD_LETTERS)?);
            Ok((counts.0.active == 0 && counts.1.active == 1, format!("{counts:?}")))
        })
        .await?;
    worker.stop().await?;
    assert_eq!(world.graph.user(user(1)).context("the user")?.get("givenName"), "Ada");
    let [letter] = &world.bus.contents(DEAD_LETTERS)?[..] else { panic!("one dead letter") };
    let number = letter.sequence;
    assert_eq!(letter.delivery_count, 0, "it was never tried twice");

    contactsync(&path, "status").await?.expect(0);
    let list = contactsync(&path, "dead-letters list").await?.expect(0).out;
    assert!(list.contains("MessageUnreadable") && list.contains("1 dead letter"), "{list}");
    let shown = contactsync(&path, &format!("dead-letters show {number}")).await?.expect(0).out;
    assert!(
        shown.contains("nested more than 32 levels")
            && shown.contains("contactsync explain MessageUnreadable"),
        "{shown}"
    );
    contactsync(&path, "dead-letters export all.jsonl").await?.expect(0);
    contactsync(&path, "replay --dry-run").await?.expect(0);
    let replayed = contactsync(&path, "replay --all --unguarded --json").await?;
    assert!(replayed.out.contains("cannot be carried along"), "{}\n{}", replayed.out, replayed.err);
    assert_eq!(world.bus.counts(DEAD_LETTERS)?.active, 1);
    contactsync(&path, &format!("dead-letters purge --sequence {number} --yes")).await?.expect(0);
    assert_eq!(world.bus.counts(DEAD_LETTERS)?.active, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_properties_do_not_hold_the_others_up() -> Result<()> {
    const FLOOD: usize = 250;
    let world = World::start(Options::default()).await?;
    world.unbound()?;
    world.graph.add_user(User::new(user(1)).with("displayName", "Portal user"))?;
    let properties: Vec<_> =
        (0..4_000).map(|number| (format!("p{number}"), serde_amqp::Value::Null)).collect();
    for _ in 0..FLOOD {
        send(&world, data(b"{}"), properties.clone())?;
    }
    // A name that is too long, and as many as may be.
    send(&world, data(b"{}"), vec![("n".repeat(1_025), serde_amqp::Value::Null)])?;
    send(&world, data(b"{}"), properties[..1_000].to_vec())?;
    world.post_changes(&[change(1, moment(1_000)).set("firstname", "Ada")]).await?;
    let mut worker = world.start_worker(&world.settings(QUICK)?)?;
    world
        .until(PATIENCE, "all is done", |world| {
            let counts = (world.bus.counts(QUEUE)?, world.bus.counts(DEAD_LETTERS)?);
            Ok((counts.0.active == 0 && counts.1.active == FLOOD + 2, format!("{counts:?}")))
        })
        .await?;
    assert_unharmed(&mut worker)?;
    let dead = world.bus.contents(DEAD_LETTERS)?;
    let reasons = dead.iter().filter_map(|view| view.message.property("DeadLetterReason"));
    let unreadable = reasons.filter(|reason| **reason == "MessageUnreadable".into()).count();
    assert_eq!(unreadable, FLOOD + 1, "a thousand are not too many");
    Ok(())
}
