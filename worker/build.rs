//! Tells the program of which commit and for which machine it was built.

#![expect(clippy::disallowed_methods, reason = "the environment is how cargo speaks to a build script")]

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=CONTACTSYNC_COMMIT");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=CONTACTSYNC_TARGET={target}");
    println!(
        "cargo:rustc-env=CONTACTSYNC_COMMIT={}",
        commit().unwrap_or_else(|| "unknown commit".to_owned())
    );
}

/// What the builder says, for builds outside a checkout; else what git says.
fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("CONTACTSYNC_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    // Looked at again when a commit is made or another branch is checked out.
    println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
