//! A bad import into live traffic: `cargo run -p tests --bin import -- 40000 200`, so many rows, so many a second. In one run it measures live changes alone, and then
//! the same beside the import, so that the machine's speed does not matter. With `--kill` the writer is killed in the middle of the import, and
//! another one takes over.

use std::{collections::HashMap, io::Write, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use emulator::{
    broker,
    graph::{Entry, Kind, User},
};
use servicebus::{Outgoing, Queue};
use tests::{
    binary,
    message::{ContactChange, moment},
    quick::{GUARDED, contact, user},
    world::{Options, QUEUE, Worker, World},
};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

/// Users whom one author may change alike.
const MOST: usize = 200;
/// Live changes a second, each of a user of its own by one of many people.
const RATE: f64 = 5.0;
/// Times a second at which rows of the import reach the queue.
const BEATS: usize = 10;
/// People who make live changes.
const CLERKS: usize = 50;
/// How long Graph takes for a call.
const LATENCY: Duration = Duration::from_millis(50);
/// Numbers of the users of live changes begin here.
const LIVE: usize = 1_000_000;

const IMPORTER: Uuid = Uuid::from_u128(0x7777_1111_2222_4333_8444_0000_0000_0001);

#[tokio::main]
async fn main() -> Result<()> {
    let (kills, numbers): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument == "--kill");
    let argument = |place, usual| numbers.get(place).map_or(Ok(usual), |text: &String| text.parse::<usize>());
    let (rows, rate, kills) = (argument(0, 40_000)?, argument(1, 200)?, !kills.is_empty());
    ensure!(rate >= BEATS, "at least {BEATS} rows a second");
    binary::build()?;
    // Long enough for the whole import, and the same before it.
    let seconds = rows / rate + 20;
    let changes = seconds * 5;
    let mut options = Options { lock: Duration::from_mins(1), ..Options::default() };
    options.graph.latency = LATENCY;
    options.graph.journal_capacity = 20 * changes + 100_000;
    let world = World::start(options).await?;
    world.unbound()?;
    for number in (1..=rows).chain(LIVE..LIVE + 2 * changes) {
        world.graph.add_user(User::new(user(numbered(number))))?;
    }
    let guard = format!("[mass_change]\nusers = {MOST}\nwindow = \"10m\"");
    let settings = world.layered(&[GUARDED, &guard])?;
    let mut worker = world.start_worker(&settings)?;
    worker.page_until("/readyz", |page| page.status == 200).await?;
    let mut alone = live(&world, LIVE, changes).await?;
    let successor =
        async { if kills { succeeded(&world, worker, rows / 2, &settings).await } else { Ok(worker) } };
    let (beside, posted, worker) =
        tokio::join!(live(&world, LIVE + changes, changes), import(&world, rows, rate), successor);
    let (mut beside, posted, mut worker) = (beside?, posted?, worker?);
    let held = held(&world, rows).await?;
    let wrong = (1..=rows).filter(|number| is_wrong(&world, *number)).count();
    let mut told = std::io::stdout().lock();
    writeln!(
        told,
        "{rows} rows in {:.0} s into {RATE} live changes a second: {wrong} wrong writes, {held} held aside",
        posted.as_secs_f64()
    )?;
    for (what, delays) in [("alone", &mut alone), ("beside the import", &mut beside)] {
        delays.sort_unstable();
        let (p50, p99) = (share(delays, 0.5), share(delays, 0.99));
        writeln!(told, "live changes {what}: {} of them, p50 {p50:.0} ms, p99 {p99:.0} ms", delays.len())?;
    }
    let ratio = share(&beside, 0.99) / share(&alone, 0.99);
    writeln!(told, "p99 beside the import: {ratio:.2} times that without it")?;
    // Of a row whose copy was sent when the writer was killed, there can be another copy.
    let all = if kills { held + wrong >= rows } else { held + wrong == rows };
    ensure!(wrong <= MOST && all, "{wrong} wrong writes, {held} of {rows} held aside");
    if !kills {
        let metrics = worker.metrics().await?;
        let falsely = metrics.sum("contactsync_messages_total", "held_aside") - ratio_of(held);
        ensure!(falsely == 0.0, "{falsely} live changes were held aside");
    }
    worker.stop().await?;
    Ok(())
}

/// Kills the writer once so much is held, and starts another one.
async fn succeeded(world: &World, worker: Worker, held: usize, settings: &Path) -> Result<Worker> {
    while world.bus.counts(QUEUE)?.scheduled < held {
        sleep(Duration::from_millis(50)).await;
    }
    worker.kill().await?;
    world.bus.lapse_locks(QUEUE, None)?;
    world.start_worker(settings)
}

/// Posts live changes, each by the clock, and waits until all are applied. Returns how long each took.
async fn live(world: &World, from: usize, changes: usize) -> Result<Vec<Duration>> {
    let sender = world.sender()?;
    let (mut next, mut posted) = (Instant::now(), HashMap::new());
    for number in from..from + changes {
        sleep_until(next).await;
        next += Duration::from_secs_f64(1.0 / RATE);
        let by = Uuid::from_u128(numbered(1_000 + number % CLERKS));
        posted.insert(user(numbered(number)), world.graph.age());
        sender.send(outgoing(&change(number).set("lastname", "Right").by(by))).await.context("posting")?;
    }
    sender.close().await;
    world
        .until(Duration::from_mins(5), "all live changes are applied", |world| {
            let late = (from..from + changes).filter(|number| {
                world.user(user(numbered(*number))).is_ok_and(|user| user.text("surname") != Some("Right"))
            });
            let late = late.count();
            Ok((late == 0, late.to_string()))
        })
        .await?;
    let calls = world.graph.journal().into_iter().filter(|call| call.kind == Kind::Graph && call.applied);
    let delay =
        |call: Entry| Some(Duration::from_micros(call.at_us).saturating_sub(*posted.get(&call.user?)?));
    Ok(calls.filter_map(delay).collect())
}

/// Lets the rows of the import reach the queue. Returns how long that took.
async fn import(world: &World, rows: usize, rate: usize) -> Result<Duration> {
    let begun = Instant::now();
    let mut next = begun;
    let numbers: Vec<_> = (1..=rows).collect();
    for numbers in numbers.chunks(rate / BEATS) {
        sleep_until(next).await;
        next += Duration::from_millis(100);
        let stored = numbers.iter().map(|number| {
            let body = change(*number).set("lastname", "Wrong").by(IMPORTER).body();
            broker::Message::of(&Uuid::new_v4().to_string(), "application/json", broker::data_section(&body))
        });
        world.store(stored.collect())?;
    }
    Ok(begun.elapsed())
}

/// Waits until nothing of the import waits; returns how much of it is held aside.
async fn held(world: &World, rows: usize) -> Result<usize> {
    let deadline = Instant::now() + Duration::from_mins(20);
    loop {
        let counts = world.bus.counts(QUEUE)?;
        if counts.active == 0 && counts.scheduled + MOST >= rows {
            return Ok(counts.scheduled);
        }
        ensure!(Instant::now() < deadline, "the import is not settled: {counts:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn is_wrong(world: &World, number: usize) -> bool {
    world.user(user(numbered(number))).is_ok_and(|user| user.text("surname") == Some("Wrong"))
}

fn change(number: usize) -> ContactChange {
    let link = user(numbered(number)).to_string();
    ContactChange::new(contact(numbered(number)), moment(number)).set("adx_identity_username", link)
}

fn outgoing(change: &ContactChange) -> Outgoing {
    Outgoing {
        message_id: Some(Uuid::new_v4().to_string().into()),
        content_type: Some("application/json".into()),
        body: change.body().into(),
        ..Outgoing::default()
    }
}

fn numbered(number: usize) -> u128 {
    number as u128
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn ratio_of(count: usize) -> f64 {
    count as f64
}

/// The delay that this share did not exceed, in milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
fn share(sorted: &[Duration], share: f64) -> f64 {
    let place = (ratio_of(sorted.len()) * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(0.0, |delay| delay.as_secs_f64() * 1e3)
}
