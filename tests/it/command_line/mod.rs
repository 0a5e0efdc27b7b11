//! What somebody meets who types commands: which settings are asked for, what is said when a service refuses, and what the
//! JSON is like.

mod asked;
mod at_desk;
mod chosen;
mod json;
mod refused;

use std::path::PathBuf;

use anyhow::Result;
use emulator::graph::User;
use tests::{
    message::moment,
    quick::user,
    world::{Options, QUEUE, World},
};

use crate::replay::{Dead, bury, change};

/// A world with one user and these dead letters: a reason for each, of contacts with the numbers from 1 on.
async fn world(reasons: &[&str]) -> Result<World> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("displayName", "Portal user"))?;
    let letters = (1..).zip(reasons).map(|(number, reason)| {
        let body = change(number, moment(1_000)).set("firstname", "Ada").body();
        Dead::new(format!("m-{number}"), body, reason)
    });
    bury(&world, &letters.collect::<Vec<_>>())?;
    Ok(world)
}

/// Settings that say where the queue is, and nothing else that is required.
fn queue_alone(world: &World) -> Result<PathBuf> {
    let path = world.folder().join("queue-alone.toml");
    let connection = world.worker_connection_string();
    let text = format!(
        "service_bus.connection_string = \"{connection}\"\nservice_bus.queue = \"{QUEUE}\"\n\
         guard.attribute = \"extensionAttribute15\"\nhttp.listen = \"127.0.0.1:1\"\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}
