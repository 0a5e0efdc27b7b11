//! What is told of health, cause by cause.

use super::*;

fn health(link: LinkState) -> Health {
    let health = Health::new(watch::channel(link).1);
    health.beat(Phase::Running, Instant::now());
    health
}

#[track_caller]
fn check(health: &Health, expected: &[(&str, &str)]) {
    let faults = health
        .checks(Timestamp::UNIX_EPOCH)
        .into_iter()
        .filter_map(|check| Some((check.name, check.fault?.text)));
    let faults: Vec<_> = faults.collect();
    let seen: Vec<_> = faults.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(seen, expected);
}

#[test]
fn every_cause_of_not_being_ready_is_told() {
    check(&health(LinkState::Ready), &[]);
    let starting = Health::new(watch::channel(LinkState::Ready).1);
    check(&starting, &[("worker", "the worker has just been started")]);
    check(&health(LinkState::Connecting), &[("broker", "on the way to the queue")]);
    let (since, again) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(9).expect("small"));
    let failed = health(LinkState::Failed { what: "refused".into(), since, again });
    assert_eq!(failed.checks(since)[1].next_try, Some(again));
    assert_eq!(failed.checks(again)[1].next_try, None, "it is under way");
    check(&failed, &[("broker", "no link to the queue since 1970-01-01T00:00:00Z: refused")]);
    let draining = health(LinkState::Ready);
    draining.beat(Phase::Draining, Instant::now());
    let text = "the worker was told to stop; it finishes what is under way and takes no more";
    check(&draining, &[("worker", text)]);
    let paused = health(LinkState::Ready);
    paused.at_fault(PauseCause::Permission, "denied");
    assert_eq!(paused.gate(WriteHold::Paused, None), Some(PauseCause::Permission));
    check(&paused, &[("intake", "intake is paused, the installation is at fault: denied")]);
    assert_eq!(paused.gate(WriteHold::Open, None), None);
    check(&paused, &[]);
    paused.gate(WriteHold::BreakerOpen, Some(again));
    assert_eq!((paused.checks(since)[6].next_try, paused.held_until()), (Some(again), None));
    paused.gate(WriteHold::Throttled, Some(again));
    assert_eq!(paused.held_until(), Some(again));
    paused.gate(WriteHold::BreakerOpen, None);
    check(&paused, &[("breaker", "writes of many users failed in a row; one at a time is tried")]);
    let code = Some("Busy".into());
    let failed =
        FailedCall { status: Some(503), code, text: "graph answered 503".into(), properties: Vec::new() };
    paused.failing(&failed, Timestamp::UNIX_EPOCH);
    let text = "writes of many users failed in a row; one at a time is tried; the last: 503 Busy, once since \
                1970-01-01T00:00:00Z: graph answered 503";
    check(&paused, &[("breaker", text)]);
    paused.succeeded();
    assert!(paused.last_error().is_some_and(|last| last.over));
    let denied = health(LinkState::Ready);
    denied.token(Some("invalid_client"));
    denied.tries.set("token", Some(again));
    assert_eq!(denied.checks(since)[2].next_try, Some(again));
    check(&denied, &[("token", "there is no token for graph: invalid_client")]);
    // One cause is told once.
    denied.at_fault(PauseCause::Token, "there is no token: invalid_client");
    denied.gate(WriteHold::Paused, None);
    let text = "intake is paused, the installation is at fault: there is no token: invalid_client";
    check(&denied, &[("intake", text)]);
    denied.gate(WriteHold::Open, None);
    denied.token(None);
    check(&denied, &[]);
}

#[test]
fn what_a_pause_was_for_is_not_what_writes_fail_for_afterwards() {
    let (health, again) = (health(LinkState::Ready), Timestamp::from_second(9).expect("small"));
    let busy = FailedCall {
        status: Some(503),
        code: None,
        text: "graph answered 503".into(),
        properties: Vec::new(),
    };
    health.failing(&busy, Timestamp::UNIX_EPOCH);
    health.at_fault(PauseCause::Token, "the secret has expired");
    health.gate(WriteHold::Paused, None);
    check(&health, &[("intake", "intake is paused, the installation is at fault: the secret has expired")]);
    health.gate(WriteHold::Trial, None);
    let text = "graph can be reached again, and one message is tried before all are; intake was paused for: the secret \
                has expired";
    check(&health, &[("intake", text)]);
    health.failing(&busy, Timestamp::UNIX_EPOCH);
    health.gate(WriteHold::Trial, Some(again));
    let text = "graph can be reached again, and writes fail; one at a time is tried; the last: 503, 2 times since \
                1970-01-01T00:00:00Z: graph answered 503";
    check(&health, &[("intake", text)]);
    assert_eq!(health.checks(Timestamp::UNIX_EPOCH)[3].next_try, Some(again));
    health.gate(WriteHold::Open, None);
    health.gate(WriteHold::Trial, None);
    let text = "graph can be reached again, and one message is tried before all are; intake was paused for: the secret \
                has expired";
    check(&health, &[("intake", text)]);
}

#[test]
fn a_link_that_is_unknown_keeps_the_worker_from_being_ready() {
    let health = health(LinkState::Ready);
    health.link(Some(HealthFault { text: "new_portalid never holds a user".into(), remedy: "set it" }));
    check(&health, &[("link", "new_portalid never holds a user")]);
    health.link(None);
    check(&health, &[]);
}

#[test]
fn a_warning_stands_beside_the_checks_until_it_is_over() {
    let health = health(LinkState::Ready);
    let fault = HealthFault { text: "the clock is 45 s behind".into(), remedy: "set it" };
    health.warn(Warning::ClockSkew, Some(fault.clone()));
    check(&health, &[]);
    let since = Some(Timestamp::UNIX_EPOCH);
    let warned = [Warned { warning: Warning::ClockSkew, fault, since, next_try: None }];
    assert_eq!(health.warnings(Timestamp::UNIX_EPOCH), warned);
    assert_eq!(health.warnings(Timestamp::MAX), warned, "since then, and not since it was looked last");
    health.warn(Warning::ClockSkew, None);
    assert_eq!(health.warnings(Timestamp::MAX), []);
}

#[test]
fn a_pipeline_that_stands_still_does_not_live() {
    let health = health(LinkState::Ready);
    let later = Instant::now() + PATIENCE * 2;
    assert_eq!(health.lifeless(Instant::now()), None);
    assert!(health.lifeless(later).is_some_and(|quiet| quiet > PATIENCE));
    health.beat(Phase::Running, later);
    assert_eq!(health.lifeless(later), None);
}
