//! The worker's real binary against the local Graph: what Microsoft's service is known to do wrong, and what
//! must never be done to it.

mod access;
mod addresses;
mod belief;
mod conflicts;
mod failures;
mod filter;
mod guard;
mod injection;
mod kinds;
mod laws;
mod link;
mod mapping;
mod needless;
mod quota;
mod reset;
mod reset_laws;
mod rules;
mod several;
mod sign_in;
mod takeover;
mod throttling;

use anyhow::Result;
use emulator::graph::{Profile, User};
use tests::{
    PATIENCE,
    message::ContactChange,
    quick::{GUARDED, QUICK, change, contact, linked, user, world, world_with},
    world::{Options, Worker, World},
};

/// Writes go out one after the other, so that a test knows which one met a fault.
const ONE_BY_ONE: &str = "pool.concurrency = 1";

/// What an installation on Azure AD B2C sets.
const B2C: &str = r#"mapping.preset = "b2c""#;

async fn b2c_world(users: impl IntoIterator<Item = User>) -> Result<World> {
    let mut options = Options::default();
    options.graph.profile = Profile::B2c;
    let world = world_with(options, 0).await?;
    for user in users {
        world.graph.add_user(user)?;
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
