//! What most tests of the real worker begin with: numbered users and contacts, a world in which they are, and settings
//! whose waits a test can afford.

use emulator::graph::User;
use uuid::Uuid;

use crate::{
    message::{ContactChange, moment},
    world::{Options, World},
};

/// Waits that a test can afford, and a budget that holds no test up; everything else is as in an installation. What a
/// test needs otherwise it says in a layer over this one.
pub const QUICK: &str = r#"
[throttle]
writes_per_second = 1000.0
first_probe = "50ms"
longest_probe = "200ms"
[retry]
first_delay = "10ms"
longest_delay = "50ms"
first_return = "50ms"
longest_return = "100ms"
not_found_grace = "300ms"
"#;

/// The guard's attribute as the documentation suggests it.
pub const GUARDED: &str = r#"guard.attribute = "extensionAttribute15""#;

/// The user of that number.
#[must_use]
pub const fn user(number: u128) -> Uuid {
    Uuid::from_u128(0x1111_1111_2222_4333_8444_0000_0000_0000 + number)
}

/// The contact that the user of the same number belongs to.
#[must_use]
pub const fn contact(number: u128) -> Uuid {
    Uuid::from_u128(0x9999_9999_2222_4333_8444_0000_0000_0000 + number)
}

/// A change that links that contact to its user, so many milliseconds into the day.
#[must_use]
pub fn change(number: u128, at: usize) -> ContactChange {
    linked(number, at, &user(number).to_string())
}

/// A change of that contact with any text in its link column.
#[must_use]
pub fn linked(number: u128, at: usize, link: &str) -> ContactChange {
    ContactChange::new(contact(number), moment(at)).set("adx_identity_username", link)
}

/// A change that also gives the user this first name.
#[must_use]
pub fn renamed(number: u128, at: usize, name: &str) -> ContactChange {
    change(number, at).set("firstname", name)
}

/// A world with users 1 to `users`, who have no values yet.
pub async fn world(users: u128) -> anyhow::Result<World> {
    world_with(Options::default(), users).await
}

/// The same with other services than the usual.
pub async fn world_with(options: Options, users: u128) -> anyhow::Result<World> {
    let world = World::start(options).await?;
    for number in 1..=users {
        world.graph.add_user(User::new(user(number)))?;
    }
    Ok(world)
}
