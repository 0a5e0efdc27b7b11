//! One file per subcommand: the only places that build concrete parts.

mod body;
mod queues;
mod screen;

pub mod apply;
pub mod check;
pub mod completions;
pub mod config;
pub mod dead_letters;
pub mod decode;
pub mod guard;
pub mod health;
pub mod plan;
mod rehearse;
pub mod replay;
pub mod run;
pub mod send;
pub mod status;
pub mod wiring;

use std::io::Write;

/// The one way in which a command says that it failed.
pub fn print_error(error: &anyhow::Error) {
    // Nothing is left to be done if standard error is closed.
    drop(writeln!(std::io::stderr().lock(), "contactsync: {error:#}"));
}

/// Prints to standard output; a reader that has gone away, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_on(text).map(drop)
}

/// The same for what goes on and on: whether anybody still reads.
pub(crate) fn print_on(text: &str) -> anyhow::Result<bool> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}
