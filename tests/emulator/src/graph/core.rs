//! The way of one request: delay, carry out, answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::call::Call;
use super::reply::Reply;
use super::state::State;

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    Reply(Reply),
    /// The connection ends with a reset.
    Reset,
}

/// What the listeners and the handle share.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    /// Carries the number of the last journal entry to those who wait for one.
    pub(super) news: watch::Sender<u64>,
}

impl Core {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), news: watch::Sender::new(0) }
    }

    /// The state; the guard must not live across an `.await`.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while a test looks at the state leaves it whole; the next test may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that something happened.
    pub(super) fn announce(&self) {
        let last = self.lock().journal.last();
        self.news.send_replace(last);
    }

    pub(super) async fn answer(&self, call: Call) -> Verdict {
        let latency = self.lock().latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let reply = self.lock().answer(&call, Instant::now());
        self.announce();
        Verdict::Reply(reply)
    }
}
