//! The command line: what there is, and which exit code a failure gets.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use shared::shown::shown;

use crate::{
    commands::{
        self, VERSION,
        global::{BAD_SETTINGS, Global},
    },
    settings,
};

/// Keeps the users of Azure AD B2C and Entra External ID in step with their contacts in Dataverse.
#[derive(Debug, Parser)]
#[command(
    name = "contactsync",
    version = VERSION,
    about,
    max_term_width = 100,
    after_help = "\
Getting started:
  contactsync config init      write a settings file to fill in
  contactsync check            check the settings
  contactsync run              start the worker

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad settings."
)]
pub struct Cli {
    /// What all commands understand.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive messages and update users until stopped.
    Run(commands::run::Args),
    /// List, show, export or purge dead letters.
    #[command(subcommand)]
    DeadLetters(commands::dead_letters::Command),
    /// List, let through or take out messages that are held aside because one author changes too many users alike.
    #[command(subcommand)]
    Held(commands::held::Command),
    /// Requeue selected dead letters, rate-limited, with canaries.
    Replay(commands::replay::Args),
    /// Hold all contacts against all users, and post what differs to the queue.
    Reconcile(commands::reconcile::Args),
    /// Show queue counts, dead letters by reason and the state of a worker.
    Status(commands::status::Args),
    /// Stop taking messages from the queue, in all replicas, until somebody resumes.
    Pause(commands::pause::Pause),
    /// Take messages from the queue again.
    Resume(commands::pause::Resume),
    /// Tell what happened to a contact, a user or a system job, or what a dead-letter reason means.
    Explain(commands::explain::Args),
    /// Show what would be written to Graph for a captured message body, and why.
    Plan(commands::plan::Args),
    /// Test the mapping: captured bodies against the writes that are expected of them.
    #[command(subcommand)]
    Map(commands::map::Command),
    /// Write one contact to its user, from a captured body or a dead letter, even if nothing changed.
    Apply(commands::apply::Args),
    /// Show or clear a user's version mark, by which the guard keeps old changes from overwriting newer values.
    #[command(subcommand)]
    Guard(commands::guard::Command),
    /// Compare the directories of the settings.
    #[command(subcommand)]
    Targets(commands::targets::Command),
    /// Try the channels by which people are told that something is wrong.
    #[command(subcommand)]
    Notify(commands::notify::Command),
    /// Check the settings and report every problem.
    Check(commands::check::Args),
    /// Ask Dataverse itself: register the steps that post changes, check rights, and find changes that it could not post.
    #[command(subcommand)]
    Dataverse(commands::dataverse::Command),
    /// Write a starter settings file, show the effective settings, or print their JSON Schema.
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Decode a captured message body to JSON.
    Decode(commands::decode::Args),
    /// Send captured message bodies to the queue.
    Send(commands::send::Args),
    /// Gather what somebody needs who is to help: settings, findings, status, metrics, log. Nothing of a person.
    SupportBundle(commands::support_bundle::Args),
    /// Ask the worker on this machine whether it is alive; for container health checks.
    Health(commands::health::Args),
    /// Print shell completions.
    Completions(commands::completions::Completions),
    /// Print the man page, or write man pages to a folder.
    Man(commands::completions::Pages),
}

/// Parses the arguments, does what they say and turns the result into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = settings::arguments();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return told(error, &arguments),
    };
    let global = &cli.global;
    let result = match &cli.command {
        Command::Run(args) => commands::run::run(global, args),
        Command::DeadLetters(command) => commands::dead_letters::run(global, command),
        Command::Held(command) => commands::held::run(global, command),
        Command::Replay(args) => commands::replay::run(global, args),
        Command::Reconcile(args) => commands::reconcile::run(global, args),
        Command::Status(args) => commands::status::run(global, args),
        Command::Pause(args) => commands::pause::pause(global, args),
        Command::Resume(args) => commands::pause::resume(global, args),
        Command::Explain(args) => commands::explain::run(global, args),
        Command::Plan(args) => commands::plan::run(global, args),
        Command::Map(command) => commands::map::run(global, command),
        Command::Apply(args) => commands::apply::run(global, args),
        Command::Guard(command) => commands::guard::run(global, command),
        Command::Targets(command) => commands::targets::run(global, command),
        Command::Notify(command) => commands::notify::run(global, command),
        Command::Check(args) => commands::check::run(global, args),
        Command::Config(command) => commands::config::run(global, command),
        Command::Dataverse(command) => commands::dataverse::run(global, command),
        Command::Decode(args) => commands::decode::run(args),
        Command::Send(args) => commands::send::run(global, args),
        Command::SupportBundle(args) => commands::support_bundle::run(global, args),
        Command::Health(args) => commands::health::run(global, args),
        Command::Completions(args) => commands::completions::completions(args, Cli::command()),
        Command::Man(args) => commands::completions::pages(args, Cli::command()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            commands::print_error(&error);
            let bad_settings =
                error.is::<settings::SettingsProblems>() || error.is::<commands::run::NotLetIn>();
            ExitCode::from(if bad_settings { BAD_SETTINGS } else { 1 })
        }
    }
}

/// Help as it is asked for, or what is wrong with the arguments. Those are repeated, so each is made to take one line
/// first: which breaks are its own cannot be told afterwards.
fn told(error: clap::Error, arguments: &[OsString]) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if error.use_stderr() {
        let arguments = arguments.iter().map(|argument| shown(&argument.to_string_lossy()).into_owned());
        let error = Cli::try_parse_from(arguments).err().unwrap_or(error);
        commands::print_usage(&error.to_string());
    } else {
        // Nothing is left to be done if standard output is closed.
        drop(error.print());
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
