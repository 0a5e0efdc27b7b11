//! `contactsync check`, `config`, `plan`, `map test` and `run --dry-run`, as the real binary.

mod captured;
mod dry_run;
mod elsewhere;
mod message;
mod online;
mod starting;

use std::{path::Path, process::Output};

use anyhow::{Context, Result};
use emulator::graph::User;
use serde_json::Value;
use tests::{
    binary,
    quick::user,
    world::{Options, World},
};
use uuid::Uuid;

const USER: Uuid = user(1);

/// A world with one user.
async fn world() -> Result<World> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(USER).with("surname", "Lovelace"))?;
    Ok(world)
}

/// Runs the binary in a folder until it ends.
async fn contactsync(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let mut command = binary::command()?;
    command.args(arguments).envs(variables.iter().copied()).current_dir(folder).kill_on_drop(true);
    command.output().await.context("contactsync cannot be started")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// What a check found out by trying.
struct Checked {
    code: Option<i32>,
    told: Value,
}

impl Checked {
    /// Result, text and remedy of every probe of this name.
    fn probes(&self, check: &str) -> Vec<(&str, &str, &str)> {
        let probes = self.told["online"].as_array().map(Vec::as_slice).unwrap_or_default();
        probes
            .iter()
            .filter(|probe| probe["check"] == check)
            .map(|probe| {
                let field = |name: &str| probe[name].as_str().unwrap_or_default();
                (field("result"), field("what"), field("remedy"))
            })
            .collect()
    }

    /// The one probe of this name.
    #[track_caller]
    fn probe(&self, check: &str) -> (&str, &str, &str) {
        let probes = self.probes(check);
        assert_eq!(probes.len(), 1, "{check} in {:#}", self.told);
        probes[0]
    }

    /// Names and results in order.
    fn results(&self) -> Vec<(&str, &str)> {
        let probes = self.told["online"].as_array().map(Vec::as_slice).unwrap_or_default();
        probes
            .iter()
            .map(|probe| {
                (probe["check"].as_str().unwrap_or_default(), probe["result"].as_str().unwrap_or_default())
            })
            .collect()
    }
}

/// `check --online --json` with these settings.
async fn check(
    world: &World,
    layers: &[&str],
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Checked> {
    let settings = world.layered(layers)?;
    let settings = settings.to_str().context("a path of text")?;
    let arguments = [&["check", "--online", "--json", "--config", settings], arguments].concat();
    let output = contactsync(world.folder(), &arguments, variables).await?;
    let told = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} {}", text(&output.stdout), text(&output.stderr)))?;
    Ok(Checked { code: output.status.code(), told })
}
