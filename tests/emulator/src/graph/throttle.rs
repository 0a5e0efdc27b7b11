//! Quotas as token buckets: the limits that Microsoft publishes, on a faster clock if wished.

use std::{collections::HashMap, time::Duration};

use hyper::StatusCode;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    faults::http_date,
    options::{RetryAfterForm, Size, Tenant, Throttle},
    refusal::Refusal,
};

/// The part of a bucket that callers of low priority leave to the others.
const RESERVE: f64 = 0.1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) units: u32,
    pub(super) writes: u32,
}

/// A bucket as it stands, for people who look.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Level {
    /// Whose bucket it is and what it counts, as in `x-ms-throttle-scope`.
    pub scope: String,
    /// What is left; below zero for as long as callers must wait.
    pub left: f64,
    /// How much it holds.
    pub limit: f64,
    /// In how many milliseconds it fills up from empty.
    pub window_ms: u64,
}

/// All buckets of the tenant.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) settings: Throttle,
    tenant: Tenant,
    tenant_writes: Bucket,
    apps: HashMap<Uuid, [Bucket; 4]>,
}

#[derive(Clone, Debug)]
struct Bucket {
    kind: Kind,
    limit: f64,
    /// How much flows in, per second.
    rate: f64,
    left: f64,
    /// How far below zero it can go.
    overdraft: f64,
    filled: Instant,
}

/// Whose bucket it is, what it counts, and how its exhaustion is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    scope: &'static str,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Units,
    Writes,
}

impl Counts {
    fn of(self, cost: Cost) -> f64 {
        match self {
            Self::Units => f64::from(cost.units),
            Self::Writes => f64::from(cost.writes),
        }
    }

    fn limit_name(self) -> &'static str {
        match self {
            Self::Units => "ReadWrite",
            Self::Writes => "Write",
        }
    }

    fn information(self) -> &'static str {
        match self {
            Self::Units => "ResourceUnitLimitExceeded",
            Self::Writes => "WriteLimitExceeded",
        }
    }
}

impl Bucket {
    fn new(kind: Kind, limit: u32, seconds: f64, settings: Throttle, now: Instant) -> Self {
        let limit = f64::from(limit);
        let scale = if settings.scale > 0.0 { settings.scale } else { 1.0 };
        let overdraft = limit * settings.overdraft.max(0.0);
        Self { kind, limit, rate: limit / seconds * scale, left: limit, overdraft, filled: now }
    }

    /// Takes the cost out, even if there is not enough, and says how long there will be too little.
    fn take(&mut self, cost: Cost, reserve: f64, now: Instant) -> Option<Duration> {
        let cost = self.kind.counts.of(cost);
        if cost == 0.0 {
            return None;
        }
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + elapsed * self.rate).min(self.limit);
        self.filled = now;
        let enough = self.left - reserve * self.limit >= cost;
        self.left = (self.left - cost).max(-self.overdraft);
        let missing = cost + reserve * self.limit - self.left;
        (!enough).then(|| Duration::from_secs_f64((missing / self.rate).max(0.0)))
    }

    fn used(&self) -> f64 {
        (self.limit - self.left) / self.limit
    }
}

impl Quota {
    pub(super) fn new(settings: Throttle, tenant: Tenant, now: Instant) -> Self {
        let kind = Kind { scope: "Tenant", counts: Counts::Writes };
        let tenant_writes = Bucket::new(kind, 18_000, 300.0, settings, now);
        Self { settings, tenant, tenant_writes, apps: HashMap::new() }
    }

    /// Charges a call. On success, the share of the fullest limit that is used up; otherwise the refusal.
    pub(super) fn charge(&mut self, app: Uuid, cost: Cost, low: bool, now: Instant) -> Result<f64, Refusal> {
        if !self.settings.on {
            return Ok(0.0);
        }
        let reserve = if low { RESERVE } else { 0.0 };
        let settings = self.settings;
        let own = self.apps.entry(app).or_insert_with(|| buckets(settings, now));
        let mut worst: Option<(Duration, Kind)> = None;
        let mut used = 0.0_f64;
        for bucket in own.iter_mut().chain([&mut self.tenant_writes]) {
            let wait = bucket.take(cost, reserve, now);
            used = used.max(bucket.used());
            if let Some(wait) = wait
                && worst.is_none_or(|(longest, _)| wait > longest)
            {
                worst = Some((wait, bucket.kind));
            }
        }
        match worst {
            None => Ok(used),
            Some((wait, kind)) => Err(self.refusal(app, wait, kind)),
        }
    }

    /// Uses up writes of the tenant as other apps would.
    pub(super) fn drain_tenant(&mut self, writes: u32, now: Instant) {
        let cost = Cost { units: 0, writes };
        self.tenant_writes.take(cost, 0.0, now);
    }

    /// Uses up writes of one app as another replica would.
    pub(super) fn drain_app(&mut self, app: Uuid, writes: u32, now: Instant) {
        let settings = self.settings;
        for bucket in self.apps.entry(app).or_insert_with(|| buckets(settings, now)) {
            bucket.take(Cost { units: 0, writes }, 0.0, now);
        }
    }

    /// The buckets as they stood at their last use.
    pub(super) fn levels(&self) -> Vec<Level> {
        let of_app = |(app, buckets): (&Uuid, &[Bucket; 4])| -> Vec<Level> {
            buckets.iter().map(|bucket| self.level(bucket, &app.to_string())).collect()
        };
        let mut levels: Vec<Level> = self.apps.iter().flat_map(of_app).collect();
        levels.push(self.level(&self.tenant_writes, ""));
        levels
    }

    fn level(&self, bucket: &Bucket, app: &str) -> Level {
        let window = Duration::from_secs_f64(bucket.limit / bucket.rate);
        Level {
            scope: self.scope(bucket.kind, app),
            left: bucket.left,
            limit: bucket.limit,
            window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn scope(&self, kind: Kind, app: &str) -> String {
        format!("{}/{}/{app}/{}", kind.scope, kind.counts.limit_name(), self.tenant.id)
    }

    fn refusal(&self, app: Uuid, wait: Duration, kind: Kind) -> Refusal {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let after = match self.settings.retry_after {
            RetryAfterForm::Integer => seconds.to_string(),
            RetryAfterForm::Fraction => format!("{:.3}", wait.as_secs_f64() + 0.001),
            RetryAfterForm::Date => http_date(i64::try_from(seconds + 1).unwrap_or(i64::MAX)),
        };
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests")
            .with_header("retry-after", &after)
            .with_header("x-ms-throttle-scope", &self.scope(kind, &app.to_string()))
            .with_header("x-ms-throttle-information", kind.counts.information())
    }
}

fn buckets(settings: Throttle, now: Instant) -> [Bucket; 4] {
    let units = match settings.size {
        Size::S => 3_500,
        Size::M => 5_000,
        Size::L => 8_000,
    };
    let writes = settings.writes.unwrap_or(3_000).max(1);
    let bucket =
        |scope, counts, limit, seconds| Bucket::new(Kind { scope, counts }, limit, seconds, settings, now);
    [
        bucket("Tenant_Application", Counts::Writes, writes, 150.0),
        bucket("Tenant_Application", Counts::Units, units, 10.0),
        bucket("Application", Counts::Units, 150_000, 20.0),
        bucket("Application", Counts::Writes, 35_000, 300.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: Uuid = Uuid::from_u128(1);
    const WRITE: Cost = Cost { units: 1, writes: 1 };
    const READ: Cost = Cost { units: 1, writes: 0 };

    fn quota(settings: Throttle) -> (Quota, Instant) {
        let now = Instant::now();
        (Quota::new(settings, Tenant::default(), now), now)
    }

    fn header<'a>(refusal: &'a Refusal, name: &str) -> &'a str {
        let found = refusal.headers.iter().find(|(header, _)| header.as_str() == name);
        found.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default()
    }

    /// How many writes succeed in a row at one moment.
    fn burst(quota: &mut Quota, now: Instant) -> usize {
        (0..10_000).find(|_| quota.charge(APP, WRITE, false, now).is_err()).unwrap_or(0)
    }

    #[test]
    fn without_a_quota_nothing_is_refused() {
        let (mut quota, now) = quota(Throttle::default());
        assert!((0..10_000).all(|_| quota.charge(APP, WRITE, false, now).is_ok()));
    }

    #[test]
    fn three_thousand_writes_go_at_once_and_twenty_a_second_after_that() {
        let (mut quota, start) = quota(Throttle::real_quota(1.0));
        assert_eq!(burst(&mut quota, start), 3_000);
        // The refused write was counted too, so ten seconds bring 199 and not 200.
        assert_eq!(burst(&mut quota, start + Duration::from_secs(10)), 199);
    }

    #[test]
    fn the_scale_divides_the_window() {
        let (mut quota, start) = quota(Throttle::real_quota(10.0));
        assert_eq!(burst(&mut quota, start), 3_000);
        assert_eq!(burst(&mut quota, start + Duration::from_secs(1)), 199);
        assert_eq!(quota.levels()[0].window_ms, 15_000);
    }

    #[test]
    fn reads_cost_no_writes() {
        let (mut quota, now) = quota(Throttle::real_quota(1.0));
        burst(&mut quota, now);
        assert!(quota.charge(APP, READ, false, now).is_ok());
    }

    #[test]
    fn calls_made_while_throttled_count_and_postpone_the_recovery() {
        let settings = Throttle { writes: Some(150), ..Throttle::real_quota(1.0) };
        let (mut quota, now) = quota(settings);
        burst(&mut quota, now);
        let wait = |quota: &mut Quota| {
            let refusal = quota.charge(APP, WRITE, false, now).unwrap_err();
            header(&refusal, "retry-after").parse::<u32>().unwrap()
        };
        let first = wait(&mut quota);
        assert_eq!(wait(&mut quota), first + 1);
        for _ in 0..1_000 {
            wait(&mut quota);
        }
        assert_eq!(wait(&mut quota), 16, "never longer than the overdraft and one call");
    }

    #[test]
    fn waiting_for_retry_after_is_enough() {
        for form in [RetryAfterForm::Integer, RetryAfterForm::Fraction] {
            let (mut quota, now) = quota(Throttle { retry_after: form, ..Throttle::real_quota(7.0) });
            burst(&mut quota, now);
            let refusal = quota.charge(APP, WRITE, false, now).unwrap_err();
            let wait = header(&refusal, "retry-after").parse::<f64>().unwrap();
            assert!(quota.charge(APP, WRITE, false, now + Duration::from_secs_f64(wait)).is_ok(), "{form:?}");
        }
    }

    #[test]
    fn a_refusal_names_scope_and_limit() {
        let (mut quota, now) =
            quota(Throttle { retry_after: RetryAfterForm::Date, ..Throttle::real_quota(1.0) });
        burst(&mut quota, now);
        let refusal = quota.charge(APP, WRITE, false, now).unwrap_err();
        let tenant = Tenant::default().id;
        assert_eq!(
            header(&refusal, "x-ms-throttle-scope"),
            format!("Tenant_Application/Write/{APP}/{tenant}")
        );
        assert_eq!(header(&refusal, "x-ms-throttle-information"), "WriteLimitExceeded");
        assert!(header(&refusal, "retry-after").ends_with(" GMT"));
    }

    #[test]
    fn low_priority_is_throttled_first() {
        let (mut quota, now) = quota(Throttle::real_quota(1.0));
        quota.drain_app(APP, 2_800, now);
        assert!(quota.charge(APP, WRITE, true, now).is_err());
        assert!(quota.charge(APP, WRITE, false, now).is_ok());
    }

    #[test]
    fn other_apps_of_the_tenant_can_use_it_up() {
        let (mut quota, now) = quota(Throttle::real_quota(1.0));
        quota.drain_tenant(18_000, now);
        let refusal = quota.charge(APP, WRITE, false, now).unwrap_err();
        assert!(header(&refusal, "x-ms-throttle-scope").starts_with("Tenant/Write/"));
    }

    #[test]
    fn resource_units_depend_on_the_size_of_the_tenant() {
        for (size, units) in [(Size::S, 3_500), (Size::M, 5_000), (Size::L, 8_000)] {
            let (mut quota, now) = quota(Throttle { size, ..Throttle::real_quota(1.0) });
            let reads = (0..10_000).find(|_| quota.charge(APP, READ, false, now).is_err());
            assert_eq!(reads, Some(units));
        }
    }
}
