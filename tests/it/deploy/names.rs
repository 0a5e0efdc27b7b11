//! Settings, variables, metrics and reasons by their names.

use std::collections::BTreeSet;

use shared::reason::DeadLetterReason;
use toml::{Table, Value};
use worker::telemetry::catalogue;

use super::{artifacts, is_prose, read};

/// What a word may be made of, besides letters and digits.
fn words<'a>(text: &'a str, also: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(move |c: char| !c.is_ascii_alphanumeric() && !also.contains(c)).filter(|word| !word.is_empty())
}

fn defaults() -> Table {
    read("worker/config.default.toml").parse().expect("toml")
}

fn setting<'a>(defaults: &'a Table, mut keys: impl Iterator<Item = &'a str>) -> Option<&'a Value> {
    let first = defaults.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

#[track_caller]
fn check_none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn variables_are_named_after_settings() {
    let defaults = defaults();
    let known = |variable: &str| {
        let Some(key) = variable.strip_prefix("CONTACTSYNC__") else { return true };
        let key = key.to_lowercase();
        // Of a channel: a key of its entry, whatever it is called.
        if key.starts_with("notify__channel__") {
            return true;
        }
        // Of a target: what stands behind its name.
        let own = key.strip_prefix("target__").and_then(|own| own.split_once("__"));
        let key = own.map_or(key.as_str(), |(_, own)| own).to_owned();
        [Some(key.as_str()), key.strip_suffix("_file")]
            .into_iter()
            .flatten()
            .any(|key| setting(&defaults, key.split("__")).is_some_and(|value| !value.is_table()))
    };
    let mut offenders = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, text) in artifacts() {
        for word in words(&text, "_").filter(|word| word.starts_with("CONTACTSYNC__")) {
            // The general form, as in CONTACTSYNC__SECTION__KEY.
            if !known(word)
                && !["CONTACTSYNC__SECTION__KEY", "CONTACTSYNC__TARGET__NAME__SECTION__KEY", "CONTACTSYNC__"]
                    .contains(&word)
            {
                offenders.push(format!("{name} names {word}"));
            }
            seen.insert(word.to_owned());
        }
    }
    check_none(&offenders, "there are no such settings");
    assert!(seen.len() > 10, "the search finds too little: {seen:?}");
}

#[test]
fn settings_named_in_prose_and_comments_exist() {
    let defaults = defaults();
    let mut offenders = Vec::new();
    let mut seen = 0;
    // Members of JSON have names of their own, and so have those of log lines, which pictures of the terminal show.
    let is_own = |name: &str| name == "deploy/json.md" || name.starts_with("deploy/terminal/");
    for (name, text) in artifacts().into_iter().filter(|(name, _)| !is_own(name)) {
        // Helm's values and the symbols of Bicep have names of their own, so there only the sections count
        // that nothing else is called after.
        let sections: Vec<_> = defaults
            .iter()
            .filter(|(_, value)| value.is_table())
            .map(|(section, _)| section.as_str())
            .filter(|section| is_prose(&name) || !["identity", "graph", "service_bus"].contains(section))
            .collect();
        let spans: Vec<&str> =
            if is_prose(&name) { text.split('`').skip(1).step_by(2).collect() } else { vec![&text] };
        for word in spans.into_iter().flat_map(|span| words(span, "._")) {
            let word = word.trim_end_matches('.');
            let Some((section, key)) = word.split_once('.') else { continue };
            let is_key = key.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
            // A file, such as check.rs or graph.json, is not a setting.
            if !sections.contains(&section) || !is_key || ["rs", "py", "json", "microsoft.com"].contains(&key)
            {
                continue;
            }
            // Metrics and their labels are named like that as well.
            if catalogue::ALL.iter().any(|metric| metric.otel_name == word || metric.labels.contains(&word)) {
                continue;
            }
            seen += 1;
            if setting(&defaults, word.split('.')).is_none() {
                offenders.push(format!("{name} names {word}"));
            }
        }
    }
    check_none(&offenders, "there are no such settings");
    assert!(seen > 10, "the search finds too little: {seen}");
}

#[test]
fn metrics_named_under_deploy_exist() {
    let known = |word: &str| {
        let parts = ["", "_bucket", "_sum", "_count"];
        catalogue::ALL.iter().any(|metric| {
            word.strip_prefix(metric.name).is_some_and(|rest| parts.contains(&rest))
                || word == metric.otel_name
        })
    };
    let mut offenders = Vec::new();
    for (name, text) in artifacts() {
        for word in words(&text, "_").filter(|word| word.starts_with("contactsync_")) {
            if !known(word) {
                offenders.push(format!("{name} names {word}"));
            }
        }
    }
    check_none(&offenders, "there are no such metrics");
}

#[test]
fn reasons_named_in_prose_exist() {
    let known: BTreeSet<_> = DeadLetterReason::ALL.iter().map(|reason| reason.as_str()).collect();
    // A word of code that begins as a reason does is meant to be one.
    let beginnings: BTreeSet<_> = known.iter().map(|reason| first_word(reason)).collect();
    let mut offenders = Vec::new();
    for (name, text) in artifacts().into_iter().filter(|(name, _)| is_prose(name)) {
        for word in text.split('`').skip(1).step_by(2) {
            let looks = word.chars().all(|c| c.is_ascii_alphabetic()) && word.len() > first_word(word).len();
            if looks && beginnings.contains(first_word(word)) && !known.contains(word) {
                offenders.push(format!("{name} names {word}"));
            }
        }
    }
    check_none(&offenders, "there are no such reasons");
}

/// `User` of `UserNotFound`.
fn first_word(word: &str) -> &str {
    let end =
        word.char_indices().skip(1).find(|(_, c)| c.is_ascii_uppercase()).map_or(word.len(), |(at, _)| at);
    &word[..end]
}
