//! Reads again and again, for the gauges, and says once when what can be known changes.

use std::{mem::discriminant, time::Duration};

use servicebus::clock;
use tokio::time::{sleep, timeout};

use super::{Counts, Oldest, Pace, Reader, Reading, Reasons, Source, Unknown, UnknownKind};
use crate::telemetry::QueueReading;

/// No reading takes longer: each of its calls has a time-out of its own, so this is for what nobody thought of.
const LONGEST_READING: Duration = Duration::from_mins(3);

/// Reads at this pace and hands over what the gauges show, `None` while the counts are unknown; until dropped.
pub async fn poll(reader: Reader, mut pace: Pace, show: impl Fn(Option<QueueReading>)) {
    let mut told = None;
    sleep(pace.first(rand::random())).await;
    loop {
        let reading = timeout(LONGEST_READING, reader.read()).await.unwrap_or_else(|_| no_answer());
        report(&mut told, &reading.counts);
        show(gauges(&reading));
        sleep(pace.after(&reading, rand::random())).await;
    }
}

/// What the gauges show of a reading. An age without counts is not shown: `queue_counts_up` says that nothing is known.
fn gauges(reading: &Reading) -> Option<QueueReading> {
    let Counts::Known(known) = &reading.counts else { return None };
    Some(QueueReading {
        active: known.active,
        dead_letters: known.dead_letter,
        scheduled: known.scheduled,
        transfer: known.transfer,
        size: known.size_bytes,
        oldest_age: reading.oldest.age(reading.at),
        lower_bound: known.is_lower_bound(),
    })
}

/// How counts came to be known, or did not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Counted,
    Looked,
    Unknown(std::mem::Discriminant<UnknownKind>),
}

fn report(told: &mut Option<Manner>, counts: &Counts) {
    let manner = match counts {
        Counts::Known(known) if known.source == Source::Looking => Manner::Looked,
        Counts::Known(_) => Manner::Counted,
        Counts::Unknown(unknown) => Manner::Unknown(discriminant(&unknown.kind)),
    };
    let before = told.replace(manner);
    if before == Some(manner) {
        return;
    }
    match counts {
        Counts::Unknown(unknown) => {
            tracing::warn!(cause = %unknown, "how much is in the queue is not known; the gauges are absent until it is");
        }
        Counts::Known(_) if manner == Manner::Looked => tracing::info!(
            "counting by looking into the queue, which gives lower bounds: the identity has no right to manage, or \
             service_bus.admin_url does not answer"
        ),
        Counts::Known(_) if before.is_some() => {
            tracing::info!("the service tells how much is in the queue again");
        }
        Counts::Known(_) => {}
    }
}

fn no_answer() -> Reading {
    let unknown = Unknown { why: "no answer in time".into(), kind: UnknownKind::Failed };
    let (counts, reasons) = (Counts::Unknown(unknown), Reasons::default());
    Reading { at: clock::now(), counts, oldest: Oldest::Unknown, reasons }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::operate::backlog::Known;

    fn reading(counts: Counts) -> Reading {
        let at = Timestamp::from_second(1_000).expect("in range");
        let oldest = Oldest::Since(at - SignedDuration::from_secs(90));
        Reading { at, counts, oldest, reasons: Reasons::default() }
    }

    #[test]
    fn gauges_show_what_is_known_and_nothing_else() {
        let known = Known { active: Some(3), source: Source::Looking, ..Known::default() };
        let shown = gauges(&reading(Counts::Known(known))).expect("known");
        assert_eq!((shown.active, shown.dead_letters, shown.lower_bound), (Some(3), None, true));
        assert_eq!(shown.oldest_age, Some(Duration::from_secs(90)));
        let unknown = Unknown { why: "because".into(), kind: UnknownKind::Contradicted };
        assert_eq!(gauges(&reading(Counts::Unknown(unknown))), None);
    }
}
