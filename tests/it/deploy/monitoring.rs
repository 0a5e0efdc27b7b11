//! Dashboard, alerts and runbook: they name the same things.

use std::collections::BTreeSet;

use serde_json::Value;
use worker::telemetry::catalogue;

use super::read;

const RULES: &str = "deploy/prometheus/contactsync.rules.yaml";
const CASES: [&str; 2] = ["deploy/prometheus/contactsync.test.yaml", "deploy/prometheus/seconds.test.yaml"];

/// What stands behind `key` in the lines of a file.
fn values<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key))
        .map(str::trim)
        .collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/contactsync.json")).expect("JSON")
}

/// Every query of the dashboard.
fn queries() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.filter_map(|target| target["expr"].as_str()).map(str::to_owned).collect()
}

#[test]
fn every_alert_has_its_entry_in_the_runbook_and_its_cases() {
    let (rules, cases, runbook) = (read(RULES), CASES.map(read).concat(), read("deploy/runbook.md"));
    let alerts = values(&rules, "alert:");
    assert!(alerts.len() >= 10, "the search finds too little: {alerts:?}");
    let (_, section) = runbook.split_once("\n## Alerts\n").expect("a section about alerts");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    assert_eq!(values(section, "### "), alerts, "alerts and entries of the runbook");
    assert_eq!(values(&cases, "alertname:"), alerts, "alerts and those with cases");
    let links: BTreeSet<_> =
        alerts.iter().map(|alert| format!("deploy/runbook.md#{}", alert.to_lowercase())).collect();
    let linked: BTreeSet<_> = values(&rules, "runbook_url:").into_iter().map(str::to_owned).collect();
    assert_eq!(linked, links);
}

#[test]
fn every_case_shows_an_alert_fire_and_stay_quiet() {
    let cases = CASES.map(read).concat();
    for alert in values(&read(RULES), "alert:") {
        let mut checks =
            cases.split("- eval_time:").filter(|check| check.contains(&format!("alertname: {alert}\n")));
        let fires = checks.clone().any(|check| check.contains("exp_labels"));
        let quiet = checks.any(|check| check.contains("exp_alerts: []"));
        assert!(fires && quiet, "{alert}: fires {fires}, stays quiet {quiet}");
    }
}

#[test]
fn what_every_replica_tells_alike_is_never_summed() {
    let rules = read(RULES);
    let rules =
        rules.split("- alert:").map(|rule| rule.split("labels:").next().unwrap_or_default().to_owned());
    let queue_wide: Vec<_> = catalogue::ALL.iter().filter(|metric| metric.queue_wide).collect();
    for query in queries().into_iter().chain(rules) {
        for metric in &queue_wide {
            for (at, _) in query.match_indices(metric.name) {
                let before = &query[..at];
                let by_max = ["max(", "max by (job, target) (", "min_over_time(", "max_over_time("];
                assert!(
                    by_max.iter().any(|function| before.ends_with(function)),
                    "{} in {query}",
                    metric.name
                );
            }
        }
    }
}

#[test]
fn nothing_is_averaged_over_replicas() {
    for query in queries().into_iter().chain([read(RULES)]) {
        // Those that stand by tell zeros.
        assert!(!query.contains("avg"), "{query}");
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let queries = queries();
    let missing: Vec<_> = catalogue::ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !queries.iter().any(|query| query.contains(name)))
        .collect();
    assert!(missing.is_empty(), "nobody can see {missing:?}");
}

#[test]
fn panels_explain_themselves() {
    let dashboard = dashboard();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().unwrap_or_default();
        let explained =
            panel["type"] == "row" || panel["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(!title.is_empty() && explained, "{panel}");
    }
}
