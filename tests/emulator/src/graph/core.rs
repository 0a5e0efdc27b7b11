//! The way of one request: a delay, the operation, the answer, and the faults in between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{sync::watch, time::Instant};

use super::{call::Call, options::Options, reply::Verdict, state::State};

/// What the listeners and the handle share.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    /// Carries the number of the last journal entry to those who wait for one.
    pub(super) news: watch::Sender<u64>,
    /// Changes when held calls may go on.
    released: watch::Sender<()>,
    /// What a reset goes back to.
    pub(super) options: Options,
    pub(super) ca_pem: String,
}

impl Core {
    pub(super) fn new(state: State, options: Options, ca_pem: String) -> Self {
        Self {
            state: Mutex::new(state),
            news: watch::Sender::new(0),
            released: watch::Sender::new(()),
            options,
            ca_pem,
        }
    }

    /// The state; the guard must not live across an `.await`.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while a test looks at the state leaves it whole; the next test may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request after whatever delay is due.
    pub(super) async fn answer(&self, call: Call) -> Verdict {
        let (strike, held, delay, early) = {
            let mut state = self.lock();
            let strike = state.strike(&call, Instant::now());
            let delay = state.latency + strike.as_ref().map(|strike| strike.delay).unwrap_or_default();
            // Under the lock, so that no release can fall between the strike and the wait.
            let held = strike.as_ref().is_some_and(|strike| strike.hold).then(|| self.released.subscribe());
            let apply_first = strike.as_ref().is_some_and(|strike| strike.apply);
            let at_once = held.is_none() && delay.is_zero();
            let early =
                (apply_first || at_once).then(|| state.answer(&call, strike.as_ref(), Instant::now()));
            (strike, held, delay, early)
        };
        if early.is_some() && (held.is_some() || !delay.is_zero()) {
            self.announce();
        }
        if let Some(mut released) = held {
            // The sender lives as long as this does, so it ends with a release only.
            released.changed().await.unwrap_or_default();
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let verdict = match early {
            Some(verdict) => verdict,
            None => self.lock().answer(&call, strike.as_ref(), Instant::now()),
        };
        self.announce();
        verdict
    }

    /// Lets held calls go on, and holds no more.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        state.script.let_go();
        self.released.send_replace(());
    }

    /// How many calls are held back now.
    pub(super) fn held(&self) -> usize {
        self.released.receiver_count()
    }

    /// Tells those who wait that something happened.
    pub(super) fn announce(&self) {
        if self.news.receiver_count() > 0 {
            let last = self.lock().journal.last();
            self.news.send_replace(last);
        }
    }
}
