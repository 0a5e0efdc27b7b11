//! The log: text for people, JSON for machines.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Telemetry};

/// Starts logging to standard error, once per process.
pub fn start(settings: &Telemetry) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&settings.log_level).context("telemetry.log_level is not a log filter")?;
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    let started =
        if json { builder.json().flatten_event(true).try_init() } else { builder.compact().try_init() };
    started.map_err(|error| anyhow::anyhow!(error)).context("the log is in use already")
}
