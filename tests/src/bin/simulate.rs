//! `cargo simulate --schedules N --seed S`: so many random worlds in virtual time.

use std::{
    io::Write,
    num::NonZeroUsize,
    panic::resume_unwind,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::Context;
use tests::simulation::{Broken, Report, Shape, simulate};

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
    match run(schedules, seed) {
        Ok(Report {
            writes,
            crashes,
            stops,
            deliveries,
            held_aside,
            crossed,
            takeovers,
            unclean,
            lost,
            not_begun,
        }) => {
            writeln!(
                out,
                "{schedules} schedules kept every promise: {deliveries} deliveries, {held_aside} held aside, {writes} writes, {crashes} crashes, \
                 {stops} stops; {crossed} users were written by two replicas within one call, and are right all the \
                 same; the lease changed hands {takeovers} times, {unclean} of them without a goodbye, was lost {lost} times, \
                 and {not_begun} writes were not begun because it had run out."
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err((seed, broken)) => {
            writeln!(out, "seed {seed}: {broken}\nsee it again: cargo simulate --schedules 1 --seed {seed}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Runs so many worlds on all processors. Of several that break a promise, the one with the lowest seed is told
/// that any processor came upon first.
fn run(schedules: u64, first: u64) -> Result<Report, (u64, Broken)> {
    let (next, broken) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let mut sum = Report::default();
        while !broken.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= schedules {
                break;
            }
            let seed = first.wrapping_add(number);
            match simulate(Shape::of(seed), seed) {
                Ok(report) => sum += report,
                Err(what) => {
                    broken.store(true, Ordering::Relaxed);
                    return Err((seed, what));
                }
            }
        }
        Ok(sum)
    };
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let (sums, failures): (Vec<_>, Vec<_>) = ends.into_iter().partition(Result::is_ok);
    match failures.into_iter().filter_map(Result::err).min_by_key(|(seed, _)| *seed) {
        Some(failure) => Err(failure),
        None => Ok(sums.into_iter().flatten().fold(Report::default(), |mut sum, part| {
            sum += part;
            sum
        })),
    }
}
