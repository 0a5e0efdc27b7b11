//! Several targets in one process: each has a thread and a runtime of its own, so that none waits for another.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use anyhow::Context;
use servicebus::{LinkState, clock};
use shared::{retry::Ladder, target::TargetName};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep},
};

use super::work::Work;
use crate::{
    commands::runtime::runtime,
    telemetry::{
        health::{BEAT, Phase},
        logging,
    },
};

/// Waits before a pipeline that has failed is begun anew. The others go on meanwhile.
const AGAIN: Ladder = Ladder::fixed(Duration::from_secs(1), Duration::from_mins(1)).with_equal_jitter();

/// A pipeline that ran for so long has not failed at once.
const LASTING: Duration = Duration::from_mins(10);

/// Runs all of them until `stop` turns true and each has finished what is under way.
pub(super) async fn run(all: Vec<(TargetName, Work)>, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut running = Vec::new();
    for (name, work) in all {
        let (done, ended) = oneshot::channel();
        let stop = stop.clone();
        thread::Builder::new()
            .name(format!("target {name}"))
            .spawn(move || {
                logging::speak_for(&name);
                let run = || runtime()?.block_on(work.run(stop.clone()));
                keep(&stop, run, |why, wait| rest(&work, why, stop.clone(), wait));
                // Nobody listens if the process is about to end.
                done.send(()).ok();
            })
            .context("a thread for a target cannot be started")?;
        running.push(ended);
    }
    for ended in running {
        // An error is a thread that has panicked; what it held comes again.
        ended.await.ok();
    }
    Ok(())
}

/// Runs a target until it is told to stop. What fails inside contactsync is begun anew, as a process would be that is
/// alone.
fn keep(stop: &watch::Receiver<bool>, run: impl Fn() -> anyhow::Result<()>, pause: impl Fn(&str, Duration)) {
    let mut failures = 0;
    while !*stop.borrow() {
        let begun = Instant::now();
        let why = match catch_unwind(AssertUnwindSafe(&run)) {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "contactsync failed; the log tells where".to_owned(),
        };
        failures = if begun.elapsed() > LASTING { 1 } else { failures + 1 };
        let wait = AGAIN.wait(failures, rand::random());
        tracing::error!(why, "the target stands still and is begun anew in {} s", wait.as_secs());
        pause(&why, wait);
    }
}

/// Waits, with signs of life: nothing is gained from a restart of the whole process.
fn rest(work: &Work, why: &str, mut stop: watch::Receiver<bool>, wait: Duration) {
    let since = clock::now();
    let again = since.checked_add(wait).unwrap_or(since);
    work.link.send_replace(LinkState::Failed { what: why.into(), since, again });
    let Ok(runtime) = runtime() else { return thread::sleep(wait) };
    runtime.block_on(async {
        let end = Instant::now() + wait;
        while Instant::now() < end && !*stop.borrow() {
            work.observer.health.beat(Phase::Starting, Instant::now());
            tokio::select! {
                () = sleep(BEAT) => {}
                _ = stop.changed() => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use anyhow::bail;

    use super::*;

    #[test]
    fn what_fails_is_begun_anew_until_it_is_told_to_stop() {
        let (stop, stopped) = watch::channel(false);
        let (begun, pauses) = (Cell::new(0), RefCell::new(Vec::new()));
        let run = || {
            begun.set(begun.get() + 1);
            match begun.get() {
                1 => bail!("the queue failed"),
                2 => panic!("this run panics"),
                3..=9 => bail!("again"),
                _ => {
                    stop.send_replace(true);
                    Ok(())
                }
            }
        };
        keep(&stopped, run, |why, wait| pauses.borrow_mut().push((why.to_owned(), wait)));
        let pauses = pauses.into_inner();
        assert_eq!((begun.get(), pauses.len()), (10, 9));
        assert_eq!(
            (&*pauses[0].0, &*pauses[1].0),
            ("the queue failed", "contactsync failed; the log tells where")
        );
        assert!(
            pauses[0].1 <= Duration::from_secs(1) && pauses[8].1 >= Duration::from_secs(30),
            "{pauses:?}"
        );
        assert!(pauses.iter().all(|(_, wait)| *wait <= Duration::from_mins(1)), "{pauses:?}");
    }

    #[test]
    fn what_was_told_to_stop_is_not_begun() {
        let (_stop, stopped) = watch::channel(true);
        keep(&stopped, || panic!("it was told to stop"), |_, _| {});
    }
}
