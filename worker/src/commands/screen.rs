//! How far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use shared::shown::shown;
use tokio::time::Instant;

use super::terminal::{fitted_aside, print_aside};

/// Time between two lines of progress.
const PAUSE: Duration = Duration::from_secs(5);
/// Messages between two lines where only their number tells.
const MANY: u64 = 10_000;

/// Where progress is shown: on standard error, so that standard output holds the result alone.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    told: Instant,
    told_count: u64,
    /// What stands behind the bar.
    note: String,
    /// What is waited for, which stands below it.
    waits: Option<String>,
}

impl Screen {
    /// Shows nothing yet. `of` is how much there is to do, if that is known.
    pub(super) fn new(of: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = of.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = match of {
                Some(_) => "{bar:40} {pos} of {len}  {msg}",
                None => "{spinner} {msg}",
            };
            // The templates are ours and good.
            bar.with_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self { bar, told: Instant::now(), told_count: 0, note: String::new(), waits: None }
    }

    /// Whether somebody watches.
    pub(super) fn is_terminal(&self) -> bool {
        self.bar.is_some()
    }

    /// So much is done; `text` says it where there is no bar.
    pub(super) fn at(&mut self, done: u64, note: &str, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            self.note = shown(note).into_owned();
            bar.set_message(message(&self.note, self.waits.as_deref()));
            bar.set_position(done);
            return;
        }
        if self.told.elapsed() >= PAUSE || done >= self.told_count + MANY {
            self.told = Instant::now();
            self.told_count = done;
            print_aside(&text());
        }
    }

    /// What is waited for: below the bar until it goes on, or a line.
    pub(super) fn waiting(&mut self, what: &str) {
        let what = shown(what).into_owned();
        match &self.bar {
            Some(bar) => {
                bar.set_message(message(&self.note, Some(&what)));
                self.waits = Some(what);
            }
            None => print_aside(&what),
        }
    }

    /// Nothing is waited for any more.
    pub(super) fn goes_on(&mut self) {
        self.waits = None;
    }

    /// A line that stays, above the bar if there is one.
    pub(super) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(fitted_aside(&shown(text))),
            None => print_aside(&shown(text)),
        }
    }

    /// Prints something else, during which the bar is away.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What stands behind the bar, and below it as wide as the terminal.
fn message(note: &str, waits: Option<&str>) -> String {
    waits.map_or_else(|| note.to_owned(), |waits| format!("{note}\n{}", fitted_aside(waits)))
}
