//! The sections `[http]`, `[journal]` and `[telemetry]`: what operators see, and how it gets to them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{
    notify,
    reader::{Reader, Rule, is_loopback},
    source::{EXPORT_INTERVAL, Surroundings},
};

/// Health, metrics and the status page over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// Where to listen; `None` not to.
    pub listen: Option<SocketAddr>,
}

/// What became of each message, kept for `contactsync explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPolicy {
    /// The directory; `None` to keep none.
    pub path: Option<PathBuf>,
    /// Whether nobody has set it: then a directory that is not there is no fault.
    pub optional: bool,
    /// Bytes of the files of one replica.
    pub bytes: u64,
    /// How long entries are kept.
    pub keep: Duration,
}

/// Logs, traces and what is exported.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Form of the log.
    pub log_format: LogFormat,
    /// Filter of the log.
    pub log_level: Box<str>,
    /// Whether every write is told in the log.
    pub audit: bool,
    /// Time between two readings of how much is in the queue; zero not to read.
    pub queue_interval: Duration,
    /// Where traces and metrics are exported to; `None` not to.
    pub otlp: Option<Otlp>,
    /// The runbook, as people reach it.
    pub runbook_url: Option<Url>,
}

/// Export by OTLP.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Root of the receiver; `v1/traces` and `v1/metrics` are added.
    pub endpoint: Url,
    /// Headers of each call, as a rule a key of the receiver.
    pub headers: HeaderMap,
    /// Time between two exports of metrics.
    pub interval: Duration,
    /// Share of messages that are traced, unless their sender has decided.
    pub trace_ratio: f64,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) fn http(r: &Reader<'_>) -> Option<Http> {
    match r.text("http.listen")? {
        "" => Some(Http { listen: None }),
        text => match text.parse() {
            Ok(address) => Some(Http { listen: Some(address) }),
            Err(_) => r.wrong(
                "http.listen",
                "must be an address and a port such as 127.0.0.1:9464 or 0.0.0.0:9464, or empty for none",
            ),
        },
    }
}

pub(super) fn journal(r: &Reader<'_>) -> Option<JournalPolicy> {
    const PATH: &str = "journal.path";
    r.section(|r| JournalPolicy {
        path: r.optional(PATH).map(PathBuf::from),
        optional: r.is_default(PATH),
        bytes: (r.count("journal.megabytes", 1, 100_000) as u64) << 20,
        keep: r.duration("journal.keep", Duration::from_hours(1), Duration::from_hours(24 * 366)),
    })
}

pub(super) fn telemetry(r: &Reader<'_>, around: &Surroundings) -> Option<Telemetry> {
    r.section(|r| Telemetry {
        log_format: match r.choice("telemetry.log_format", &["auto", "text", "json"]) {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        log_level: log_level(r),
        audit: r.flag("telemetry.audit"),
        queue_interval: queue_interval(r),
        otlp: otlp(r, around),
        runbook_url: notify::link(r, "telemetry.runbook_url"),
    })
}

fn log_level(r: &Reader<'_>) -> Box<str> {
    const KEY: &str = "telemetry.log_level";
    let level = r.required(KEY, "a level such as info").unwrap_or_default();
    if !is_log_filter(level) {
        r.note(KEY, "must be a level such as info, or a filter such as \"info,servicebus=debug\"");
    }
    level.into()
}

/// Whether every part is a level, or a target with its level. A parser that takes any word as a target would let `warning`
/// silence the log, and a blank before a target names no target of ours.
fn is_log_filter(filter: &str) -> bool {
    let is_part = |part: &str| match part.split_once('=') {
        Some((target, _)) => !target.contains(|c: char| c == '[' || c.is_whitespace()),
        // Nothing at all would count as `error`.
        None => !part.is_empty() && part.parse::<LevelFilter>().is_ok(),
    };
    filter.parse::<Targets>().is_ok() && filter.split(',').all(is_part)
}

fn queue_interval(r: &Reader<'_>) -> Duration {
    const KEY: &str = "telemetry.queue_interval";
    let interval = r.duration(KEY, Duration::ZERO, Duration::from_hours(1));
    if !interval.is_zero() && interval < Duration::from_secs(1) {
        r.note(KEY, "must be at least 1s, or 0s not to read");
    }
    interval
}

/// `None` if nobody asked for it, or after a mistake, which is noted.
fn otlp(r: &Reader<'_>, around: &Surroundings) -> Option<Otlp> {
    const KEY: &str = "telemetry.otlp_endpoint";
    let headers = headers(r);
    let trace_ratio = r.number("telemetry.trace_ratio", 0.0, 1.0);
    r.rule(KEY, Rule::Address);
    let endpoint = r.optional(KEY)?;
    let Some(endpoint) = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    else {
        return r.wrong(KEY, "must be an address such as http://localhost:4318");
    };
    let headers = headers?;
    // A collector beside the worker is plain as a rule, and what we export is no secret. Its key is.
    if endpoint.scheme() == "http" && !headers.is_empty() && !is_loopback(&endpoint) {
        return r
            .wrong(KEY, "must start with https://, because telemetry.otlp_headers would travel in the open");
    }
    Some(Otlp { endpoint, headers, interval: export_interval(r, around), trace_ratio })
}

/// The time between two exports of metrics, by the variable that OpenTelemetry has for it.
fn export_interval(r: &Reader<'_>, around: &Surroundings) -> Duration {
    const USUAL: Duration = Duration::from_secs(30);
    let Some(text) = around.get(EXPORT_INTERVAL) else { return USUAL };
    match text.parse().map(Duration::from_millis) {
        Ok(interval) if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&interval) => interval,
        _ => {
            r.note(EXPORT_INTERVAL, "must be a number of milliseconds from 1000 to 3600000");
            USUAL
        }
    }
}

/// `name=value,name=value` with percent-encoded values, as everybody who speaks OTLP writes them.
fn headers(r: &Reader<'_>) -> Option<HeaderMap> {
    const KEY: &str = "telemetry.otlp_headers";
    let mut headers = HeaderMap::new();
    for pair in r.text(KEY)?.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let parsed = pair.split_once('=').and_then(|(name, value)| {
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?))
        });
        // The text is a secret, so it is not repeated.
        let Some((name, mut value)) = parsed else {
            return r
                .wrong(KEY, "must be name=value, several with commas between them, special signs as %20");
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_names_levels() {
        for good in ["info", "WARN", "off", "3", "info,servicebus=debug", "worker::run=trace,off"] {
            assert!(is_log_filter(good), "{good}");
        }
        for bad in [
            "warning",
            "info,servicebus",
            "worker=debgu",
            "info, worker=debug",
            "worker[write]=info",
            "info,",
            "",
        ] {
            assert!(!is_log_filter(bad), "{bad}");
        }
    }
}
