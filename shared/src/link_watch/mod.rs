//! Whether the messages ever show the link to a user, and what it means that they do not.
//!
//! Images leave empty columns out, so a link that one message does not show proves nothing: the contact may have no
//! user. But if no message of hundreds shows one, a person must be told; and some messages do prove that the settings
//! or the images are wrong. This module gathers what messages show until the link has been seen, by names of columns
//! and never by values, and judges it.

mod counts;
mod likeness;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use self::{
    counts::Counts,
    report::{Report, Why},
};
use crate::{
    change::{Change, ColumnValue, Columns, Operation},
    ids::{SequenceNumber, UserId},
    plan::Planner,
};

/// After so many changes that needed a link and showed no user, somebody is warned.
pub const WARN_AFTER: u64 = 200;
/// The same for what waits at the start, which is looked at together: a sample across all senders, not one import.
pub const WARN_AT_START: u64 = 20;
/// So many images that show other empty columns, and never the link, prove that it is not registered. One more than
/// what an oddity or two could explain.
const EMPTIES: u64 = 3;
/// So many changes prove what a few could be by chance: that a column which is there is never a link.
const NEVER: u64 = 100;
/// Names that are kept, so that hostile messages cannot fill the memory.
const NAMES: usize = 256;
/// Column that the portal sets at each sign-in: a contact with it has a user.
const SIGNED_IN: &str = "adx_identity_lastsuccessfullogin";
/// Primary key of contact.
const PRIMARY_KEY: &str = "contactid";
/// Prefix of the portal's columns about sign-in.
const PORTAL: &str = "adx_identity_";

/// What is thought of the link by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A user was seen behind the link column, and the column in an image.
    Seen,
    /// Not yet; which may be so because no contact with a user has changed.
    NotSeenYet(Report),
    /// The settings or the images are wrong; what the messages ask for cannot be known.
    Misconfigured(Why, Report),
}

/// What the column of a link holds in one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The object id of a user.
    Linked,
    /// The contact's own id, in its primary key.
    OwnId,
    /// Nothing.
    Empty,
    /// Text that is no object id.
    NoId,
    /// A value that is no text.
    NoText,
    /// The column is nowhere in the change.
    Absent,
}

impl Link {
    /// What `column` holds in a change, found where planning finds it.
    #[must_use]
    pub fn of(change: &Change, column: &str) -> Self {
        let places = [&change.columns, &change.after, &change.before];
        match places.into_iter().find_map(|columns| columns.get(column)) {
            None => Self::Absent,
            Some(ColumnValue::Null) => Self::Empty,
            Some(ColumnValue::Text(text)) if text.trim().is_empty() => Self::Empty,
            Some(ColumnValue::Text(text)) => match UserId::parse(text) {
                // Elsewhere it may be meant: some installations create a contact with the id of its user.
                Some(user) if column == PRIMARY_KEY && user.0 == change.contact.0 => Self::OwnId,
                Some(_) => Self::Linked,
                None => Self::NoId,
            },
            Some(
                ColumnValue::Bool(_)
                | ColumnValue::Choice { .. }
                | ColumnValue::Lookup { .. }
                | ColumnValue::Unsupported(_),
            ) => Self::NoText,
        }
    }
}

/// What messages have shown that is not to be told but to be reasoned with: how many changes showed it.
#[derive(Clone, Debug, Default)]
struct Clues {
    linked: u64,
    /// The link column was in an image.
    in_image: u64,
    no_text: u64,
    own_id: u64,
    /// Another column that looks like the link held a GUID, where the link column was absent.
    alike_absent: u64,
    /// The same, where it was empty.
    alike_empty: u64,
    /// A change set the link, and the post image of the same message did not show it.
    post_image_lacks: u64,
    /// A contact that has signed in came with an image without the link.
    signed_in: u64,
    empties_shown: u64,
}

/// A column that messages carry.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    changes: u64,
    guids: u64,
}

/// Gathers what messages show about the link until it has been seen.
#[derive(Clone, Debug)]
pub struct LinkWatch {
    column: Box<str>,
    seen: bool,
    counts: Counts,
    clues: Clues,
    carried: BTreeMap<Box<str>, Carried>,
    /// The highest number that was counted: what is peeked at first is received later.
    counted: Option<SequenceNumber>,
    held: bool,
    doubtful_before: Option<SequenceNumber>,
}

impl LinkWatch {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new(column: &str) -> Self {
        Self {
            column: column.into(),
            seen: false,
            counts: Counts::default(),
            clues: Clues::default(),
            carried: BTreeMap::new(),
            counted: None,
            held: false,
            doubtful_before: None,
        }
    }

    /// Whether the link was seen, after which nothing more has to be looked at.
    #[must_use]
    pub fn seen(&self) -> bool {
        self.seen
    }

    /// How often the link was seen so far, and how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether an image without the link says nothing about a message with this number: it came before the images
    /// held the link column, and that they did not was certain.
    #[must_use]
    pub fn doubts(&self, sequence: SequenceNumber) -> bool {
        self.doubtful_before.is_some_and(|before| sequence < before)
    }

    /// Takes in the changes of one message.
    pub fn look(&mut self, changes: &[Change], planner: &Planner, sequence: SequenceNumber) {
        let new = self.counted.is_none_or(|counted| sequence > counted);
        let certain = self.why().is_some() && (self.held || self.counts.not_in_image >= WARN_AT_START);
        for change in changes.iter().filter(|change| accepted(change, planner)) {
            let count = new && needs_link(change, planner);
            self.look_at(change, count.then(|| planner.passes_over_link(change)));
        }
        self.counted = self.counted.max(Some(sequence));
        if certain && self.why().is_none() {
            self.doubtful_before = self.doubtful_before.max(Some(sequence));
        }
        if self.clues.linked > 0 && self.clues.in_image > 0 {
            self.seen = true;
            self.carried.clear();
        }
    }

    /// Notes that messages are held back for what is certain, so that those from before stay in doubt when it ends.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// What is to be thought of it now.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        match self.why() {
            _ if self.seen => Verdict::Seen,
            Some(why) => Verdict::Misconfigured(why, self.report()),
            None => Verdict::NotSeenYet(self.report()),
        }
    }

    /// `passed_over` tells whether the link is foreign and passed over; `None` if the change is not to be counted.
    fn look_at(&mut self, change: &Change, passed_over: Option<bool>) {
        let link = Link::of(change, &self.column);
        let alike = u64::from(self.carries_another(change));
        let in_image = [&change.after, &change.before].iter().any(|image| image.get(&self.column).is_some());
        let clues = &mut self.clues;
        clues.in_image += u64::from(in_image);
        match link {
            Link::Linked => {
                clues.linked += 1;
                clues.post_image_lacks += u64::from(post_image_lacks(change, &self.column));
            }
            Link::OwnId => clues.own_id += 1,
            Link::NoText => clues.no_text += 1,
            Link::NoId => {}
            Link::Absent if change.operation != Operation::Create => {
                let portal = change.imaged && self.column.starts_with(PORTAL);
                clues.alike_absent += alike;
                clues.signed_in += u64::from(portal && has_signed_in(change));
            }
            Link::Absent | Link::Empty => clues.alike_empty += if passed_over.is_some() { alike } else { 0 },
        }
        if let Some(passed_over) = passed_over {
            clues.empties_shown += u64::from(link == Link::Absent && shows_empties(change));
            self.count(change, link, passed_over);
        }
    }

    fn count(&mut self, change: &Change, link: Link, passed_over: bool) {
        let counts = &mut self.counts;
        counts.looked_at += 1;
        match link {
            Link::Linked => counts.linked += 1,
            Link::NoId if passed_over => counts.foreign += 1,
            Link::OwnId | Link::NoId | Link::NoText => counts.no_id += 1,
            Link::Empty => counts.empty += 1,
            Link::Absent if change.operation == Operation::Create => counts.empty += 1,
            Link::Absent if change.imaged => counts.not_in_image += 1,
            Link::Absent => counts.no_image += 1,
        }
        for (name, guid) in names(change) {
            if let Some(carried) = self.carried.get_mut(name) {
                carried.changes += 1;
                carried.guids += u64::from(guid);
            } else if self.carried.len() < NAMES && likeness::can_be_told(name) {
                self.carried.insert(name.into(), Carried { changes: 1, guids: guid.into() });
            }
        }
    }

    /// Whether another column of the change looks like the link, by its name and by a GUID in it.
    fn carries_another(&self, change: &Change) -> bool {
        names(change).any(|(name, guid)| guid && name != &*self.column && likeness::alike(name, &self.column))
    }

    /// What proves that something is wrong, if anything does.
    #[must_use]
    pub fn why(&self) -> Option<Why> {
        let Self { clues, counts, .. } = self;
        let by_column = [
            (clues.no_text > 0, Why::NoText),
            (clues.own_id > 0, Why::OwnId),
            (clues.alike_absent > 0 || clues.alike_empty >= NEVER, Why::AnotherColumn),
            (counts.no_id >= NEVER, Why::NeverAnId),
        ];
        let by_image = [
            (counts.no_image >= NEVER && counts.no_image == counts.looked_at, Why::NoImage),
            (clues.post_image_lacks > 0, Why::PostImageLacks),
            (clues.signed_in > 0, Why::SignedIn),
            (clues.empties_shown >= EMPTIES, Why::EmptiesShown),
        ];
        // One user behind the column refutes whatever speaks against the column, and one image with the column whatever
        // speaks against the images.
        let by_column = by_column.into_iter().filter(|_| clues.linked == 0);
        let by_image = by_image.into_iter().filter(|_| clues.in_image == 0 && counts.without_link() > 0);
        by_column.chain(by_image).find_map(|(so, why)| so.then_some(why))
    }

    /// What was looked at, and what it carried.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut carried: Vec<_> = self.carried.iter().filter(|(name, _)| **name != self.column).collect();
        // The most frequent first, and by name among equals.
        carried.sort_by_key(|(_, carried)| std::cmp::Reverse(carried.changes));
        let rank = |name: &str, carried: &Carried| {
            (
                likeness::alike(name, &self.column),
                carried.guids,
                std::cmp::Reverse(likeness::distance(name, &self.column)),
            )
        };
        let likeliest = carried
            .iter()
            .filter(|(name, carried)| carried.guids > 0 && !likeness::is_something_else(name))
            .max_by_key(|(name, carried)| rank(name, carried));
        Report {
            column: self.column.clone(),
            counts: self.counts,
            likeliest: likeliest.map(|(name, _)| (*name).clone()),
            carried: carried.iter().map(|(name, _)| (*name).clone()).collect(),
        }
    }
}

fn accepted(change: &Change, planner: &Planner) -> bool {
    planner.organizations.is_empty()
        || change.organization.is_some_and(|organization| planner.organizations.contains(&organization))
}

/// Whether planning asks for the user of this change.
fn needs_link(change: &Change, planner: &Planner) -> bool {
    let touches_users = !matches!(change.operation, Operation::Delete | Operation::Administrative);
    touches_users
        && planner.filter.lets_count(change)
        && !change.truncated
        && change.columns.iter().any(|(column, _)| planner.mapping.maps(column))
}

/// The columns of a change, each once, and whether it holds a GUID that is not the contact's own.
fn names(change: &Change) -> impl Iterator<Item = (&str, bool)> {
    let Change { columns, after, before, .. } = change;
    let after = after.iter().filter(|(name, _)| columns.get(name).is_none());
    let before =
        before.iter().filter(|(name, _)| columns.get(name).is_none() && change.after.get(name).is_none());
    let guid = |value: &ColumnValue| match value {
        ColumnValue::Text(text) => UserId::parse(text).is_some_and(|user| user.0 != change.contact.0),
        ColumnValue::Null
        | ColumnValue::Bool(_)
        | ColumnValue::Choice { .. }
        | ColumnValue::Lookup { .. }
        | ColumnValue::Unsupported(_) => false,
    };
    columns.iter().chain(after).chain(before).map(move |(name, value)| (name, guid(value)))
}

fn has_signed_in(change: &Change) -> bool {
    let places = [&change.columns, &change.after, &change.before];
    places.into_iter().any(|columns| columns.get(SIGNED_IN).is_some_and(|value| *value != ColumnValue::Null))
}

/// Whether the change set the link, and its post image, the only kind that came, does not show it.
fn post_image_lacks(change: &Change, column: &str) -> bool {
    change.operation != Operation::Create
        && change.columns.get(column).is_some()
        && !change.after.is_empty()
        && change.before.is_empty()
        && change.after.get(column).is_none()
}

/// Whether an image shows an empty column. One that the change itself emptied may be shown for that.
fn shows_empties(change: &Change) -> bool {
    let empty = |value: &ColumnValue| match value {
        ColumnValue::Null => true,
        ColumnValue::Text(text) => text.is_empty(),
        ColumnValue::Bool(_)
        | ColumnValue::Choice { .. }
        | ColumnValue::Lookup { .. }
        | ColumnValue::Unsupported(_) => false,
    };
    [&change.after, &change.before]
        .into_iter()
        .flat_map(Columns::iter)
        .any(|(name, value)| empty(value) && change.columns.get(name).is_none())
}
