//! The users of a directory, by their contacts; and what comes of holding two directories against each other.

use std::collections::HashMap;

use super::{facets::UserFacets, naming::ContactHash, scope::ComparisonScope, side::Side};
use crate::ids::{IdState, UserId};

/// A user as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadUser {
    /// Its contact.
    pub contact: ContactHash,
    /// Its object id.
    pub user: UserId,
    /// Its values.
    pub facets: UserFacets,
}

/// All users of a directory that name a contact. About 120 bytes a user.
#[derive(Debug, Default)]
pub struct DirectoryUsers {
    by_contact: HashMap<ContactHash, Kept, IdState>,
    /// Users that name no contact.
    pub unlinked: u64,
    /// Users that the worker never writes, by `[filter]`.
    pub kept_out: u64,
}

#[derive(Debug)]
enum Kept {
    One(UserId, UserFacets),
    /// Several users name one contact.
    Several(Vec<UserId>),
}

/// Two users of one contact that do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPair {
    /// The user of the first directory, and of the second.
    pub users: [UserId; 2],
    /// Places in [`ComparisonScope::compared`] of what they do not agree in.
    pub differing: Vec<u8>,
}

/// What two directories come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Contacts whose users agree.
    pub agree: u64,
    /// Contacts whose users do not, in the order of the object ids.
    pub differ: Vec<UserPair>,
    /// Users of each directory for whose contact there is none in the other.
    pub alone: [Vec<UserId>; 2],
    /// Users of each directory who name a contact that several name.
    pub several: [Vec<UserId>; 2],
    /// Users of each directory that name no contact.
    pub unlinked: [u64; 2],
    /// Users of each directory that the worker never writes.
    pub kept_out: [u64; 2],
}

impl DirectoryUsers {
    /// Takes a user in. A page that is read again brings the same users again.
    pub fn add(&mut self, ReadUser { contact, user, facets }: ReadUser) {
        let Some(kept) = self.by_contact.get_mut(&contact) else {
            self.by_contact.insert(contact, Kept::One(user, facets));
            return;
        };
        match kept {
            Kept::One(known, slot) if *known == user => *slot = facets,
            Kept::One(known, _) => *kept = Kept::Several(vec![*known, user]),
            Kept::Several(users) if users.contains(&user) => {}
            Kept::Several(users) => users.push(user),
        }
    }

    /// How many contacts they name.
    #[must_use]
    pub fn contacts(&self) -> usize {
        self.by_contact.len()
    }
}

/// Holds two directories against each other.
#[must_use]
pub fn findings(scope: &ComparisonScope, directories: &[DirectoryUsers; 2]) -> Findings {
    let mut found = Findings {
        unlinked: Side::BOTH.map(|side| directories[side.index()].unlinked),
        kept_out: Side::BOTH.map(|side| directories[side.index()].kept_out),
        ..Findings::default()
    };
    let [first, second] = directories;
    for (contact, kept) in &first.by_contact {
        match (kept, second.by_contact.get(contact)) {
            (Kept::One(one, facets), Some(Kept::One(other, others))) => {
                let differing = scope.differing(facets, others);
                if differing.is_empty() {
                    found.agree += 1;
                } else {
                    found.differ.push(UserPair { users: [*one, *other], differing });
                }
            }
            (Kept::One(user, _), None) => found.alone[0].push(*user),
            (kept, other) => {
                found.several[0].extend(kept.users());
                found.several[1].extend(other.into_iter().flat_map(Kept::users));
            }
        }
    }
    for (contact, kept) in &second.by_contact {
        if !first.by_contact.contains_key(contact) {
            match kept {
                Kept::One(user, _) => found.alone[1].push(*user),
                Kept::Several(users) => found.several[1].extend(users),
            }
        }
    }
    found.sort();
    found
}

impl Kept {
    fn users(&self) -> impl Iterator<Item = UserId> {
        let (one, several): (Option<UserId>, &[UserId]) = match self {
            Self::One(user, _) => (Some(*user), &[]),
            Self::Several(users) => (None, users),
        };
        one.into_iter().chain(several.iter().copied())
    }
}

impl Findings {
    /// Whether everybody who names a contact agrees.
    #[must_use]
    pub fn all_agree(&self) -> bool {
        self.differences() == 0
    }

    /// Contacts that do not agree, are missing on a side, or have several users.
    #[must_use]
    pub fn differences(&self) -> usize {
        let lists = self.alone.iter().chain(&self.several);
        self.differ.len() + lists.map(Vec::len).sum::<usize>()
    }

    /// The same comparison always tells the same, whatever the order in which users were kept.
    fn sort(&mut self) {
        self.differ.sort_unstable_by_key(|pair| pair.users);
        for list in self.alone.iter_mut().chain(&mut self.several) {
            list.sort_unstable();
        }
    }
}
