//! What was told, in a form that outlives a restart. Times are those of the wall clock there, since the other one begins anew.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    group::{Entry, Group},
    notice::{GroupKey, NoticeKey, Observation, Topic, Urgency},
};
use crate::monotonic_time::MonotonicTime;

/// What one channel was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedDesk {
    /// What is not over, or whose end was not told.
    pub groups: Vec<SavedGroup>,
    /// When the digest was told.
    pub digest_told: Option<Timestamp>,
}

/// What was told of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedGroup {
    /// Which of several targets; empty where there is one without a name.
    pub target: Box<str>,
    /// What it is about.
    pub topic: Topic,
    /// Since when it is told of.
    pub opened: Timestamp,
    /// When something was told last.
    pub sent: Timestamp,
    /// How many notices there were.
    pub number: u32,
    /// How often the same was repeated.
    pub repeats: u32,
    /// What was told.
    pub entries: Vec<SavedEntry>,
}

/// One thing that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedEntry {
    /// Its name in the group.
    pub name: Box<str>,
    /// Since when it is the case.
    pub since: Timestamp,
    /// How urgent it was.
    pub told: Urgency,
    /// What was said of it.
    pub text: Box<str>,
    /// How many there were.
    pub count: Option<u64>,
}

/// What is worth to be kept of these.
pub(super) fn of(groups: &BTreeMap<GroupKey, Group>, now: MonotonicTime, wall: Timestamp) -> Vec<SavedGroup> {
    let group = |(key, group): (&GroupKey, &Group)| {
        Some(SavedGroup {
            target: key.target.clone(),
            topic: key.topic,
            opened: group.opened?,
            sent: wall - (now - group.sent?),
            number: group.number,
            repeats: group.repeats,
            entries: group.entries.iter().filter_map(|(name, entry)| kept(name, entry)).collect(),
        })
    };
    groups.iter().filter_map(group).collect()
}

fn kept(name: &str, Entry { seen, since, told, .. }: &Entry) -> Option<SavedEntry> {
    let text = seen.text.clone();
    Some(SavedEntry { name: name.into(), since: *since, told: (*told)?, text, count: seen.count })
}

/// The groups as they were. What is not seen again is over, but not before `settled`.
pub(super) fn groups(
    past: &SavedDesk,
    now: MonotonicTime,
    wall: Timestamp,
    settled: MonotonicTime,
) -> BTreeMap<GroupKey, Group> {
    let group = |saved: &SavedGroup| {
        let key = GroupKey { target: saved.target.clone(), topic: saved.topic };
        let entries = saved.entries.iter().map(|saved| (saved.name.clone(), entry(saved, &key, settled)));
        // A clock that was set back makes what was told seem to come from the future: then it was told just now. Nothing can be
        // before the start, so whoever restores begins to count later than at zero.
        let ago = Duration::try_from(wall.duration_since(saved.sent)).unwrap_or_default();
        let sent = MonotonicTime::after_start(now.since_start().saturating_sub(ago));
        let group = Group {
            entries: entries.collect(),
            opened: Some(saved.opened),
            sent: Some(sent),
            number: saved.number,
            repeats: saved.repeats,
        };
        (key.clone(), group)
    };
    past.groups.iter().map(group).collect()
}

fn entry(saved: &SavedEntry, group: &GroupKey, settled: MonotonicTime) -> Entry {
    let seen = Observation {
        key: NoticeKey { group: group.clone(), name: saved.name.clone() },
        urgency: saved.told,
        count: saved.count,
        text: saved.text.clone(),
        remedy: "".into(),
        anchor: "".into(),
        patience: Duration::ZERO,
        happened: false,
        muted: false,
    };
    Entry {
        seen,
        since: saved.since,
        changed: MonotonicTime::START,
        over: false,
        told: Some(saved.told),
        under_way: false,
        settles: settled,
    }
}
