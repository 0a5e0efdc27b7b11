//! `contactsync explain`: what it says is what happened.

mod parts;
mod story;
mod table;

use std::path::Path;

use anyhow::Result;
use tests::{
    PATIENCE, explained,
    quick::{GUARDED, QUICK, change, contact, renamed, user, world},
    world::{QUEUE, World},
};
use uuid::Uuid;

/// Settings with a journal in a folder of the world.
fn settings(world: &World, layers: &[&str]) -> Result<std::path::PathBuf> {
    let (kept, _) = explained::kept(world)?;
    world.layered(&[&[QUICK, GUARDED, &kept], layers].concat())
}

/// What `explain` prints for people.
async fn text(settings: &Path, id: Uuid, more: &[&str]) -> Result<String> {
    let (_, out, err) = explained::run(settings, &[&[&*id.to_string()], more].concat()).await?;
    Ok(out + &err)
}
