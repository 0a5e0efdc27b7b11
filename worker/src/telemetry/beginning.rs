//! The beginning of a worker. A wrong name or key that stands in the settings is refused each time, and trying on would
//! only hide it; so until a service has let the worker in once, such refusals are counted, and the worker ends with what they
//! say. Afterwards none of this counts: keys are rotated and services fail, and a worker that worked waits.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Refusals in a row that are believed. One node of a service may know less than the others for a moment.
const BELIEVED: u32 = 3;

/// Who has to let the worker in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gatekeeper {
    /// The queue.
    Queue,
    /// Who issues tokens for Graph.
    Login,
}

/// What is known of one of them.
#[derive(Clone, Copy, Debug)]
enum Welcome {
    /// So many refusals in a row, that only other settings can end, and never anything else.
    Refused(u32),
    /// It has let the worker in.
    LetIn,
}

/// What was heard from both since the start.
#[derive(Debug)]
pub(crate) struct Beginning {
    heard: Mutex<[Welcome; 2]>,
    verdict: watch::Sender<Option<Box<str>>>,
    /// Whether the queue did anything else than to refuse what only other settings can mend.
    queue_answered: watch::Sender<bool>,
}

impl Default for Beginning {
    fn default() -> Self {
        Self {
            heard: Mutex::new([Welcome::Refused(0); 2]),
            verdict: watch::Sender::default(),
            queue_answered: watch::Sender::default(),
        }
    }
}

impl Beginning {
    /// Turns to a sentence once it is clear that the worker cannot work with these settings.
    pub(crate) fn verdict(&self) -> watch::Receiver<Option<Box<str>>> {
        self.verdict.subscribe()
    }

    /// Waits as long as the worker may be about to end for what the queue says. Whoever asks the service something else by then
    /// would tell the same fault in other words.
    pub(crate) async fn past_refusals_of_the_queue(&self) {
        // An error would mean that nobody can tell any more.
        drop(self.queue_answered.subscribe().wait_for(|answered| *answered).await);
    }

    /// It has let the worker in.
    pub(crate) fn let_in(&self, by: Gatekeeper) {
        self.answered(by);
        self.hear(by, |_| Welcome::LetIn);
    }

    /// It failed in another way, which passes or is mended elsewhere.
    pub(crate) fn failed(&self, by: Gatekeeper) {
        self.answered(by);
        self.hear(by, |heard| match heard {
            Welcome::LetIn => Welcome::LetIn,
            Welcome::Refused(_) => Welcome::Refused(0),
        });
    }

    /// It refuses what only other settings can mend. Returns whether it counts; then nothing else need be told.
    pub(crate) fn refused(&self, by: Gatekeeper, sentence: &str) -> bool {
        if self.verdict.receiver_count() == 0 {
            self.answered(by);
            return false;
        }
        let heard = self.hear(by, |heard| match heard {
            Welcome::LetIn => Welcome::LetIn,
            Welcome::Refused(count) => Welcome::Refused(count + 1),
        });
        match heard {
            Welcome::LetIn => false,
            Welcome::Refused(count) => {
                if count == BELIEVED {
                    self.verdict.send_replace(Some(sentence.into()));
                }
                true
            }
        }
    }

    fn answered(&self, by: Gatekeeper) {
        if matches!(by, Gatekeeper::Queue) {
            self.queue_answered.send_if_modified(|answered| !std::mem::replace(answered, true));
        }
    }

    fn hear(&self, by: Gatekeeper, change: impl FnOnce(Welcome) -> Welcome) -> Welcome {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut heard[by as usize];
        *place = change(*place);
        *place
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Events at a gatekeeper: refused, failed otherwise, let in.
    fn hears(beginning: &Beginning, by: Gatekeeper, events: &str) {
        for event in events.chars() {
            match event {
                'r' => drop(beginning.refused(by, "no such queue")),
                'f' => beginning.failed(by),
                _ => beginning.let_in(by),
            }
        }
    }

    /// What comes of events at the queue.
    fn verdict(events: &str) -> Option<Box<str>> {
        let beginning = Beginning::default();
        let verdict = beginning.verdict();
        hears(&beginning, Gatekeeper::Queue, events);
        verdict.borrow().clone()
    }

    #[test]
    fn nobody_else_asks_as_long_as_the_queue_only_refuses() {
        for (events, past) in [("", false), ("rrr", false), ("f", true), ("rl", true), ("lrr", true)] {
            let beginning = Beginning::default();
            let _verdict = beginning.verdict();
            hears(&beginning, Gatekeeper::Login, "rfl");
            hears(&beginning, Gatekeeper::Queue, events);
            let waited = beginning.past_refusals_of_the_queue().now_or_never();
            assert_eq!(waited.is_some(), past, "{events}");
        }
        let never_ends = Beginning::default();
        hears(&never_ends, Gatekeeper::Queue, "r");
        assert!(
            never_ends.past_refusals_of_the_queue().now_or_never().is_some(),
            "it goes on in spite of it"
        );
    }

    #[test]
    fn a_worker_gives_up_only_before_it_was_ever_let_in_and_after_several_refusals() {
        for (events, ends) in [
            ("r", false),
            ("rr", false),
            ("rrr", true),
            ("frrr", true),
            ("rrfrr", false),
            ("fffff", false),
            ("lrrrrr", false),
            ("rrlrrr", false),
            ("lfrrrr", false),
        ] {
            assert_eq!(verdict(events).is_some(), ends, "{events}");
        }
    }

    #[test]
    fn without_somebody_who_would_end_the_worker_each_refusal_is_told() {
        let beginning = Beginning::default();
        assert!(!beginning.refused(Gatekeeper::Login, "wrong secret"));
        let _verdict = beginning.verdict();
        assert!(beginning.refused(Gatekeeper::Login, "wrong secret"));
        beginning.let_in(Gatekeeper::Login);
        assert!(!beginning.refused(Gatekeeper::Login, "wrong secret"), "it worked, so it has to be told");
    }
}
