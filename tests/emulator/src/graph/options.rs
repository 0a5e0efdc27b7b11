//! What a local Graph is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use uuid::{Uuid, uuid};

use super::{seed::Seed, token::App};

/// Everything that can be chosen before the start; most of it can also be changed while running.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen for plain HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where to listen for HTTPS; port 0 takes a free one.
    pub https: SocketAddr,
    /// Further names the server certificate vouches for, beside `localhost`, the loopback addresses and
    /// Microsoft's own host names.
    pub names: Vec<String>,
    /// The one tenant that lives here.
    pub tenant: Tenant,
    /// The applications registered in the tenant.
    pub apps: Vec<App>,
    /// Whose peculiarities are imitated.
    pub profile: Profile,
    /// The quota, if any.
    pub throttle: Throttle,
    /// Full names (`extension_{app id without hyphens}_{name}`) of the extension properties that are defined. They hold
    /// texts, or what `:Boolean` or `:Integer` behind the name says.
    pub extensions: Vec<String>,
    /// Users, apps and extension properties to begin with; a reset goes back to them.
    pub seed: Seed,
    /// How long an access token is good for.
    pub token_lifetime: Duration,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// How long a read may still show what was there before a write.
    pub stale_reads: Duration,
    /// How long a user created or added after the start answers 404.
    pub visible_after: Duration,
    /// How far the clocks are from this machine's.
    pub clocks: Clocks,
    /// How many entries the journal keeps; the oldest are forgotten first.
    pub journal_capacity: usize,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: loopback,
            https: loopback,
            names: Vec::new(),
            tenant: Tenant::default(),
            apps: vec![App::default()],
            profile: Profile::B2c,
            throttle: Throttle::default(),
            extensions: Vec::new(),
            seed: Seed::default(),
            token_lifetime: Duration::from_secs(3599),
            latency: Duration::ZERO,
            stale_reads: Duration::ZERO,
            visible_after: Duration::ZERO,
            clocks: Clocks::default(),
            journal_capacity: 100_000,
        }
    }
}

/// How many seconds the clocks are ahead of this machine's; negative if they are behind.
///
/// They show in the `Date` of every answer. The authority also judges the dates of an assertion by its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clocks {
    /// Graph's.
    pub graph_s: i64,
    /// That of the authority and of the token endpoints of managed identities.
    pub authority_s: i64,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: Uuid,
    /// Its default domain, which is also the issuer of local identities.
    pub domain: String,
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            id: uuid!("5f1e7a52-8c1d-4b0e-9d6c-0c6a3c1f7e01"),
            domain: "contoso.onmicrosoft.com".to_owned(),
        }
    }
}

impl Tenant {
    /// Whether the tenant part of a URL means this tenant.
    pub(super) fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.domain) || name.parse() == Ok(self.id)
    }
}

/// Whose peculiarities are imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Azure AD B2C: ten values of `mail` for life, no angle brackets in `displayName`.
    #[default]
    B2c,
    /// Entra External ID: neither.
    ExternalId,
}

/// How calls are rationed. The default is not at all.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttle {
    /// Whether there is a quota.
    pub on: bool,
    /// Divides every window: 10 turns 3,000 writes in 150 s into 3,000 in 15 s. Zero or less counts as one.
    pub scale: f64,
    /// The size of the tenant, which decides about its resource units.
    pub size: Size,
    /// Writes per window of 150 s in place of 3,000, for tests that want to meet the limit soon.
    pub writes: Option<u32>,
    /// How deep a bucket can be overdrawn by calls made while throttled, as a share of what it holds. Microsoft
    /// says that they count, not how far; it bounds the penalty for hammering on.
    pub overdraft: f64,
    /// How `Retry-After` is written.
    pub retry_after: RetryAfterForm,
    /// Whether `x-ms-throttle-limit-percentage` is sent above 80 % of a limit. A field test never saw it.
    pub percentage_header: bool,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            on: false,
            scale: 1.0,
            size: Size::default(),
            writes: None,
            overdraft: 0.1,
            retry_after: RetryAfterForm::default(),
            percentage_header: false,
        }
    }
}

impl Throttle {
    /// The published quota (3,000 writes in 150 s and so on), `scale` times faster.
    #[must_use]
    pub fn real_quota(scale: f64) -> Self {
        Self { on: true, scale, ..Self::default() }
    }
}

/// The size of a tenant in users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Size {
    /// Below 50.
    S,
    /// From 50 to 500.
    M,
    /// Above 500.
    #[default]
    L,
}

/// The forms that `Retry-After` was seen in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfterForm {
    /// Whole seconds, rounded up.
    #[default]
    Integer,
    /// Seconds with a fraction.
    Fraction,
    /// An HTTP date, rounded up to a whole second.
    Date,
}
