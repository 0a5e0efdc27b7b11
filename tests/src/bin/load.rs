//! `cargo load`: how fast the worker is, and whether it is right while it is fast. Fails if anything is lost,
//! wrong or out of order.

use std::{io::Write, process::ExitCode, time::Duration};

use ::tests::load::{
    medians,
    mix::Mix,
    profile::Profile,
    report::Report,
    run::{Quota, Run},
    start::Start,
    takeover::Takeover,
    template::Format,
};
use clap::Parser;

/// Fills a queue, runs worker processes against a local Service Bus and a local Graph, prints a table and a
/// line of JSON.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Arguments {
    /// The scenarios to run; without it, one run as the options below describe it.
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Of the profile, only scenarios whose name begins so; may be given more than once.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Repetitions of each run; the one in the middle counts.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Messages.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Users.
    #[arg(long, default_value_t = 20_000)]
    users: usize,
    /// Exponent of Zipf; 0 takes one user after the other.
    #[arg(long, default_value_t = 0.0)]
    skew: f64,
    /// Share of messages about contacts that are no portal users.
    #[arg(long, default_value_t = 0.0)]
    strangers: f64,
    /// Share of messages that nobody can read.
    #[arg(long, default_value_t = 0.0)]
    poison: f64,
    /// Form of the bodies.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Bytes of text that no mapping knows, in each body.
    #[arg(long, default_value_t = 36)]
    filler: usize,
    /// Worker processes.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Writes under way at once in each worker.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Milliseconds that Graph takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Graph's write quota, so many times faster than the real one.
    #[arg(long)]
    quota: Option<f64>,
    /// Messages a second, one by one; without it all of them wait before the start.
    #[arg(long)]
    rate: Option<f64>,
    /// Further settings of the workers, as TOML.
    #[arg(long, default_value = "")]
    settings: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted = |key: &str| {
        arguments.scenario.is_empty() || arguments.scenario.iter().any(|name| key.starts_with(name.as_str()))
    };
    let runs = match arguments.profile {
        Some(profile) => profile.runs().into_iter().filter(|run| wanted(&run.key)).collect(),
        None => vec![arguments.own()],
    };
    let mut report = Report { runs: medians(runs, arguments.runs.max(1)).await?, ..Report::default() };
    for cause in arguments.profile.map(Profile::takeovers).unwrap_or_default() {
        if wanted(cause.key()) {
            report.takeovers.push(Takeover::measure(*cause, arguments.runs.max(1)).await?);
        }
    }
    if let Some(profile) = arguments.profile.filter(|_| wanted("f")) {
        report.start = Some(Start::measure(profile.waiting()).await?);
    }
    let faults = report.faults();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}", report.text(), report.json())?;
    for fault in &faults {
        writeln!(out, "WRONG: {fault}")?;
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Arguments {
    fn own(&self) -> Run {
        Run {
            mix: Mix {
                messages: self.messages,
                users: self.users.max(1),
                skew: self.skew,
                strangers: self.strangers,
                poison: self.poison,
                format: self.format,
                filler: self.filler,
                ..Mix::default()
            },
            workers: self.workers,
            latency: Duration::from_millis(self.latency_ms),
            quota: self.quota.map(|scale| Quota { scale, burst: 300 }),
            concurrency: self.concurrency,
            rate: self.rate,
            settings: self.settings.replace("\\n", "\n"),
            ..Run::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
