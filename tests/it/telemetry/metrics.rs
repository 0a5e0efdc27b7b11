//! The metrics say what happened: no more, no less.

use anyhow::Result;
use emulator::{broker, journal::Event};
use tests::{
    audit::audit,
    observe::Metrics,
    scenario::{Mix, Scenario},
    world::{Options, World},
};

use super::{PATIENCE, QUICK};

const APPLIED: &str = r#"contactsync_messages_total{outcome="applied"}"#;

const MIX: Mix = Mix {
    users: 40,
    changes: 200,
    strangers: 10,
    sign_ins: 10,
    garbage: 2,
    ghosts: 1,
    bad_links: 1,
    bad_values: 1,
};

#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn number(count: usize) -> f64 {
    count as f64
}

fn settled(world: &World, how: broker::Settled) -> f64 {
    let wanted = |event: &Event| matches!(event, Event::Broker(broker::Event::Settled { how: seen, .. }) if *seen == how);
    number(world.bus.journal().count(wanted))
}

#[track_caller]
fn assert_same(seen: &Metrics, series: &str, expected: f64) {
    assert!(
        (seen.value(series) - expected).abs() < 0.5,
        "{series} is {}, not {expected}",
        seen.value(series)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_run_the_metrics_equal_the_journals() -> Result<()> {
    let scenario = Scenario::mixed(MIX, 21);
    let world = World::loaded(Options::default(), &scenario).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    world.drained(PATIENCE).await?;
    // The queue is empty a moment before the last settlement is counted.
    worker
        .page_until("/metrics", |page| Metrics::of(&page.text).sum("contactsync_messages_total", "") > 224.5)
        .await?;
    let seen = worker.metrics().await?;
    let received = r#"messaging_client_consumed_messages_total{messaging_system="servicebus",messaging_operation_name="receive",messaging_destination_name="contacts"}"#;
    assert_same(&seen, received, 225.0);
    // How many of the changes come too late to matter depends on what merges.
    let (applied, stale) =
        (seen.value(APPLIED), seen.value(r#"contactsync_messages_total{outcome="stale"}"#));
    assert!((applied + stale - 200.0).abs() < 0.5, "{applied} applied, {stale} stale");
    assert_same(&seen, r#"contactsync_messages_total{outcome="unchanged",reason="not-a-portal-user"}"#, 10.0);
    assert_same(&seen, r#"contactsync_messages_total{outcome="unchanged",reason="nothing-mapped"}"#, 10.0);
    for (reason, count) in
        [("BodyUndecodable", 2.0), ("UserNotFound", 1.0), ("UserLinkInvalid", 1.0), ("ValueInvalid", 1.0)]
    {
        let series = format!("contactsync_messages_total{{outcome=\"dead_lettered\",reason=\"{reason}\"}}");
        assert_same(&seen, &series, count);
    }
    let sum = |label: &str| seen.sum("contactsync_messages_total", label);
    let completed = applied + stale + sum("outcome=\"unchanged\"");
    assert!((completed - settled(&world, broker::Settled::Completed)).abs() < 0.5, "{completed}");
    assert!((sum("dead_lettered") - settled(&world, broker::Settled::DeadLettered)).abs() < 0.5);
    let patches = world.patches();
    for status in [204, 404] {
        let answered = patches.iter().filter(|patch| patch.status == Some(status)).count();
        assert_same(
            &seen,
            &format!("contactsync_graph_writes_total{{status=\"{status}\"}}"),
            number(answered),
        );
    }
    assert!((seen.sum("contactsync_graph_writes_total", "") - number(patches.len())).abs() < 0.5);
    assert!(
        (seen.sum("http_client_request_duration_seconds_count", "PATCH") - number(patches.len())).abs() < 0.5
    );
    let accepted = seen.value(r#"contactsync_graph_writes_total{status="204"}"#);
    assert_same(&seen, "contactsync_changes_per_write_count", accepted);
    assert_same(&seen, "contactsync_change_to_applied_seconds_count", applied);
    for gauge in ["contactsync_in_flight", "contactsync_held_messages", "contactsync_lanes_waiting"] {
        assert_same(&seen, gauge, 0.0);
    }
    let log = worker.stop().await?;
    assert_eq!(audit(&world, &scenario)?.faults, [], "{log}");
    assert!(log.contains(&format!("stopped: 225 received, {applied} applied in {accepted} writes")), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_and_a_restart_the_counters_start_again() -> Result<()> {
    let world = super::world(3).await?;
    let settings = world.layered(&[QUICK])?;
    world.post_changes(&[super::change(1, 1), super::change(2, 1)]).await?;
    let mut first = world.start_worker(&settings)?;
    first.page_until("/metrics", |page| Metrics::of(&page.text).value(APPLIED) > 1.5).await?;
    first.kill().await?;
    std::fs::remove_file(settings.with_extension("log"))?;
    let mut second = world.start_worker(&settings)?;
    assert_same(&second.metrics().await?, APPLIED, 0.0);
    world.post_changes(&[super::change(3, 1)]).await?;
    second.page_until("/metrics", |page| Metrics::of(&page.text).value(APPLIED) > 0.5).await?;
    assert_same(&second.metrics().await?, APPLIED, 1.0);
    Ok(())
}
