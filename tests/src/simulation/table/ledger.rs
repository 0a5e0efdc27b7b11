//! What is known of each message, and what was written because of it. Only the judge asks; no replica knows of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use shared::{
    change::Change,
    ids::{ContactId, SequenceNumber, UserId},
    patch::UserWrite,
    property::Property,
};

use super::super::model::Broken;

/// A message that was posted.
#[derive(Clone, Debug)]
pub(in super::super) struct Posted {
    /// What it says.
    pub(super) change: Change,
    /// The contact.
    pub(in super::super) contact: ContactId,
    /// The row version after its change, whether or not the message tells it.
    pub(in super::super) number: u64,
    /// Whether a pass has posted it.
    pub(in super::super) repair: bool,
}

/// The books of a world.
#[derive(Debug, Default)]
pub(in super::super) struct Ledger {
    /// All messages, by the change that they carry.
    pub(super) posted: Vec<Posted>,
    /// Which of them each place of the queue holds.
    places: BTreeMap<SequenceNumber, usize>,
    /// Row versions that were read for the message in a place.
    read: BTreeSet<(SequenceNumber, u64)>,
    /// Repairs that were delivered.
    delivered: BTreeSet<usize>,
    /// Of which row version what a user has of a property was.
    written: BTreeMap<(UserId, Property), (ContactId, u64)>,
    /// Writes of each user that only repairs asked for.
    repaired: BTreeMap<UserId, u64>,
    /// How often each user differed when the row of his contact was posted.
    differed: BTreeMap<UserId, u64>,
    /// How often something happened after which the same write is made again.
    excused: BTreeMap<UserId, u64>,
    pub(super) report: TableReport,
}

/// What happened in a world of contacts that kept its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableReport {
    /// Changes of contacts.
    pub changes: u64,
    /// Changes that reached no queue, or as a message that was cut.
    pub unheard: u64,
    /// Messages that were posted twice.
    pub doubled: u64,
    /// Changes of users that somebody else made.
    pub elsewhere: u64,
    /// Passes that came to their end.
    pub passes: u64,
    /// Passes that were interrupted.
    pub interrupted: u64,
    /// Users who differed when a pass posted the row of their contact.
    pub differed: u64,
    /// Writes that only repairs asked for.
    pub repair_writes: u64,
    /// Those among them that were made again because nobody had heard of the first one, or somebody had undone it.
    pub again: u64,
    /// Rows that were read for messages.
    pub rows_read: u64,
    /// Questions about rows that were not answered, or not wholly.
    pub unanswered: u64,
    /// Linked contacts in the end, all of whom have their user as they are.
    pub linked: u64,
    /// Repairs for which somebody had to say that the row is right, because the mark of its user was newer.
    pub overruled: u64,
}

impl AddAssign for TableReport {
    fn add_assign(&mut self, other: Self) {
        self.changes += other.changes;
        self.unheard += other.unheard;
        self.doubled += other.doubled;
        self.elsewhere += other.elsewhere;
        self.passes += other.passes;
        self.interrupted += other.interrupted;
        self.differed += other.differed;
        self.repair_writes += other.repair_writes;
        self.again += other.again;
        self.rows_read += other.rows_read;
        self.unanswered += other.unanswered;
        self.linked += other.linked;
        self.overruled += other.overruled;
    }
}

impl Ledger {
    /// Notes what stands in this place of the queue.
    pub(super) fn stands_at(&mut self, place: SequenceNumber, posted: usize) {
        self.places.insert(place, posted);
    }

    /// The message in this place was planned by its row at that version.
    pub(super) fn read(&mut self, place: SequenceNumber, number: u64) {
        self.read.insert((place, number));
    }

    /// A message.
    pub(in super::super) fn posted(&self, index: usize) -> &Posted {
        &self.posted[index]
    }

    /// The row of his contact is posted, and he differs.
    pub(super) fn differs(&mut self, user: UserId) {
        *self.differed.entry(user).or_default() += 1;
        self.report.differed += 1;
    }

    /// A write of this user may be made again: nobody heard of it, its message came again, or somebody has undone it.
    pub(in super::super) fn excuse(&mut self, user: UserId) {
        *self.excused.entry(user).or_default() += 1;
    }

    /// A message is delivered; whether it has been before, by itself or as one of two. Of others than repairs, nobody counts.
    pub(in super::super) fn delivered(&mut self, index: usize) -> bool {
        self.posted[index].repair && !self.delivered.insert(index)
    }

    /// These properties of a user were written. `crossed` tells that another write took effect since he was looked at, which
    /// a second look puts right.
    pub(in super::super) fn wrote(
        &mut self,
        write: &UserWrite,
        properties: &[Property],
        crossed: bool,
    ) -> Result<(), Broken> {
        if crossed {
            // The second look may find an older mark, and write once more what is there already.
            self.excuse(write.user);
        }
        if self.is_of_two_contacts(write) {
            // The user had another contact before, and the replica remembers its newer row version. What the repair is left
            // without for that, the second look writes.
            self.excuse(write.user);
        }
        let mut repairs = !properties.is_empty();
        for entry in write.entries.iter().filter(|entry| properties.contains(&entry.property)) {
            let Some(posted) = self.places.get(&entry.stamp.arrival).map(|index| &self.posted[*index]) else {
                continue;
            };
            repairs &= posted.repair;
            let own = entry.stamp.version.row.map(|row| row.number);
            let read = own.filter(|number| self.read.contains(&(entry.stamp.arrival, *number)));
            let now = (posted.contact, read.unwrap_or(posted.number));
            let before = self.written.insert((write.user, entry.property.clone()), now);
            if let Some((contact, number)) = before
                && contact == now.0
                && number > now.1
                && !crossed
            {
                return Err(Broken::Overwritten {
                    user: write.user,
                    property: entry.property.clone(),
                    newer: number,
                    older: now.1,
                });
            }
        }
        if repairs {
            let of = |counts: &BTreeMap<UserId, u64>| counts.get(&write.user).copied().unwrap_or_default();
            let (differed, excused) = (of(&self.differed), of(&self.excused));
            let repaired = self.repaired.entry(write.user).or_default();
            *repaired += 1;
            if *repaired > differed + excused {
                return Err(Broken::Needless(write.user));
            }
            self.report.again += u64::from(*repaired > differed);
            self.report.repair_writes += 1;
        }
        Ok(())
    }

    /// Whether a write holds what was told of one contact beside what was told of another.
    fn is_of_two_contacts(&self, write: &UserWrite) -> bool {
        let told = write.entries.iter().filter_map(|entry| self.places.get(&entry.stamp.arrival));
        let contacts: BTreeSet<_> = told.map(|index| self.posted[*index].contact).collect();
        contacts.len() > 1
    }
}
