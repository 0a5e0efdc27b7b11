//! What a look at one candidate shows: its user as he is now, and its row as it is now.

use super::{
    comparison::{RowComparison, UserDifference},
    pairing::Candidate,
    row::{TableRow, Unlinked},
};
use crate::{
    plan::{LinkQuery, Planner},
    reason::DeadLetterReason,
    reconcile::Current,
};

/// What a look at one candidate shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing is left to write, or the contact is gone, or it names another user by now.
    Fine,
    /// The directory has no such user.
    Missing,
    /// The row cannot be planned any more.
    Unfit(DeadLetterReason),
    /// The user differs; with the row that he was held against.
    Differs(Box<(UserDifference, TableRow)>),
}

impl Looked {
    /// Holds the row of a candidate against its user; `None` for what is not there.
    ///
    /// The row has to be read after the user: then it holds every change that had been applied to him. If the directory has
    /// to be asked who is meant, learn the answers and come again.
    pub fn at(
        candidate: Candidate,
        row: Option<&TableRow>,
        user: Option<&Current>,
        (comparison, planner): (&RowComparison, &Planner),
    ) -> Result<Self, Vec<LinkQuery>> {
        let Some(row) = row else { return Ok(Self::Fine) };
        Ok(match (row.plan(planner), user) {
            (Err(Unlinked::Asks(queries)), _) => return Err(queries),
            (Ok(linked), _) if linked.user != candidate.user => Self::Fine,
            (Ok(_), None) => Self::Missing,
            (Ok(linked), Some(current)) => match comparison.judge(row, &linked, current) {
                Some(difference) => Self::Differs(Box::new((difference, row.clone()))),
                None => Self::Fine,
            },
            (Err(Unlinked::Unfit(reason)), _) => Self::Unfit(reason),
            (Err(Unlinked::Passed(_)), _) => Self::Fine,
        })
    }

    /// The change that repairs the user, if he differs and anything of it is to be written.
    #[must_use]
    pub fn change(&self, planner: &Planner) -> Option<TableRow> {
        match self {
            Self::Differs(found) => found.0.change(&found.1, planner),
            _ => None,
        }
    }
}
