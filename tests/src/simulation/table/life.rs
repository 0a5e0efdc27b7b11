//! What people do to contacts and users, and what becomes of the messages about it.

use std::time::Duration;

use rand::{
    RngExt,
    seq::{IndexedRandom, SliceRandom},
};
use shared::{
    change::ColumnValue,
    ids::{ContactId, SequenceNumber, UserId},
    mapping::MappingRow,
    monotonic_time::MonotonicTime,
    patch::PropertyValue,
};
use uuid::Uuid;

use super::{
    super::{event::Event, shape::TableKind, world::World},
    contacts::{Edits, FIRST, LAST, LINK, MAIL, STATE, link_to, state},
    ledger::Posted,
    state::TableWorld,
};

/// Seconds within which contacts are changed: mostly while other things go wrong, and sometimes long after.
const BUSY: std::ops::Range<u64> = 100..400;
/// The longest that a message is late, in milliseconds.
const LATE: u64 = 900_000;
/// A mark is told to be of another contact once it is as old as this.
const SETTLED: Duration = Duration::from_mins(16);
/// The longest that Dataverse is away, in seconds; shorter than messages are tried.
const OUTAGE: u64 = 300;
/// Without row versions, changes of one contact are so far apart.
const APART: jiff::SignedDuration = jiff::SignedDuration::from_secs(3);

impl World {
    /// Makes some contacts and plans the changes. What was there at first is posted by nobody.
    pub(in super::super) fn lay_table(&mut self, kind: TableKind) {
        let mut table = TableWorld::new(kind);
        self.reading.diff = kind.diff;
        self.directory.shown =
            table.planner.mapping.rows().iter().map(|row: &MappingRow| row.property.clone()).collect();
        for number in 1..=self.shape.users {
            let contact = table.contacts.fresh_id();
            let user = self.rng.random_bool(0.7).then(|| user(number));
            let mut edits: Edits = vec![(LINK, link_to(user)), (STATE, state(true))];
            for column in [FIRST, LAST, MAIL] {
                let value =
                    if self.rng.random_bool(0.8) { table.contacts.fresh(column) } else { ColumnValue::Null };
                edits.push((column, value));
            }
            let _unheard = table.contacts.save(contact, &edits, self.wall(self.now), table.step);
        }
        self.table = Some(Box::new(table));
        let (busy, mut last) = (self.rng.random_range(BUSY) * 1_000, MonotonicTime::START);
        for _ in 0..self.shape.changes {
            let at = MonotonicTime::after_start(Duration::from_millis(self.rng.random_range(0..busy)));
            last = last.max(at);
            self.plan(at, Event::Saved);
        }
        let first = self.soon(busy);
        self.plan(first, Event::Pass);
        let away = if kind.reads { self.outage(busy) } else { (MonotonicTime::START, MonotonicTime::START) };
        if let Some(table) = &mut self.table {
            (table.last_change, table.settled, table.away) = (last, last + SETTLED, away);
        }
    }

    /// When Dataverse is away, in half of the worlds.
    fn outage(&mut self, busy: u64) -> (MonotonicTime, MonotonicTime) {
        let lasts = if self.rng.random_bool(0.5) { self.rng.random_range(1..OUTAGE) } else { 0 };
        let from = MonotonicTime::after_start(Duration::from_millis(self.rng.random_range(0..busy)));
        (from, from + Duration::from_secs(lasts))
    }

    /// Somebody changes a contact, or a user.
    pub(in super::super) fn somebody_saves(&mut self) {
        let Some(mut table) = self.table.take() else { return };
        table.changes += 1;
        match self.rng.random_range(0..20) {
            0 | 1 => self.change_user(&mut table),
            2 => {
                let contact = table.contacts.fresh_id();
                let mut edits = vec![(LINK, link_to(self.somebody(&table))), (STATE, state(true))];
                edits.extend(self.values(&mut table));
                self.save(&mut table, contact, &edits);
            }
            3 => {
                if let Some(contact) = self.one_of(&table) {
                    table.contacts.delete(contact);
                }
            }
            4 | 5 => self.merge(&mut table),
            6 | 7 => {
                if let Some(contact) = self.one_of(&table) {
                    let edits = vec![(LINK, link_to(self.somebody(&table)))];
                    self.save(&mut table, contact, &edits);
                }
            }
            8 | 9 => self.part(&mut table),
            _ => {
                if let Some(contact) = self.one_of(&table) {
                    let edits = self.values(&mut table);
                    self.save(&mut table, contact, &edits);
                }
            }
        }
        self.table = Some(table);
    }

    /// A contact that may be changed now.
    fn one_of(&mut self, table: &TableWorld) -> Option<ContactId> {
        let contact = *table.contacts.ids().choose(&mut self.rng)?;
        let since = self.wall(self.now).duration_since(table.contacts.modified(contact)?);
        (table.step.numbered || since > APART).then_some(contact)
    }

    /// A user, mostly one whom no contact names; or nobody.
    fn somebody(&mut self, table: &TableWorld) -> Option<UserId> {
        let taken: Vec<UserId> = table.links(false).into_iter().map(|(_, user)| user).collect();
        let free: Vec<UserId> =
            (1..=self.shape.users).map(user).filter(|user| !taken.contains(user)).collect();
        let free = free.choose(&mut self.rng).copied();
        if free.is_some() && self.rng.random_bool(0.7) {
            return free;
        }
        let number = self.rng.random_range(0..=self.shape.users);
        (number > 0).then(|| user(number))
    }

    /// Somebody takes a user away from one of two contacts that name him.
    fn part(&mut self, table: &mut TableWorld) {
        let links = table.links(false);
        let is_shared = |user: UserId| links.iter().filter(|(_, other)| *other == user).count() > 1;
        let Some((contact, _)) = links.iter().find(|(_, user)| is_shared(*user)) else { return };
        self.save(table, *contact, &vec![(LINK, ColumnValue::Null)]);
    }

    fn values(&mut self, table: &mut TableWorld) -> Edits {
        let mut columns = [FIRST, LAST, MAIL];
        columns.shuffle(&mut self.rng);
        let count = if self.rng.random_bool(0.6) { 1 } else { self.rng.random_range(2..=3) };
        let value = |column| {
            let blank = self.rng.random_bool(0.15);
            (column, if blank { ColumnValue::Null } else { table.contacts.fresh(column) })
        };
        columns.into_iter().take(count).map(value).collect()
    }

    /// Two contacts are merged: one takes over values, and sometimes the link; the other one is deactivated.
    fn merge(&mut self, table: &mut TableWorld) {
        let (Some(winner), Some(loser)) = (self.one_of(table), self.one_of(table)) else { return };
        if winner == loser {
            return;
        }
        let link = table.contacts.get(loser, LINK).cloned();
        let mut gone: Edits = vec![(STATE, state(false))];
        if self.rng.random_bool(0.5) {
            gone.push((LINK, ColumnValue::Null));
        }
        self.save(table, loser, &gone);
        let mut edits = self.values(table);
        edits.extend(link.filter(|_| self.rng.random_bool(0.5)).map(|link| (LINK, link)));
        self.save(table, winner, &edits);
    }

    /// Somebody changes a user in the directory.
    fn change_user(&mut self, table: &mut TableWorld) {
        let user = user(self.rng.random_range(1..=self.shape.users));
        let Some(property) = self.directory.shown.choose(&mut self.rng).cloned() else { return };
        let value = if self.rng.random_bool(0.3) {
            PropertyValue::Clear
        } else {
            PropertyValue::Text(format!("elsewhere{}", table.changes).into())
        };
        self.directory.values.insert((user, property), value);
        table.ledger.excuse(user);
        table.ledger.report.elsewhere += 1;
    }

    /// Saves a contact; the message about it is posted, or not.
    fn save(&mut self, table: &mut TableWorld, contact: ContactId, edits: &Edits) {
        let mut change = table.contacts.save(contact, edits, self.wall(self.now), table.step);
        table.ledger.report.changes += 1;
        // The event is recorded some milliseconds after the row was changed.
        let recorded = jiff::SignedDuration::from_millis(self.rng.random_range(0..300));
        change.version =
            change.version.map(|version| shared::version::Version { at: version.at + recorded, ..version });
        let fate = self.rng.random_range(0..100);
        // A step that is bypassed or switched off, and a message that is lost.
        if fate < 25 {
            table.ledger.report.unheard += 1;
            return;
        }
        if fate < 33 {
            // Cut because of its length: images are gone. Where rows are read, that of the contact tells what it was about.
            table.ledger.report.unheard += u64::from(!table.planner.read_back);
            (change.before, change.after) = Default::default();
            (change.imaged, change.truncated) = (false, true);
        }
        let longest = if self.rng.random_bool(0.08) { LATE } else { 5_000 };
        let at = self.soon(longest);
        let number = table.contacts.number(contact);
        let index = post(table, Posted { change, contact, number, repair: false });
        self.put(table, index, at);
        if self.rng.random_bool(0.1) {
            table.ledger.report.doubled += 1;
            let again = at + Duration::from_millis(self.rng.random_range(0..60_000));
            self.put(table, index, again);
        }
    }

    /// Puts a message into the queue. Tells its place.
    pub(super) fn put(&mut self, table: &mut TableWorld, posted: usize, at: MonotonicTime) -> usize {
        let place = self.queue.messages().len();
        self.queue.post([posted].into(), at, 0, None, at);
        table.ledger.stands_at(SequenceNumber(i64::try_from(place).expect("few")), posted);
        place
    }
}

/// A user of the world.
pub(super) fn user(number: u8) -> UserId {
    UserId(Uuid::from_u128(u128::from(number)))
}

/// Notes a message.
pub(super) fn post(table: &mut TableWorld, posted: Posted) -> usize {
    table.ledger.posted.push(posted);
    table.ledger.posted.len() - 1
}
