//! Messages that are held aside because one author changes too many users alike, with the worker's real binary and the commands
//! by which people decide.

mod crashes;
mod decisions;
mod successors;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;
use tests::{
    PATIENCE,
    message::ContactChange,
    quick::{self, GUARDED, QUICK, user},
    world::{QUEUE, World},
};
use uuid::Uuid;

use crate::replay::{Done, contactsync};

/// Who imports, and who works beside him.
const IMPORTER: Uuid = Uuid::from_u128(0x7777_1111_2222_4333_8444_0000_0000_0001);
const CLERK: Uuid = Uuid::from_u128(0x7777_1111_2222_4333_8444_0000_0000_0002);

/// Users whom one author may change alike.
const MOST: usize = 20;

fn settings(world: &World, layers: &[&str]) -> Result<PathBuf> {
    let guard = format!("[mass_change]\nusers = {MOST}\nwindow = \"10m\"");
    world.layered(&[&[QUICK, GUARDED, guard.as_str()], layers].concat())
}

/// One row of the import.
fn row(number: u128) -> ContactChange {
    quick::change(number, 1_000).set("lastname", "Wrong").by(IMPORTER)
}

/// A later change by somebody else.
fn mended(number: u128) -> ContactChange {
    quick::change(number, 9_000).set("lastname", "Right").by(CLERK)
}

/// How many of the first users have this last name.
fn named(world: &World, users: u128, name: &str) -> usize {
    let is = |number: &u128| world.user(user(*number)).is_ok_and(|user| user.text("surname") == Some(name));
    (1..=users).filter(is).count()
}

/// Waits until nothing waits in the queue but what is held aside, and that is so much.
async fn settled(world: &World, held: usize) -> Result<()> {
    world
        .until(PATIENCE, "all is settled but what is held aside", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.active == 0 && counts.scheduled == held, format!("{counts:?}")))
        })
        .await
}

async fn held(settings: &Path, arguments: &str) -> Result<Done> {
    contactsync(settings, &format!("held {arguments}")).await
}

#[track_caller]
fn json(done: Done) -> Value {
    let done = done.expect(0);
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", done.out, done.err))
}
