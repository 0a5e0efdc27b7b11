//! Contacts and users, paired: each contact with its user, and no user with two contacts.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    baseline::Baseline,
    cause::DriftCause,
    row::{Linked, TableRow, Unlinked},
    totals::Totals,
    users::UserTable,
};
use crate::{
    ids::{ContactId, IdMap, UserId},
    plan::{LinkQuery, Planner},
    reason::DeadLetterReason,
};

/// A contact whose user may differ. Whether he does shows a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The contact.
    pub contact: ContactId,
    /// Its user.
    pub user: UserId,
}

/// Pairs contacts with users, page by page.
pub struct Pairing {
    /// All users; `None` if only some contacts are read, whose users are looked at one by one.
    users: Option<UserTable>,
    /// Which contact each user was named by last.
    named_by: IdMap<UserId, ContactId>,
    candidates: Vec<Candidate>,
    /// Those that were read again and may differ now.
    again: BTreeSet<Candidate>,
    doubled: BTreeSet<Candidate>,
    unfit: BTreeMap<ContactId, DeadLetterReason>,
    totals: Totals,
}

impl Pairing {
    /// For all contacts. The table has all users.
    #[must_use]
    pub fn with(mut users: UserTable) -> Self {
        users.seal();
        let totals = Totals { users: users.len() as u64, ..Totals::default() };
        Self { users: Some(users), totals, ..Self::of_some() }
    }

    /// For some contacts: every one that is linked is a candidate.
    #[must_use]
    pub fn of_some() -> Self {
        Self {
            users: None,
            named_by: IdMap::default(),
            candidates: Vec::new(),
            again: BTreeSet::new(),
            doubled: BTreeSet::new(),
            unfit: BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// Takes a row in.
    ///
    /// If the directory has to be asked who is meant, nothing is taken: learn the answers and come again.
    pub fn take(&mut self, row: &TableRow, planner: &Planner) -> Result<(), Vec<LinkQuery>> {
        match row.plan(planner) {
            Err(Unlinked::Asks(queries)) => return Err(queries),
            Ok(linked) => self.linked(row.contact, &linked),
            Err(Unlinked::Passed(why)) => *self.totals.passed.entry(why).or_default() += 1,
            Err(Unlinked::Unfit(reason)) => {
                self.totals.caused(DriftCause::Unfit(reason));
                if self.unfit.len() <= Baseline::MOST_KNOWN {
                    self.unfit.insert(row.contact, reason);
                }
            }
        }
        self.totals.contacts += 1;
        Ok(())
    }

    /// Takes a row in as it is later: one that was taken before, as a rule, and is counted once only.
    pub fn take_again(&mut self, row: &TableRow, planner: &Planner) -> Result<(), Vec<LinkQuery>> {
        match row.plan(planner) {
            Err(Unlinked::Asks(queries)) => return Err(queries),
            Ok(linked) if self.named_by.get(&linked.user) == Some(&row.contact) => {
                if !self.is_equal(row.contact, &linked) {
                    self.again.insert(Candidate { contact: row.contact, user: linked.user });
                }
            }
            Ok(linked) => {
                self.totals.contacts += 1;
                self.linked(row.contact, &linked);
            }
            // Whether it was another one before makes no difference to any user.
            Err(_) => {}
        }
        Ok(())
    }

    fn linked(&mut self, contact: ContactId, linked: &Linked) {
        self.totals.linked += 1;
        let candidate = Candidate { contact, user: linked.user };
        let before = self.named_by.insert(linked.user, contact).filter(|before| *before != contact);
        if let Some(contact) = before {
            self.doubled.insert(Candidate { contact, user: linked.user });
            self.doubled.insert(candidate);
        }
        if self.is_equal(contact, linked) {
            self.totals.equal += 1;
        } else {
            self.candidates.push(candidate);
        }
    }

    /// Whether it is certain that the user is as he shall be. One who was on no page may have been made since, so he is
    /// looked at.
    fn is_equal(&self, contact: ContactId, linked: &Linked) -> bool {
        let found = self.users.as_ref().and_then(|users| users.find(linked.user).map(|found| (users, found)));
        found.is_some_and(|(users, found)| users.has(found, &linked.patch, contact))
    }

    /// What has been counted so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many contacts have to be looked at by now.
    #[must_use]
    pub fn candidates(&self) -> usize {
        self.candidates.len()
    }

    /// All rows are in. Who is named by several contacts is nobody's candidate.
    #[must_use]
    pub fn end(self) -> Paired {
        let Self { mut candidates, mut again, doubled, unfit, mut totals, .. } = self;
        candidates.sort_unstable();
        candidates.dedup();
        again.retain(|candidate| candidates.binary_search(candidate).is_err());
        totals.equal = totals.equal.saturating_sub(again.len() as u64);
        candidates.extend(again);
        candidates.sort_unstable();
        let users: BTreeSet<UserId> = doubled.iter().map(|one| one.user).collect();
        candidates.retain(|candidate| !users.contains(&candidate.user));
        for _ in &doubled {
            totals.caused(DriftCause::Doubled);
        }
        Paired { candidates, doubled: doubled.into_iter().collect(), unfit, totals }
    }
}

/// What pairing all contacts with all users has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paired {
    /// Contacts whose users may differ.
    pub candidates: Vec<Candidate>,
    /// Contacts that share their user with another one.
    pub doubled: Vec<Candidate>,
    /// Contacts whose row cannot be planned, and why; no more than a [`Baseline`] can remember, and one.
    pub unfit: BTreeMap<ContactId, DeadLetterReason>,
    /// What was counted.
    pub totals: Totals,
}
