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
fn replicas_are_added_for_ten_minutes_of_the_write_quota() {
    let rate = default_of("throttle", "writes_per_second").as_float().expect("a number");
    for path in [VALUES, BICEP] {
        let messages: f64 = number_of(path, "messageCount:").to_string().parse().expect("a number");
        assert!((messages - rate * 600.0).abs() < 1.0, "{path} has {messages} for {rate} writes a second");
    }
    // More replicas than two only contend for it.
    assert_eq!(number_of(VALUES, "maxReplicas:"), 2);
    assert_eq!(number_of(BICEP, "param maxReplicas int ="), 2);
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
fn the_identity_that_measures_the_queue_is_kept_from_the_container() {
    let text = read(BICEP);
    let settings = text.split_once("identitySettings: [").and_then(|(_, rest)| rest.split_once(']'));
    let (settings, _) = settings.expect("settings of identities");
    let words: Vec<_> = settings.split_whitespace().collect();
    assert_eq!(words, ["{", "identity:", "scaler.id", "lifecycle:", "'None'", "}"]);
}

#[test]
fn nobody_but_the_node_reaches_the_status_port_of_a_pod_unasked() {
    assert_eq!(value_of(VALUES, "metricsFrom:"), "[]");
    // A rule that names nobody lets in everybody, so without names there must be no rule.
    let policy = read("deploy/helm/contactsync/templates/networkpolicy.yaml");
    assert!(policy.contains("{{- with .Values.networkPolicy.metricsFrom }}"), "{policy}");
    assert!(policy.contains("{{- else }}\n  ingress: []"), "{policy}");
}
