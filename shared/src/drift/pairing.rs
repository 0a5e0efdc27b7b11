//! Contacts and users, paired: each contact with its user, and no user with two contacts.

use std::collections::BTreeSet;

use super::{
    cause::DriftCause,
    row::{Linked, TableRow, Unlinked},
    totals::Totals,
    users::UserTable,
};
use crate::{
    ids::{ContactId, IdMap, UserId},
    plan::{LinkQuery, Planner},
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
    doubled: BTreeSet<Candidate>,
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
        let (candidates, doubled) = (Vec::new(), BTreeSet::new());
        Self { users: None, named_by: IdMap::default(), candidates, doubled, totals: Totals::default() }
    }

    /// Takes a row in.
    ///
    /// If the directory has to be asked who is meant, nothing is taken: learn the answers and come again.
    pub fn take(&mut self, row: &TableRow, planner: &Planner) -> Result<(), Vec<LinkQuery>> {
        match row.plan(planner) {
            Err(Unlinked::Asks(queries)) => return Err(queries),
            Ok(linked) => self.linked(row.contact, &linked),
            Err(Unlinked::Passed(why)) => *self.totals.passed.entry(why).or_default() += 1,
            Err(Unlinked::Unfit(reason)) => self.totals.caused(DriftCause::Unfit(reason)),
        }
        self.totals.contacts += 1;
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
        // A user who was on no page may have been made since, so he is looked at too.
        let found = self.users.as_ref().and_then(|users| users.find(linked.user).map(|found| (users, found)));
        if found.is_some_and(|(users, found)| users.has(found, &linked.patch, contact)) {
            self.totals.equal += 1;
        } else {
            self.candidates.push(candidate);
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// All rows are in. Who is named by several contacts is nobody's candidate.
    #[must_use]
    pub fn end(self) -> Paired {
        let Self { mut candidates, doubled, mut totals, .. } = self;
        candidates.sort_unstable();
        candidates.dedup();
        let users: BTreeSet<UserId> = doubled.iter().map(|one| one.user).collect();
        candidates.retain(|candidate| !users.contains(&candidate.user));
        for _ in &doubled {
            totals.caused(DriftCause::Doubled);
        }
        Paired { candidates, doubled: doubled.into_iter().collect(), totals }
    }
}

/// What pairing all contacts with all users has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paired {
    /// Contacts whose users may differ.
    pub candidates: Vec<Candidate>,
    /// Contacts that share their user with another one.
    pub doubled: Vec<Candidate>,
    /// What was counted.
    pub totals: Totals,
}
