//! `cargo chaos --seconds N --seed S`: real replicas under everything at once.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use tests::chaos::{Measure, chaos};

/// Findings that are printed.
const TOLD: usize = 50;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut measure =
        Measure { trouble: Duration::from_mins(1), seed: 1, messages: 20_000, users: 1_000, replicas: 3 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value: u64 =
            arguments.next().and_then(|value| value.parse().ok()).context("a number is missing")?;
        match name.as_str() {
            "--seconds" => measure.trouble = Duration::from_secs(value),
            "--seed" => measure.seed = value,
            "--messages" => measure.messages = usize::try_from(value)?,
            "--users" => measure.users = usize::try_from(value)?,
            "--replicas" => measure.replicas = usize::try_from(value)?,
            _ => anyhow::bail!(
                "usage: cargo chaos [--seconds N] [--seed S] [--messages N] [--users N] [--replicas N]"
            ),
        }
    }
    let outcome = chaos(measure).await?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} messages, {} users, {} replicas; {} kills, {} other faults and {} restarts in {} s; drained after {:.1} s.\n\
         {} completed, dead letters: {:?}. Explained as it was: {}, of which {} as begun with an outcome that is not known; \
         wrong: {}, left out: {}, personal: {}.",
        measure.messages,
        measure.users,
        measure.replicas,
        outcome.kills,
        outcome.faults,
        outcome.restarts,
        measure.trouble.as_secs(),
        outcome.took.as_secs_f64(),
        outcome.findings.completed,
        outcome.findings.dead_letters,
        outcome.explained.told,
        outcome.explained.begun,
        outcome.explained.wrong.len(),
        outcome.explained.untold.len(),
        outcome.personal.len(),
    )?;
    let mut wrong: Vec<_> = outcome.findings.faults.iter().map(ToString::to_string).collect();
    wrong.extend(outcome.explained.wrong.iter().map(|what| format!("explain tells what was not: {what}")));
    wrong.extend(outcome.explained.untold.iter().map(|what| format!("explain does not tell: {what}")));
    wrong.extend(outcome.personal);
    for what in wrong.iter().take(TOLD) {
        writeln!(out, "WRONG: {what}")?;
    }
    if wrong.len() > TOLD {
        writeln!(out, "WRONG: and {} others", wrong.len() - TOLD)?;
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
