//! `contactsync dataverse`: what can be asked of Dataverse itself.

pub(super) mod check;
mod jobs;

use std::process::ExitCode;

use super::{global::Global, queues::start_log, runtime::runtime};
use crate::settings::Settings;

/// What to ask Dataverse. All of it needs the section [dataverse] of the settings.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check the application user, its role, the columns of the mapping and the organization.
    Check(check::Args),
    /// Show changes that Dataverse could not post to the queue, and why; resume them or bring them back.
    Jobs(jobs::Args),
}

/// Does it.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    let settings = global.settings()?;
    settings.dataverse.required()?;
    start_log(&settings.telemetry)?;
    runtime()?.block_on(carry_out(&settings, command))
}

async fn carry_out(settings: &Settings, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(args) => check::run(settings, args).await,
        Command::Jobs(args) => jobs::run(settings, args).await,
    }
}
