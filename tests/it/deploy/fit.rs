//! Figures that stand in several places and have to fit together.

use std::{path::Path, time::Duration};

use jiff::SignedDuration;
use tests::binary::workspace;
use toml::Table;
use worker::settings;

use super::read;

/// What follows `key` on the first line that begins with it, blanks and quotes aside.
#[track_caller]
fn value_of(path: &str, key: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(key));
    let value = line.unwrap_or_else(|| panic!("{path} has no {key}"));
    value.trim().trim_matches(['\'', '"']).to_owned()
}

#[track_caller]
fn number_of(path: &str, key: &str) -> u64 {
    let value = value_of(path, key);
    value.trim_end_matches('s').parse().unwrap_or_else(|_| panic!("{path}: {key} {value} is not a number"))
}

fn default_of(section: &str, key: &str) -> toml::Value {
    let defaults: Table = read("worker/config.default.toml").parse().expect("toml");
    defaults[section][key].clone()
}

const VALUES: &str = "deploy/helm/contactsync/values.yaml";
const CHART: &str = "deploy/helm/contactsync/Chart.yaml";
const BICEP: &str = "deploy/bicep/main.bicep";
const COMPOSE: &str = "deploy/compose.yaml";
const RULES: &str = "deploy/prometheus/contactsync.rules.yaml";

#[test]
fn whoever_stops_the_worker_waits_longer_than_it_takes() {
    let grace = default_of("pool", "grace");
    let grace: SignedDuration = grace.as_str().expect("text").parse().expect("a duration");
    let grace = grace.unsigned_abs();
    for (path, key) in [
        (VALUES, "terminationGracePeriodSeconds:"),
        (BICEP, "terminationGracePeriodSeconds:"),
        (COMPOSE, "stop_grace_period:"),
    ] {
        let patience = Duration::from_secs(number_of(path, key));
        // What is under way is finished within the grace; then it says good-bye to Service Bus.
        assert!(patience >= grace + Duration::from_secs(5), "{path} waits {patience:?} for {grace:?}");
    }
}

#[test]
fn the_port_is_the_same_everywhere() {
    let listen = default_of("http", "listen");
    let port: u64 =
        listen.as_str().and_then(|address| address.rsplit(':').next()?.parse().ok()).expect("a port");
    assert_eq!(number_of(VALUES, "port:"), port);
    assert_eq!(number_of(BICEP, "var port ="), port);
}

#[test]
fn two_replicas_run_whatever_the_length_of_the_queue() {
    assert_eq!(number_of(BICEP, "param replicas int ="), 2);
    for bound in ["minReplicas:", "maxReplicas:"] {
        assert_eq!(value_of(BICEP, bound), "replicas", "{bound}");
    }
    for path in [VALUES, BICEP, "deploy/helm/contactsync/templates/scaledobject.yaml"] {
        assert!(!read(path).contains("messageCount"), "{path} scales by the length of the queue");
    }
}

#[test]
fn a_replica_that_has_gone_is_not_taken_for_a_second_writer() {
    let wait = read(RULES)
        .split("- alert: ")
        .find_map(|rule| rule.strip_prefix("ContactsyncTwoWriters\n").map(str::to_owned))
        .and_then(|rule| rule.lines().find_map(|line| line.trim().strip_prefix("for: ").map(str::to_owned)))
        .expect("the alert waits");
    let wait: u64 = wait.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).expect("seconds");
    for (path, key) in [(VALUES, "interval:"), ("deploy/grafana/README.md", "scrape_interval:")] {
        let interval = number_of(path, key);
        // Prometheus drops what a target that was taken away has told after two intervals and a tenth.
        assert!(wait * 10 > interval * 21, "{path}: {wait} s of waiting for {interval} s");
    }
}

/// Settings of a queue as Bicep or the official emulator write them, down to the end of its block.
fn queue_of(path: &str, begins: &str) -> String {
    let text = read(path);
    let (_, rest) = text.split_once(begins).unwrap_or_else(|| panic!("{path} has no {begins}"));
    let (block, _) = rest.split_once('}').expect("a block");
    block.replace(['"', '\'', ','], "").to_lowercase()
}

#[test]
fn the_lease_queue_has_sessions_and_is_not_the_queue_of_the_messages() {
    let (bicep, compose) = (BICEP, "deploy/compose/queues.json");
    for (path, intake, lease) in [
        (bicep, "resource queue ", "resource leaseQueue "),
        (compose, "\"Name\": \"contacts\"", "\"Name\": \"contacts-lease\""),
    ] {
        let (intake, lease) = (queue_of(path, intake), queue_of(path, lease));
        assert!(intake.contains("requiressession: false"), "{path}: {intake}");
        for wanted in
            ["requiressession: true", "lockduration: pt30s", "deadletteringonmessageexpiration: false"]
        {
            assert!(lease.contains(wanted), "{path} lacks {wanted}: {lease}");
        }
    }
    let guide = read("deploy/README.md");
    let (_, command) = guide.split_once("-n contacts-lease").expect("the command that makes it");
    let (command, _) = command.split_once("```").expect("its end");
    for wanted in [
        "--enable-session true",
        "--lock-duration PT30S",
        "--enable-dead-lettering-on-message-expiration false",
    ] {
        assert!(command.contains(wanted), "the guide lacks {wanted}: {command}");
    }
}

#[test]
fn versions_are_those_of_the_workspace() {
    let manifest: Table = read("Cargo.toml").parse().expect("a manifest");
    let package = &manifest["workspace"]["package"];
    assert_eq!(value_of(CHART, "appVersion:"), package["version"].as_str().expect("text"));
    let toolchain = value_of("deploy/Dockerfile", "ARG RUST_VERSION=");
    let oldest = package["rust-version"].as_str().expect("text");
    assert!(toolchain == format!("{oldest}.0"), "the image is built with {toolchain}, promised is {oldest}");
}

#[test]
fn compose_gives_the_worker_settings_that_it_takes() {
    let text = read(COMPOSE);
    // An entry is `KEY: value`, or `KEY: >-` with the value on the next line.
    let mut lines = text.lines().map(str::trim);
    let mut environment = Vec::new();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(": ").filter(|(key, _)| key.starts_with("CONTACTSYNC__"))
        else {
            continue;
        };
        let value = if value == ">-" { lines.next().expect("the next line") } else { value };
        let value = value.replace("/run/secrets/graph", &secret_of_compose());
        environment.push((key.to_owned(), value));
    }
    assert!(environment.len() > 5, "the search finds too little: {environment:?}");
    let settings = settings::parse(None, environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.bus.source.to_string(), "queue contacts");
}

/// Where the secret lies that compose shows to the worker under another name.
fn secret_of_compose() -> String {
    let file = value_of(COMPOSE, "file:");
    workspace().join("deploy").join(file).display().to_string()
}

#[test]
fn the_image_is_built_from_all_that_it_needs() {
    let ignore = read(".dockerignore");
    let kept: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!(ignore.lines().find(|line| !line.starts_with('#')), Some("*"), "nothing gets in by chance");
    let manifest: Table = read("Cargo.toml").parse().expect("a manifest");
    let members = manifest["workspace"]["members"].as_array().expect("members");
    let needed = members.iter().map(|member| member.as_str().expect("text"));
    for path in needed.chain(["Cargo.toml", "Cargo.lock", "LICENSE", ".cargo", "deploy/image"]) {
        assert!(kept.iter().any(|kept| Path::new(path).starts_with(kept)), ".dockerignore leaves {path} out");
    }
}

#[test]
fn the_container_gets_no_identity_that_may_manage_a_queue() {
    let text = read(BICEP);
    let carried =
        text.split_once("userAssignedIdentities: {").and_then(|(_, rest)| rest.split_once("\n    }"));
    let (carried, _) = carried.expect("identities of the app");
    assert_eq!(carried.trim(), "'${identity.id}': {}");
    // Azure Service Bus Data Owner, by its id.
    assert!(!text.contains("090c5cfd-751d-490a-894a-3ce6f1109419"));
}

#[test]
fn nobody_but_the_node_reaches_the_status_port_of_a_pod_unasked() {
    assert_eq!(value_of(VALUES, "metricsFrom:"), "[]");
    // A rule that names nobody lets in everybody, so without names there must be no rule.
    let policy = read("deploy/helm/contactsync/templates/networkpolicy.yaml");
    assert!(policy.contains("{{- with .Values.networkPolicy.metricsFrom }}"), "{policy}");
    assert!(policy.contains("{{- else }}\n  ingress: []"), "{policy}");
}

/// Rows of a mapping are taken by the worker.
#[track_caller]
fn check_rows(settings: &str) {
    let parts =
        settings::Parts::of(Some((Path::new("contactsync.toml"), settings)), Vec::new()).expect("TOML");
    let wrong: Vec<_> =
        parts.problems.iter().filter(|problem| problem.place.starts_with("mapping")).collect();
    assert!(parts.planner.is_some(), "{wrong:?}");
}

#[test]
fn the_channels_of_the_guide_are_channels_that_the_worker_takes() {
    let guide = read("deploy/README.md");
    let mut blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.find(|block| block.contains("[[notify.channel]]")).expect("channels");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "https://flow.example/x").expect("written");
    let text = block.replace("/run/secrets/teams", &file.path().display().to_string());
    let variables = vec![("CONTACTSYNC__NOTIFY__IDENTITY__CLIENT_SECRET".to_owned(), "x".to_owned())];
    let parts = settings::Parts::of(Some((Path::new("contactsync.toml"), &text)), variables).expect("TOML");
    let notify = parts.notify.unwrap_or_else(|| panic!("{:?}", parts.problems));
    assert_eq!(notify.channels.len(), 2);
}

#[test]
fn the_rows_of_the_guide_and_of_the_defaults_are_rows_that_the_worker_takes() {
    let guide = read("deploy/README.md");
    let blocks: Vec<_> =
        guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let rows: Vec<_> = blocks.into_iter().filter(|block| block.contains("rows = [")).collect();
    assert!(!rows.is_empty(), "the guide shows no rows");
    for rows in rows {
        check_rows(rows);
    }

    let defaults = read("worker/config.default.toml");
    let shown = defaults.lines().filter_map(|line| line.strip_prefix("#   {"));
    // Entries of other lists have no property.
    let shown = shown.filter(|row| row.contains("property ="));
    let rows: Vec<_> = shown.map(|row| row.replace("<app id without hyphens>", &"0".repeat(32))).collect();
    assert!(rows.len() > 10, "the search finds too little: {rows:?}");
    for row in rows {
        let (row, _) = row.rsplit_once('}').expect("the end of a row");
        let beside = "{ column = \"beside\", property = \"city\" }";
        check_rows(&format!("[mapping]\npreset = \"custom\"\nrows = [{{{row}}}, {beside}]\n"));
    }
}
