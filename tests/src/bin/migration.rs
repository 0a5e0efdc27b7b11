//! `cargo migration`: two directories under changes, kills and an outage, and then compared.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use tests::migration::{Measure, migration};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut measure = Measure::LARGE;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--small" {
            measure = Measure { seed: measure.seed, ..Measure::SMALL };
            continue;
        }
        let value: u64 =
            arguments.next().and_then(|value| value.parse().ok()).context("a number is missing")?;
        match name.as_str() {
            "--seed" => measure.seed = value,
            "--changes" => measure.changes = u32::try_from(value)?.max(1),
            "--people" => measure.people = u32::try_from(value)?,
            "--seconds" => measure.posting = Duration::from_secs(value),
            "--kills" => measure.kills = u32::try_from(value)?,
            "--replicas" => measure.replicas = usize::try_from(value)?.max(1),
            "--away" => measure.away = Duration::from_secs(value),
            _ => anyhow::bail!(
                "usage: cargo migration [--small] [--seed S] [--changes N] [--people N] [--seconds N] [--kills N] \
                 [--replicas N] [--away N]"
            ),
        }
    }
    let outcome = migration(measure).await?;
    let mut out = std::io::stdout().lock();
    let [first, second] = outcome.writes;
    writeln!(
        out,
        "{} changes of {} people in {} s for two directories; {} replicas, {} kills, one directory away for {} s.\n\
         Worked off after {:.1} s: {first} writes to b2c, {second} to external-id. Compared twice in {:.1} s.",
        measure.changes,
        measure.people,
        measure.posting.as_secs(),
        measure.replicas,
        measure.kills,
        measure.away.as_secs(),
        outcome.took.as_secs_f64(),
        outcome.comparison.as_secs_f64(),
    )?;
    for fault in outcome.faults.iter().take(20) {
        writeln!(out, "WRONG: {fault}")?;
    }
    writeln!(out, "{} things are wrong.", outcome.faults.len())?;
    Ok(if outcome.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
