//! One function per section of the settings.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use reqwest::Url;
use shared::{admission::Terms, property::Property, reconcile::Reading, retry::Ladder};

use super::{cloud::Cloud, reader::Reader};

/// Graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Root without a version.
    pub root: Url,
    /// Longest time for a call.
    pub request_timeout: Duration,
    /// Longest time for a connection.
    pub connect_timeout: Duration,
    /// Extra certificate.
    pub ca_file: Option<PathBuf>,
    /// What is read of a user before a write.
    pub reading: Reading,
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
    /// Longest time that a message is kept under lock.
    pub max_lock_hold: Duration,
    /// Time to finish after SIGTERM.
    pub grace: Duration,
    /// Users remembered.
    pub remembered_users: NonZeroUsize,
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

/// Write budget, breaker and probes.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// Ceiling of the write rate.
    pub writes_per_second: f64,
    /// Writes at once after a quiet time.
    pub burst: f64,
    /// Longest wait for a `Retry-After`.
    pub longest_wait: Duration,
    /// Users that must fail in a row to open the breaker.
    pub breaker_users: usize,
    /// Waits between probes.
    pub probes: Ladder,
}

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn graph(r: &Reader<'_>, cloud: Option<&Cloud>) -> Option<Graph> {
    let root = cloud.and_then(|cloud| r.url_or("graph.root", cloud.graph));
    let request_timeout = r.duration("graph.request_timeout", SECOND, Duration::from_mins(5));
    let connect_timeout = r.duration("graph.connect_timeout", SECOND, Duration::from_mins(1));
    let ca_file = r.optional("graph.ca_file").map(PathBuf::from);
    let reading = reading(r);
    let verify_after = verify_after(r, reading.as_ref());
    Some(Graph {
        root: root?,
        request_timeout: request_timeout?,
        connect_timeout: connect_timeout?,
        ca_file,
        reading: reading?,
        verify_after: verify_after?,
    })
}

fn reading(r: &Reader<'_>) -> Option<Reading> {
    let diff = r.choice("graph.diff", &["nothing", "read"]).map(|diff| diff == "read");
    let (guard, owner) = (attribute(r, "guard.attribute"), attribute(r, "link.owner_attribute"));
    let user_type = r.choice("filter.user_type", &["", "Member", "Guest"]);
    let terms = Terms {
        owner,
        user_type: user_type.filter(|text| !text.is_empty()).map(Into::into),
        local_issuer: r.optional("filter.local_issuer").map(Into::into),
        takes_over: false,
    };
    Some(Reading { guard, diff: diff?, terms })
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

fn verify_after(r: &Reader<'_>, reading: Option<&Reading>) -> Option<Duration> {
    let after = r.duration("guard.verify_after", Duration::ZERO, Duration::from_mins(5))?;
    if !after.is_zero() && reading.is_some_and(|reading| reading.guard.is_none()) {
        return r.wrong("guard.verify_after", "needs guard.attribute: the second look is at the mark");
    }
    Some(after)
}

pub(super) fn pool(r: &Reader<'_>) -> Option<Pool> {
    let concurrency = r.count("pool.concurrency", 1, 1_000);
    let messages = r.count("pool.messages", 1, 50_000);
    let megabytes = r.count("pool.megabytes", 1, 100_000);
    let max_lock_hold = r.duration("pool.max_lock_hold", SECOND, DAY);
    let grace = r.duration("pool.grace", SECOND, Duration::from_hours(1));
    let remembered = r.count("pool.remembered_users", 1, 10_000_000);
    Some(Pool {
        concurrency: concurrency?,
        messages: messages?,
        bytes: megabytes? * 1024 * 1024,
        max_lock_hold: max_lock_hold?,
        grace: grace?,
        remembered_users: NonZeroUsize::new(remembered?)?,
    })
}

pub(super) fn retry(r: &Reader<'_>) -> Option<Retry> {
    let tries = r.count("retry.tries", 1, 100);
    let delays = r.ladder("retry.first_delay", "retry.longest_delay");
    let returns = r.ladder("retry.first_return", "retry.longest_return");
    let max_age = r.duration("retry.max_age", SECOND, 30 * DAY);
    let not_found_grace = r.duration("retry.not_found_grace", Duration::ZERO, DAY);
    Some(Retry {
        in_place: delays?.with_tries(u32::try_from(tries?).ok()?),
        // A message that comes back at once would only fail again.
        returns: returns?.with_equal_jitter(),
        max_age: max_age?,
        not_found_grace: not_found_grace?,
    })
}

pub(super) fn throttle(r: &Reader<'_>) -> Option<Throttle> {
    let writes_per_second = r.number("throttle.writes_per_second", 1.0, 100_000.0);
    let burst = r.number("throttle.burst", 1.0, 100_000.0);
    let longest_wait = r.duration("throttle.longest_wait", SECOND, DAY);
    let breaker_users = r.count("throttle.breaker_users", 2, 1_000);
    let probes = r.ladder("throttle.first_probe", "throttle.longest_probe");
    Some(Throttle {
        writes_per_second: writes_per_second?,
        burst: burst?,
        longest_wait: longest_wait?,
        breaker_users: breaker_users?,
        probes: probes?.with_equal_jitter(),
    })
}
