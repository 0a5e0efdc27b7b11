//! `cargo run -p tests --bin quota`: how close two replicas come to Graph's write quota with a
//! backlog of ten thousand changes. Fails if they take more than 1.15 times what the quota takes, or if more
//! than 2 % of their calls are answered 429.
//!
//! Arguments, each a number and optional: how many times faster than the real one the quota's clock runs (1),
//! changes (10000), users (1500), replicas (2).

use std::{io::Write, process::ExitCode};

use anyhow::{Context, bail};
use tests::quota::{Figures, Load, run};

const SLOWEST: f64 = 1.15;
const MOST_THROTTLED: f64 = 0.02;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let load = load(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let figures = run(load).await?;
    let faults = faults(&figures);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{load:?}\n{figures}")?;
    for fault in &faults {
        writeln!(out, "FAILED: {fault}")?;
    }
    if !faults.is_empty() {
        writeln!(out, "{}", figures.logs)?;
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load(arguments: &[String]) -> anyhow::Result<Load> {
    let mut load = Load::BACKLOG;
    for (place, argument) in arguments.iter().enumerate() {
        let wrong = || format!("{argument} is no number");
        match place {
            0 => load.scale = argument.parse().with_context(wrong)?,
            1 => load.changes = argument.parse().with_context(wrong)?,
            2 => load.users = argument.parse().with_context(wrong)?,
            3 => load.replicas = argument.parse().with_context(wrong)?,
            _ => bail!("at most four numbers: scale, changes, users, replicas"),
        }
    }
    Ok(load)
}

fn faults(figures: &Figures) -> Vec<String> {
    let mut faults = Vec::new();
    if figures.slowness() > SLOWEST {
        faults.push(format!("slower than {SLOWEST} times what the quota takes"));
    }
    if figures.throttled_share() > MOST_THROTTLED {
        faults.push(format!("more than {} % of the calls were answered 429", MOST_THROTTLED * 100.0));
    }
    if figures.lost > 0 || figures.wrong_users > 0 {
        let Figures { lost, wrong_users, .. } = figures;
        faults.push(format!(
            "{lost} changes are lost, {wrong_users} users have a value that is none of theirs"
        ));
    }
    if !figures.dead_letters.is_empty() {
        faults.push(format!("dead letters: {:?}", figures.dead_letters));
    }
    faults
}
