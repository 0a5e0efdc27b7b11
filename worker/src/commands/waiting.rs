//! What a command waits for, told on a terminal once it takes longer than a moment: silence looks like a fault.

use std::{
    fmt::Display,
    io::{IsTerminal, stderr},
    pin::pin,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use shared::shown::shown;
use tokio::time::sleep;

/// Nobody wonders for so long.
const MOMENT: Duration = Duration::from_secs(1);
/// Time between two turns of the spinner.
const TURN: Duration = Duration::from_millis(120);

/// Does the work; meanwhile `what` is shown with how long it has taken.
pub(super) async fn patiently<T>(what: impl Display, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if !stderr().is_terminal() {
        return work.await;
    }
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = sleep(MOMENT) => {}
    }
    let spinner = Spinner::on(&what);
    let done = work.await;
    drop(spinner);
    done
}

/// Turns until it is dropped.
struct Spinner(ProgressBar);

impl Spinner {
    fn on(what: &impl Display) -> Self {
        let bar = ProgressBar::new_spinner();
        // The template is ours and good.
        let style = ProgressStyle::with_template("{spinner} waiting for {msg} ({elapsed})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(shown(&what.to_string()).into_owned());
        bar.set_elapsed(MOMENT);
        bar.enable_steady_tick(TURN);
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
