//! `cargo simulate [--tables] [--schedules N] [--seed S]`: so many random worlds in virtual time.

use std::{
    io::Write,
    num::NonZeroUsize,
    ops::AddAssign,
    panic::resume_unwind,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::Context;
use tests::simulation::{Broken, Report, Shape, TableReport, simulate, simulate_table};

fn main() -> anyhow::Result<ExitCode> {
    let (mut schedules, mut seed, mut tables) = (10_000_u64, 1_u64, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|value| value.parse().ok()).context("a number is missing");
        match name.as_str() {
            "--schedules" => schedules = number()?,
            "--seed" => seed = number()?,
            "--tables" => tables = true,
            _ => anyhow::bail!("usage: cargo simulate [--tables] [--schedules N] [--seed S]"),
        }
    }
    let told = if tables {
        run(schedules, seed, |seed| simulate_table(Shape::with_table(seed), seed)).map(tell_tables)
    } else {
        run(schedules, seed, |seed| simulate(Shape::of(seed), seed)).map(tell)
    };
    let mut out = std::io::stdout().lock();
    match told {
        Ok(told) => {
            writeln!(out, "{schedules} schedules kept every promise: {told}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err((seed, broken)) => {
            let kind = if tables { "--tables " } else { "" };
            writeln!(
                out,
                "seed {seed}: {broken}\nsee it again: cargo simulate {kind}--schedules 1 --seed {seed}"
            )?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell(report: Report) -> String {
    let Report {
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
    } = report;
    format!(
        "{deliveries} deliveries, {held_aside} held aside, {writes} writes, {crashes} crashes, {stops} stops; {crossed} users were written by two \
         replicas within one call, and are right all the same; the lease changed hands {takeovers} times, {unclean} of them \
         without a goodbye, was lost {lost} times, and {not_begun} writes were not begun because it had run out."
    )
}

fn tell_tables(report: TableReport) -> String {
    let TableReport {
        changes,
        unheard,
        doubled,
        elsewhere,
        passes,
        interrupted,
        differed,
        repair_writes,
        again,
        linked,
        overruled,
        rows_read,
        unanswered,
    } = report;
    format!(
        "{changes} changes of contacts, of which no or no whole message came of {unheard}, and two of {doubled}; {rows_read} rows were \
         read for messages that did not say enough, and {unanswered} questions about rows were not answered wholly; {elsewhere} \
         changes of users by others; {passes} passes, and {interrupted} that were interrupted, found users who differed \
         {differed} times and had {repair_writes} writes made, {again} of them again because nobody had heard of the first \
         or somebody had undone it; for {overruled} of them somebody had to say that the row is right, because the mark was newer; in \
         the end all {linked} linked contacts have their user as they are."
    )
}

/// Runs so many worlds on all processors. Of several that break a promise, the one with the lowest seed is told
/// that any processor came upon first.
fn run<R: AddAssign + Default + Send>(
    schedules: u64,
    first: u64,
    world: impl Fn(u64) -> Result<R, Broken> + Sync,
) -> Result<R, (u64, Broken)> {
    let (next, broken) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let mut sum = R::default();
        while !broken.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= schedules {
                break;
            }
            let seed = first.wrapping_add(number);
            match world(seed) {
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
        None => Ok(sums.into_iter().flatten().fold(R::default(), |mut sum, part| {
            sum += part;
            sum
        })),
    }
}
