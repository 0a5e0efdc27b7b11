//! Asking whoever sits at the terminal.

use std::io::{IsTerminal, stderr, stdin};

use anyhow::Context;

use super::terminal::print_question;

/// Whether there is somebody to ask.
pub(super) fn may_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks, and returns what was typed, without the blanks around it. Connections live on meanwhile.
pub(super) async fn ask(question: &str) -> anyhow::Result<String> {
    let question = format!("{question} [y/N] ");
    let answer = tokio::task::spawn_blocking(move || {
        print_question(&question);
        let mut answer = String::new();
        stdin().read_line(&mut answer).map(|_| answer)
    });
    Ok(answer.await?.context("the answer cannot be read")?.trim().to_owned())
}
