//! Contacts held against users beside a worker, again and again: slowly, by the one replica that writes, and never in the way of
//! a message. All contacts at first and from time to time, otherwise those that have changed and those that differed.
//!
//! Whatever fails is told and done again at the next turn.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use servicebus::clock;
use shared::{
    drift::{Baseline, Objection},
    reason::chain,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    Asked, ContactsRead, DriftPlan, OpenedSides, PassOptions, PostEnd, PostOptions, ReconcileError,
    RepairQueues, RepairRun, StateFile, plan::plan_once, repair::stopped,
};
use crate::{
    operate::replay::{Pacing, Share},
    settings::ReconcilePolicy,
    telemetry::{Observer, drift::DriftPass, write_hold::WriteHold},
};

/// Time between two looks whether this replica writes.
const WHOSE: Duration = Duration::from_secs(1);
/// Longest wait before the first pass. It is not at once, so that a worker that is started again and again does not read
/// everything again and again.
const FIRST: Duration = Duration::from_mins(5);
/// How long it is waited for a change that was posted to be consumed.
const PATIENCE: Duration = Duration::from_mins(2);

/// Does it until `stop` turns true. `open` finds out how both sides are, and `queues` opens what is posted to.
pub(crate) async fn keep_watch(
    policy: &ReconcilePolicy,
    observer: &Arc<Observer>,
    stop: watch::Receiver<bool>,
    open: impl AsyncFn() -> Result<OpenedSides, String>,
    queues: impl Fn() -> Result<RepairQueues, String>,
) {
    let mut watch = DriftWatch {
        policy,
        observer,
        open,
        queues,
        stop: stop.clone(),
        opened: None,
        file: None,
        told: Asked::default(),
    };
    observer.drift_begins();
    let work = async {
        sleep((policy.interval / 10).min(FIRST).mul_f64(rand::random_range(0.5..1.0))).await;
        loop {
            watch.wait_for_role().await;
            watch.turn_guarded().await;
            tokio::select! {
                // So that several installations do not read in step for ever.
                () = sleep(policy.interval.mul_f64(rand::random_range(0.9..1.1))) => {}
                () = role_lost(observer) => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stopped(stop) => {}
    }
}

struct DriftWatch<'w, O, Q> {
    policy: &'w ReconcilePolicy,
    observer: &'w Arc<Observer>,
    open: O,
    queues: Q,
    stop: watch::Receiver<bool>,
    opened: Option<OpenedSides>,
    /// What is remembered; without a file.
    file: Option<StateFile>,
    /// What was asked of the opened sides and is told already.
    told: Asked,
}

impl<O, Q> DriftWatch<'_, O, Q>
where
    O: AsyncFn() -> Result<OpenedSides, String>,
    Q: Fn() -> Result<RepairQueues, String>,
{
    /// Waits until this replica writes. Another one tells the figures while it does not.
    async fn wait_for_role(&self) {
        while !self.observer.health.writes() {
            self.observer.drift_is_elsewheres();
            sleep(WHOSE).await;
        }
        self.observer.drift_begins();
    }

    async fn turn_guarded(&mut self) {
        let observer = Arc::clone(self.observer);
        let turn = AssertUnwindSafe(self.turn()).catch_unwind();
        let ended = tokio::select! {
            ended = turn => ended,
            () = role_lost(&observer) => {
                tracing::info!("contacts are not held against users any further, because this replica does not write any more");
                return;
            }
        };
        let failure = match ended {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => {
                // What it knew may be half of something.
                (self.opened, self.file) = (None, None);
                "contactsync failed; the log tells where".to_owned()
            }
        };
        tracing::warn!(
            why = failure,
            "contacts could not be held against users; it is tried again at the next turn"
        );
        observer.drift_unread(failure);
    }

    async fn turn(&mut self) -> Result<(), String> {
        let (planned, hindered) = self.pass().await?;
        let repairs = self.policy.apply && hindered.is_none() && !planned.writes.is_empty();
        if !repairs || self.observer.health.current_gate() != WriteHold::Open {
            return Ok(());
        }
        self.repair(planned).await?;
        // What was repaired differs no more.
        self.pass().await.map(drop)
    }

    /// One pass; and what keeps it from being repaired.
    async fn pass(&mut self) -> Result<(DriftPlan, Option<String>), String> {
        let begun = Instant::now();
        let planned = self.read(clock::now()).await?;
        let (Some(opened), Some(file)) = (&self.opened, &mut self.file) else {
            return Err("nothing is open".to_owned());
        };
        let evidence = opened.evidence(file.last(), &planned);
        let objections = self.policy.limits.objections(&planned.totals, &evidence);
        if objections.iter().any(Objection::is_about_reading) {
            file.forget();
        } else {
            file.read(&planned).map_err(|error| chain(&error))?;
        }
        let hindered = (!objections.is_empty())
            .then(|| objections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        let asked = opened.asked();
        let Asked { dataverse, graph } = asked.since(self.told);
        self.told = asked;
        self.observer.drift_passed(&DriftPass {
            full: planned.full,
            at: clock::now(),
            took: begun.elapsed(),
            totals: planned.totals.clone(),
            dataverse_requests: dataverse,
            graph_requests: graph,
            hindered: hindered.clone(),
        });
        Ok((planned, hindered))
    }

    /// What has changed, if that can be told; otherwise everything, with the columns and rights as they are now.
    async fn read(&mut self, now: Timestamp) -> Result<DriftPlan, String> {
        let settled = Some(settled(self.policy, self.observer, now));
        if let (Some(opened), Some(baseline)) = (&self.opened, self.baseline(now)) {
            let changed = PassOptions { contacts: ContactsRead::Changed(baseline), begun: now, settled };
            match plan_once(&opened.sides, changed, &mut |_| {}, &mut |_| {}).await {
                Err(error) if error.asks_for_all() => {
                    tracing::info!(error = %chain(&error), "all contacts are read again");
                }
                planned => return planned.map_err(|error| chain(&error)),
            }
        }
        let opened = (self.open)().await?;
        if !self.file.as_ref().is_some_and(|file| file.is_of(&opened.scope)) {
            let file = StateFile::open(None, opened.scope.clone());
            self.file = Some(file.map_err(|error| chain(&error))?);
        }
        self.told = Asked::default();
        let opened = self.opened.insert(opened);
        let all = PassOptions { contacts: ContactsRead::All { tracked: true }, begun: now, settled };
        plan_once(&opened.sides, all, &mut |_| {}, &mut |_| {}).await.map_err(|error| chain(&error))
    }

    /// Where the next pass goes on, unless everything is to be read.
    fn baseline(&self, now: Timestamp) -> Option<&Baseline> {
        let every = SignedDuration::try_from(self.policy.full_every).unwrap_or(SignedDuration::MAX);
        self.file.as_ref()?.baseline().filter(|baseline| baseline.is_enough(now, every))
    }

    async fn repair(&mut self, planned: DriftPlan) -> Result<(), String> {
        let (Some(opened), Some(file)) = (&self.opened, &mut self.file) else { return Ok(()) };
        let queues = (self.queues)()?;
        let options = PostOptions {
            pacing: Pacing { rate: self.policy.rate, canary: None, tolerance: Some(Share::USUAL) },
            patience: PATIENCE,
            addressed_to: opened.addressed_to.clone(),
            at: queues.at.clone(),
        };
        let (observer, stop) = (self.observer, self.stop.clone());
        let posted = async {
            let repair = RepairRun::begin(&queues, planned.writes, file).await?;
            tracing::info!(run = %repair.run, users = repair.writes.len(), "users who differ are repaired");
            repair.post(&opened.sides, options, file, |_| {}, stop).await
        };
        let posted: Result<_, ReconcileError> = posted.await;
        queues.close().await;
        let posted = posted.map_err(|error| chain(&error))?;
        observer.metrics.drift_posted.add(posted.event.posted);
        match posted.end {
            PostEnd::Done | PostEnd::Stopped => Ok(()),
            end => Err(format!("the repair has ended early: {}", end.explain())),
        }
    }
}

/// Changes of rows before this have been applied, or never will be: it is later than the oldest message of the queue.
fn settled(policy: &ReconcilePolicy, observer: &Observer, now: Timestamp) -> Timestamp {
    let behind = observer.metrics.queue_now().oldest_age.unwrap_or_default() + policy.settle;
    let behind = SignedDuration::try_from(behind).unwrap_or(SignedDuration::MAX);
    now.checked_sub(behind).unwrap_or(Timestamp::MIN)
}

async fn role_lost(observer: &Observer) {
    while observer.health.writes() {
        sleep(WHOSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use servicebus::QueueCounts;
    use shared::drift::{Limit, Limits};

    use super::*;
    use crate::telemetry::{
        health::Phase,
        labels::{ReplicaRole, Warning},
        observer::tests::observer,
    };

    const POLICY: ReconcilePolicy = ReconcilePolicy {
        interval: Duration::from_hours(1),
        full_every: Duration::from_hours(24),
        settle: Duration::from_mins(10),
        share: 1.0,
        apply: true,
        rate: 1.0,
        limits: Limits { changes: Limit::Count(1), clears: Limit::Count(1) },
    };

    fn queues() -> Result<RepairQueues, String> {
        Err("there is none".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_told_and_done_again_at_the_next_turn_by_whoever_writes() {
        let (observer, tries) = (observer(), Cell::new(0));
        let (stop, stopped) = watch::channel(false);
        let open = async || {
            tries.set(tries.get() + 1);
            match tries.get() {
                1 => Err("dataverse is away".to_owned()),
                2 => panic!("this turn panics"),
                _ => Err("still away".to_owned()),
            }
        };
        let told = || observer.drift.now().and_then(|known| known.failure);
        let test = async {
            // Nobody has said yet which replica writes.
            sleep(POLICY.interval * 2).await;
            assert_eq!((tries.get(), told()), (0, None));
            observer.health.beat(Phase::Running, Instant::now());
            observer.role(ReplicaRole::Writer);
            sleep(WHOSE * 2).await;
            assert_eq!((tries.get(), told().as_deref()), (1, Some("dataverse is away")));
            assert_eq!(observer.health.warnings(Timestamp::UNIX_EPOCH)[0].warning, Warning::DriftUnread);
            sleep(POLICY.interval.mul_f64(1.2)).await;
            assert_eq!(
                (tries.get(), told().as_deref()),
                (2, Some("contactsync failed; the log tells where"))
            );
            sleep(POLICY.interval.mul_f64(1.2)).await;
            assert_eq!(tries.get(), 3);
            // Another replica tells from now on.
            observer.role(ReplicaRole::Standby);
            sleep(WHOSE * 3).await;
            assert!(
                observer.drift.now().is_none() && observer.health.warnings(Timestamp::UNIX_EPOCH).is_empty()
            );
            sleep(POLICY.interval * 2).await;
            assert_eq!(tries.get(), 3);
            stop.send_replace(true);
        };
        tokio::join!(keep_watch(&POLICY, &observer, stopped, open, queues), test);
    }

    #[test]
    fn what_the_queue_may_hold_still_is_not_settled() {
        let (observer, now) = (observer(), Timestamp::from_second(1_800_000_000).expect("in range"));
        let behind = || now.duration_since(settled(&POLICY, &observer, now)).as_secs();
        assert_eq!(behind(), 600, "nothing is known of the queue");
        let oldest_age = Some(Duration::from_hours(2));
        observer.metrics.queue.send_replace(Some(QueueCounts { oldest_age, ..QueueCounts::default() }));
        assert_eq!(behind(), 7_800);
    }
}
