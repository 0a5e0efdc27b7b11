//! Names that settings had. For one release the old name of a setting still sets it, and what is no setting any more is
//! told instead of refused.

/// Old and new names. `check`, `config show` and the log of `run` say which old ones are in use.
pub(super) const RENAMED: [(&str, &str); 2] =
    [("graph.ca_file", "connection.ca_file"), ("graph.request_timeout", "connection.request_timeout")];

/// Settings of the last release that are none now, and what happens instead.
pub(super) const REMOVED: [(&str, &str); 10] = [
    ("graph.connect_timeout", "a connection may take 10 seconds to be established"),
    ("pool.max_lock_hold", "a message is kept under lock for 10 minutes"),
    ("pool.messages", "as many messages are held as pool.megabytes allow, 50,000 at most"),
    ("pool.remembered_users", "the worker remembers 20,000 users"),
    ("service_bus.audience", "tokens for Service Bus are for whom the cloud has them"),
    (
        "telemetry.log_outcomes",
        "20 lines a second tell how messages ended, or all with log_level = \"debug\"",
    ),
    ("telemetry.otlp_interval", "OTEL_METRIC_EXPORT_INTERVAL in the environment, in milliseconds"),
    ("throttle.breaker_users", "the breaker opens when 10 users failed in a row"),
    (
        "throttle.burst",
        "after a quiet time as many writes are made at once as throttle.writes_per_second allows in a second",
    ),
    ("throttle.longest_wait", "a Retry-After counts up to 10 minutes"),
];

/// The name that a setting has now, if this is its old one.
pub(super) fn new_name(key: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == key).map(|(_, new)| *new)
}

/// What happens instead of a setting that is none any more.
pub(super) fn instead(key: &str) -> Option<&'static str> {
    REMOVED.iter().find(|(old, _)| *old == key).map(|(_, instead)| *instead)
}

/// Whether a key was a setting in the last release and is none of that name now.
pub(super) fn is_old(key: &str) -> bool {
    new_name(key).is_some() || instead(key).is_some()
}
