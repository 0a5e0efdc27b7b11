//! `cargo simulate --schedules N --seed S`: so many random worlds in virtual time.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use tests::simulation::{Shape, simulate};

fn main() -> anyhow::Result<ExitCode> {
    let (mut schedules, mut seed) = (10_000_u64, 1_u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok()).context("a number is missing")?;
        match name.as_str() {
            "--schedules" => schedules = value,
            "--seed" => seed = value,
            _ => anyhow::bail!("usage: cargo simulate [--schedules N] [--seed S]"),
        }
    }
    let mut out = std::io::stdout().lock();
    let (mut writes, mut deliveries, mut crashes, mut crossed) = (0, 0, 0, 0);
    for number in 0..schedules {
        let seed = seed.wrapping_add(number);
        match simulate(Shape::of(seed), seed) {
            Ok(report) => {
                writes += report.writes;
                deliveries += report.deliveries;
                crashes += report.crashes;
                crossed += report.crossed;
            }
            Err(broken) => {
                writeln!(
                    out,
                    "seed {seed}: {broken}\nsee it again: cargo simulate --schedules 1 --seed {seed}"
                )?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    writeln!(
        out,
        "{schedules} schedules kept every promise: {deliveries} deliveries, {writes} writes, {crashes} crashes; \
         {crossed} users were written by two replicas within one call, and are right all the same."
    )?;
    Ok(ExitCode::SUCCESS)
}
