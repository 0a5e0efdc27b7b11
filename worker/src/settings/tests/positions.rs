//! Where a mistake was made, and that it is told once.

use super::{GOOD, check_outdated, parse_text};

/// What is told of settings, with where each value was set.
#[track_caller]
fn check_positions(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let Err(problems) = parse_text(text, environment) else { panic!("accepted") };
    assert_eq!(problems.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn a_mistake_is_told_with_file_and_line_or_variable() {
    check_positions(
        &format!("{GOOD}[pool]\nconcurrency = 0\ngrace = 3\n[gaurd]\nattribute = \"x\"\n"),
        &[("CONTACTSYNC__RETRY__FIRST_DELAY", "soon")],
        &[
            "gaurd.attribute (contactsync.toml:13): there is no such setting; did you mean guard.attribute?",
            "pool.grace (contactsync.toml:11): must be a text in quotes, and is a whole number",
            "pool.concurrency (contactsync.toml:10): must be from 1 to 1000, and is 0",
            "retry.first_delay (CONTACTSYNC__RETRY__FIRST_DELAY): must be a duration such as 500ms, 30s, 5m or 2h",
        ],
    );
}

#[test]
fn what_is_missing_because_its_name_or_kind_is_wrong_is_not_told_twice() {
    let text = GOOD.replace("queue =", "queu =").replace("client_id = \"app\"", "client_id = 3");
    check_positions(
        &text,
        &[],
        &[
            "identity.client_id (contactsync.toml:7): must be a text in quotes, and is a whole number",
            "service_bus.queu (contactsync.toml:4): there is no such setting; did you mean service_bus.queue?",
        ],
    );
    check_positions(
        &GOOD.replace("connection_string", "conection_string"),
        &[],
        &["service_bus.conection_string (contactsync.toml:3): there is no such setting; did you mean \
           service_bus.connection_string?"],
    );
    check_positions(
        GOOD,
        &[("CONTACTSYNC__POOL__CONCURENCY", "3")],
        &[
            "CONTACTSYNC__POOL__CONCURENCY: there is no such setting; did you mean CONTACTSYNC__POOL__CONCURRENCY?",
        ],
    );
}

#[test]
fn a_variable_that_is_nearly_ours_is_told_and_one_of_kubernetes_is_not() {
    check_outdated(
        "",
        &[
            ("CONTACTSYNC_POOL_CONCURRENCY", "3"),
            ("CONTACTSYNC_IDENTITY__CLIENT_SECRET_FILE", "/x"),
            ("CONTACTSYNC_SERVICE_HOST", "10.0.0.1"),
            ("CONTACTSYNC_PORT_9090_TCP", "tcp://10.0.0.1:9090"),
            ("CONTACTSYNC_CONFIG", "x.toml"),
        ],
        &[
            "CONTACTSYNC_IDENTITY__CLIENT_SECRET_FILE: is not read; the variable is called \
             CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE, with two underscores at each step",
            "CONTACTSYNC_POOL_CONCURRENCY: is not read; the variable is called CONTACTSYNC__POOL__CONCURRENCY, with two \
             underscores at each step",
        ],
    );
}
