//! A Graph that keeps values and marks, and notices when two replicas crossed each other.

use std::collections::{BTreeMap, BTreeSet};

use shared::{
    ids::UserId,
    lanes::Success,
    monotonic_time::MonotonicTime,
    patch::{PropertyValue, UserWrite},
    property::Property,
    reconcile::{self, Body, Current, ReadPolicy, Reconciled},
    second_look,
};

/// Who writes: a replica and which life of it.
pub(super) type Writer = (usize, u32);

/// The directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) values: BTreeMap<(UserId, Property), PropertyValue>,
    /// Properties that are shown with a user, beside his mark.
    pub(super) shown: Vec<Property>,
    marks: BTreeMap<UserId, Box<str>>,
    /// When each user was last written, and by whom.
    written: BTreeMap<UserId, Vec<(MonotonicTime, Writer)>>,
    /// Users for whom a write of one replica took effect between another one's look and write. Graph has no
    /// conditional write; only a second look can find that the older write came last.
    pub(super) crossed: BTreeSet<UserId>,
}

/// A write on its way: what was seen of the user, and when.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) write: UserWrite,
    pub(super) writer: Writer,
    seen: MonotonicTime,
    /// When its request was sent.
    pub(super) begun: MonotonicTime,
    current: Current,
}

impl Directory {
    /// Looks at the user.
    pub(super) fn look(&self, write: UserWrite, writer: Writer, now: MonotonicTime) -> Flight {
        let current = self.current(write.user);
        Flight { write, writer, seen: now, begun: now, current }
    }

    /// A user as he is shown.
    pub(super) fn current(&self, user: UserId) -> Current {
        let value = |property: &Property| self.values.get(&(user, property.clone())).cloned();
        let shown = |property: &Property| (property.clone(), value(property).unwrap_or(PropertyValue::Clear));
        let values = self.shown.iter().map(shown).collect();
        Current { mark: self.marks.get(&user).cloned(), values, ..Current::default() }
    }

    /// The write takes effect; tells what was written.
    pub(super) fn apply(
        &mut self,
        flight: &Flight,
        reading: &ReadPolicy,
        now: MonotonicTime,
    ) -> Vec<Property> {
        let user = flight.write.user;
        let Some(body) = reconciled(flight, reading).body else { return Vec::new() };
        self.note(user, flight, now);
        let own = body.properties.iter().map(|(property, _)| property);
        let written = own.filter(|property| reading.guard.as_ref() != Some(property)).cloned().collect();
        self.store(user, body, reading);
        written
    }

    /// Whether another write of the user took effect since he was looked at: of another replica, or of this one before it was
    /// cut off and given the lease again.
    pub(super) fn is_crossed(&self, flight: &Flight) -> bool {
        let history = self.written.get(&flight.write.user);
        history.is_some_and(|history| history.iter().any(|(at, _)| *at >= flight.seen))
    }

    /// What somebody has undone of what a replica wrote, which with `diff` wrote differences only.
    pub(super) fn undone(&self, write: &UserWrite, diff: bool) -> Vec<Property> {
        let mark = self.marks.get(&write.user).cloned();
        let value = |property: &Property| self.values.get(&(write.user, property.clone())).cloned();
        let values = write
            .entries
            .iter()
            .map(|entry| (entry.property.clone(), value(&entry.property).unwrap_or(PropertyValue::Clear)));
        let current = Current { mark, values: values.collect(), ..Current::default() };
        second_look::undone(write, &current, diff)
    }

    fn note(&mut self, user: UserId, flight: &Flight, now: MonotonicTime) {
        let history = self.written.entry(user).or_default();
        if history.iter().any(|(at, writer)| *writer != flight.writer && *at >= flight.seen) {
            self.crossed.insert(user);
        }
        history.push((now, flight.writer));
    }

    fn store(&mut self, user: UserId, body: Body, reading: &ReadPolicy) {
        for (property, value) in body.properties {
            match value {
                PropertyValue::Text(text) if reading.guard.as_ref() == Some(&property) => {
                    self.marks.insert(user, text);
                }
                value => {
                    self.values.insert((user, property), value);
                }
            }
        }
    }
}

/// What will come of this write: the mark decides, as it was when the user was looked at.
pub(super) fn success(flight: &Flight, reading: &ReadPolicy) -> Success {
    let Reconciled { body, superseded, unchanged, went_back, .. } = reconciled(flight, reading);
    Success { written: body.is_some(), superseded, unchanged, went_back, ..Success::default() }
}

fn reconciled(flight: &Flight, reading: &ReadPolicy) -> Reconciled {
    if reading.guard.is_none() {
        return Reconciled { body: Some(reconcile::blind(&flight.write)), ..Reconciled::default() };
    }
    // There are no sign-in addresses in these worlds, so nothing can be ambiguous.
    reconcile::reconcile(&flight.write, &flight.current, reading).unwrap_or_default()
}
