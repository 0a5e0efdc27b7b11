//! Whether the users of two directories are as they would be if the same contacts had been applied to both.
//!
//! [`naming`] says by what a user names its contact, so that two users are known to be of one; [`scope`] which
//! properties of the two mappings can be held against each other; [`facets`] what is kept of a user, which is keyed hashes
//! and no value; [`users`] gathers a directory and compares two.

mod facets;
mod naming;
mod scope;
mod side;
#[cfg(test)]
mod tests;
mod users;

pub use self::{
    facets::UserFacets,
    naming::{ContactHash, ContactNaming, NamedContact},
    scope::{ComparedProperty, ComparisonScope},
    side::Side,
    users::{DirectoryUsers, Findings, ReadUser, UserPair, findings},
};
