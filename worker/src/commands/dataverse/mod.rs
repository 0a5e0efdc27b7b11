//! `contactsync dataverse`: what can be asked of Dataverse itself.

pub(super) mod check;
mod fire;
mod ground;
mod jobs;
mod register;
mod unregister;
mod verify;

use std::process::ExitCode;

use super::{global::Global, queues::start_log, runtime::runtime};
use crate::settings::{Dataverse, Needs, Settings};

/// What to ask Dataverse. All of it needs the section [dataverse] of the settings.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Register the endpoint, steps and images that the settings need; tells first what would be done.
    Register(register::Args),
    /// Take away what register has made, and nothing else.
    Unregister(unregister::Args),
    /// Compare what is registered with what the settings need, or follow a contact to its user.
    Verify(verify::Args),
    /// Check the application user, its role, the columns of the mapping and the organization.
    Check(check::Args),
    /// Show changes that Dataverse could not post to the queue, and why; resume them or bring them back.
    Jobs(jobs::Args),
}

/// Does it.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    // A registration is for all targets that share a queue, everything else for one.
    let (settings, beside) = match command {
        Command::Check(args) => {
            let settings = begun(global.settings()?)?;
            return runtime()?.block_on(check::run(&settings, args));
        }
        Command::Register(_) | Command::Unregister(_) | Command::Verify(_) => global.with_those_beside()?,
        Command::Jobs(_) => (global.settings()?, Vec::new()),
    };
    let settings = begun(settings)?;
    runtime()?.block_on(async {
        match command {
            Command::Register(args) => register::run(settings, &beside, args).await,
            Command::Unregister(args) => unregister::run(settings, &beside, args).await,
            Command::Verify(args) => Box::pin(verify::run(settings, &beside, global, args)).await,
            Command::Jobs(args) => jobs::run(&settings, args).await,
            Command::Check(_) => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Settings that name an environment, with the log begun.
fn begun<N>(settings: Settings<N>) -> anyhow::Result<Settings<N>>
where
    N: Needs<Dataverse = Dataverse>,
{
    settings.dataverse.required()?;
    start_log(&settings.telemetry)?;
    Ok(settings)
}
