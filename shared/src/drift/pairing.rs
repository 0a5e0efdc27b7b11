//! Contacts and users, paired: each contact with its user, and no user with two contacts.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    cause::Cause,
    row::{Linked, Row, Unlinked},
    totals::Totals,
    users::UserTable,
};
use crate::{
    ids::{ContactId, UserId},
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
#[derive(Debug)]
pub struct Pairing {
    users: UserTable,
    /// The contact of each user, in the order of the table.
    paired: Vec<ContactId>,
    candidates: Vec<Candidate>,
    doubled: BTreeSet<Candidate>,
    missing: Vec<Candidate>,
    totals: Totals,
}

/// Of nobody yet; no row of a table has this id.
const NOBODY: ContactId = ContactId(Uuid::nil());

impl Pairing {
    /// Nothing is paired. The table has all users.
    #[must_use]
    pub fn new(mut users: UserTable) -> Self {
        users.seal();
        let totals = Totals { users: users.len() as u64, ..Totals::default() };
        let paired = vec![NOBODY; users.len()];
        Self { users, paired, candidates: Vec::new(), doubled: BTreeSet::new(), missing: Vec::new(), totals }
    }

    /// Takes a row in.
    ///
    /// If the directory has to be asked who is meant, nothing is taken: learn the answers and come again.
    pub fn take(&mut self, row: &Row, planner: &Planner) -> Result<(), Vec<LinkQuery>> {
        let planned = row.plan(planner);
        if let Err(Unlinked::Asks(queries)) = planned {
            return Err(queries);
        }
        self.totals.contacts += 1;
        match planned {
            Ok(linked) => self.linked(row.contact, &linked),
            Err(Unlinked::Passed(why)) => *self.totals.passed.entry(why).or_default() += 1,
            Err(Unlinked::Unfit(reason)) => self.totals.caused(Cause::Unfit(reason)),
            Err(Unlinked::Asks(_)) => {}
        }
        Ok(())
    }

    fn linked(&mut self, contact: ContactId, linked: &Linked) {
        self.totals.linked += 1;
        let candidate = Candidate { contact, user: linked.user };
        let Some(found) = self.users.find(linked.user) else {
            self.missing.push(candidate);
            return;
        };
        let before = std::mem::replace(&mut self.paired[found], contact);
        if before != NOBODY && before != contact {
            self.doubled.insert(Candidate { contact: before, user: linked.user });
            self.doubled.insert(candidate);
        }
        if self.users.has(found, &linked.patch, contact) {
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

    /// All rows are in: the candidates, each contact once, and what is wrong with the others.
    ///
    /// A user who was not on any page may have been made since, so he is looked at too. Nobody of several contacts is.
    #[must_use]
    pub fn end(self) -> Paired {
        let Self { mut candidates, doubled, missing, mut totals, .. } = self;
        candidates.extend(missing);
        candidates.sort_unstable();
        candidates.dedup();
        let doubled_users: BTreeSet<UserId> = doubled.iter().map(|one| one.user).collect();
        candidates.retain(|candidate| !doubled_users.contains(&candidate.user));
        for _ in &doubled {
            totals.caused(Cause::Doubled);
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
