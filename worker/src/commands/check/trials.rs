//! What is tried out, one thing after the other: how long each took, and on a terminal each line as soon as it is known.

use std::{
    io::{IsTerminal, stdout},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    commands::{probes::Lines, terminal::print_report, waiting::patiently},
    settings::check::Probe,
};

/// What has been tried so far.
pub(super) struct Trials {
    done: Vec<Probe>,
    live: bool,
    since: Instant,
}

impl Trials {
    /// Nothing yet. Lines are shown as they come where a person reads them.
    pub(super) fn begin(as_json: bool) -> Self {
        Self { done: Vec::new(), live: !as_json && stdout().is_terminal(), since: Instant::now() }
    }

    /// Tries something that `what` names and that takes so long at most.
    pub(super) async fn wait<T>(
        &mut self,
        (what, most): (&str, Duration),
        trial: impl Future<Output = T>,
    ) -> T {
        self.since = Instant::now();
        patiently(format_args!("{what}, {} s at most", most.as_secs()), trial).await
    }

    /// What came of it; of several, the first tells how long it took.
    pub(super) fn told(&mut self, probes: impl IntoIterator<Item = Probe>) -> anyhow::Result<()> {
        for mut probe in probes {
            let now = Instant::now();
            probe.took = Some(now - std::mem::replace(&mut self.since, now));
            if self.live {
                let mut lines = Lines::for_output();
                lines.probes(std::slice::from_ref(&probe));
                print_report(&lines.finish())?;
            }
            self.done.push(probe);
        }
        Ok(())
    }

    /// Whether something of this name has been tried.
    pub(super) fn has(&self, check: &str) -> bool {
        self.done.iter().any(|probe| probe.check == check)
    }

    /// All of them, and whether they have been shown already.
    pub(super) fn end(self) -> (Vec<Probe>, bool) {
        (self.done, self.live)
    }
}
