//! What the worker knows of itself, as observations.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use servicebus::QueueCounts;
use shared::{
    monotonic_time::MonotonicTime,
    notices::{
        DigestTeller, GroupKey, LetterTally, NoticeKey, NoticeTiming, NoticeView, Observation, Topic, Urgency,
    },
    reason::DeadLetterReason,
};
use tokio::sync::watch;

use crate::{
    duration::rough,
    telemetry::{
        Observer,
        credentials::{LAST, URGENT, days_left},
        health::{HealthFault, Phase, Warned},
        labels::{Ended, ReplicaRole, Warning},
    },
};

/// The check of who writes, which every replica makes.
const LEASE: &str = "lease";
/// How long the oldest message must be too old: what waited through an outage is worked off first.
const OLDEST_LASTS: Duration = Duration::from_mins(5);
/// How many times as long as for what belongs together a replica that does not write waits before it says that nobody knows who
/// does. One that becomes the writer meanwhile makes it needless; chance keeps several from speaking together.
const NOBODY_LASTS: u32 = 2;
/// The same where nothing is waited for.
const NOBODY_AT_LEAST: Duration = Duration::from_secs(1);

const LETTERS: &str =
    "contactsync dead-letters list groups them; mend the cause, then contactsync replay puts them back";
const OTHERS: &str = "contactsync dead-letters list shows them; look at delivery count and time to live of the queue, and at who else \
                      receives from it";

/// Watches one target.
pub(super) struct Watch {
    observer: Arc<Observer>,
    target: Box<str>,
    letters: LetterTally,
    queue: watch::Receiver<Option<QueueCounts>>,
    /// How long dead letters must have stopped to be over.
    quiet: Duration,
    /// From which age on the oldest message is told of; zero for never.
    oldest: Duration,
    /// How long to wait before saying that nobody writes.
    nobody: Duration,
    /// What had been counted when the last digest was made.
    day: Totals,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    received: u64,
    applied: u64,
    dead: u64,
}

impl Watch {
    /// Of what this observer takes in. `share` is drawn evenly from 0 to 1.
    pub(super) fn new(observer: Arc<Observer>, timing: &NoticeTiming, oldest: Duration, share: f64) -> Self {
        let target = observer.metrics.constants().target.clone().unwrap_or_default();
        let nobody =
            (timing.group_wait * NOBODY_LASTS).max(NOBODY_AT_LEAST).mul_f64(1.0 + share.clamp(0.0, 1.0));
        let (quiet, letters) = (timing.group_interval, LetterTally::default());
        let queue = observer.metrics.queue.subscribe();
        Self { observer, target, letters, queue, quiet, oldest, nobody, day: Totals::default() }
    }

    /// Which of several targets it is; empty where there is one without a name.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// What is the case now.
    pub(super) fn look(&mut self, now: MonotonicTime, wall: Timestamp) -> (NoticeView, Vec<Observation>) {
        // Some warnings are only brought up to date when somebody asks.
        self.observer.refresh();
        let health = &self.observer.health;
        match (health.phase(), health.role()) {
            (Phase::Starting, _) => (NoticeView::Part, Vec::new()),
            // Links close and workers rest; only what is counted is still news.
            (Phase::Draining, _) | (Phase::Running, ReplicaRole::Doubting) => {
                (NoticeView::Part, self.dead_letters(now))
            }
            (Phase::Running, ReplicaRole::Standby) => {
                let patient = |seen| Observation { patience: self.nobody, ..seen };
                let checks =
                    self.checks(wall).into_iter().filter(|seen| seen.key.group.topic == Topic::Writer);
                (NoticeView::Standby, checks.map(patient).collect())
            }
            (Phase::Running, ReplicaRole::Alone | ReplicaRole::Entering | ReplicaRole::Writer) => {
                let checks = self.checks(wall);
                let works = checks.is_empty();
                let mut seen = checks;
                seen.extend(self.warnings(wall));
                seen.extend(self.oldest(works));
                seen.extend(self.dead_letters(now));
                (NoticeView::Whole, seen)
            }
        }
    }

    /// What has to be well for the worker to be ready, and is not.
    fn checks(&self, wall: Timestamp) -> Vec<Observation> {
        let failed = self.observer.health.checks(wall).into_iter().filter(|check| check.name != "worker");
        let failed = failed.filter_map(|check| {
            let topic = if check.name == LEASE { Topic::Writer } else { Topic::Work };
            let anchor = match check.name {
                "intake" => "contactsyncintakepaused",
                "breaker" => "contactsyncbreakeropen",
                LEASE => "contactsyncnowriter",
                _ => "not-ready",
            };
            Some(self.fault(topic, check.name, Urgency::Critical, check.fault?, anchor.into()))
        });
        failed.collect()
    }

    /// What must be seen to though the worker works. Every warning there is, known by its name alone.
    fn warnings(&self, wall: Timestamp) -> Vec<Observation> {
        let seen =
            self.observer.health.warnings(wall).into_iter().map(|Warned { warning, fault, .. }| {
                let urgency = match warning {
                    Warning::CredentialEnds => self.credential_urgency(wall),
                    _ => Urgency::Warning,
                };
                // Alerts are called like that.
                let anchor = format!("contactsync{}", warning.as_str().replace('_', ""));
                self.fault(Topic::Warnings, warning.as_str(), urgency, fault, anchor.into())
            });
        seen.collect()
    }

    fn credential_urgency(&self, wall: Timestamp) -> Urgency {
        let ends = self.observer.metrics.credential_ends.iter().filter_map(|(_, end)| end.get());
        let ends = ends.filter_map(|end| {
            Timestamp::from_duration(jiff::SignedDuration::try_from_secs_f64(end).ok()?).ok()
        });
        match ends.map(|end| days_left(end, wall)).min() {
            Some(left) if left < LAST => Urgency::Critical,
            Some(left) if left < URGENT => Urgency::Warning,
            _ => Urgency::Info,
        }
    }

    fn oldest(&self, works: bool) -> Option<Observation> {
        let age = self.observer.metrics.queue_now().oldest_age?;
        (!self.oldest.is_zero() && age > self.oldest).then(|| {
            let fault = HealthFault {
                text: format!("the oldest message has waited for {}", rough(age)),
                remedy: "see how much waits and what is written with contactsync status",
            };
            let seen = self.fault(
                Topic::Queue,
                "oldest",
                Urgency::Warning,
                fault,
                "contactsyncoldestmessagetooold".into(),
            );
            // Why nothing is taken is told already.
            Observation { patience: OLDEST_LASTS, muted: !works, ..seen }
        })
    }

    fn dead_letters(&mut self, now: MonotonicTime) -> Vec<Observation> {
        let counts = &self.observer.metrics;
        // Before what has ended: what ends in between is counted twice rather than not at all.
        let in_hand = counts.consumed.get().saturating_sub(counts.messages.total());
        let by_reason =
            counts.messages_by(|ended| (ended.outcome == "dead_lettered").then_some(ended.reason));
        for (reason, count) in &by_reason {
            self.letters.count(reason, *count, now);
        }
        // An error would be that nobody can tell anything any more.
        if self.queue.has_changed().unwrap_or(false) {
            let read = *self.queue.borrow_and_update();
            let held = read.filter(|read| !read.lower_bound).and_then(|read| read.dead_letter);
            // What could not be settled may be there all the same.
            let unsettled = counts.messages.of(Ended::UNSETTLED).get();
            self.letters.queue(held, by_reason.values().sum::<u64>() + unsettled, in_hand, now);
        }
        let arriving = self.letters.arriving(self.quiet, now);
        arriving.into_iter().map(|(reason, count)| letters(&self.target, reason, count)).collect()
    }

    fn fault(
        &self,
        topic: Topic,
        name: &str,
        urgency: Urgency,
        fault: HealthFault,
        anchor: Box<str>,
    ) -> Observation {
        Observation {
            key: key(&self.target, topic, name),
            urgency,
            count: None,
            text: fault.text.into(),
            remedy: fault.remedy.into(),
            anchor,
            patience: Duration::ZERO,
            happened: false,
            muted: false,
        }
    }

    /// Who tells the digest of this target.
    pub(super) fn digest_teller(&self) -> DigestTeller {
        let health = &self.observer.health;
        match (health.phase(), health.role()) {
            // Before the first turn nobody has a role, and at the end nobody begins anything.
            (Phase::Starting | Phase::Draining, _) | (_, ReplicaRole::Doubting) => DigestTeller::Unknown,
            (Phase::Running, role) if role.is_first() => DigestTeller::Us,
            (Phase::Running, _) => DigestTeller::Others,
        }
    }

    /// What has happened since the last digest, and how things are. Nothing if another replica tells it.
    pub(super) fn day(&mut self, wall: Timestamp) -> Vec<String> {
        let (health, metrics) = (&self.observer.health, &self.observer.metrics);
        let outcomes = metrics.messages_by(|ended| Some(ended.outcome));
        let of = |name: &str| outcomes.get(name).copied().unwrap_or_default();
        let now =
            Totals { received: metrics.consumed.get(), applied: of("applied"), dead: of("dead_lettered") };
        let before = std::mem::replace(&mut self.day, now);
        if !health.role().is_first() {
            return Vec::new();
        }
        let lead = if self.target.is_empty() { String::new() } else { format!("target {}: ", self.target) };
        let mut lines = vec![format!(
            "{lead}{} messages received, {} applied, {} dead letters",
            now.received - before.received,
            now.applied - before.applied,
            now.dead - before.dead
        )];
        let queue = metrics.queue_now();
        if let (Some(active), Some(dead)) = (queue.active, queue.dead_letter) {
            lines.push(format!("{lead}{active} messages wait, {dead} dead letters are in the queue"));
        }
        let faults = health.checks(wall).into_iter().filter_map(|check| Some(check.fault?.text));
        let warnings = health.warnings(wall).into_iter().map(|warned| warned.fault.text);
        let wrong: Vec<_> = faults.chain(warnings).collect();
        if wrong.is_empty() {
            lines.push(format!("{lead}nothing is wrong"));
        }
        lines.extend(wrong.into_iter().map(|text| format!("{lead}{text}")));
        for (of, end) in metrics.credential_ends.iter() {
            let end = end.get().and_then(|end| jiff::SignedDuration::try_from_secs_f64(end).ok());
            if let Some(end) = end.and_then(|end| Timestamp::from_duration(end).ok()) {
                let days = days_left(end, wall);
                lines.push(format!("{lead}the credential for {} ends in {days} days", of.as_str()));
            }
        }
        lines
    }
}

fn key(target: &str, topic: Topic, name: &str) -> NoticeKey {
    NoticeKey { group: GroupKey { target: target.into(), topic }, name: name.into() }
}

fn letters(target: &str, reason: &str, count: u64) -> Observation {
    let by_others = reason == LetterTally::BY_OTHERS;
    let known = DeadLetterReason::ALL.iter().any(|known| known.as_str() == reason);
    Observation {
        key: key(target, Topic::DeadLetters, reason),
        urgency: Urgency::Warning,
        count: Some(count),
        text: if by_others {
            "dead letters that contactsync has not made".into()
        } else {
            format!("dead letters of the reason {reason}").into()
        },
        remedy: if by_others { OTHERS } else { LETTERS }.into(),
        anchor: if known { reason.to_ascii_lowercase().into() } else { "dead-letters".into() },
        patience: Duration::ZERO,
        happened: true,
        muted: false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::telemetry::{
        credentials,
        labels::{CredentialUse, PauseCause},
        observer::tests::observer,
        write_hold::WriteHold,
    };

    const HOUR: Duration = Duration::from_hours(1);

    fn watch() -> Watch {
        let observer = observer();
        observer.health.beat(Phase::Running, Instant::now());
        Watch::new(observer, &NoticeTiming::default(), HOUR, 0.5)
    }

    fn look(watch: &mut Watch) -> (NoticeView, Vec<(Topic, String, Urgency)>) {
        let (view, seen) = watch.look(MonotonicTime::START, Timestamp::UNIX_EPOCH);
        let told = |seen: Observation| (seen.key.group.topic, seen.key.name.to_string(), seen.urgency);
        (view, seen.into_iter().filter(|seen| !seen.muted).map(told).collect())
    }

    #[test]
    fn what_is_wrong_is_seen_whatever_it_is_called() {
        let mut watch = watch();
        assert_eq!(look(&mut watch), (NoticeView::Whole, vec![]));
        let health = &watch.observer.health;
        health.at_fault(PauseCause::Permission, "denied");
        health.gate(WriteHold::Paused, None);
        let fault = HealthFault { text: "odd".into(), remedy: "mend it" };
        health.warn(Warning::ClockSkew, Some(fault.clone()));
        health.warn(Warning::Journal, Some(fault));
        let expected = [
            (Topic::Work, "intake", Urgency::Critical),
            (Topic::Warnings, "clock_skew", Urgency::Warning),
            (Topic::Warnings, "journal", Urgency::Warning),
        ];
        let expected = expected.map(|(topic, name, urgency)| (topic, name.to_owned(), urgency));
        assert_eq!(look(&mut watch), (NoticeView::Whole, expected.to_vec()));
    }

    #[test]
    fn a_replica_that_does_not_write_tells_only_that_nobody_does() {
        let mut watch = watch();
        watch.observer.health.token(Some("invalid_client"));
        watch.observer.health.take_role(ReplicaRole::Standby);
        assert_eq!(look(&mut watch), (NoticeView::Standby, vec![]));
        let fault = HealthFault { text: "nobody knows who writes".into(), remedy: "mend it" };
        watch.observer.health.lease(Some(fault));
        let seen = watch.look(MonotonicTime::START, Timestamp::UNIX_EPOCH).1;
        assert_eq!((seen.len(), seen[0].key.group.topic), (1, Topic::Writer));
        assert_eq!(seen[0].patience, Duration::from_secs(90));
        watch.observer.health.take_role(ReplicaRole::Doubting);
        assert_eq!(look(&mut watch), (NoticeView::Part, vec![]));
    }

    #[test]
    fn an_old_message_is_no_news_while_something_keeps_messages_from_being_taken() {
        let mut watch = watch();
        let counts = QueueCounts { oldest_age: Some(2 * HOUR), ..QueueCounts::default() };
        watch.observer.metrics.queue.send_replace(Some(counts));
        assert_eq!(look(&mut watch).1, [(Topic::Queue, "oldest".to_owned(), Urgency::Warning)]);
        watch.observer.health.token(Some("invalid_client"));
        assert_eq!(look(&mut watch).1, [(Topic::Work, "token".to_owned(), Urgency::Critical)]);
    }

    #[test]
    fn a_digest_tells_what_has_happened_since_the_last_one() {
        let mut watch = watch();
        watch.observer.received();
        let lines = watch.day(Timestamp::UNIX_EPOCH);
        assert_eq!(lines, ["1 messages received, 0 applied, 0 dead letters", "nothing is wrong"]);
        watch.observer.health.token(Some("invalid_client"));
        let lines = watch.day(Timestamp::UNIX_EPOCH);
        assert_eq!(
            lines,
            ["0 messages received, 0 applied, 0 dead letters", "there is no token for graph: invalid_client"]
        );
        assert_eq!(watch.digest_teller(), DigestTeller::Us);
        watch.observer.health.take_role(ReplicaRole::Standby);
        assert!(watch.day(Timestamp::UNIX_EPOCH).is_empty(), "the writer tells it");
        assert_eq!(watch.digest_teller(), DigestTeller::Others);
        watch.observer.health.take_role(ReplicaRole::Doubting);
        assert_eq!(watch.digest_teller(), DigestTeller::Unknown);
    }

    #[test]
    fn a_credential_becomes_more_urgent_as_its_end_comes_near() {
        let mut watch = watch();
        let day = jiff::SignedDuration::from_hours(24);
        for (days, urgency) in [
            (30, Urgency::Info),
            (14, Urgency::Info),
            (13, Urgency::Warning),
            (3, Urgency::Warning),
            (2, Urgency::Critical),
            (-9, Urgency::Critical),
        ] {
            let now = Timestamp::UNIX_EPOCH;
            credentials::tell(&watch.observer, &[(CredentialUse::Graph, now + day * days)], now);
            assert_eq!(
                look(&mut watch).1[0],
                (Topic::Warnings, "credential_ends".to_owned(), urgency),
                "{days}"
            );
        }
    }
}
