//! Reads again and again, for the gauges, and says once when what can be known changes.

use std::{mem::discriminant, time::Duration};

use servicebus::{QueueCounts, clock};
use tokio::time::{sleep, timeout};

use super::{BacklogReading, Oldest, PollInterval, Reader, Reasons, Unknown, UnknownKind};

/// No reading takes longer: each of its calls has a time-out of its own, so this is for what nobody thought of.
const LONGEST_READING: Duration = Duration::from_mins(3);

/// Looks at this pace whether it is ours to read while it is not.
const WHOSE: Duration = Duration::from_secs(5);

/// Reads at this pace and hands over what the gauges show, `None` while the counts are unknown; until dropped. Of several
/// replicas one reads, because each reading costs the service something and tells the same: `reads` says whether it is
/// this one.
pub async fn poll(
    reader: Reader,
    mut pace: PollInterval,
    reads: impl Fn() -> bool,
    show: impl Fn(Option<QueueCounts>),
) {
    let mut told = None;
    sleep(pace.first(rand::random())).await;
    loop {
        if !reads() {
            show(None);
            sleep(WHOSE).await;
            continue;
        }
        let reading = timeout(LONGEST_READING, reader.read()).await.unwrap_or_else(|_| no_answer());
        report(&mut told, &reading.counts);
        show(gauges(&reading));
        sleep(pace.after(&reading, rand::random())).await;
    }
}

/// What the gauges show of a reading. An age without counts is not shown: `queue_counts_up` says that nothing is known.
fn gauges(reading: &BacklogReading) -> Option<QueueCounts> {
    let counts = reading.counts.as_ref().ok()?;
    Some(QueueCounts { oldest_age: reading.oldest.age(reading.at), ..*counts })
}

/// How counts came to be known, or did not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Counted,
    Looked,
    Unknown(std::mem::Discriminant<UnknownKind>),
}

fn report(told: &mut Option<Manner>, counts: &Result<QueueCounts, Unknown>) {
    let manner = match counts {
        Ok(counts) if counts.lower_bound => Manner::Looked,
        Ok(_) => Manner::Counted,
        Err(unknown) => Manner::Unknown(discriminant(&unknown.kind)),
    };
    let before = told.replace(manner);
    if before == Some(manner) {
        return;
    }
    match counts {
        Err(unknown) => {
            tracing::warn!(cause = %unknown, "how much is in the queue is not known; the gauges are absent until it is");
        }
        Ok(_) if manner == Manner::Looked => tracing::info!(
            "counting by looking into the queue, which gives lower bounds: the identity has no right to manage, or \
             service_bus.admin_url does not answer"
        ),
        Ok(_) if before.is_some() => {
            tracing::info!("the service tells how much is in the queue again");
        }
        Ok(_) => {}
    }
}

fn no_answer() -> BacklogReading {
    let unknown = Unknown { why: "no answer in time".into(), kind: UnknownKind::Failed };
    BacklogReading {
        at: clock::now(),
        counts: Err(unknown),
        oldest: Oldest::Unknown,
        reasons: Reasons::default(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn reading(counts: Result<QueueCounts, Unknown>) -> BacklogReading {
        let at = Timestamp::from_second(1_000).expect("in range");
        let oldest = Oldest::Since(at - SignedDuration::from_secs(90));
        BacklogReading { at, counts, oldest, reasons: Reasons::default() }
    }

    #[test]
    fn gauges_show_what_is_known_and_nothing_else() {
        let known = QueueCounts { active: Some(3), lower_bound: true, ..QueueCounts::default() };
        let shown = gauges(&reading(Ok(known))).expect("known");
        assert_eq!((shown.active, shown.dead_letter, shown.lower_bound), (Some(3), None, true));
        assert_eq!(shown.oldest_age, Some(Duration::from_secs(90)));
        let unknown = Unknown { why: "because".into(), kind: UnknownKind::Contradicted };
        assert_eq!(gauges(&reading(Err(unknown))), None);
    }
}
