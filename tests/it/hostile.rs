//! What strangers send, answer, hold open and put into words, against the worker's real binary.

mod bounds;
mod broker;
mod doors;
mod front;
mod graph;
mod mutation;
mod ways;
mod words;

use std::time::Duration;

use anyhow::Result;
use emulator::graph::User;
use tests::{
    message::{ContactChange, moment},
    world::{Options, World},
};
use uuid::Uuid;

use crate::identity::QUICK;

const PATIENCE: Duration = tests::PATIENCE;
const MEGABYTE: u64 = 1 << 20;

fn user(number: u128) -> Uuid {
    Uuid::from_u128(0x7777_1111_2222_4333_8444_0000_0000_0000 + number)
}

/// A change of that user's first name, so many milliseconds into the day.
fn change(number: u128, at: usize, name: &str) -> ContactChange {
    let contact = Uuid::from_u128(0x7777_9999_2222_4333_8444_0000_0000_0000 + number);
    let change = ContactChange::new(contact, moment(at));
    change.set("adx_identity_username", user(number).to_string()).set("firstname", name)
}

/// A world with users 1 to `users`.
async fn world(users: u128) -> Result<World> {
    let world = World::start(Options::default()).await?;
    for number in 1..=users {
        world.graph.add_user(User::new(user(number)))?;
    }
    Ok(world)
}
