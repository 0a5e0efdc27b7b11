//! What differs: all contacts are paired with all users, and whatever may differ is looked at.

use jiff::Timestamp;
use shared::{
    drift::{Candidate, DriftCause, Looked, Paired, Pairing, Totals, UserDifference},
    hash_key::HashKey,
};

use super::{
    ReconcileError,
    sides::{LOOK, Sides},
};

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconcileProgress {
    /// Users read so far.
    Users(u64),
    /// Contacts read so far.
    Contacts(u64),
    /// Candidates looked at, of so many.
    Looked {
        /// So many are done.
        done: u64,
        /// Of so many.
        of: u64,
    },
}

/// What was found.
pub(crate) struct DriftPlan {
    /// Contacts of which something is to be written.
    pub(crate) writes: Vec<Candidate>,
    /// What was counted.
    pub(crate) totals: Totals,
}

/// One finding, to be told.
pub(crate) enum DriftFinding<'f> {
    /// The user differs in some properties.
    Differs(&'f UserDifference),
    /// The contact has this as a whole.
    Whole(Candidate, DriftCause),
}

/// Reads both sides and finds the differences. Of contacts that were changed since a time, only their own users are read.
pub(crate) async fn plan(
    sides: &Sides,
    since: Option<Timestamp>,
    mut told: impl FnMut(ReconcileProgress),
    mut found: impl FnMut(DriftFinding<'_>),
) -> Result<DriftPlan, ReconcileError> {
    let paired = pair(sides, since, &mut told).await?;
    let Paired { candidates, doubled, mut totals } = paired;
    for candidate in doubled {
        found(DriftFinding::Whole(candidate, DriftCause::Doubled));
    }
    let (of, mut writes) = (candidates.len() as u64, Vec::new());
    for (index, candidates) in candidates.chunks(LOOK).enumerate() {
        for (candidate, looked) in sides.look(candidates).await? {
            let cause = match looked {
                Looked::Fine => {
                    totals.equal += 1;
                    continue;
                }
                Looked::Differs(found_here) => {
                    let (difference, row) = *found_here;
                    totals.differs(&difference);
                    found(DriftFinding::Differs(&difference));
                    if difference.change(&row, &sides.planner).is_some() {
                        writes.push(candidate);
                    }
                    continue;
                }
                Looked::Missing => DriftCause::UserMissing,
                Looked::Unfit(reason) => DriftCause::Unfit(reason),
            };
            totals.caused(cause);
            found(DriftFinding::Whole(candidate, cause));
        }
        told(ReconcileProgress::Looked { done: (index as u64 + 1) * LOOK as u64, of });
    }
    // What cannot be posted without what a person has to decide is not.
    totals.writes = writes.len() as u64;
    Ok(DriftPlan { writes, totals })
}

async fn pair(
    sides: &Sides,
    since: Option<Timestamp>,
    told: &mut impl FnMut(ReconcileProgress),
) -> Result<Paired, ReconcileError> {
    let mut pairing = if since.is_some() {
        Pairing::of_some()
    } else {
        let users =
            sides.users(HashKey::new(rand::random()), |users| told(ReconcileProgress::Users(users as u64)));
        Pairing::with(users.await?)
    };
    let (mut planner, mut pages) = (sides.planner.clone(), sides.contacts(since));
    while let Some(page) = pages.next().await? {
        for members in &page {
            let row = sides.reader.row(members)?;
            while let Err(queries) = pairing.take(&row, &planner) {
                sides.learn(&mut planner, queries).await?;
            }
        }
        told(ReconcileProgress::Contacts(pairing.totals().contacts));
    }
    Ok(pairing.end())
}
