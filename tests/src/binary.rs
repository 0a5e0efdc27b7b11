//! The worker's real binary, built if it is not up to date.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, bail, ensure};

/// Names another program to use in place of the one that is built: the test of the image puts the image there.
pub const OVERRIDE: &str = "CONTACTSYNC_BINARY";

/// Path of `contactsync`, of the same profile as the running program.
pub fn contactsync() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(path) = std::env::var_os(OVERRIDE) {
        return Ok(path.into());
    }
    BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build() -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe().context("where this program is")?;
    // .../target/debug/deps/it-0123 for a test, .../target/debug/demo for a program.
    let folder =
        me.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("a target folder")?;
    let (profile, target) = match (folder.file_name().and_then(|name| name.to_str()), folder.parent()) {
        (Some("debug"), Some(target)) => ("dev", target),
        (Some(profile), Some(target)) => (profile, target),
        _ => bail!("{} is not in a target folder", me.display()),
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "worker", "--bin", "contactsync", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "the worker does not build");
    Ok(folder.join(format!("contactsync{}", std::env::consts::EXE_SUFFIX)))
}

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
