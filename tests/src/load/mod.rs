//! `cargo load`: a queue full of a described mix, real worker processes, and what they make of it.
//!
//! [`template`] and [`mix`] make the messages, [`run`] carries one run out, [`usage`] asks the system what the
//! processes used, [`figures`] counts and finds what is wrong, [`start`] looks at starting and memory, [`takeover`] at
//! replicas that take over,
//! [`profile`] lists the scenarios, [`report`] prints. How to read it is in `tests/README.md`.

pub mod template;

pub mod mix;

pub mod usage;

pub mod run;

pub mod figures;

pub mod start;

pub mod takeover;

pub mod profile;

pub mod report;

use self::{figures::Figures, run::Run};

/// Repeats a run and takes the repetition in the middle, by messages a second. A repetition that is wrong goes
/// before all others.
pub async fn median(run: &Run, repetitions: usize) -> anyhow::Result<Figures> {
    let mut all = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let figures = run.carry_out().await?;
        if !figures.faults.is_empty() {
            return Ok(figures);
        }
        all.push(figures);
    }
    all.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    Ok(all.swap_remove(all.len() / 2))
}
