//! The worker's real binary against the local Graph: what Microsoft's service is known to do wrong, and what
//! must never be done to it.

mod access;
mod belief;
mod conflicts;
mod failures;
mod guard;
mod injection;
mod laws;
mod link;
mod mapping;
mod needless;
mod quota;
mod several;
mod sign_in;
mod takeover;
mod throttling;

use std::time::Duration;

use anyhow::Result;
use emulator::graph::{Profile, User};
use tests::{
    message::{ContactChange, moment},
    world::{Options, Worker, World},
};
use uuid::Uuid;

const PATIENCE: Duration = tests::PATIENCE;

/// Waits that a test can afford; everything else is as in an installation.
const QUICK: &str = r#"
[throttle]
writes_per_second = 1000.0
burst = 100.0
first_probe = "50ms"
longest_probe = "200ms"
[retry]
first_delay = "10ms"
longest_delay = "50ms"
first_return = "50ms"
longest_return = "100ms"
not_found_grace = "300ms"
"#;

/// Writes go out one after the other, so that a test knows which one met a fault.
const ONE_BY_ONE: &str = "pool.concurrency = 1";

/// What an installation on Azure AD B2C sets.
const B2C: &str = r#"mapping.preset = "b2c""#;

/// The guard's attribute as the documentation suggests it.
const GUARDED: &str = r#"guard.attribute = "extensionAttribute15""#;

fn user(number: u128) -> Uuid {
    Uuid::from_u128(0x1111_1111_2222_4333_8444_0000_0000_0000 + number)
}

fn contact(number: u128) -> Uuid {
    Uuid::from_u128(0x9999_9999_2222_4333_8444_0000_0000_0000 + number)
}

/// A change of the contact of that user, so many milliseconds into the day.
fn change(number: u128, at: usize) -> ContactChange {
    linked(number, at, &user(number).to_string())
}

/// A change of a contact with any text in its link column.
fn linked(number: u128, at: usize, link: &str) -> ContactChange {
    ContactChange::new(contact(number), moment(at)).set("adx_identity_username", link)
}

/// A world with users 1 to `users`, who have no values yet.
async fn world(users: u128) -> Result<World> {
    world_with(Options::default(), users).await
}

async fn b2c_world(users: impl IntoIterator<Item = User>) -> Result<World> {
    let mut options = Options::default();
    options.graph.profile = Profile::B2c;
    let world = world_with(options, 0).await?;
    for user in users {
        world.graph.add_user(user)?;
    }
    Ok(world)
}

async fn world_with(options: Options, users: u128) -> Result<World> {
    let world = World::start(options).await?;
    for number in 1..=users {
        world.graph.add_user(User::new(user(number)))?;
    }
    Ok(world)
}

fn start(world: &World, layers: &[&str]) -> Result<Worker> {
    world.start_worker(&world.layered(&[&[QUICK], layers].concat())?)
}

/// Runs a worker over these changes until nothing is left, and returns its log.
async fn run(world: &World, layers: &[&str], changes: &[ContactChange]) -> Result<String> {
    world.post_changes(changes).await?;
    let worker = start(world, layers)?;
    world.drained(PATIENCE).await?;
    worker.stop().await
}

/// How many messages came to such an end, by the worker's last line.
#[track_caller]
fn assert_tally(log: &str, part: &str) {
    assert!(log.contains(part), "{part} is not in the log:\n{log}");
}
