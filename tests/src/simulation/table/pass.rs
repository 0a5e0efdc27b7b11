//! A pass: users and contacts are read page by page while both change, and what differs is posted, as the worker does it.

use std::{collections::VecDeque, time::Duration};

use rand::RngExt;
use shared::{
    change::ColumnValue,
    drift::{Candidate, DriftCause, Looked, Pairing, RowComparison, TableAge, TableRow},
    ids::ContactId,
    patch::PropertyValue,
    property::Property,
    reconcile::Current,
};

use super::{
    super::{
        event::Event,
        model::Broken,
        shape::Remedy,
        world::{TROUBLE, World},
    },
    contacts::{FIRST, LAST, MAIL},
    ledger::Posted,
    life::{post, user},
    state::{Looks, Stage, TableWorld},
};

/// Users, contacts, and candidates that are read at once.
const PAGE: usize = 2;
/// The longest time between two pages, in milliseconds.
const PACE: u64 = 4_000;
/// The longest that a repair waits behind live traffic.
const BACKLOG: u64 = 120_000;
/// The longest time between two passes.
const PAUSE: u64 = 60_000;
/// So many passes after the last change are the end of all differences: one that writes, and one that looks.
const LAST_PASSES: u32 = 3;

impl World {
    /// The pass goes on by a page, or another one begins.
    pub(in super::super) fn go_on_with_pass(&mut self) -> Result<(), Broken> {
        let Some(mut table) = self.table.take() else { return Ok(()) };
        let result = self.one_step(&mut table);
        let between = if matches!(table.stage, Stage::Idle) { PAUSE } else { PACE };
        // Between the last change and the last passes there is one more pass at most.
        let settled = table.settled;
        let waits = matches!(table.stage, Stage::Idle) && self.now > table.last_change;
        self.table = Some(table);
        let next = self.soon(between) + Duration::from_millis(1);
        self.plan(if waits { next.max(settled) } else { next }, Event::Pass);
        result
    }

    fn one_step(&mut self, table: &mut TableWorld) -> Result<(), Broken> {
        let is_over = self.now >= table.settled;
        // Somebody ends the process; the next run begins anew, and knows of what was posted.
        if !is_over && !matches!(table.stage, Stage::Idle) && self.rng.random_bool(0.03) {
            table.ledger.report.interrupted += 1;
            table.stage = Stage::Idle;
            return Ok(());
        }
        table.stage = match std::mem::replace(&mut table.stage, Stage::Idle) {
            Stage::Idle => {
                // The last passes wait until nothing is on its way any more.
                let quiet = self.queue.open().next().is_none();
                if is_over && !(quiet && self.now.since_start() > TROUBLE) {
                    return Ok(());
                }
                (table.began, table.posted) = ((table.changes, quiet), 0);
                table.passes += u32::from(is_over);
                if table.passes > LAST_PASSES {
                    return Err(Broken::NoEnd(table.passes));
                }
                Stage::Users(0, table.users(&self.reading, self.rng.random()))
            }
            Stage::Users(read, mut users) => {
                let all = usize::from(self.shape.users);
                let until = (read + PAGE).min(all);
                for number in read..until {
                    let user = user(u8::try_from(number).expect("few") + 1);
                    users.insert(user, &self.directory.current(user));
                }
                if until < all {
                    Stage::Users(until, users)
                } else {
                    Stage::Rows(None, Box::new(Pairing::with(users)))
                }
            }
            Stage::Rows(after, pairing) => self.read_rows(table, after, pairing),
            Stage::Looks(looks) => self.look(table, looks)?,
            Stage::Posted => self.await_outcomes(table),
        };
        Ok(())
    }

    fn read_rows(
        &mut self,
        table: &mut TableWorld,
        after: Option<ContactId>,
        mut pairing: Box<Pairing>,
    ) -> Stage {
        let rows = table.contacts.page(after, PAGE);
        let Some(last) = rows.last() else {
            let candidates = pairing.end().candidates;
            let (left, users, writes) = (candidates.into(), Vec::new(), VecDeque::new());
            return Stage::Looks(Looks { posting: false, left, users, writes });
        };
        let next = Some(last.contact);
        // The first page, so that it is always the same contacts.
        let dropped = self.shape.without == Some(Remedy::Pages) && after.is_none();
        table.newest = rows.iter().filter_map(|row| row.version.row).chain(table.newest).max();
        let now = self.wall(self.now);
        let settled = rows.iter().filter(|row| TableAge::has_settled(&row.version, now));
        table.quiet = settled.filter_map(|row| row.version.row).chain(table.quiet).max();
        for row in rows.iter().filter(|_| !dropped) {
            pairing.take(row, &table.planner).expect("links name users by their ids");
        }
        Stage::Rows(next, pairing)
    }

    /// Reads some users, or the rows of those that were read.
    fn look(&mut self, table: &mut TableWorld, mut looks: Looks) -> Result<Stage, Broken> {
        if looks.users.is_empty() {
            for candidate in looks.left.drain(..looks.left.len().min(PAGE)) {
                let (user, row) =
                    (self.directory.current(candidate.user), table.contacts.row(candidate.contact));
                looks.users.push((candidate, user, row));
            }
            if !looks.users.is_empty() {
                return Ok(Stage::Looks(looks));
            }
            return Ok(if looks.posting {
                Stage::Posted
            } else {
                // Contacts of which a message of a pass before waits still are left to it.
                let open = self.still_open(table);
                let left = looks.writes.into_iter().filter(|one| !open.contains(&one.contact)).collect();
                let (users, writes) = (Vec::new(), VecDeque::new());
                Stage::Looks(Looks { posting: true, left, users, writes })
            });
        }
        let now = self.wall(self.now);
        let age = table.newest.map(|newest| TableAge { newest, settled: table.quiet, now });
        // When everything is at rest, somebody looks at what is left and says that the rows are right.
        let overrules = table.passes > 0;
        let comparison = RowComparison::new(&self.reading).within(age).overruling(overrules);
        for (candidate, mut current, earlier) in std::mem::take(&mut looks.users) {
            let mut row = table.contacts.row(candidate.contact);
            if self.shape.without == Some(Remedy::Order) {
                (current, row) = (self.directory.current(candidate.user), earlier);
            }
            let looked = Looked::at(candidate, row.as_ref(), Some(&current), (&comparison, &table.planner))
                .expect("links name users by their ids");
            let Some(repair) = looked.change(&table.planner) else { continue };
            if let (true, Looked::Differs(found)) = (looks.posting, &looked) {
                let ahead = found.0.found.values().any(|found| found.cause == DriftCause::MarkAhead);
                table.ledger.report.overruled += u64::from(ahead);
            }
            if !looks.posting {
                looks.writes.push_back(candidate);
                continue;
            }
            let differs = row.as_ref().is_some_and(|row| !lacks(row, &current).is_empty());
            self.post_repair(table, candidate, &repair, differs)?;
        }
        Ok(Stage::Looks(looks))
    }

    fn post_repair(
        &mut self,
        table: &mut TableWorld,
        candidate: Candidate,
        repair: &TableRow,
        differs: bool,
    ) -> Result<(), Broken> {
        if !differs {
            return Err(Broken::Needless(candidate.user));
        }
        let number = table.contacts.number(candidate.contact);
        let mut change = repair.change();
        match self.shape.without {
            Some(Remedy::RowVersion) => change.version = None,
            Some(Remedy::MarkTime) => {
                change.version = table.contacts.row(candidate.contact).map(|row| row.version);
            }
            _ => {}
        }
        let index = post(table, Posted { change, contact: candidate.contact, number, repair: true });
        // Behind what waits already, which may be much.
        let longest = if self.rng.random_bool(0.1) { BACKLOG } else { 2_000 };
        let at = self.soon(longest);
        let place = self.put(table, index, at);
        table.open.push((place, candidate.contact));
        table.posted += 1;
        table.ledger.differs(candidate.user);
        Ok(())
    }

    fn await_outcomes(&mut self, table: &mut TableWorld) -> Stage {
        if !self.still_open(table).is_empty() {
            return Stage::Posted;
        }
        table.open.clear();
        table.ledger.report.passes += 1;
        table.done = table.began == (table.changes, true) && table.posted == 0 && self.now >= table.settled;
        Stage::Idle
    }

    /// Contacts of messages of passes that wait still. A copy of one stands for it.
    fn still_open(&self, table: &TableWorld) -> Vec<ContactId> {
        let is_open = |place: usize| {
            let arrival = self.queue.messages()[place].arrival;
            self.queue.open().any(|message| message.arrival == arrival)
        };
        table.open.iter().filter(|(place, _)| is_open(*place)).map(|(_, contact)| *contact).collect()
    }
}

/// The properties in which a user is not as a row says, told without a line of the product's.
pub(super) fn lacks(row: &TableRow, current: &Current) -> Vec<(Property, PropertyValue)> {
    let names = [(FIRST, "givenName"), (LAST, "surname"), (MAIL, "mail")];
    let wanted = names.into_iter().filter_map(|(column, name)| {
        let value = match row.columns.get(column) {
            Some(ColumnValue::Text(text)) => PropertyValue::Text(text.clone()),
            // An address that is taken from a contact stays with its user.
            _ if column == MAIL => return None,
            _ => PropertyValue::Clear,
        };
        Some((Property::named(name).expect("a property"), value))
    });
    wanted.filter(|wanted| !current.values.contains(wanted)).collect()
}
