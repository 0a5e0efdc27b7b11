//! A worker whose clock is hours off: no lock is lost, nothing comes twice, and the worker says what is wrong.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use emulator::{
    broker::{self, Settled, data_section},
    graph::Fault,
    journal::{Event, Mark},
};
use jiff::SignedDuration;
use tests::{
    audit::audit,
    observed::Observed,
    quick::QUICK,
    scenario::{Mix, Scenario},
    world::{Options, World},
};

const PATIENCE: Duration = Duration::from_mins(1);
const USERS: usize = 40;
const CHANGES: Mix = Mix::updates(USERS, USERS);

/// No message is given up while Graph is out.
const PATIENT: &str = "[retry]
tries = 100
longest_delay = \"100ms\"";

fn renewed(event: &Event) -> bool {
    matches!(event, Event::Broker(broker::Event::Renewed { .. }))
}

/// What must not happen to a message that is held: its lock is gone, or its delivery count rises.
fn lost(event: &Event) -> bool {
    matches!(
        event,
        Event::Broker(
            broker::Event::LockLapsed { .. }
                | broker::Event::LockLost { .. }
                | broker::Event::Settled { how: Settled::Abandoned, .. }
        )
    )
}

/// Holds messages of the shortest lock there is over an outage of Graph that lasts several locks. Service Bus is ahead
/// of the worker by so many hours; `side` is how the worker has to name it.
async fn check(ahead: i64, side: &str) -> Result<()> {
    let scenario = Scenario::mixed(CHANGES, 15);
    let options = Options {
        lock: Duration::from_secs(5),
        ahead: SignedDuration::from_hours(ahead),
        ..Options::default()
    };
    let world = World::start(options).await?;
    world.add_users(&scenario)?;
    // Past the wire: a client of this machine would not be let in.
    let stored = |(number, posting): (usize, &tests::scenario::Posting)| {
        broker::Message::of(&number.to_string(), posting.content_type, data_section(&posting.body))
    };
    world.store(scenario.postings.iter().enumerate().map(stored).collect())?;
    world.graph.script(Fault::status(503).patches().always());
    let worker = world.start_worker(&world.layered(&[QUICK, PATIENT])?)?;
    let journal = world.bus.journal();
    let renewals = 4 * scenario.postings.len();
    let kept = journal.wait_nth(renewals, Mark::START, PATIENCE, "locks that were renewed", renewed).await;
    ensure!(kept.is_ok(), "too few renewals:\n{}", worker.log()?);
    ensure!(journal.count(lost) == 0, "locks were lost:\n{}", worker.log()?);
    let observed = Observed::of(&worker).await?;
    let skew = "contactsync_clock_skew_seconds{service=\"service_bus\"}";
    let metrics = observed.until("the skew is measured", |metrics| metrics.value(skew).is_some()).await?;
    let seconds = metrics.value(skew).context("it was there")?;
    #[expect(clippy::cast_precision_loss, reason = "a few hours")]
    let wanted = -(ahead * 3_600) as f64;
    ensure!((seconds - wanted).abs() < 5.0, "{seconds} s instead of {wanted} s");
    let warns = |metrics: &tests::observed::Metrics| {
        metrics.value("contactsync_warning{kind=\"clock_skew\"}") == Some(1.0)
            && metrics.value("contactsync_locks_lost_total") == Some(0.0)
    };
    observed.until("the worker warns of its clock", warns).await?;
    world.graph.clear_faults();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    ensure!(audit(&world, &scenario)?.faults.is_empty(), "{log}");
    ensure!(journal.count(lost) == 0, "{log}");
    ensure!(log.contains(&format!("the clock of this machine is 3h {side} service bus")), "{log}");
    // A signature by a clock that is three hours behind had lapsed when it was made; the next one is by the other clock.
    let hint = "the token was still to last for 1h, so that clock is behind, most likely";
    ensure!(ahead < 0 || log.contains(hint) || log.contains("3h behind that of service bus"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_hours_behind_costs_no_lock() -> Result<()> {
    check(3, "behind").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_hours_ahead_costs_no_lock() -> Result<()> {
    check(-3, "ahead of").await
}
