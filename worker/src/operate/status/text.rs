//! The snapshot as a table, and as one line.

use std::fmt::Write;

use super::{Snapshot, WorkerView, units};
use crate::{
    duration,
    operate::backlog::{Counts, Known, Oldest, Reading},
};

/// Name and value of everything that is shown of the queue, in order.
#[must_use]
pub fn queue_rows(reading: &Reading) -> Vec<(&'static str, String)> {
    let known = match &reading.counts {
        Counts::Known(known) => *known,
        Counts::Unknown(_) => Known::default(),
    };
    let count = |number: Option<u64>| counted(&known, number);
    let unknown = || "unknown".to_owned();
    vec![
        ("waiting or locked", count(known.active)),
        ("scheduled", count(known.scheduled)),
        ("dead letters", count(known.dead_letter)),
        ("in transfer", count(known.transfer)),
        ("size", known.size_bytes.map_or_else(unknown, units::bytes)),
        (
            "oldest waiting",
            match reading.oldest {
                Oldest::NoneWaits => "none".to_owned(),
                oldest => oldest.age(reading.at).map_or_else(unknown, duration::rough),
            },
        ),
    ]
}

fn counted(known: &Known, number: Option<u64>) -> String {
    match number {
        None => "unknown".to_owned(),
        Some(number) if known.is_lower_bound() => format!("at least {}", units::count(number)),
        Some(number) => units::count(number),
    }
}

/// What has to be said about the figures.
#[must_use]
pub fn remark(reading: &Reading) -> Option<String> {
    match &reading.counts {
        Counts::Unknown(unknown) => Some(format!("The counts are unknown: {unknown}.")),
        Counts::Known(known) if known.is_lower_bound() => Some(
            "Counted by looking at the first messages, because the management interface did not tell: it needs the \
             right Manage."
                .to_owned(),
        ),
        Counts::Known(_) => None,
    }
}

/// Name and value of everything that is shown of a worker, in order.
#[must_use]
pub fn worker_rows(view: &WorkerView) -> Vec<(&'static str, String)> {
    let ready = if view.ready { "ready" } else { "not ready" };
    let writes = &view.writes;
    vec![
        ("state", format!("{}, {ready}", view.state.replace('_', " "))),
        ("received", units::rate(view.rates.received)),
        ("settled", units::rate(view.rates.settled)),
        ("writes to Graph", units::rate(view.rates.writes)),
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
        ("in flight, held", format!("{:.0}, {:.0}", view.in_flight, view.held)),
        ("locks lost", units::count(view.locks_lost)),
    ]
}

/// What a worker complains of, a line each.
#[must_use]
pub fn complaints(view: &WorkerView) -> Vec<String> {
    let failing = view.checks.iter().chain(&view.warnings).filter(|check| !check.ok);
    failing
        .map(|check| {
            let says = check.says.as_deref().unwrap_or("is not well");
            let remedy = check.remedy.as_deref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!("{}: {says}{remedy}", check.name)
        })
        .collect()
}

/// Why no worker is shown, and what to do about it.
#[must_use]
pub fn silence(url: Option<&str>, why: &str) -> String {
    match url {
        Some(url) => format!(
            "No worker answers at {url}: {why}. Rates and write budget are those of a worker; name one by --worker URL."
        ),
        None => format!("No worker is shown: {why}."),
    }
}

/// Everything, for people.
#[must_use]
pub fn table(snapshot: &Snapshot) -> String {
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
        Ok(view) => {
            let url = snapshot.worker_url.as_deref().unwrap_or_default();
            paragraph(&mut text, Some(format!("Worker {} at {url}", view.version)));
            text.push('\n');
            rows(&mut text, &worker_rows(view));
            for complaint in complaints(view) {
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
pub fn line(snapshot: &Snapshot) -> String {
    let reading = &snapshot.reading;
    let mut line = format!("{:.0} ", reading.at);
    let names = ["active", "scheduled", "dead", "transfer", "size", "oldest"];
    for (name, (_, value)) in names.into_iter().zip(queue_rows(reading)) {
        let _infallible = write!(line, " {name} {}", value.replace(' ', "").replace("atleast", "≥"));
    }
    if let Counts::Unknown(unknown) = &reading.counts {
        let _infallible = write!(line, " ({unknown})");
    }
    match &snapshot.worker {
        Ok(view) => {
            let (rates, writes) = (&view.rates, &view.writes);
            let _infallible = write!(
                line,
                "  worker {} settled {} writes {} budget {}",
                view.state,
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

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::{
        operate::backlog::{Reasons, Source, Unknown, UnknownKind},
        operate::status::worker_view::CheckView,
        settings::check::Caution,
    };

    /// A snapshot with these counts and a worker that is not well.
    pub(crate) fn snapshot(counts: Counts) -> Snapshot {
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        let seen = BTreeMap::from([("UserLinkInvalid".into(), 12), ("WrongEntity".into(), 1)]);
        let mut view =
            WorkerView { version: "1.2.3".into(), state: "paused".into(), ..WorkerView::default() };
        view.checks = vec![CheckView {
            name: "token".into(),
            ok: false,
            says: Some("the client secret has ended".into()),
            remedy: Some("make a new one".into()),
        }];
        view.writes.budget_ratio = 0.49;
        view.writes.budget_per_second = 9.8;
        Snapshot {
            queue: "queue contacts at localhost:5672".into(),
            reading: Reading {
                at,
                counts,
                oldest: Oldest::Since(at - SignedDuration::from_secs(7_384)),
                reasons: Reasons { seen, more: true },
            },
            cautions: Vec::new(),
            worker: Ok(view),
            worker_url: Some("http://127.0.0.1:9464/status.json".into()),
        }
    }

    pub(crate) fn unknown() -> Counts {
        Counts::Unknown(Unknown { why: "the service is throttled".into(), kind: UnknownKind::Failed })
    }

    #[test]
    fn a_person_sees_everything_with_its_unit() {
        let known = Known {
            active: Some(12_345),
            dead_letter: Some(13),
            scheduled: Some(0),
            transfer: Some(0),
            size_bytes: Some(5_242_880),
            source: Source::Management,
        };
        let text = table(&snapshot(Counts::Known(known)));
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

token: the client secret has ended; make a new one
";
        assert_eq!(text, expected);
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
        let mut snapshot = snapshot(Counts::Known(Known::default()));
        let (what, remedy) = ("dead letters go to failed".to_owned(), "look there".to_owned());
        snapshot.cautions = vec![Caution { what, remedy }];
        let table = table(&snapshot);
        assert!(table.contains("\n\nwarning: dead letters go to failed; look there\n"), "{table}");
    }

    #[test]
    fn counts_by_looking_are_lower_bounds() {
        let known = Known { active: Some(500), source: Source::Looking, ..Known::default() };
        let snapshot = snapshot(Counts::Known(known));
        assert_eq!(queue_rows(&snapshot.reading)[0].1, "at least 500");
        assert!(line(&snapshot).contains("active ≥500"));
        assert!(remark(&snapshot.reading).is_some_and(|text| text.contains("right Manage")));
    }
}
