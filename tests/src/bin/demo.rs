//! `cargo demo`: the whole path on this machine, with nothing to configure.

use std::{io::Write, process::ExitCode};

use tests::demo::{Sabotage, run};

const HELP: &str = "\
cargo demo shows the whole path on this machine: a local Dataverse, Service Bus and Graph with the real worker between them.
It needs no settings and no network, leaves those in your environment alone, and ends by itself.

Usage: cargo demo [--drop-one]

  --drop-one   take one message away on purpose: the demo has to notice it, and fails
";

fn told(text: &str, code: ExitCode) -> anyhow::Result<ExitCode> {
    write!(std::io::stdout().lock(), "{text}")?;
    Ok(code)
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sabotage = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Sabotage::None,
        // Proves that the check at the end bites.
        ["--drop-one"] => Sabotage::DropOne,
        ["--help" | "-h"] => return told(HELP, ExitCode::SUCCESS),
        _ => return told(HELP, ExitCode::from(2)),
    };
    run(sabotage).await
}
