//! What a long queue costs a worker: nothing that grows with it.

use anyhow::{Context, Result};
use bytes::Bytes;
use emulator::{
    broker::{Message, data_section},
    graph::User,
};
use tests::{
    PATIENCE,
    load::usage::Usage,
    message::{ContactChange, moment},
    world::{Options, World},
};
use uuid::Uuid;

const BACKLOG: usize = 200_000;
const USERS: usize = 2_000;
/// Messages after which the worker is at its fullest: everything that it bounds has been filled several times.
const SEEN: u64 = 15_000;
const MEGABYTE: u64 = 1 << 20;

/// As fast as this Graph is; the bounds of what is held are the usual ones.
const FAST: &str = "
[throttle]
writes_per_second = 100000.0
";

fn user(number: usize) -> Uuid {
    Uuid::from_u128(0xc0ff_ee00 + number as u128)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_200_000_messages_does_not_fill_the_memory_of_the_worker() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let bodies: Vec<_> = (0..USERS)
        .map(|number| {
            world.graph.add_user(User::new(user(number)))?;
            let change = ContactChange::new(user(number), moment(number));
            let change = change.set("adx_identity_username", user(number).to_string());
            Ok(data_section(&change.set("firstname", "Ada").body()))
        })
        .collect::<Result<_>>()?;
    let stored = |number: usize| {
        Message::of(&format!("m-{number}"), "application/json", bodies[number % USERS].clone())
    };
    // A worker that took it all would hold more than this, whatever it is built with and runs on.
    let bound = (bodies.iter().map(Bytes::len).sum::<usize>() / USERS * BACKLOG / 3) as u64;
    assert!(bound > 96 * MEGABYTE, "the backlog is too small to tell: {bound}");
    world.store((0..BACKLOG).map(stored).collect())?;

    let worker = world.start_worker(&world.layered(&[FAST])?)?;
    world
        .until(PATIENCE, "a good part of the queue is done", |world| {
            let done = world.bus.journal().totals().completed;
            Ok((done >= SEEN, format!("{done} completed")))
        })
        .await?;
    let usage = Usage::of(worker.id().context("the worker runs")?);
    assert!(usage.peak > 0, "the system tells");
    assert!(usage.peak < bound, "{} MB of {} MB", usage.peak / MEGABYTE, bound / MEGABYTE);
    worker.stop().await?;
    Ok(())
}
