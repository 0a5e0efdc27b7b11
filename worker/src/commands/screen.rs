//! How far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Time between two lines of progress.
const PAUSE: Duration = Duration::from_secs(5);
/// Messages between two lines where only their number tells.
const MANY: u64 = 10_000;

/// Where progress is shown: on standard error, so that standard output holds the result alone.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    told: Instant,
    told_count: u64,
}

impl Screen {
    /// Shows nothing yet. `of` is how much there is to do, if that is known.
    pub(super) fn new(of: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = of.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = match of {
                Some(_) => "{bar:40} {pos} of {len}, {eta} left  {msg}",
                None => "{spinner} {msg}",
            };
            // The templates are ours and good.
            bar.with_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self { bar, told: Instant::now(), told_count: 0 }
    }

    /// Whether somebody watches.
    pub(super) fn is_terminal(&self) -> bool {
        self.bar.is_some()
    }

    /// So much is done; `text` says it where there is no bar.
    pub(super) fn at(&mut self, done: u64, note: &str, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(note.to_owned());
            bar.set_position(done);
            return;
        }
        if self.told.elapsed() >= PAUSE || done >= self.told_count + MANY {
            self.told = Instant::now();
            self.told_count = done;
            line(&text());
        }
    }

    /// A line that stays, above the bar if there is one.
    pub(super) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => line(text),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(text: &str) {
    // Nothing is left to be done if standard error is closed.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
