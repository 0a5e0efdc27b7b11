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

/// Carries runs out so many times, one after the other and then all of them again, so that what disturbs the machine for a
/// while disturbs each of them alike. Takes the repetition in the middle of each, by messages a second; one that is wrong goes
/// before all others.
pub async fn medians(runs: Vec<Run>, repetitions: usize) -> anyhow::Result<Vec<(Run, Figures)>> {
    let mut all: Vec<_> = runs.into_iter().map(|run| (run, Vec::with_capacity(repetitions))).collect();
    for _ in 0..repetitions {
        for (run, figures) in &mut all {
            figures.push(run.carry_out().await?);
        }
    }
    Ok(all.into_iter().map(|(run, figures)| (run, middle(figures))).collect())
}

fn middle(mut all: Vec<Figures>) -> Figures {
    if let Some(wrong) = all.iter().position(|figures| !figures.faults.is_empty()) {
        return all.swap_remove(wrong);
    }
    all.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    all.swap_remove(all.len() / 2)
}
