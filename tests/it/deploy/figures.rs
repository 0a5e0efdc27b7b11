//! Figures of the guide that follow from the program and from what is deployed.

use clap::{Command, CommandFactory};
use shared::decode::limits;
use toml::Table;
use worker::cli::Cli;

use super::read;

const GUIDE: &str = "deploy/README.md";

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[track_caller]
fn check_told(document: &str, figures: &[String]) {
    let text = read(document);
    let missing: Vec<_> = figures.iter().filter(|figure| !text.contains(figure.as_str())).collect();
    assert!(missing.is_empty(), "{document} does not say {missing:?}");
}

#[test]
fn the_write_quota_is_the_same_in_settings_guide_and_alerts() {
    let defaults: Table = read("worker/config.default.toml").parse().expect("toml");
    let writes = defaults["throttle"]["writes_per_second"].as_float().expect("a number");
    assert!(writes.fract() == 0.0, "{writes}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of writes")]
    let writes = writes as u64;
    let (hundred_thousand, half_an_hour) = (100_000 / writes / 60, writes * 1_800);
    check_told("README.md", &[format!("Graph allows {writes} writes a second")]);
    check_told(
        GUIDE,
        &[
            format!("{writes} writes a second to one app in one tenant ({} in 150 s)", grouped(writes * 150)),
            format!("100,000 changes take {hundred_thousand} minutes"),
        ],
    );
    check_told(
        "deploy/bicep/alerts.bicep",
        &[format!("threshold: {half_an_hour}\n"), "in half an hour".into()],
    );
}

#[test]
fn bounds_in_the_guide_are_those_of_the_program() {
    let defaults: Table = read("worker/config.default.toml").parse().expect("toml");
    let megabytes = defaults["pool"]["megabytes"].as_integer().expect("a number");
    check_told(
        GUIDE,
        &[
            format!("fit into {megabytes} MB (`pool.megabytes`)"),
            format!("| contacts in one message | {};", grouped(limits::RECORDS as u64)),
        ],
    );
}

/// The default of an option.
fn default_of(command: &Command, path: &[&str], option: &str) -> String {
    let command =
        path.iter().fold(command, |command, name| command.find_subcommand(name).expect("a command"));
    let option =
        command.get_arguments().find(|argument| argument.get_long() == Some(option)).expect("an option");
    option.get_default_values()[0].to_string_lossy().into_owned()
}

#[test]
fn defaults_of_options_in_the_guide_are_those_of_the_program() {
    let command = Cli::command();
    let percent = |path: &[&str], option| default_of(&command, path, option).replace('%', " %");
    let reconcile = ["reconcile"];
    check_told(
        GUIDE,
        &[
            format!("(`--rate {}`, the default)", default_of(&command, &reconcile, "rate")),
            format!("`--max-changes` ({}", percent(&reconcile, "max-changes")),
            format!("`--max-clears` ({})", percent(&reconcile, "max-clears")),
            format!(
                "`--settle` ({} seconds)",
                default_of(&command, &["targets", "compare"], "settle").replace('s', "")
            ),
            format!("{} of the smallest tenant's", percent(&["targets", "compare"], "share")),
        ],
    );
}

/// What `az` is told about a queue, and what Bicep says of it.
const QUEUE: [(&str, &str); 8] = [
    ("--lock-duration", "lockDuration"),
    ("--max-delivery-count", "maxDeliveryCount"),
    ("--default-message-time-to-live", "defaultMessageTimeToLive"),
    ("--enable-dead-lettering-on-message-expiration", "deadLetteringOnMessageExpiration"),
    ("--duplicate-detection", "requiresDuplicateDetection"),
    ("--duplicate-detection-history-time-window", "duplicateDetectionHistoryTimeWindow"),
    ("--enable-session", "requiresSession"),
    ("--max-size", "maxSizeInMegabytes"),
];

#[test]
fn the_commands_of_the_guide_make_the_queues_that_bicep_makes() {
    let (guide, bicep) = (read(GUIDE), read("deploy/bicep/main.bicep"));
    for (name, resource) in
        [("-n contacts ", "resource queue "), ("-n contacts-lease ", "resource leaseQueue ")]
    {
        let command = guide
            .split("az servicebus queue create")
            .skip(1)
            .map(|rest| rest.split("\naz ").next().and_then(|one| one.split("```").next()).unwrap_or(rest))
            .find(|command| command.contains(name))
            .expect("a command");
        let words: Vec<_> = command.split_whitespace().collect();
        let (_, block) = bicep.split_once(resource).expect("a resource");
        let (block, _) = block.split_once("\n}").expect("its end");
        for (option, property) in QUEUE {
            let given = words.iter().position(|word| *word == option).map(|at| words[at + 1]);
            let said = block.lines().find_map(|line| line.trim().strip_prefix(property)?.strip_prefix(':'));
            let said = said.map(|value| value.trim().trim_matches('\''));
            assert_eq!(given, said, "{name}: {option} and {property}");
        }
    }
}

#[test]
fn the_container_of_the_guide_is_that_of_bicep() {
    let bicep = read("deploy/bicep/main.bicep");
    for (said, told) in [("cpu: json('0.25')", "0.25 CPU"), ("memory: '0.5Gi'", "0.5 GiB")] {
        assert!(bicep.contains(said), "Bicep has no {said}");
        check_told(GUIDE, &[told.to_owned()]);
    }
}
