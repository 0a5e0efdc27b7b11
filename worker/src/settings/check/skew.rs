//! How far the clock of this machine is from that of a service, by the `Date` of an answer.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::{Probe, Severity};
use crate::duration::exact;

const CHECK: &str = "clock";
/// The header has no fractions, and the answer takes its time.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(10);
/// Beyond this, tokens and assertions are refused.
const MOST: SignedDuration = SignedDuration::from_mins(5);

/// Compares a `Date` header with the time at which the answer arrived.
#[must_use]
pub fn judge(date: Option<&str>, now: Timestamp) -> Probe {
    let sent = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date.trim()).ok());
    let Some(sent) = sent else { return Probe::skipped(CHECK, "the answer told no time") };
    let skew = now.duration_since(sent);
    let side = if skew.is_negative() { "behind" } else { "ahead of" };
    let distance = skew.abs();
    let rounded = exact(Duration::from_secs(distance.unsigned_abs().as_secs()));
    let told = format!("this machine is {rounded} {side} the service");
    if distance <= TOLERANCE {
        Probe::good(CHECK, format!("this machine and the service agree within {}s", TOLERANCE.as_secs()))
    } else if distance < MOST {
        let what = format!("{told}, so that ends of tokens and ages of messages are misjudged");
        Probe::found(Severity::Warning, CHECK, what, "let the system set its clock by NTP")
    } else {
        let what = format!("{told}, so that certificates, tokens and signatures are refused");
        Probe::failed(CHECK, what, "let the system set its clock by NTP")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, result: &str, what: &str) {
        let sent: Timestamp = "2026-03-02T08:00:00Z".parse().expect("a time");
        let probe = judge(Some("Mon, 02 Mar 2026 08:00:00 GMT"), sent + SignedDuration::from_secs(seconds));
        assert_eq!((probe.result(), probe.what.as_str()), (result, what));
    }

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        check(2, "ok", "this machine and the service agree within 10s");
        check(-9, "ok", "this machine and the service agree within 10s");
        check(
            90,
            "warning",
            "this machine is 1m 30s ahead of the service, so that ends of tokens and ages of messages are misjudged",
        );
        check(
            -3_600,
            "failed",
            "this machine is 1h behind the service, so that certificates, tokens and signatures are refused",
        );
        assert_eq!(judge(None, Timestamp::UNIX_EPOCH).result(), "skipped");
        assert_eq!(judge(Some("yesterday"), Timestamp::UNIX_EPOCH).result(), "skipped");
    }
}
