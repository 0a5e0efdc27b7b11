//! One struct and one function for each plain section of the settings: each key stands once in the one and once in the
//! other.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use reqwest::Url;
use shared::{
    admission::Terms, engine::EnginePolicy, gate::GateLimits, lanes::LaneLimits,
    mass_change::MassChangePolicy, property::Property, rate_limiter::RateLimiter, retry::Ladder,
};

use super::{
    bus::is_entity,
    cloud::Cloud,
    filter::{guid, list},
    reader::Reader,
};

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
}

/// What the shell around the engine is told.
#[derive(Clone, Copy, Debug)]
pub struct ShellPolicy {
    /// Time to finish after SIGTERM.
    pub grace: Duration,
    /// Waits before a message that was handed back comes again.
    pub returns: Ladder,
    /// Patience with unknown users.
    pub not_found_grace: Duration,
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
    r.section(|r| Guard { attribute: attribute(r, "guard.attribute") })
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

/// Bounds and patience of the engine, read straight into its own structs. A bound that is no setting stands with its reason
/// in their defaults.
pub(super) fn engine(r: &Reader<'_>) -> Option<EnginePolicy> {
    r.section(|r| {
        let usual = EnginePolicy::default();
        let rate = r.number("throttle.writes_per_second", 1.0, 100_000.0);
        let probes = r.ladder("throttle.first_probe", "throttle.longest_probe").with_equal_jitter();
        EnginePolicy {
            lanes: LaneLimits {
                concurrency: r.count("pool.concurrency", 1, 1_000),
                retries: r
                    .ladder("retry.first_delay", "retry.longest_delay")
                    .with_tries(u32::try_from(r.count("retry.tries", 1, 100)).unwrap_or(u32::MAX)),
                verify_after: second_look(r),
                ..usual.lanes
            },
            gate: GateLimits { probe: probes, throttle: probes, ..usual.gate },
            // What a second brings may be saved up for another.
            pace: RateLimiter::new(rate, rate),
            bytes: r.count("pool.megabytes", 1, 100_000) << 20,
            max_age: r.duration("retry.max_age", SECOND, 30 * DAY),
            mass_change: mass_change(r),
            ..usual
        }
    })
}

/// How many users may be changed alike. Which properties are the same for everybody, the mapping tells.
fn mass_change(r: &Reader<'_>) -> MassChangePolicy {
    const USERS: &str = "mass_change.users";
    let users = NonZeroU32::new(u32::try_from(r.count(USERS, 0, 1_000_000)).unwrap_or(u32::MAX));
    if users.is_some() && r.optional("guard.attribute").is_none() {
        r.note(
            USERS,
            "needs guard.attribute: what is let through later could overwrite newer values otherwise",
        );
    }
    let ids = "must be a list of ids of Dataverse users (GUIDs in quotes)";
    MassChangePolicy {
        users,
        window: r.duration("mass_change.window", SECOND, 7 * DAY),
        exempt: list(r, "mass_change.exempt", guid, ids).unwrap_or_default(),
        constants: Vec::new(),
    }
}

fn second_look(r: &Reader<'_>) -> Option<Duration> {
    const AFTER: &str = "guard.verify_after";
    let after =
        Some(r.duration(AFTER, Duration::ZERO, Duration::from_mins(5))).filter(|after| !after.is_zero())?;
    if r.optional("guard.attribute").is_none() {
        return r.wrong(AFTER, "needs guard.attribute: the second look is at the mark");
    }
    Some(after)
}

pub(super) fn shell(r: &Reader<'_>) -> Option<ShellPolicy> {
    r.section(|r| ShellPolicy {
        grace: r.duration("pool.grace", SECOND, Duration::from_hours(1)),
        // A message that comes back at once would only fail again.
        returns: r.ladder("retry.first_return", "retry.longest_return").with_equal_jitter(),
        not_found_grace: r.duration("retry.not_found_grace", Duration::ZERO, DAY),
    })
}
