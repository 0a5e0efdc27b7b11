//! The snapshot as a table, and as one line.

use std::{fmt::Write, time::Duration};

use jiff::Timestamp;
use servicebus::QueueCounts;

use super::{Snapshot, units};
use crate::{
    duration,
    operate::backlog::{BacklogReading, Oldest},
    status_page::{DriftStatus, StatusPage},
};

/// Name and value of everything that is shown of the queue, in order.
#[must_use]
pub(crate) fn queue_rows(reading: &BacklogReading) -> Vec<(&'static str, String)> {
    let counts = reading.counts.as_ref().copied().unwrap_or_default();
    let count = |number: Option<u64>| counted(&counts, number);
    let unknown = || "unknown".to_owned();
    vec![
        ("waiting or locked", count(counts.active)),
        ("scheduled", count(counts.scheduled)),
        ("dead letters", count(counts.dead_letter)),
        ("in transfer", count(counts.transfer)),
        ("size", counts.size_bytes.map_or_else(unknown, units::bytes)),
        (
            "oldest waiting",
            match reading.oldest {
                Oldest::NoneWaits => "none".to_owned(),
                oldest => oldest.age(reading.at).map_or_else(unknown, duration::rough),
            },
        ),
    ]
}

fn counted(counts: &QueueCounts, number: Option<u64>) -> String {
    match number {
        None => "unknown".to_owned(),
        Some(number) if counts.lower_bound => format!("at least {}", units::count(number)),
        Some(number) => units::count(number),
    }
}

/// What has to be said about the figures.
#[must_use]
pub(crate) fn remark(reading: &BacklogReading) -> Option<String> {
    match &reading.counts {
        Err(unknown) => Some(format!("The counts are unknown: {unknown}.")),
        Ok(counts) if counts.lower_bound => Some(
            "Counted by looking at the first messages, because the management interface did not tell: it needs the \
             right Manage."
                .to_owned(),
        ),
        Ok(_) => None,
    }
}

/// Name and value of everything that is shown of a worker, in order.
#[must_use]
pub(crate) fn worker_rows(page: &StatusPage) -> Vec<(&'static str, String)> {
    let ready = if page.ready { "ready" } else { "not ready" };
    // Of the other roles the state speaks.
    let role = if page.role == "writer" { ", the writer" } else { "" };
    let writes = &page.writes;
    let mut rows = vec![
        ("state", format!("{}, {ready}{role}", page.state.replace('_', " "))),
        ("received", units::rate(page.rates.received)),
        ("settled", units::rate(page.rates.settled)),
        ("writes to Graph", units::rate(page.rates.writes)),
        (
            "write budget",
            format!(
                "{}, {:.0} % of the ceiling",
                units::rate(writes.budget_per_second),
                writes.budget_ratio * 100.0
            ),
        ),
        (
            "answered with 429",
            format!("{} of {}", units::count(writes.throttled_calls), units::count(writes.calls)),
        ),
        ("in flight, held", format!("{:.0}, {:.0}", page.in_flight, page.held)),
        ("locks lost", units::count(page.locks_lost)),
    ];
    rows.extend(page.drift.as_ref().map(|drift| ("drift", drift_text(drift, &page.now))));
    rows
}

/// How many users differ from their contacts, and when somebody has looked.
fn drift_text(drift: &DriftStatus, now: &str) -> String {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let Some(looked) = drift.looked.as_deref().and_then(time) else { return "not looked yet".to_owned() };
    let users = match drift.users() {
        1 => "1 user".to_owned(),
        users => format!("{} users", units::count(users)),
    };
    let ago =
        time(now).and_then(|now| Duration::try_from(now.duration_since(looked)).ok()).unwrap_or_default();
    let failed = if drift.failure.is_some() { ", and failed since" } else { "" };
    format!("{users}, last looked {}, {} ago{failed}", looked.strftime("%H:%M"), duration::rough(ago))
}

/// What a worker complains of, a line each.
#[must_use]
pub(crate) fn complaints(page: &StatusPage) -> Vec<String> {
    let failing = page.checks.iter().chain(&page.warnings).filter(|check| !check.ok);
    failing
        .map(|check| {
            let says = check.says.as_deref().unwrap_or("is not well");
            let remedy = check.remedy.as_deref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            let since = check.since.as_deref().map(|since| format!(" (since {since})")).unwrap_or_default();
            let next = check.next_try.as_deref().map_or_else(String::new, |next| next_try(next, &page.now));
            format!("{}: {says}{remedy}{since}{next}", check.name)
        })
        .collect()
}

/// When it is tried again.
fn next_try(at: &str, now: &str) -> String {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let left = time(at).zip(time(now)).and_then(|(at, now)| Duration::try_from(at.duration_since(now)).ok());
    let left = left.map_or_else(String::new, |left| format!(", in {}", duration::rough(left)));
    format!("; next try at {at}{left}")
}

/// Why no worker is shown, and what to do about it.
#[must_use]
pub(crate) fn silence(url: Option<&str>, why: &str) -> String {
    match url {
        Some(url) => format!(
            "No worker answers at {url}: {why}. Rates and write budget are those of a worker; name one by --worker URL."
        ),
        None => format!("No worker is shown: {why}."),
    }
}

/// Everything, for people.
#[must_use]
pub(crate) fn table(snapshot: &Snapshot) -> String {
    let reading = &snapshot.reading;
    let mut text = format!("{}, {:.0}\n\n", snapshot.queue, reading.at);
    rows(&mut text, &queue_rows(reading));
    paragraph(&mut text, remark(reading));
    for caution in &snapshot.cautions {
        paragraph(&mut text, Some(caution.text()));
    }
    let reasons: Vec<_> =
        reading.reasons.seen.iter().map(|(reason, count)| (&**reason, units::count(*count))).collect();
    if !reasons.is_empty() {
        let among = if reading.reasons.more { ", of the first that were looked at" } else { "" };
        paragraph(&mut text, Some(format!("Dead letters by reason{among}")));
        text.push('\n');
        rows(&mut text, &reasons);
    }
    match &snapshot.worker {
        Ok(page) => {
            let url = snapshot.worker_url.as_deref().unwrap_or_default();
            paragraph(&mut text, Some(format!("Worker {} at {url}", page.version)));
            text.push('\n');
            rows(&mut text, &worker_rows(page));
            for complaint in complaints(page) {
                paragraph(&mut text, Some(complaint));
            }
        }
        Err(why) => paragraph(&mut text, Some(silence(snapshot.worker_url.as_deref(), why))),
    }
    text
}

/// Names to the left, values to the right.
fn rows(text: &mut String, rows: &[(&str, String)]) {
    let name = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let value = rows.iter().map(|(_, value)| value.chars().count()).max().unwrap_or_default();
    for (label, shown) in rows {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "  {label:name$}  {shown:>value$}");
    }
}

fn paragraph(text: &mut String, paragraph: Option<String>) {
    if let Some(paragraph) = paragraph {
        let _infallible = write!(text, "\n{paragraph}\n");
    }
}

/// One line, for `--watch` over a pipe.
#[must_use]
pub(crate) fn line(snapshot: &Snapshot) -> String {
    let reading = &snapshot.reading;
    let mut line = format!("{:.0} ", reading.at);
    let names = ["active", "scheduled", "dead", "transfer", "size", "oldest"];
    for (name, (_, value)) in names.into_iter().zip(queue_rows(reading)) {
        let _infallible = write!(line, " {name} {}", value.replace(' ', "").replace("atleast", "≥"));
    }
    if let Err(unknown) = &reading.counts {
        let _infallible = write!(line, " ({unknown})");
    }
    match &snapshot.worker {
        Ok(page) => {
            let (rates, writes) = (&page.rates, &page.writes);
            let _infallible = write!(
                line,
                "  worker {} settled {} writes {} budget {}",
                page.state,
                units::rate(rates.settled),
                units::rate(rates.writes),
                units::rate(writes.budget_per_second),
            );
        }
        Err(_) => line.push_str("  no worker answers"),
    }
    line.push('\n');
    line
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;

    use super::*;
    use crate::{
        operate::backlog::{Reasons, Unknown, UnknownKind},
        settings::check::Caution,
        status_page::status::CheckStatus,
    };

    /// A snapshot with these counts and a worker that is not well.
    pub(crate) fn snapshot(counts: Result<QueueCounts, Unknown>) -> Snapshot {
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        let seen = BTreeMap::from([("UserLinkInvalid".into(), 12), ("WrongEntity".into(), 1)]);
        let mut page =
            StatusPage { version: "1.2.3".into(), state: "paused".into(), ..StatusPage::default() };
        page.now = "2027-01-15T08:00:00Z".into();
        page.checks = vec![CheckStatus {
            name: "token".into(),
            ok: false,
            says: Some("the client secret has ended".into()),
            remedy: Some("make a new one".into()),
            since: None,
            next_try: Some("2027-01-15T08:00:40Z".into()),
        }];
        page.writes.budget_ratio = 0.49;
        page.writes.budget_per_second = 9.8;
        Snapshot {
            queue: "queue contacts at localhost:5672".into(),
            reading: BacklogReading {
                at,
                counts,
                oldest: Oldest::Since(at - SignedDuration::from_secs(7_384)),
                reasons: Reasons { seen, more: true },
            },
            cautions: Vec::new(),
            worker: Ok(page),
            worker_url: Some("http://127.0.0.1:9464/status.json".into()),
        }
    }

    pub(crate) fn unknown() -> Result<QueueCounts, Unknown> {
        Err(Unknown { why: "the service is throttled".into(), kind: UnknownKind::Failed })
    }

    #[test]
    fn a_person_sees_everything_with_its_unit() {
        let known = QueueCounts {
            active: Some(12_345),
            dead_letter: Some(13),
            scheduled: Some(0),
            transfer: Some(0),
            size_bytes: Some(5_242_880),
            ..QueueCounts::default()
        };
        let text = table(&snapshot(Ok(known)));
        let expected = "\
queue contacts at localhost:5672, 2027-01-15T08:00:00Z

  waiting or locked  12,345
  scheduled               0
  dead letters           13
  in transfer             0
  size               5.2 MB
  oldest waiting      2h 3m

Dead letters by reason, of the first that were looked at

  UserLinkInvalid  12
  WrongEntity       1

Worker 1.2.3 at http://127.0.0.1:9464/status.json

  state                       paused, not ready
  received                                0.0/s
  settled                                 0.0/s
  writes to Graph                         0.0/s
  write budget       9.8/s, 49 % of the ceiling
  answered with 429                      0 of 0
  in flight, held                          0, 0
  locks lost                                  0

token: the client secret has ended; make a new one; next try at 2027-01-15T08:00:40Z, in 40s
";
        assert_eq!(text, expected);
    }

    #[test]
    fn drift_is_told_with_when_somebody_has_looked() {
        let check = |drift: DriftStatus, expected: &str| {
            let now = "2026-11-30T03:10:09Z".to_owned();
            let page = StatusPage { now, drift: Some(drift), ..StatusPage::default() };
            assert_eq!(
                worker_rows(&page).last().map(|(name, text)| (*name, &**text)),
                Some(("drift", expected))
            );
        };
        check(DriftStatus::default(), "not looked yet");
        let looked = Some("2026-11-30T02:10:00Z".to_owned());
        let causes = BTreeMap::from([("missed".to_owned(), 2), ("doubled".to_owned(), 1)]);
        let drift = DriftStatus { causes, looked: looked.clone(), ..DriftStatus::default() };
        check(drift.clone(), "3 users, last looked 02:10, 1h 0m ago");
        check(
            DriftStatus { failure: Some("away".into()), ..drift },
            "3 users, last looked 02:10, 1h 0m ago, and failed since",
        );
        check(DriftStatus { looked, ..DriftStatus::default() }, "0 users, last looked 02:10, 1h 0m ago");
    }

    #[test]
    fn what_is_unknown_is_called_so_and_never_zero() {
        let rows = queue_rows(&snapshot(unknown()).reading);
        assert!(rows[..5].iter().all(|(_, value)| value == "unknown"), "{rows:?}");
        let line = line(&snapshot(unknown()));
        assert!(line.contains("active unknown") && line.contains("(the service is throttled)"), "{line}");
        assert!(table(&snapshot(unknown())).contains("The counts are unknown: the service is throttled.\n"));
    }

    #[test]
    fn where_messages_go_unseen_is_told_below_the_figures() {
        let mut snapshot = snapshot(Ok(QueueCounts::default()));
        let (what, remedy) = ("dead letters go to failed".to_owned(), "look there".to_owned());
        snapshot.cautions = vec![Caution { what, remedy }];
        let table = table(&snapshot);
        assert!(table.contains("\n\nwarning: dead letters go to failed; look there\n"), "{table}");
    }

    #[test]
    fn counts_by_looking_are_lower_bounds() {
        let known = QueueCounts { active: Some(500), lower_bound: true, ..QueueCounts::default() };
        let snapshot = snapshot(Ok(known));
        assert_eq!(queue_rows(&snapshot.reading)[0].1, "at least 500");
        assert!(line(&snapshot).contains("active ≥500"));
        assert!(remark(&snapshot.reading).is_some_and(|text| text.contains("right Manage")));
    }
}
