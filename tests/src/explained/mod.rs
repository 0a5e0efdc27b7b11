//! What `contactsync explain` says, held against what the services have seen.

mod comparison;
mod seen;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuid::Uuid;

pub use self::{
    comparison::Comparison,
    seen::{Recorder, Seen},
};
use crate::{binary, world::World};

/// Runs `explain` with these arguments. Returns its exit code, what it printed and what it said aside.
pub async fn run(settings: &Path, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = binary::command()?;
    command.arg("explain").args(arguments).arg("--config").arg(settings).kill_on_drop(true);
    let output = command.output().await.context("contactsync cannot be started")?;
    let text = |bytes| String::from_utf8(bytes).context("what is said is text");
    Ok((output.status.code(), text(output.stdout)?, text(output.stderr)?))
}

/// What the journals alone tell of an id.
pub async fn journal(settings: &Path, id: Uuid) -> Result<Value> {
    journals(settings, &[id]).await?.pop().context("explain has told nothing")
}

/// What the journals alone tell of each of these ids, asked for by one command.
pub async fn journals(settings: &Path, ids: &[Uuid]) -> Result<Vec<Value>> {
    let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
    let arguments: Vec<_> = ids.iter().map(String::as_str).chain(["--offline", "--json"]).collect();
    let (code, out, err) = run(settings, &arguments).await?;
    ensure!(matches!(code, Some(0 | 1)), "{code:?} {err}");
    let documents = match serde_json::from_str(&out)? {
        Value::Array(documents) => documents,
        one => vec![one],
    };
    ensure!(documents.len() == ids.len(), "{} ids are asked about, {} told of", ids.len(), documents.len());
    Ok(documents.into_iter().map(|mut document| document["journal"].take()).collect())
}

/// A layer of the settings by which a journal is kept in a folder of the world.
pub fn kept(world: &World) -> Result<(String, PathBuf)> {
    let folder = world.folder().join("journal");
    std::fs::create_dir_all(&folder)?;
    Ok((format!("journal.path = {:?}", folder.display().to_string()), folder))
}

/// Everything that is kept in a folder, as text.
pub fn all_files(folder: &Path) -> Result<String> {
    let mut all = String::new();
    for file in std::fs::read_dir(folder)? {
        all += &String::from_utf8_lossy(&std::fs::read(file?.path())?);
    }
    Ok(all)
}
