//! What is told of worlds that a test thinks up, second by second.

use std::{collections::BTreeSet, time::Duration};

use jiff::{Timestamp, civil::Time};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::monotonic_time::MonotonicTime;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn at(since: Duration) -> MonotonicTime {
    MonotonicTime::after_start(since)
}

fn wall(since: Duration) -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range") + since
}

fn key(topic: Topic, name: &str) -> NoticeKey {
    NoticeKey { group: GroupKey { target: "".into(), topic }, name: name.into() }
}

fn seen(topic: Topic, name: &str) -> Observation {
    Observation {
        key: key(topic, name),
        urgency: Urgency::Critical,
        count: None,
        text: format!("{name} is wrong").into(),
        remedy: "mend it".into(),
        anchor: name.into(),
        patience: Duration::ZERO,
        happened: topic == Topic::DeadLetters,
        muted: false,
    }
}

/// A desk, and a clock that it is looked at by every second.
struct Watched {
    desk: NoticeDesk,
    now: Duration,
    told: Vec<(u64, Notice)>,
}

impl Watched {
    fn new() -> Self {
        let desk = NoticeDesk::new(NoticeTiming::default(), NoticeFilter::default(), None);
        Self { desk, now: Duration::ZERO, told: Vec::new() }
    }

    /// Sees this for so long, and sends whatever is due.
    fn sees(&mut self, seen: &[Observation], time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.desk.observe("", NoticeView::Whole, seen, at(self.now), wall(self.now));
            if let Some(Due::Notice(notice)) = self.desk.next(at(self.now), wall(self.now)) {
                self.told.push((self.now.as_secs(), notice));
                self.desk.ended(DeskEnd::Sent, at(self.now), wall(self.now));
            }
            self.now += SECOND;
        }
    }

    /// When something was told, what it was, and of how many things.
    fn summary(&self) -> Vec<(u64, &'static str, usize)> {
        self.told.iter().map(|(at, notice)| (*at, notice.state.as_str(), notice.items.len())).collect()
    }
}

#[test]
fn a_pause_and_its_end_are_two_notices() {
    let mut watched = Watched::new();
    watched.sees(&[seen(Topic::Work, "token")], 10 * SECOND);
    watched.sees(&[seen(Topic::Work, "token"), seen(Topic::Work, "intake")], 10 * MINUTE);
    watched.sees(&[seen(Topic::Work, "intake")], 5 * SECOND);
    watched.sees(&[], HOUR);
    // Siblings come together, at the beginning and at the end.
    assert_eq!(watched.summary(), [(30, "firing", 2), (640, "resolved", 2)]);
    let [(_, first), (_, last)] = &*watched.told else { panic!("two notices") };
    assert_eq!((first.opened, first.number), (last.opened, 0));
    assert_eq!(last.number, 1);
}

#[test]
fn what_is_over_before_it_was_told_is_never_told() {
    let mut watched = Watched::new();
    watched.sees(&[seen(Topic::Work, "broker")], 29 * SECOND);
    watched.sees(&[], HOUR);
    let patient = Observation { patience: 10 * MINUTE, ..seen(Topic::Queue, "oldest") };
    watched.sees(std::slice::from_ref(&patient), 10 * MINUTE);
    watched.sees(&[], HOUR);
    assert_eq!(watched.summary(), []);
    watched.sees(&[patient], 11 * MINUTE);
    assert_eq!(watched.summary().len(), 1);
}

#[test]
fn changes_of_a_group_are_told_at_intervals_and_groups_do_not_wait_for_each_other() {
    let mut watched = Watched::new();
    watched.sees(&[seen(Topic::Work, "token")], MINUTE);
    let both = [seen(Topic::Work, "token"), seen(Topic::Work, "breaker")];
    watched.sees(&both, MINUTE);
    watched.sees(&[both[0].clone(), both[1].clone(), seen(Topic::Warnings, "drift")], 10 * MINUTE);
    assert_eq!(watched.summary(), [(30, "firing", 1), (150, "firing", 1), (330, "firing", 2)]);
    // What is seen again before its end was told has not ended.
    let mut flapping = Watched::new();
    for _ in 0..60 {
        flapping.sees(&[seen(Topic::Work, "broker")], 40 * SECOND);
        flapping.sees(&[], 20 * SECOND);
    }
    assert!(flapping.told.len() <= 12, "{:?}", flapping.summary());
}

#[test]
fn what_stays_is_repeated_less_and_less() {
    let mut watched = Watched::new();
    watched.sees(&[seen(Topic::Work, "token")], 100 * HOUR);
    let hours: Vec<_> = watched.summary().iter().map(|(at, state, _)| (at / 3_600, *state)).collect();
    let repeats = [4, 12, 28, 52, 76].map(|hour| (hour, "repeat"));
    assert_eq!(hours, [&[(0, "firing")][..], &repeats].concat());
    let mut informed = Watched::new();
    let info = Observation { urgency: Urgency::Info, ..seen(Topic::Warnings, "credential_ends") };
    informed.sees(std::slice::from_ref(&info), 30 * HOUR);
    assert_eq!(informed.summary().len(), 1, "what has time is not repeated");
    informed.sees(&[Observation { urgency: Urgency::Warning, ..info }], HOUR);
    assert_eq!(informed.summary().len(), 2, "that it has become urgent is news");
}

#[test]
fn a_flood_of_dead_letters_is_two_notices_with_a_count() {
    let (mut watched, mut tally) = (Watched::new(), LetterTally::default());
    let quiet = NoticeTiming::default().group_interval;
    for second in 0..7_200_u64 {
        let total = (second * 5).min(10_000);
        tally.count("BodyUndecodable", total, at(watched.now));
        let arriving = tally.arriving(quiet, at(watched.now));
        let letters = arriving
            .into_iter()
            .map(|(name, count)| Observation { count: Some(count), ..seen(Topic::DeadLetters, name) });
        let letters: Vec<_> = letters.collect();
        watched.sees(&letters, SECOND);
    }
    let told: Vec<_> = watched.told.iter().map(|(_, notice)| notice.items[0].seen.count).collect();
    assert_eq!(told.len(), 2, "{:?}", watched.summary());
    assert_eq!(told[1], Some(10_000), "the end tells how many there were");
    assert_eq!(watched.told[1].1.state, NoticeState::Resolved);
}

#[test]
fn a_lone_dead_letter_is_told_though_it_is_over_by_then() {
    let mut watched = Watched::new();
    watched.sees(&[seen(Topic::DeadLetters, "ValueInvalid")], SECOND);
    watched.sees(&[], HOUR);
    assert_eq!(watched.summary(), [(30, "firing", 1), (330, "resolved", 1)]);
}

#[test]
fn dead_letters_of_others_are_what_cannot_be_ours() {
    let mut tally = LetterTally::default();
    let mut now = Duration::ZERO;
    let mut others = |held: Option<u64>, own: u64, in_hand: u64| {
        now += SECOND;
        tally.queue(held, own, in_hand, at(now));
        let arriving = tally.arriving(HOUR, at(now));
        arriving.iter().find(|(name, _)| *name == LetterTally::BY_OTHERS).map_or(0, |(_, count)| *count)
    };
    assert_eq!(others(Some(7), 0, 0), 0);
    assert_eq!(others(Some(7), 0, 0), 0, "what was there before is no news");
    // Eight of ours, which are seen before they are counted, or counted before they are seen.
    assert_eq!(others(Some(7), 0, 8), 0);
    assert_eq!(others(Some(12), 0, 8), 0);
    assert_eq!(others(Some(12), 0, 8), 0);
    assert_eq!(others(Some(13), 8, 0), 0);
    assert_eq!(others(Some(15), 8, 0), 0);
    assert_eq!(others(Some(15), 8, 0), 0);
    // Four of somebody else, while something is in hand all the time.
    assert_eq!(others(Some(19), 8, 1), 0);
    assert_eq!(others(Some(19), 8, 1), 3, "one could be ours");
    assert_eq!(others(Some(19), 8, 0), 4);
    // Taken out, and then unknown for a while.
    assert_eq!(others(Some(0), 8, 0), 4);
    assert_eq!(others(None, 9, 0), 4);
    assert_eq!(others(Some(50), 9, 0), 4);
    assert_eq!(others(Some(50), 9, 0), 4);
    assert_eq!(others(Some(51), 9, 0), 4);
    assert_eq!(others(Some(51), 9, 0), 5);
}

/// One moment: letters of ours are put there and counted a little later, others come, and somebody may look.
#[derive(Clone, Debug)]
struct Moment {
    ours: u64,
    others: u64,
    looks: bool,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let moment = (0..5_u64, prop_oneof![8 => Just(0), 1 => 1..3_u64], any::<bool>());
    vec(moment.prop_map(|(ours, others, looks)| Moment { ours, others, looks }), 0..60)
}

#[test]
fn a_channel_that_has_enough_gets_the_rest_in_one_notice() {
    let timing = NoticeTiming {
        group_wait: Duration::ZERO,
        group_interval: Duration::ZERO,
        ..NoticeTiming::default()
    };
    let mut desk = NoticeDesk::new(timing, NoticeFilter::default(), None);
    let targets: Vec<_> = (0..40).map(|number| format!("t{number:02}")).collect();
    let mut told = Vec::new();
    for second in 0..4_000 {
        let now = SECOND * second;
        for target in &targets {
            let mut seen = seen(Topic::Work, "token");
            seen.key.group.target = target.as_str().into();
            desk.observe(target, NoticeView::Whole, &[seen], at(now), wall(now));
        }
        if let Some(Due::Notice(notice)) = desk.next(at(now), wall(now)) {
            told.push((second, notice.items.len() + notice.more));
            desk.ended(DeskEnd::Sent, at(now), wall(now));
        }
    }
    let expected: Vec<_> = (0..19).map(|second| (second, 1)).chain([(19, 21)]).collect();
    assert_eq!(told, expected);
    assert_eq!((desk.take_folded(), desk.take_folded()), (20, 0));
}

#[test]
fn a_channel_that_fails_is_left_alone_and_told_later_what_is_so_then() {
    let mut desk = NoticeDesk::new(NoticeTiming::default(), NoticeFilter::default(), None);
    let mut tried = Vec::new();
    for second in 0..7_200 {
        let now = SECOND * second;
        let name = if second < 1_000 { "token" } else { "breaker" };
        desk.observe("", NoticeView::Whole, &[seen(Topic::Work, name)], at(now), wall(now));
        if let Some(Due::Notice(notice)) = desk.next(at(now), wall(now)) {
            let names: Vec<_> = notice.items.iter().map(|item| item.seen.key.name.to_string()).collect();
            tried.push((second, names.join(",")));
            let end = if tried.len() < 4 { DeskEnd::Failed } else { DeskEnd::Sent };
            desk.ended(end, at(now), wall(now));
        }
    }
    let told = |second: u32, name: &str| (second, name.to_owned());
    assert_eq!(tried, [told(30, "token"), told(330, "token"), told(930, "token"), told(2_130, "breaker")]);
    let mut gone = NoticeDesk::new(NoticeTiming::default(), NoticeFilter::default(), None);
    gone.observe("", NoticeView::Whole, &[seen(Topic::Work, "token")], at(SECOND), wall(SECOND));
    assert!(gone.next(at(MINUTE), wall(MINUTE)).is_some());
    gone.ended(DeskEnd::Gone, at(MINUTE), wall(MINUTE));
    assert!(gone.is_gone() && gone.next(at(HOUR), wall(HOUR)).is_none());
}

#[test]
fn a_channel_hears_only_of_what_it_wants() {
    let filter = NoticeFilter { only: Some(vec![Topic::DeadLetters]), least: Urgency::Warning };
    let mut desk = NoticeDesk::new(NoticeTiming::default(), filter, None);
    let all = [
        seen(Topic::Work, "token"),
        Observation { urgency: Urgency::Info, ..seen(Topic::DeadLetters, "UserNotFound") },
        seen(Topic::DeadLetters, "ValueInvalid"),
    ];
    desk.observe("", NoticeView::Whole, &all, at(SECOND), wall(SECOND));
    let Some(Due::Notice(notice)) = desk.next(at(MINUTE), wall(MINUTE)) else { panic!("a notice") };
    let names: Vec<_> = notice.items.iter().map(|item| &*item.seen.key.name).collect();
    assert_eq!(names, ["ValueInvalid"]);
}

#[test]
fn who_stops_writing_forgets_without_a_word_and_a_part_ends_nothing() {
    let mut watched = Watched::new();
    watched.sees(&[seen(Topic::Work, "token")], MINUTE);
    let now = watched.now;
    watched.desk.observe("", NoticeView::Part, &[], at(now), wall(now));
    watched.sees(&[seen(Topic::Work, "token")], HOUR);
    assert_eq!(watched.summary(), [(30, "firing", 1)]);
    let now = watched.now;
    watched.desk.observe("", NoticeView::Standby, &[seen(Topic::Writer, "lease")], at(now), wall(now));
    watched.sees(&[seen(Topic::Writer, "lease")], HOUR);
    watched.sees(&[], HOUR);
    let told: Vec<_> = watched.told.iter().map(|(_, notice)| (notice.group.topic, notice.state)).collect();
    assert_eq!(
        told,
        [
            (Topic::Work, NoticeState::Firing),
            (Topic::Writer, NoticeState::Firing),
            (Topic::Writer, NoticeState::Resolved)
        ]
    );
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    let mut watched = Watched::new();
    watched.now = 48 * HOUR;
    watched.sees(&[seen(Topic::Work, "token"), seen(Topic::Work, "intake")], HOUR);
    assert_eq!(watched.told.len(), 1);
    let past = watched.desk.past(at(watched.now), wall(watched.now));
    let text = serde_json::to_string(&past).expect("JSON");
    let past: SavedDesk = serde_json::from_str(&text).expect("our own");
    let fresh = NoticeDesk::new(NoticeTiming::default(), NoticeFilter::default(), None);
    // Half an hour later, on a process whose time begins anew.
    let mut again = Watched::new();
    let shift = watched.now + HOUR / 2;
    again.now = shift;
    again.desk = fresh.with_past(&past, at(shift), wall(shift));
    again.sees(&[], 10 * SECOND);
    again.sees(&[seen(Topic::Work, "intake")], 5 * HOUR);
    let told: Vec<_> = again
        .told
        .iter()
        .map(|(_, notice)| (notice.state.as_str(), notice.number, notice.items.len()))
        .collect();
    assert_eq!(told, [("firing", 1, 2), ("repeat", 2, 1)], "one has ended, the other goes on");
    assert_eq!(again.told[0].1.opened, watched.told[0].1.opened);
}

#[test]
fn a_digest_is_due_once_a_day_whatever_the_clock_does() {
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let mut digest = DailyDigest::new(Time::constant(7, 30, 0, 0), time("2026-11-29T12:00:00Z"));
    assert!(!digest.is_due(time("2026-11-30T07:29:59Z")));
    assert!(digest.is_due(time("2026-11-30T07:30:00Z")));
    digest.tell(time("2026-11-30T07:30:01Z"));
    for later in ["2026-11-30T07:30:02Z", "2026-11-30T06:00:00Z", "2026-12-01T07:29:59Z"] {
        assert!(!digest.is_due(time(later)), "{later}");
    }
    assert!(digest.is_due(time("2026-12-03T01:00:00Z")), "days that were missed are one digest");
}

#[test]
fn a_digest_is_told_by_the_writer_alone_and_waits_until_it_is_known_who_that_is() {
    let yesterday = wall(Duration::ZERO) - jiff::SignedDuration::from_hours(48);
    let desk = || {
        let digest = DailyDigest::new(Time::midnight(), yesterday);
        NoticeDesk::new(NoticeTiming::default(), NoticeFilter::default(), Some(digest))
    };
    let next = |desk: &mut NoticeDesk, teller, now| {
        desk.digest_is_told_by(teller, at(now), wall(now));
        desk.next(at(now), wall(now))
    };
    let mut ours = desk();
    assert_eq!(next(&mut ours, DigestTeller::Unknown, SECOND), None);
    assert_eq!(next(&mut ours, DigestTeller::Us, 2 * SECOND), Some(Due::Digest));
    let mut theirs = desk();
    assert_eq!(next(&mut theirs, DigestTeller::Others, SECOND), None);
    assert_eq!(next(&mut theirs, DigestTeller::Others, 2 * MINUTE), None);
    assert_eq!(next(&mut theirs, DigestTeller::Us, 3 * MINUTE), None, "it was told by another one");
    let mut starting = desk();
    assert_eq!(next(&mut starting, DigestTeller::Others, SECOND), None);
    assert_eq!(
        next(&mut starting, DigestTeller::Us, 5 * SECOND),
        Some(Due::Digest),
        "who begins stands by at first"
    );
    assert_eq!(next(&mut theirs, DigestTeller::Us, 24 * HOUR), Some(Due::Digest));
}

#[test]
fn untold_dead_letters_are_told_before_the_end() {
    let mut desk = NoticeDesk::new(NoticeTiming::default(), NoticeFilter::default(), None);
    let all = [seen(Topic::Work, "token"), seen(Topic::DeadLetters, "ValueInvalid")];
    desk.observe("", NoticeView::Whole, &all, at(SECOND), wall(SECOND));
    assert_eq!(desk.next(at(2 * SECOND), wall(2 * SECOND)), None);
    let last = desk.last(at(2 * SECOND)).expect("a notice");
    assert_eq!((last.group.topic, last.items.len()), (Topic::DeadLetters, 1));
    desk.ended(DeskEnd::Sent, at(2 * SECOND), wall(2 * SECOND));
    assert_eq!(desk.last(at(4 * SECOND)), None);
}

/// One thing that is on from one minute to another.
#[derive(Clone, Debug)]
struct Spell {
    topic: usize,
    name: usize,
    from: u64,
    minutes: u64,
}

fn spells() -> impl Strategy<Value = Vec<Spell>> {
    let spell = (0..Topic::ALL.len(), 0..4_usize, 0..600_u64, 1..400_u64);
    vec(spell.prop_map(|(topic, name, from, minutes)| Spell { topic, name, from, minutes }), 0..40)
}

/// Half a minute at a time for a day; `fails` says which tries fail.
fn run(spells: &[Spell], fails: &[bool]) -> Result<(), TestCaseError> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let timing = NoticeTiming::default();
    let mut desk = NoticeDesk::new(timing, NoticeFilter::default(), None);
    let (mut begun, mut told) = (Vec::<MonotonicTime>::new(), BTreeSet::new());
    let mut on_since = std::collections::BTreeMap::new();
    let mut fails = fails.iter().copied();
    let mut last_failure = Duration::ZERO;
    for step in 0..2_880 {
        let now = Duration::from_secs(step * 30);
        let minute = step / 2;
        let on: BTreeSet<_> = spells
            .iter()
            .filter(|spell| (spell.from..spell.from + spell.minutes).contains(&minute))
            .map(|spell| key(Topic::ALL[spell.topic], NAMES[spell.name]))
            .collect();
        on_since.retain(|key, _| on.contains(key));
        for key in &on {
            on_since.entry(key.clone()).or_insert(now);
        }
        let seen: Vec<_> = on.iter().map(|key| seen(key.group.topic, &key.name)).collect();
        desk.observe("", NoticeView::Whole, &seen, at(now), wall(now));
        if let Some(Due::Notice(notice)) = desk.next(at(now), wall(now)) {
            prop_assert!(begun.last().is_none_or(|last| at(now) - *last >= NoticeBudget::APART));
            begun.push(at(now));
            let hour = begun.iter().filter(|begun| at(now) - **begun < HOUR).count();
            prop_assert!(hour <= NoticeBudget::HOURLY, "{hour} in an hour");
            let fails = fails.next().unwrap_or(false);
            desk.ended(if fails { DeskEnd::Failed } else { DeskEnd::Sent }, at(now), wall(now));
            if fails {
                last_failure = now;
            } else {
                prop_assert_eq!(notice.more, 0, "there are fewer things than one notice tells");
                for item in notice.items {
                    match item.state {
                        ItemState::Resolved => {
                            prop_assert!(told.remove(&item.seen.key), "an end without a beginning: {item:?}");
                        }
                        ItemState::New | ItemState::Still => drop(told.insert(item.seen.key)),
                    }
                }
            }
        }
        // Groups are told one by one, each at an interval, within the bound of an hour; a channel that failed rests.
        let patience = timing.group_wait + timing.group_interval + HOUR + 2 * MINUTE;
        for (key, since) in &on_since {
            let waited = now.saturating_sub((*since).max(last_failure + HOUR));
            if now > last_failure + HOUR && waited > patience {
                prop_assert!(told.contains(key), "{key:?} has been on for {waited:?} and nobody was told");
            }
        }
    }
    prop_assert!(desk.past(at(25 * HOUR), wall(25 * HOUR)).groups.len() <= Topic::ALL.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn what_others_made_is_never_told_too_high_and_in_the_end_as_it_is(moments in moments()) {
        let mut tally = LetterTally::default();
        let (mut held, mut counted, mut pending, mut by_others) = (0, 0, 0, 0);
        // What the queue held at the moments since somebody looked.
        let mut since = Vec::new();
        let told = |tally: &mut LetterTally| {
            let arriving = tally.arriving(HOUR, at(SECOND));
            arriving.iter().find(|(name, _)| *name == LetterTally::BY_OTHERS).map_or(0, |(_, count)| *count)
        };
        tally.queue(Some(0), 0, 0, at(SECOND));
        tally.queue(Some(0), 0, 0, at(SECOND));
        for Moment { ours, others, looks } in moments {
            // Some of what is in hand is counted; the rest is seen meanwhile.
            let done = if looks { pending / 2 } else { pending };
            (counted, pending) = (counted + done, pending - done + ours);
            held += ours + others;
            by_others += others;
            since.push(held);
            if looks {
                // The service was asked some time ago.
                let then = since[since.len() / 2];
                since.clear();
                tally.queue(Some(then), counted, pending, at(SECOND));
                prop_assert!(told(&mut tally) <= by_others);
            }
        }
        for _ in 0..5 {
            tally.queue(Some(held), counted + pending, 0, at(SECOND));
        }
        prop_assert_eq!(told(&mut tally), by_others);
    }

    #[test]
    fn bounds_are_kept_and_what_lasts_is_told_and_no_end_comes_before_its_beginning(
        spells in spells(), fails in vec(any::<bool>(), 0..10),
    ) {
        run(&spells, &fails)?;
    }
}
