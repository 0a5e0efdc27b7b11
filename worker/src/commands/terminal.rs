//! The one way to a terminal: whatever a command says goes through here, and nothing that commands the terminal or
//! hides from the eye gets past it.
//!
//! What comes from others is made to take one line where it is put into a sentence or a table, by `shared::shown`; only
//! there is it known which breaks are ours. This is the last gate, for all of it.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;
use shared::shown::{brief, json, lines};

use super::fitting::fit;
use crate::settings::{self, SettingsProblems};

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

/// Text for standard output, as wide as that is.
pub(crate) fn fitted(text: &str) -> String {
    fit(text, width()).into_owned()
}

/// Text for standard error, as wide as that is.
pub(super) fn fitted_aside(text: &str) -> String {
    let width = terminal_size::terminal_size_of(io::stderr()).map(|(columns, _)| usize::from(columns.0));
    fit(text, width).into_owned()
}

/// Prints to standard error, as wide as that is.
pub(super) fn print_aside(text: &str) {
    // Nothing is left to be done if standard error is closed.
    drop(writeln!(io::stderr().lock(), "{}", fitted_aside(text)));
}

/// Prints a question to standard error, behind which the answer is typed.
pub(super) fn print_question(text: &str) {
    let mut stderr = io::stderr().lock();
    // Nothing is left to be done if standard error is closed.
    drop(write!(stderr, "{}", fitted_aside(text)).and_then(|()| stderr.flush()));
}

/// Prints to standard output; a reader that has gone away, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_on(text).map(drop)
}

/// Prints sentences for people, as wide as the terminal. Documents and bodies are not broken: [`print`] leaves them whole.
pub(crate) fn print_words(text: &str) -> anyhow::Result<()> {
    print(&fitted(text))
}

/// Prints to standard output as [`print`] does, for what goes on and on: whether anybody still reads.
pub(crate) fn print_on(text: &str) -> anyhow::Result<bool> {
    write_out(lines(text).as_bytes())
}

/// Prints what was found or tried, with words of how grave it is in colour where somebody reads it.
pub(crate) fn print_report(text: &str) -> anyhow::Result<()> {
    let text = fitted(text);
    let coloured = io::stdout().is_terminal() && settings::wants_colour();
    write_out(if coloured { paint(&text) } else { text }.as_bytes()).map(drop)
}

/// Colours the word with which a line begins, if it is one of ours that says how grave something is. It comes behind the
/// gate, which lets no colour through.
fn paint(text: &str) -> String {
    let painted = text.split_inclusive('\n').map(|line| {
        let end = line.find([' ', ':', '\n']).unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        let colour = match word {
            "error" | "failed" => "31",
            "warning" => "33",
            "note" => "36",
            "ok" => "32",
            "skipped" => "2",
            _ => return line.to_owned(),
        };
        format!("\x1b[{colour}m{word}\x1b[0m{rest}")
    });
    painted.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_gravity_are_coloured_at_the_beginning_of_a_line_and_nowhere_else() {
        let text = "ok       login host  answers\nwarning: small\n         to do: error\nokay then\nfailed\n";
        let expected = "\x1b[32mok\x1b[0m       login host  answers\n\x1b[33mwarning\x1b[0m: small\n         to do: error\n\
                        okay then\n\x1b[31mfailed\x1b[0m\n";
        assert_eq!(paint(text), expected);
    }
}
