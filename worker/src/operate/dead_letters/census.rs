//! Dead letters in groups, with how old they are; in memory that does not grow with their number.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::ids::SequenceNumber;

use super::Letter;

/// Bounds of the histogram of ages, each with its name for people and for machines; what is older than the last is in one
/// more column.
pub(crate) const AGES: [(Duration, &str, &str); 4] = [
    (Duration::from_hours(1), "< 1 hour", "withinHour"),
    (Duration::from_hours(24), "< 1 day", "withinDay"),
    (Duration::from_hours(7 * 24), "< 1 week", "withinWeek"),
    (Duration::from_hours(30 * 24), "< 30 days", "within30Days"),
];
/// Groups that are told apart. Reasons and codes are few; whoever writes a text of its own into each message gets
/// them counted together.
const MOST_GROUPS: usize = 1_000;
/// What stands for the groups that are not told apart.
const OTHERS: &str = "(others)";

/// By what dead letters are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Key {
    /// The dead-letter reason.
    Reason,
    /// Graph's code.
    Code,
    /// The property of the user.
    Target,
    /// How long ago the original reached the queue.
    Age,
}

impl Key {
    /// Its heading.
    #[must_use]
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Reason => "Reason",
            Self::Code => "Code",
            Self::Target => "Property",
            Self::Age => "Age",
        }
    }

    const fn json(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Code => "code",
            Self::Target => "target",
            Self::Age => "age",
        }
    }
}

/// One group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// How many.
    pub count: u64,
    /// How many of each age: one for each of [`AGES`], and the older ones.
    pub ages: [u64; AGES.len() + 1],
    /// When the oldest reached the queue.
    pub oldest: Option<Timestamp>,
    /// When the newest did.
    pub newest: Option<Timestamp>,
    /// The lowest number.
    pub first: SequenceNumber,
    /// The highest number.
    pub last: SequenceNumber,
}

/// All groups.
#[derive(Debug)]
pub(crate) struct DeadLetterGroups {
    by: Vec<Key>,
    now: Timestamp,
    groups: BTreeMap<Vec<Box<str>>, Group>,
    total: u64,
}

impl DeadLetterGroups {
    /// Nothing counted yet; ages are as of `now`.
    #[must_use]
    pub(crate) fn new(by: Vec<Key>, now: Timestamp) -> Self {
        Self { by, now, groups: BTreeMap::new(), total: 0 }
    }

    /// Counts a dead letter.
    pub(crate) fn add(&mut self, letter: &Letter) {
        self.total += 1;
        let age = self.age(letter);
        let mut key: Vec<Box<str>> = self.by.iter().map(|key| part(*key, letter, age)).collect();
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            key = vec![OTHERS.into(); self.by.len()];
        }
        let fresh = Group { first: letter.sequence, ..Group::default() };
        let group = self.groups.entry(key).or_insert(fresh);
        group.count += 1;
        group.ages[age] += 1;
        group.oldest = [group.oldest, letter.since].into_iter().flatten().min();
        group.newest = [group.newest, letter.since].into_iter().flatten().max();
        group.first = group.first.min(letter.sequence);
        group.last = group.last.max(letter.sequence);
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// By what they are grouped.
    #[must_use]
    pub(crate) fn by(&self) -> &[Key] {
        &self.by
    }

    /// The groups with their keys, the largest first.
    #[must_use]
    pub(crate) fn groups(&self) -> Vec<(&[Box<str>], &Group)> {
        let mut groups: Vec<_> = self.groups.iter().map(|(key, group)| (&**key, group)).collect();
        groups.sort_by(|(a_key, a), (b_key, b)| b.count.cmp(&a.count).then_with(|| a_key.cmp(b_key)));
        groups
    }

    /// The same as JSON.
    #[must_use]
    pub(crate) fn json(&self) -> Value {
        let group = |(key, group): (&[Box<str>], &Group)| {
            let mut object: serde_json::Map<_, _> =
                self.by.iter().zip(key).map(|(by, part)| (by.json().to_owned(), json!(part))).collect();
            let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
            object.extend([
                ("count".to_owned(), json!(group.count)),
                ("oldest".to_owned(), json!(time(group.oldest))),
                ("newest".to_owned(), json!(time(group.newest))),
                ("firstSequence".to_owned(), json!(group.first.0)),
                ("lastSequence".to_owned(), json!(group.last.0)),
                ("ages".to_owned(), ages(&group.ages)),
            ]);
            Value::Object(object)
        };
        json!({"total": self.total, "groups": self.groups().into_iter().map(group).collect::<Vec<_>>()})
    }

    fn age(&self, letter: &Letter) -> usize {
        let Some(since) = letter.since else { return AGES.len() };
        let age = Duration::try_from(self.now.duration_since(since)).unwrap_or_default();
        AGES.iter().position(|(bound, ..)| age < *bound).unwrap_or(AGES.len())
    }
}

fn part(key: Key, letter: &Letter, age: usize) -> Box<str> {
    match key {
        Key::Reason => letter.reason.clone(),
        Key::Code => letter.code.clone().unwrap_or_default(),
        Key::Target => letter.target.clone().unwrap_or_default(),
        Key::Age => age_name(age).into(),
    }
}

fn age_name(age: usize) -> &'static str {
    AGES.get(age).map_or("older", |(_, name, _)| name)
}

fn ages(counts: &[u64]) -> Value {
    let names = AGES.iter().map(|(.., name)| *name).chain(["older"]);
    names.zip(counts).map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(sequence: i64, reason: &str, code: Option<&str>, hours_ago: i64) -> Letter {
        Letter {
            sequence: SequenceNumber(sequence),
            reason: reason.into(),
            description: "".into(),
            code: code.map(Into::into),
            target: None,
            since: Timestamp::from_second(10_000_000 - hours_ago * 3_600).ok(),
            message_id: None,
        }
    }

    fn census(by: &[Key]) -> DeadLetterGroups {
        DeadLetterGroups::new(by.to_vec(), Timestamp::from_second(10_000_000).expect("small"))
    }

    #[test]
    fn the_largest_group_comes_first_and_tells_its_ages() {
        let mut census = census(&[Key::Reason, Key::Code]);
        census.add(&letter(1, "UserNotFound", Some("404"), 0));
        census.add(&letter(2, "ValueInvalid", None, 30));
        census.add(&letter(3, "ValueInvalid", None, 3));
        census.add(&letter(4, "ValueInvalid", None, 24 * 40));
        let groups = census.groups();
        assert_eq!(groups.len(), 2);
        let (key, group) = groups[0];
        assert_eq!(key.iter().map(|part| &**part).collect::<Vec<_>>(), ["ValueInvalid", ""]);
        assert_eq!((group.count, group.ages), (3, [0, 1, 1, 0, 1]));
        assert_eq!((group.first.0, group.last.0), (2, 4));
        let json = census.json();
        assert_eq!((&json["total"], &json["groups"][1]["code"]), (&json!(4), &json!("404")));
        assert_eq!(json["groups"][0]["ages"]["older"], 1);
    }

    #[test]
    fn grouping_by_age_makes_the_histogram_the_groups() {
        let mut census = census(&[Key::Age]);
        for hours in [0, 2, 3, 24 * 8] {
            census.add(&letter(1, "Any", None, hours));
        }
        let groups: Vec<_> =
            census.groups().iter().map(|(key, group)| (key[0].clone(), group.count)).collect();
        assert_eq!(groups, [("< 1 day".into(), 2), ("< 1 hour".into(), 1), ("< 30 days".into(), 1)]);
    }

    #[test]
    fn reasons_that_differ_in_each_message_do_not_fill_the_memory() {
        let mut census = census(&[Key::Reason]);
        for number in 0..5_000 {
            census.add(&letter(number, &format!("reason {number}"), None, 0));
        }
        assert_eq!((census.groups().len(), census.total()), (1_001, 5_000));
        assert_eq!(census.groups()[0].1.count, 4_000);
    }
}
