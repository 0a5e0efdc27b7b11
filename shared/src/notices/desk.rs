//! What one channel is to be sent, and when.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    budget::NoticeBudget,
    digest::{DailyDigest, DigestTeller},
    group::Group,
    notice::{
        GroupKey, ItemState, Notice, NoticeItem, NoticeState, NoticeTiming, NoticeView, Observation, Topic,
        Urgency,
    },
    saved::{self, SavedDesk},
};
use crate::monotonic_time::MonotonicTime;

/// Longest rest after a channel has failed several times in a row.
const LONGEST_REST: Duration = Duration::from_hours(1);

/// Every replica stands by at first. For longer than this, it takes nobody to become the writer, also after one that died.
const OTHERS_TELL: Duration = Duration::from_mins(1);

/// What a channel wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Topics; `None` for all.
    pub only: Option<Vec<Topic>>,
    /// What is less urgent is left out.
    pub least: Urgency,
}

impl Default for NoticeFilter {
    fn default() -> Self {
        Self { only: None, least: Urgency::Info }
    }
}

impl NoticeFilter {
    fn takes(&self, seen: &Observation) -> bool {
        let wanted = self.only.as_ref().is_none_or(|only| only.contains(&seen.key.group.topic));
        wanted && seen.urgency >= self.least
    }
}

/// What is to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A notice.
    Notice(Notice),
    /// The daily digest.
    Digest,
}

/// How sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeskEnd {
    /// The channel took it.
    Sent,
    /// It did not, after all tries.
    Failed,
    /// It said that it is gone for good.
    Gone,
}

/// What is under way, with all items that are told by it, those included that it only counts.
#[derive(Clone, Debug)]
enum UnderWay {
    Notice { opened: Timestamp, groups: Vec<(GroupKey, Vec<NoticeItem>)> },
    Digest,
}

/// The notices of one channel. One at a time is under way.
#[derive(Clone, Debug)]
pub struct NoticeDesk {
    timing: NoticeTiming,
    filter: NoticeFilter,
    groups: BTreeMap<GroupKey, Group>,
    budget: NoticeBudget,
    digest: Option<DailyDigest>,
    digest_by: DigestTeller,
    /// Since when a digest is due that others tell.
    passed_since: Option<MonotonicTime>,
    under_way: Option<UnderWay>,
    /// Failures in a row, and until when to leave the channel alone.
    failures: u32,
    rests_until: MonotonicTime,
    gone: bool,
    /// Notices that were not sent of their own because the channel had enough, since it was last asked.
    folded: u64,
}

impl NoticeDesk {
    /// A desk that has told nothing yet.
    #[must_use]
    pub fn new(timing: NoticeTiming, filter: NoticeFilter, digest: Option<DailyDigest>) -> Self {
        Self {
            timing,
            filter,
            groups: BTreeMap::new(),
            budget: NoticeBudget::default(),
            digest,
            digest_by: DigestTeller::default(),
            passed_since: None,
            under_way: None,
            failures: 0,
            rests_until: MonotonicTime::START,
            gone: false,
            folded: 0,
        }
    }

    /// The same with what was told before a restart.
    #[must_use]
    pub fn with_past(mut self, past: &SavedDesk, now: MonotonicTime, wall: Timestamp) -> Self {
        let settled = now + self.timing.group_interval;
        self.groups = saved::groups(past, now, wall, settled);
        if let (Some(digest), Some(told)) = (&mut self.digest, past.digest_told) {
            digest.tell(told);
        }
        self
    }

    /// What has to be known after a restart.
    #[must_use]
    pub fn past(&self, now: MonotonicTime, wall: Timestamp) -> SavedDesk {
        let digest_told = self.digest.as_ref().map(DailyDigest::told);
        SavedDesk { groups: saved::of(&self.groups, now, wall), digest_told }
    }

    /// Takes in what is the case with one target.
    pub fn observe(
        &mut self,
        target: &str,
        view: NoticeView,
        seen: &[Observation],
        now: MonotonicTime,
        wall: Timestamp,
    ) {
        let seen: Vec<_> = seen.iter().filter(|seen| self.filter.takes(seen)).collect();
        for seen in &seen {
            self.groups.entry(seen.key.group.clone()).or_default().observe(seen, now, wall);
        }
        if view == NoticeView::Standby {
            self.groups.retain(|key, _| *key.target != *target || key.topic == Topic::Writer);
        }
        if view != NoticeView::Part {
            for (key, group) in self.groups.iter_mut().filter(|(key, _)| *key.target == *target) {
                let is_seen =
                    |name: &str| seen.iter().any(|seen| seen.key.group == *key && *seen.key.name == *name);
                group.end_others(is_seen, now);
            }
        }
        let timing = self.timing;
        self.groups.retain(|_, group| !group.is_done(&timing, now));
    }

    /// Who tells the digest from now on. One that has been due for a while in which others tell it counts as told: whoever becomes
    /// the writer later does not tell it once more.
    pub fn digest_is_told_by(&mut self, teller: DigestTeller, now: MonotonicTime, wall: Timestamp) {
        self.digest_by = teller;
        let due = self.digest.as_mut().filter(|digest| teller == DigestTeller::Others && digest.is_due(wall));
        let Some(digest) = due else {
            self.passed_since = None;
            return;
        };
        if now - *self.passed_since.get_or_insert(now) >= OTHERS_TELL {
            digest.tell(wall);
        }
    }

    /// What is to be sent now, if anything is. Whoever gets it says how it ended by [`NoticeDesk::ended`].
    pub fn next(&mut self, now: MonotonicTime, wall: Timestamp) -> Option<Due> {
        if self.is_silent(now) {
            return None;
        }
        let digest = self.digest.as_ref().filter(|_| self.digest_by == DigestTeller::Us);
        if digest.is_some_and(|digest| digest.is_due(wall)) && self.budget.allows(now) {
            self.budget.take(now);
            self.under_way = Some(UnderWay::Digest);
            return Some(Due::Digest);
        }
        let timing = self.timing;
        let news = self.due(now, |group| group.has_news(&timing, now));
        let due =
            if news.is_empty() { self.due(now, |group| group.is_to_be_repeated(&timing, now)) } else { news };
        self.form(due, now).map(Due::Notice)
    }

    /// Dead letters that have not been told yet, without further waiting: their counts end with a worker that stops. Everything
    /// else is seen again by whoever goes on.
    pub fn last(&mut self, now: MonotonicTime) -> Option<Notice> {
        if self.is_silent(now) {
            return None;
        }
        let letters = |key: &GroupKey| key.topic == Topic::DeadLetters;
        let groups = self.groups.iter().filter(|(key, group)| letters(key) && group.is_untold());
        let due = groups.map(|(key, group)| (key.clone(), group.items(now, true))).collect();
        self.form(due, now)
    }

    /// How it ended, what was begun last.
    pub fn ended(&mut self, end: DeskEnd, now: MonotonicTime, wall: Timestamp) {
        let Some(under_way) = self.under_way.take() else { return };
        self.gone |= end == DeskEnd::Gone;
        if end == DeskEnd::Sent {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            let doubled = 1_u32.checked_shl(self.failures - 1);
            let rest = doubled.and_then(|times| self.timing.group_interval.checked_mul(times));
            self.rests_until = now + rest.map_or(LONGEST_REST, |rest| rest.min(LONGEST_REST));
        }
        match under_way {
            UnderWay::Digest => {
                // One that could not be sent is not sent late: the next one tells as much.
                self.digest.iter_mut().for_each(|digest| digest.tell(wall));
            }
            UnderWay::Notice { opened, groups } => {
                for (key, items) in groups {
                    // A group that is gone was forgotten on purpose meanwhile.
                    let Some(group) = self.groups.get_mut(&key) else { continue };
                    if end == DeskEnd::Sent { group.told(&items, now, opened) } else { group.give_up() }
                }
            }
        }
    }

    /// How long the channel is left alone after it has failed; nothing where it is not, or is gone.
    #[must_use]
    pub fn rests_for(&self, now: MonotonicTime) -> Option<Duration> {
        (!self.gone && self.rests_until > now).then(|| self.rests_until - now)
    }

    /// Whether the channel said that it is gone.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Notices that went into others because the channel had enough, since this was last asked.
    pub fn take_folded(&mut self) -> u64 {
        std::mem::take(&mut self.folded)
    }

    fn is_silent(&self, now: MonotonicTime) -> bool {
        self.gone || self.under_way.is_some() || now < self.rests_until
    }

    fn due(&self, now: MonotonicTime, is_due: impl Fn(&Group) -> bool) -> Vec<(GroupKey, Vec<NoticeItem>)> {
        let due = self.groups.iter().filter(|(_, group)| is_due(group));
        due.map(|(key, group)| (key.clone(), group.items(now, false))).collect()
    }

    /// A notice of one of these groups, the most urgent; of all of them if the channel takes no further one for long.
    fn form(&mut self, mut due: Vec<(GroupKey, Vec<NoticeItem>)>, now: MonotonicTime) -> Option<Notice> {
        due.retain(|(_, items)| !items.is_empty());
        if due.is_empty() || !self.budget.allows(now) {
            return None;
        }
        let urgency = |items: &[NoticeItem]| items.iter().map(|item| item.seen.urgency).max();
        due.sort_by_key(|(_, items)| std::cmp::Reverse(urgency(items)));
        if self.budget.left(now) > 1 {
            due.truncate(1);
        }
        self.folded += (due.len() - 1) as u64;
        self.budget.take(now);
        let (key, first) = due.first()?;
        let group = self.groups.get(key)?;
        let opened = group.opened.or_else(|| first.iter().map(|item| item.since).min())?;
        let mut items: Vec<_> = due.iter().flat_map(|(_, items)| items.iter().cloned()).collect();
        let state = state(&items);
        items.sort_by_key(|item| (item.state, std::cmp::Reverse(item.seen.urgency)));
        let more = items.len().saturating_sub(Notice::MOST_ITEMS);
        items.truncate(Notice::MOST_ITEMS);
        let notice = Notice { group: key.clone(), opened, number: group.number, state, items, more };
        for (key, items) in &due {
            self.groups.entry(key.clone()).or_default().begin(items);
        }
        self.under_way = Some(UnderWay::Notice { opened, groups: due });
        Some(notice)
    }
}

fn state(items: &[NoticeItem]) -> NoticeState {
    let all = |state| items.iter().all(|item| item.state == state);
    if all(ItemState::Still) {
        NoticeState::Repeat
    } else if all(ItemState::Resolved) {
        NoticeState::Resolved
    } else {
        NoticeState::Firing
    }
}
