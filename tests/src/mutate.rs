//! Bytes bent at random, and a child process to try them in.
//!
//! An overflow of the stack and a failed allocation end the process, whatever catches panics. So inputs are tried in a
//! child: the test's own binary, started anew for this one test. What ends it is noted, and the next child goes on
//! behind that input.

use std::{
    fs::{self, File},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
};

use anyhow::{Context, ensure};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::PATIENCE;

/// Tells a test where its inputs are, and by that that it is the child.
const FOLDER: &str = "MUTATE_FOLDER";
/// How many inputs may end their child before the rest is left out.
const ENOUGH: usize = 10;
/// Bytes and texts at which decoders turn one way or the other.
const TURNS: [&[u8]; 20] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"[",
    b"{",
    b"}",
    b"\"",
    b"<",
    b"</",
    b"&",
    b";",
    b"=",
    b"-1",
    b"1e999",
    b"\\ud800",
    b"\r\n",
];

/// What became of the inputs.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were tried.
    pub tried: usize,
    /// Those that were too much for the child: which one, and what it ended with.
    pub fallen: Vec<(usize, String)>,
    /// By how many bytes the most memory that a child held exceeds what it held before its first input. 0 where the
    /// system does not tell.
    pub memory: u64,
}

/// So many inputs that are like the seeds and yet are not, the same for the same number.
#[must_use]
pub fn mutants(seeds: &[Vec<u8>], count: usize, number: u64) -> Vec<Vec<u8>> {
    let mut random = StdRng::seed_from_u64(number);
    (0..count)
        .map(|_| {
            let mut bytes = seeds.choose(&mut random).cloned().unwrap_or_default();
            for _ in 0..random.random_range(1..=4) {
                bend(&mut bytes, seeds, &mut random);
            }
            bytes
        })
        .collect()
}

fn bend(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut StdRng) {
    let from = random.random_range(0..=bytes.len());
    let to = random.random_range(from..=bytes.len().min(from + 32));
    match random.random_range(0..7) {
        0 if from < bytes.len() => bytes[from] ^= 1 << random.random_range(0..8),
        1 => drop(bytes.drain(from..to)),
        2 => bytes.truncate(from),
        3 => {
            // What stands there once more, many times: lists grow, and what nests nests deeper.
            let piece = bytes[from..to].repeat(random.random_range(1..64));
            bytes.splice(from..from, piece);
        }
        4 => {
            let other = seeds.choose(random).map(Vec::as_slice).unwrap_or_default();
            let start = random.random_range(0..=other.len());
            bytes.truncate(from);
            bytes.extend_from_slice(&other[start..]);
        }
        5 => {
            let mut noise = vec![0; to - from];
            random.fill_bytes(&mut noise);
            bytes.splice(from..to, noise);
        }
        _ => {
            let turn = TURNS.choose(random).copied().unwrap_or_default();
            let to = bytes.len().min(from + random.random_range(0..=turn.len()));
            bytes.splice(from..to, turn.iter().copied());
        }
    }
}

/// Tries inputs in children of this process. `test` is the path of the calling test, as the test runner lists it; its
/// part up to here runs again in each child, which does not come back from here.
pub fn survive(test: &str, inputs: &[Vec<u8>], work: impl Fn(&[u8])) -> anyhow::Result<Report> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        be_the_child(Path::new(&folder), inputs, work)?;
        std::process::exit(0);
    }
    let this_program = std::env::current_exe().context("where this program is")?;
    let mut report = Report::default();
    while report.tried < inputs.len() && report.fallen.len() < ENOUGH {
        let folder = tempfile::tempdir().context("a folder for the child")?;
        let complaint = File::create(folder.path().join("complaint"))?;
        fs::write(folder.path().join("from"), report.tried.to_string())?;
        let status = Command::new(&this_program)
            .args(["--exact", test, "--nocapture"])
            .env(FOLDER, folder.path())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaint)
            .status()
            .context("the child cannot be started")?;
        let progress = fs::read_to_string(folder.path().join("progress"));
        let progress = progress.with_context(|| format!("no test of this binary is called {test}"))?;
        let begun = progress.lines().filter(|line| line.starts_with("try ")).count();
        ensure!(begun > 0, "the child did nothing: {status}");
        report.tried += begun;
        let held = progress.lines().filter_map(|line| line.strip_prefix("held ")?.parse::<u64>().ok());
        let first = held.clone().next().unwrap_or_default();
        report.memory = report.memory.max(held.max().unwrap_or_default() - first);
        if !status.success() {
            let complaint = fs::read(folder.path().join("complaint")).unwrap_or_default();
            let complaint = String::from_utf8_lossy(&complaint);
            let words = complaint.lines().filter(|line| !line.trim().is_empty()).take(3);
            let words: Vec<_> = words.collect();
            report.fallen.push((report.tried - 1, format!("{status}: {}", words.join(" / "))));
        }
    }
    Ok(report)
}

fn be_the_child(folder: &Path, inputs: &[Vec<u8>], work: impl Fn(&[u8])) -> anyhow::Result<()> {
    let from: usize = fs::read_to_string(folder.join("from"))?.parse()?;
    let mut progress = File::create(folder.join("progress"))?;
    let (alive, watched) = mpsc::channel();
    std::thread::spawn(move || {
        // An input without an end is one that the child does not survive.
        loop {
            match watched.recv_timeout(PATIENCE) {
                Ok(()) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => std::process::abort(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    writeln!(progress, "held {}", held())?;
    for input in inputs.iter().skip(from) {
        writeln!(progress, "try {}", input.len())?;
        // The parent wants the input, not the unwinding.
        if catch_unwind(AssertUnwindSafe(|| work(input))).is_err() {
            std::process::exit(101);
        }
        writeln!(progress, "held {}", held())?;
        alive.send(()).context("nobody watches")?;
    }
    Ok(())
}

/// The most bytes that this process has held.
fn held() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_gives_the_same_mutants() {
        let seeds = [b"{\"a\":[1,2]}".to_vec(), b"<a>b</a>".to_vec()];
        let once = mutants(&seeds, 200, 7);
        assert_eq!(once, mutants(&seeds, 200, 7));
        assert_ne!(once, mutants(&seeds, 200, 8));
    }

    #[test]
    fn an_input_that_ends_the_child_is_told_and_the_others_are_tried() {
        fn without_end(depth: u64) -> u64 {
            if depth == u64::MAX {
                0
            } else {
                1 + std::hint::black_box(without_end(std::hint::black_box(depth + 1)))
            }
        }
        let inputs = [&b"good"[..], b"deep", b"good", b"panic", b"abort", b"good"].map(<[u8]>::to_vec);
        let test = "mutate::tests::an_input_that_ends_the_child_is_told_and_the_others_are_tried";
        let report = survive(test, &inputs, |input| match input {
            b"deep" => drop(without_end(0)),
            b"panic" => panic!("too much"),
            b"abort" => std::process::abort(),
            _ => {}
        });
        let report = report.expect("children run");
        assert_eq!(report.tried, 6);
        let fallen: Vec<_> = report.fallen.iter().map(|(index, _)| *index).collect();
        assert_eq!(fallen, [1, 3, 4], "{report:?}");
        assert!(report.fallen[0].1.contains("overflowed its stack"), "{report:?}");
    }

    #[test]
    fn what_an_input_holds_is_measured() {
        let inputs = [vec![0], vec![1]];
        let report = survive("mutate::tests::what_an_input_holds_is_measured", &inputs, |input| {
            std::hint::black_box(vec![7_u8; usize::from(input[0]) * 64 * 1024 * 1024]);
        });
        let memory = report.expect("children run").memory;
        assert!(memory == 0 || memory >= 60 * 1024 * 1024, "{memory}");
    }
}
