//! What is known of one group: what is the case, what of that was told, and when to tell next.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::notice::{ItemState, NoticeItem, NoticeTiming, Observation, Urgency};
use crate::monotonic_time::MonotonicTime;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) seen: Observation,
    /// Since when it is the case.
    pub(super) since: Timestamp,
    /// When it last became news: began, rose or ended.
    pub(super) changed: MonotonicTime,
    pub(super) over: bool,
    /// How urgent it was when it was told.
    pub(super) told: Option<Urgency>,
    /// Whether a notice that tells of it is under way.
    pub(super) under_way: bool,
    /// Until then, not to be seen says nothing: it was kept over a restart, and not everything is known yet.
    pub(super) settles: MonotonicTime,
}

impl Entry {
    /// From when on it is news; `None` if it is none.
    fn news_from(&self) -> Option<MonotonicTime> {
        match (self.over, self.told) {
            (true, told) => told.map(|_| self.changed),
            (false, None) => Some(self.changed + self.seen.patience),
            (false, Some(told)) => (told < self.seen.urgency).then_some(self.changed),
        }
    }

    fn is_repeated(&self) -> bool {
        !self.over && self.told.is_some_and(|told| told > Urgency::Info)
    }

    pub(super) fn item(&self, state: ItemState) -> NoticeItem {
        NoticeItem { state, seen: self.seen.clone(), since: self.since }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) entries: BTreeMap<Box<str>, Entry>,
    /// Since when it is told of; none while nothing was told.
    pub(super) opened: Option<Timestamp>,
    /// When something was told last.
    pub(super) sent: Option<MonotonicTime>,
    /// How many notices there were since it was opened.
    pub(super) number: u32,
    /// How often the same was repeated.
    pub(super) repeats: u32,
}

impl Group {
    pub(super) fn observe(&mut self, seen: &Observation, now: MonotonicTime, wall: Timestamp) {
        match self.entries.get_mut(&seen.key.name) {
            Some(entry) => {
                let rises = !entry.over && entry.told.is_some_and(|told| told < seen.urgency);
                if entry.over {
                    // Its end was not told yet, so for whoever reads it has not ended.
                    (entry.over, entry.changed) = (false, now);
                } else if rises && entry.seen.urgency < seen.urgency {
                    entry.changed = now;
                }
                entry.seen = seen.clone();
                entry.settles = now;
            }
            None if seen.muted => {}
            None => {
                let entry = Entry {
                    seen: seen.clone(),
                    since: wall,
                    changed: now,
                    over: false,
                    told: None,
                    under_way: false,
                    settles: now,
                };
                self.entries.insert(seen.key.name.clone(), entry);
            }
        }
    }

    /// Ends what is not the case any more. What was never told is forgotten.
    pub(super) fn end_others(&mut self, is_seen: impl Fn(&str) -> bool, now: MonotonicTime) {
        self.entries.retain(|name, entry| {
            let is_owed = entry.seen.happened && entry.told.is_none();
            if entry.over || is_seen(name) || entry.settles > now || is_owed {
                return true;
            }
            (entry.over, entry.changed) = (true, now);
            entry.told.is_some() || entry.under_way
        });
    }

    /// Whether it is time to tell of changes.
    pub(super) fn has_news(&self, timing: &NoticeTiming, now: MonotonicTime) -> bool {
        let first = self.entries.values().filter_map(Entry::news_from).min();
        let rested = self.sent.is_none_or(|sent| now - sent >= timing.group_interval);
        first.is_some_and(|first| first + timing.group_wait <= now) && rested
    }

    /// Whether it is time to say again what was said.
    pub(super) fn is_to_be_repeated(&self, timing: &NoticeTiming, now: MonotonicTime) -> bool {
        let waited = self.sent.is_some_and(|sent| now - sent >= timing.repeat(self.repeats));
        waited && self.entries.values().any(Entry::is_repeated)
    }

    /// Whether there is anything that was not told, however new.
    pub(super) fn is_untold(&self) -> bool {
        self.entries.values().any(|entry| !entry.over && entry.told.is_none())
    }

    /// What is to be told now; the beginning of what has lasted long enough, or of everything if `all`.
    pub(super) fn items(&self, now: MonotonicTime, all: bool) -> Vec<NoticeItem> {
        let item = |entry: &Entry| {
            let news = entry.news_from().is_some_and(|from| from <= now || (all && !entry.over));
            match (news, entry.over) {
                (true, true) => Some(entry.item(ItemState::Resolved)),
                (true, false) => Some(entry.item(ItemState::New)),
                (false, false) if entry.told.is_some() => Some(entry.item(ItemState::Still)),
                (false, _) => None,
            }
        };
        self.entries.values().filter_map(item).collect()
    }

    /// A notice with these items is under way.
    pub(super) fn begin(&mut self, items: &[NoticeItem]) {
        for item in items {
            if let Some(entry) = self.entries.get_mut(&item.seen.key.name) {
                entry.under_way = true;
            }
        }
    }

    /// The notice was sent.
    pub(super) fn told(&mut self, items: &[NoticeItem], now: MonotonicTime, opened: Timestamp) {
        let is_news = items.iter().any(|item| item.state == ItemState::New);
        for item in items {
            let name = &item.seen.key.name;
            let Some(entry) = self.entries.get_mut(name) else { continue };
            entry.under_way = false;
            match item.state {
                ItemState::New | ItemState::Still => entry.told = Some(item.seen.urgency),
                ItemState::Resolved if entry.over => drop(self.entries.remove(name)),
                // It has begun again meanwhile.
                ItemState::Resolved => entry.told = None,
            }
        }
        self.sent = Some(now);
        self.number += 1;
        self.opened.get_or_insert(opened);
        let repeated = items.iter().all(|item| item.state == ItemState::Still);
        self.repeats = if repeated {
            self.repeats + 1
        } else if is_news {
            0
        } else {
            self.repeats
        };
        if self.entries.values().all(|entry| entry.told.is_none()) {
            (self.opened, self.number, self.repeats) = (None, 0, 0);
        }
    }

    /// The notice was not sent.
    pub(super) fn give_up(&mut self) {
        self.entries.retain(|_, entry| {
            entry.under_way = false;
            !entry.over || entry.told.is_some()
        });
    }

    /// Whether nothing of it needs to be remembered.
    pub(super) fn is_done(&self, timing: &NoticeTiming, now: MonotonicTime) -> bool {
        // The time of the last notice counts for what begins anew.
        self.entries.is_empty() && self.sent.is_none_or(|sent| now - sent >= timing.group_interval)
    }
}
