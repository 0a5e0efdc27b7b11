//! What differs: contacts are paired with users, and whatever may differ is looked at.

use jiff::Timestamp;
use shared::{
    drift::{Baseline, Candidate, DriftCause, Looked, Paired, Totals, UserDifference},
    ids::ContactId,
    reason::chain,
};

use super::{
    ReconcileError,
    pairs::{ContactsRead, ReconcileProgress, pairs},
    sides::{LOOK, Sides},
};

/// What was found.
pub(crate) struct DriftPlan {
    /// Contacts of which something is to be written.
    pub(crate) writes: Vec<Candidate>,
    /// What was counted.
    pub(crate) totals: Totals,
    /// When it began.
    pub(crate) begun: Timestamp,
    /// Whether all contacts were held against all users.
    pub(crate) full: bool,
    /// Where a pass over what changes from now on can go on. `None` after one by a time, or if too many differ to be remembered.
    pub(crate) baseline: Option<Baseline>,
}

/// One finding, to be told.
pub(crate) enum DriftFinding<'f> {
    /// The user differs in some properties.
    Differs(&'f UserDifference),
    /// The contact has this as a whole.
    Whole(Candidate, DriftCause),
}

/// What a pass is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassOptions<'b> {
    /// Which contacts are read.
    pub(crate) contacts: ContactsRead<'b>,
    /// When it begins.
    pub(crate) begun: Timestamp,
    /// Messages about rows that were changed after this may be under way, so a difference of theirs does not count yet.
    pub(crate) settled: Option<Timestamp>,
}

/// Reads both sides and finds the differences. What has changed since a pass cannot always be told; then all is read.
pub(crate) async fn plan(
    sides: &Sides,
    options: PassOptions<'_>,
    mut told: impl FnMut(ReconcileProgress),
    mut found: impl FnMut(DriftFinding<'_>),
) -> Result<DriftPlan, ReconcileError> {
    match plan_once(sides, options, &mut told, &mut found).await {
        Err(error) if error.asks_for_all() => {
            tracing::info!(error = %chain(&error), "all contacts are read again");
            let all = PassOptions { contacts: ContactsRead::All { tracked: true }, ..options };
            plan_once(sides, all, &mut told, &mut found).await
        }
        planned => planned,
    }
}

/// The same, and an [error](ReconcileError::asks_for_all) where only a pass over everything helps. It comes before anything is
/// found.
pub(super) async fn plan_once(
    sides: &Sides,
    options: PassOptions<'_>,
    told: &mut impl FnMut(ReconcileProgress),
    found: &mut impl FnMut(DriftFinding<'_>),
) -> Result<DriftPlan, ReconcileError> {
    let paired = pairs(sides, (options.contacts, options.begun), told).await?;
    look(sides, options, paired, told, found).await
}

async fn look(
    sides: &Sides,
    options: PassOptions<'_>,
    (paired, link): (Paired, Option<Box<str>>),
    told: &mut impl FnMut(ReconcileProgress),
    found: &mut impl FnMut(DriftFinding<'_>),
) -> Result<DriftPlan, ReconcileError> {
    let Paired { candidates, doubled, unfit, mut totals } = paired;
    let mut known: Vec<ContactId> = unfit.into_keys().collect();
    for candidate in doubled {
        known.push(candidate.contact);
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
                    known.push(candidate.contact);
                    if options.settled.is_some_and(|settled| row.version.at > settled) {
                        totals.waiting += 1;
                        continue;
                    }
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
            known.push(candidate.contact);
            totals.caused(cause);
            found(DriftFinding::Whole(candidate, cause));
        }
        told(ReconcileProgress::Looked { done: (index as u64 + 1) * LOOK as u64, of });
    }
    // What cannot be posted without what a person has to decide is not.
    totals.writes = writes.len() as u64;
    let full = matches!(options.contacts, ContactsRead::All { .. });
    Ok(DriftPlan { writes, totals, begun: options.begun, full, baseline: baseline(options, link, known) })
}

fn baseline(options: PassOptions<'_>, link: Option<Box<str>>, known: Vec<ContactId>) -> Option<Baseline> {
    if known.len() > Baseline::MOST_KNOWN {
        return None;
    }
    let full_at = match options.contacts {
        ContactsRead::Since(_) => return None,
        ContactsRead::All { .. } => options.begun,
        ContactsRead::Changed(before) => before.full_at,
    };
    Some(Baseline { link, full_at, known })
}
