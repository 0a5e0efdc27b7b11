//! One struct and one function for each plain section of the settings: each key stands once in the one and once in the
//! other.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use shared::{admission::Terms, property::Property, retry::Ladder};

use super::{bus::is_entity, cloud::Cloud, reader::Reader};

/// What all connections have in common: to Graph, to the login host and to Service Bus.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Certificates to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Longest time for a call.
    pub request_timeout: Duration,
}

/// Graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Root without a version.
    pub root: Url,
    /// Whether values that are there already are left out.
    pub diff: bool,
}

/// What keeps an old change from overwriting a newer one.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Attribute that holds the mark; `None` for no guard.
    pub attribute: Option<Property>,
    /// How long after a write to look at the user again; zero not to look.
    pub verify_after: Duration,
}

/// Concurrency and bounds.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Writes under way at once.
    pub concurrency: usize,
    /// Messages held at once.
    pub messages: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
    /// Time to finish after SIGTERM.
    pub grace: Duration,
}

/// Patience.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Tries in place, and the waits between them.
    pub in_place: Ladder,
    /// Waits before a message that was handed back comes again.
    pub returns: Ladder,
    /// Age after which a failing message is dead-lettered.
    pub max_age: Duration,
    /// Patience with unknown users.
    pub not_found_grace: Duration,
}

/// Write budget and probes.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// Ceiling of the write rate.
    pub writes_per_second: f64,
    /// Writes at once after a quiet time.
    pub burst: f64,
    /// Waits between probes, after a 429 that names no time, and between tries for the first token.
    pub probes: Ladder,
}

/// Several replicas.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// Queue with sessions that says which of them writes; `None` if there is one.
    pub lease_queue: Option<Box<str>>,
}

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn replicas(r: &Reader<'_>) -> Option<Replicas> {
    const KEY: &str = "replicas.lease_queue";
    r.section(|r| Replicas {
        lease_queue: r.optional(KEY).filter(|name| is_entity(r, KEY, name)).map(Into::into),
    })
}

pub(super) fn connection(r: &Reader<'_>) -> Option<Connection> {
    r.section(|r| Connection {
        ca_file: r.optional("connection.ca_file").map(PathBuf::from),
        request_timeout: r.duration("connection.request_timeout", SECOND, Duration::from_mins(5)),
    })
}

pub(super) fn graph(r: &Reader<'_>, cloud: Option<&Cloud>) -> Option<Graph> {
    let root = cloud.and_then(|cloud| r.url_or("graph.root", cloud.graph));
    let diff = r.section(|r| r.choice("graph.diff", &["nothing", "read"]) == "read");
    Some(Graph { root: root?, diff: diff? })
}

pub(super) fn guard(r: &Reader<'_>) -> Option<Guard> {
    const AFTER: &str = "guard.verify_after";
    let guard = r.section(|r| Guard {
        attribute: attribute(r, "guard.attribute"),
        verify_after: r.duration(AFTER, Duration::ZERO, Duration::from_mins(5)),
    })?;
    if !guard.verify_after.is_zero() && guard.attribute.is_none() {
        return r.wrong(AFTER, "needs guard.attribute: the second look is at the mark");
    }
    Some(guard)
}

/// What a user must be to be written, by `[link]` and `[filter]`.
pub(super) fn terms(r: &Reader<'_>) -> Option<Terms> {
    let some = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
    r.section(|r| Terms {
        owner: attribute(r, "link.owner_attribute"),
        user_type: some(r.choice("filter.user_type", &["", "Member", "Guest"])),
        local_issuer: r.optional("filter.local_issuer").map(Into::into),
        takes_over: false,
    })
}

/// An attribute of the user that the worker keeps for itself, if one is named.
fn attribute(r: &Reader<'_>, key: &str) -> Option<Property> {
    let name = r.optional(key)?;
    let attribute = Property::named(name).filter(|property| property.name().starts_with("extension"));
    attribute.or_else(|| {
        r.wrong(
            key,
            "must be one of extensionAttribute1 to extensionAttribute15, or extension_<app id>_<name>",
        )
    })
}

pub(super) fn pool(r: &Reader<'_>) -> Option<Pool> {
    r.section(|r| Pool {
        concurrency: r.count("pool.concurrency", 1, 1_000),
        messages: r.count("pool.messages", 1, 50_000),
        bytes: r.count("pool.megabytes", 1, 100_000) << 20,
        grace: r.duration("pool.grace", SECOND, Duration::from_hours(1)),
    })
}

pub(super) fn retry(r: &Reader<'_>) -> Option<Retry> {
    r.section(|r| Retry {
        in_place: r
            .ladder("retry.first_delay", "retry.longest_delay")
            .with_tries(u32::try_from(r.count("retry.tries", 1, 100)).unwrap_or(u32::MAX)),
        // A message that comes back at once would only fail again.
        returns: r.ladder("retry.first_return", "retry.longest_return").with_equal_jitter(),
        max_age: r.duration("retry.max_age", SECOND, 30 * DAY),
        not_found_grace: r.duration("retry.not_found_grace", Duration::ZERO, DAY),
    })
}

pub(super) fn throttle(r: &Reader<'_>) -> Option<Throttle> {
    r.section(|r| Throttle {
        writes_per_second: r.number("throttle.writes_per_second", 1.0, 100_000.0),
        burst: r.number("throttle.burst", 1.0, 100_000.0),
        probes: r.ladder("throttle.first_probe", "throttle.longest_probe").with_equal_jitter(),
    })
}
