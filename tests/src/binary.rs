//! The worker's real binary, built if it is not up to date, and the one way to start it.
//!
//! Settings of ours come from the environment too, so whoever has exported those of a real installation would hand
//! them to every worker that is started here. So each begins with an environment that says nothing to it.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

/// Names another program to use in place of the one that is built: the test of the image puts the image there.
pub const OVERRIDE: &str = "CONTACTSYNC_BINARY";

/// What the names of variables begin with that a worker, or a library in it, reads: its settings, identities that a
/// platform gives to whoever runs there, and where telemetry is to go.
const READ: [&str; 6] = ["CONTACTSYNC", "AZURE_", "IDENTITY_", "MSI_", "IMDS_", "OTEL_"];

/// Starts `contactsync`, of the same profile as the running program, with nothing in its environment that it reads.
/// What a test sets itself is added afterwards.
pub fn command() -> anyhow::Result<Command> {
    let mut command = Command::new(contactsync()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_read(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Whether a worker, or a library in it, reads the variable. Proxies count: a world is on this machine.
fn is_read(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    READ.iter().any(|start| name.starts_with(start)) || name.ends_with("_PROXY")
}

/// Builds it, so that the first command does not have to wait.
pub fn build() -> anyhow::Result<()> {
    contactsync().map(drop)
}

/// Its length in bytes.
pub fn size() -> anyhow::Result<u64> {
    Ok(std::fs::metadata(contactsync()?)?.len())
}

fn contactsync() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(path) = std::env::var_os(OVERRIDE) {
        return Ok(path.into());
    }
    BUILT.get_or_init(|| built().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn built() -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe().context("where this program is")?;
    // .../target/debug/deps/it-0123 for a test, .../target/debug/demo for a program.
    let folder =
        me.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("a target folder")?;
    let (profile, target) = match (folder.file_name().and_then(|name| name.to_str()), folder.parent()) {
        (Some("debug"), Some(target)) => ("dev", target),
        (Some(profile), Some(target)) => (profile, target),
        _ => bail!("{} is not in a target folder", me.display()),
    };
    let mut cargo = std::process::Command::new(env!("CARGO"));
    // What cargo says to a test about its own package is not for the build: scripts of dependencies look at it, and
    // much would be built anew for nothing, time and again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    let status = cargo
        // Beside the tests, so that dependencies have the features with which they are built already.
        .args(["build", "--quiet", "--package", "tests", "--package", "worker", "--bin", "contactsync"])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "the worker does not build");
    Ok(folder.join(format!("contactsync{}", std::env::consts::EXE_SUFFIX)))
}

/// Whether cargo sets the variable for the program that it runs.
fn is_of_a_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_reads_does_not_reach_it() {
        for name in [
            "CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING_FILE",
            "CONTACTSYNC_CONFIG",
            "AZURE_FEDERATED_TOKEN_FILE",
            "IDENTITY_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "HTTPS_PROXY",
            "https_proxy",
            "no_proxy",
        ] {
            assert!(is_read(name), "{name}");
        }
        for name in ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE", "IMAGE_ROOT", "SSL_CERT_FILE"] {
            assert!(!is_read(name), "{name}");
        }
    }
}
