//! What a person forces through, sends again or takes back, by the real binary.

mod apply;
mod guard;
mod resent;

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::Value as Json;
use tests::{
    message::{ContactChange, moment},
    quick::{GUARDED, contact, user},
    world::{Options, World},
};

use crate::replay::{change, contactsync};

/// A world with the first user, who has these first and last names.
async fn world(first: &str, last: &str) -> Result<World> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("givenName", first).with("surname", last))?;
    Ok(world)
}

/// A change of the first contact, so many seconds into the day.
fn at(second: usize) -> ContactChange {
    change(1, moment(second * 1_000))
}

/// The same moment as people read it.
fn clock(second: usize) -> String {
    format!("2026-03-02T08:{:02}:{:02}Z", second / 60, second % 60)
}

/// Leaves a captured body in the world's folder, where commands are run.
fn captured(world: &World, name: &str, body: &[u8]) -> Result<()> {
    std::fs::write(world.folder().join(name), body).context("a captured body")
}

/// The first user's names.
fn names(world: &World) -> Result<(String, String)> {
    let user = world.user(user(1))?;
    let text = |name| user.text(name).unwrap_or_default().to_owned();
    Ok((text("givenName"), text("surname")))
}

/// Text of the attribute that holds the mark.
fn attribute(world: &World) -> Result<Json> {
    Ok(world.user(user(1))?.get("onPremisesExtensionAttributes")["extensionAttribute15"].clone())
}

/// Runs a command that must succeed and prints JSON.
async fn told(world: &World, layers: &[&str], arguments: &str) -> Result<Json> {
    let done = contactsync(&world.layered(layers)?, &format!("{arguments} --json")).await?.expect(0);
    serde_json::from_str(&done.out).with_context(|| done.out.clone())
}
