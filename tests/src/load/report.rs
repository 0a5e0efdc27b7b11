//! The table for people and the line for programs.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use serde_json::{Value, json};

use super::{figures::Figures, profile::aim, run::Run, start::Start, takeover::Takeover};

const HEADER: [&str; 15] = [
    "scenario",
    "what",
    "messages",
    "users",
    "workers",
    "messages/s",
    "writes",
    "changes/write",
    "CPU ms/message",
    "peak MB",
    "p50 ms",
    "p99 ms",
    "max ms",
    "429 %",
    "errors",
];

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs, each the median of its repetitions.
    pub runs: Vec<(Run, Figures)>,
    /// Replicas that took over.
    pub takeovers: Vec<Takeover>,
    /// Start and memory, if measured.
    pub start: Option<Start>,
}

impl Report {
    /// The table, and what was wanted of it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY).set_header(HEADER);
        for (run, figures) in &self.runs {
            table.add_row(row(run, figures));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = if self.runs.is_empty() { String::new() } else { format!("{table}\n") };
        for (run, figures) in &self.runs {
            if let Some(line) = aim(run, figures, &self.runs) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        for takeover in &self.takeovers {
            text.push_str(&takeover.line());
            text.push('\n');
        }
        if let Some(start) = &self.start {
            let Start { first, idle, laden, program } = start;
            // Writing to a string cannot fail.
            let _infallible = writeln!(
                text,
                "f         first change applied after {:.0} ms (aim 300); idle {} MB (25), with a long queue {} MB \
                 (64); program {} MB (15)",
                first.as_secs_f64() * 1e3,
                idle / 1_000_000,
                laden / 1_000_000,
                program / 1_000_000,
            );
        }
        text
    }

    /// Everything in one line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let runs: Vec<_> = self.runs.iter().map(|(run, figures)| figures.json(run)).collect();
        let takeovers: Vec<_> = self.takeovers.iter().map(Takeover::json).collect();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        json!({
            "version": env!("CARGO_PKG_VERSION"), "cores": cores, "ok": self.faults().is_empty(),
            "runs": runs, "takeovers": takeovers, "start": self.start.as_ref().map(Start::json),
        })
    }

    /// Everything that is not as it must be.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let named = |(run, figures): &(Run, Figures)| {
            figures.faults.iter().map(|fault| format!("{}: {fault}", run.key)).collect::<Vec<_>>()
        };
        let taken_over = |takeover: &Takeover| {
            let key = takeover.cause.key();
            takeover.faults.iter().map(|fault| format!("{key}: {fault}")).collect::<Vec<_>>()
        };
        let runs = self.runs.iter().flat_map(named);
        runs.chain(self.takeovers.iter().flat_map(taken_over)).collect()
    }
}

fn row(run: &Run, figures: &Figures) -> Vec<String> {
    vec![
        run.key.clone(),
        run.what.clone(),
        figures.messages.to_string(),
        run.mix.users.to_string(),
        run.workers.to_string(),
        format!("{:.0}", figures.rate()),
        figures.writes.to_string(),
        format!("{:.2}", figures.changes_per_write()),
        format!("{:.4}", figures.cpu_ms()),
        (figures.peak / 1_000_000).to_string(),
        format!("{:.1}", figures.delay_ms(0.5)),
        format!("{:.1}", figures.delay_ms(0.99)),
        format!("{:.1}", figures.delay_ms(1.0)),
        format!("{:.1}", figures.throttled_share() * 100.0),
        figures.errors.to_string(),
    ]
}
