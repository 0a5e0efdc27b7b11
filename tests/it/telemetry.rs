//! What operators see of a worker, by its real binary.

mod catalogue;
mod health;
mod logs;
mod metrics;
mod privacy;
mod traces;

use std::time::Duration;

use anyhow::Result;
use emulator::graph::User;
use tests::{
    message::{ContactChange, moment},
    world::{Options, World},
};
use uuid::Uuid;

const PATIENCE: Duration = tests::PATIENCE;

/// Waits that a test can afford.
const QUICK: &str = r#"
[throttle]
writes_per_second = 500.0
burst = 50.0
first_probe = "50ms"
longest_probe = "200ms"
[retry]
first_delay = "20ms"
longest_delay = "100ms"
not_found_grace = "300ms"
"#;

fn user(number: u128) -> Uuid {
    Uuid::from_u128(0x3333_1111_2222_4333_8444_0000_0000_0000 + number)
}

fn contact(number: u128) -> Uuid {
    Uuid::from_u128(0x4444_9999_2222_4333_8444_0000_0000_0000 + number)
}

/// A change of that user's first name, so many milliseconds into the day.
fn change(number: u128, at: usize) -> ContactChange {
    let change = ContactChange::new(contact(number), moment(at));
    change.set("adx_identity_username", user(number).to_string()).set("firstname", format!("Ada {at}"))
}

/// A world with users 1 to `users`.
async fn world(users: u128) -> Result<World> {
    let world = World::start(Options::default()).await?;
    for number in 1..=users {
        world.graph.add_user(User::new(user(number)))?;
    }
    Ok(world)
}
