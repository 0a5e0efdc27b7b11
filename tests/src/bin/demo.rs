//! `cargo demo`: the whole path on this machine, with nothing to configure.

use std::process::ExitCode;

use tests::demo::{Sabotage, run};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sabotage = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Sabotage::None,
        // Proves that the check at the end bites.
        ["--drop-one"] => Sabotage::DropOne,
        _ => anyhow::bail!("usage: cargo demo [--drop-one]"),
    };
    run(sabotage).await
}
