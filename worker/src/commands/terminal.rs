//! The one way to a terminal: whatever a command says goes through here, and nothing that commands the terminal or
//! hides from the eye gets past it.
//!
//! What comes from others is made to take one line where it is put into a sentence or a table, by `shared::shown`; only
//! there is it known which breaks are ours. This is the last gate, for all of it.

use std::io::{self, Write};

use serde_json::Value;
use shared::shown::{brief, json, lines};

use crate::settings::SettingsProblems;

/// Longest words of one cause, in characters.
const LONGEST_CAUSE: usize = 4_000;

/// The one way in which a command says that it failed.
pub(crate) fn print_error(error: &anyhow::Error) {
    let text = if let Some(problems) = error.downcast_ref::<SettingsProblems>() {
        // Several lines, made of ones that are safe.
        problems.to_string()
    } else {
        let causes = error.chain().map(|cause| brief(&cause.to_string(), LONGEST_CAUSE).into_owned());
        causes.collect::<Vec<_>>().join(": ")
    };
    print_aside(&format!("contactsync: {text}"));
}

/// Says what is wrong with the arguments.
pub(crate) fn print_usage(text: &str) {
    print_aside(text.trim_end());
}

/// Columns of the terminal that standard output goes to; none if it is a file or a pipe.
pub(super) fn width() -> Option<usize> {
    let (columns, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(columns.0))
}

/// Prints a line to standard error.
pub(super) fn print_aside(text: &str) {
    // Nothing is left to be done if standard error is closed.
    drop(writeln!(io::stderr().lock(), "{}", lines(text)));
}

/// Prints to standard output; a reader that has gone away, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_on(text).map(drop)
}

/// The same for what goes on and on: whether anybody still reads.
pub(crate) fn print_on(text: &str) -> anyhow::Result<bool> {
    write_out(lines(text).as_bytes())
}

/// Prints a script of ours as it is.
pub(super) fn print_script(script: &[u8]) -> anyhow::Result<()> {
    write_out(script).map(drop)
}

fn write_out(bytes: &[u8]) -> anyhow::Result<bool> {
    match io::stdout().lock().write_all(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A value on one line, for machines. It says the same as without the gate, and passes it untouched.
pub(crate) fn json_line(value: &Value) -> String {
    with_end(&value.to_string())
}

/// The same, indented for people.
pub(crate) fn json_text(value: &Value) -> String {
    with_end(&format!("{value:#}"))
}

fn with_end(document: &str) -> String {
    json(document).into_owned() + "\n"
}
