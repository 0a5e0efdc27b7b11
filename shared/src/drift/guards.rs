//! What stops a run before it writes: signs that not the users are wrong, but what was read.

use std::str::FromStr;

use super::totals::Totals;
use crate::property::Property;

/// A bound in numbers or as a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many.
    Count(u64),
    /// So much of all linked contacts, from 0 to 1.
    Share(f64),
}

/// Bounds of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Users that may be written.
    pub changes: Limit,
    /// Users for whom one property may be emptied.
    pub clears: Limit,
}

/// What is known beside the totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether all contacts of the organization can be read; `None` if it could not be found out.
    pub reads_all: Option<bool>,
    /// Columns that are read and that column security may hide.
    pub secured: Vec<Box<str>>,
    /// Contacts by Dataverse's own count, which may be a day old; `None` if not all contacts were read, or it is unknown.
    pub counted: Option<u64>,
    /// Contacts and users of the last full run.
    pub last: Option<(u64, u64)>,
    /// Linked contacts of the last full run. A share is one of these where only some contacts were read.
    pub linked: Option<u64>,
    /// Whether the run has read all contacts.
    pub full: bool,
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Rows of others are invisible, and would look as if they were deleted.
    #[error(
        "the application user may not be able to read every contact: give its role prvReadContact with the depth \
         Organization"
    )]
    Depth,
    /// Hidden columns look empty.
    #[error(
        "column security may hide {0}, which then looks empty: give the application user a column security profile \
         that reads it, or take it out of the mapping"
    )]
    Secured(Box<str>),
    /// The number of rows is not what Dataverse says.
    #[error("{read} contacts were read, and Dataverse counts {counted}")]
    Count {
        /// Rows that were read.
        read: u64,
        /// What Dataverse says.
        counted: u64,
    },
    /// Far fewer than last time.
    #[error("{now} {what} were read, and {before} by the last run")]
    Shrunk {
        /// Contacts or users.
        what: &'static str,
        /// How many now.
        now: u64,
        /// How many then.
        before: u64,
    },
    /// More writes than allowed.
    #[error("{writes} users would be written, and --max-changes allows {most}")]
    TooMany {
        /// Users that would be written.
        writes: u64,
        /// How many are allowed.
        most: u64,
    },
    /// A property would be emptied for too many.
    #[error("{property} would be emptied for {users} users, and --max-clears allows {most}")]
    Clears {
        /// The property.
        property: Property,
        /// For how many users.
        users: u64,
        /// How many are allowed.
        most: u64,
    },
}

/// How far two counts of the same may be apart, as one in so many.
const NEARLY: u64 = 20;
/// Differences of counts below this say nothing.
const FEW: u64 = 50;

impl Limit {
    /// The bound in numbers, of so many.
    #[must_use]
    pub fn of(self, all: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                reason = "a share of a count of contacts, which is far below 2^52"
            )]
            Self::Share(share) => (all as f64 * share.clamp(0.0, 1.0)).ceil() as u64,
        }
    }
}

impl Objection {
    /// Whether what was read is in doubt, and not only how much would be written.
    #[must_use]
    pub const fn is_about_reading(&self) -> bool {
        match self {
            Self::Depth | Self::Secured(_) | Self::Count { .. } | Self::Shrunk { .. } => true,
            Self::TooMany { .. } | Self::Clears { .. } => false,
        }
    }
}

impl FromStr for Limit {
    type Err = &'static str;

    /// Reads `500` or `5%`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "is not a number such as 500 or a share such as 5%";
        match text.trim().strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim().parse().map_err(|_| wrong)?;
                if (0.0..=100.0).contains(&share) {
                    Ok(Self::Share(share / 100.0))
                } else {
                    Err("must be from 0% to 100%")
                }
            }
            None => text.trim().parse().map(Self::Count).map_err(|_| wrong),
        }
    }
}

impl Limits {
    /// What the evidence says against writing. Empty if nothing does.
    #[must_use]
    pub fn objections(&self, totals: &Totals, evidence: &Evidence) -> Vec<Objection> {
        let mut objections = Vec::new();
        if evidence.reads_all != Some(true) {
            objections.push(Objection::Depth);
        }
        objections.extend(evidence.secured.iter().cloned().map(Objection::Secured));
        if let Some(counted) = evidence.counted.filter(|_| evidence.full)
            && totals.contacts.abs_diff(counted) > (counted / NEARLY).max(FEW)
        {
            objections.push(Objection::Count { read: totals.contacts, counted });
        }
        if let Some((contacts, users)) = evidence.last.filter(|_| evidence.full) {
            let shrunk = |what, now: u64, before: u64| {
                (before.saturating_sub(now) > (before / NEARLY).max(FEW)).then_some(Objection::Shrunk {
                    what,
                    now,
                    before,
                })
            };
            objections.extend(shrunk("contacts", totals.contacts, contacts));
            objections.extend(shrunk("users", totals.users, users));
        }
        let linked = evidence.linked.filter(|_| !evidence.full).unwrap_or_default().max(totals.linked);
        let most = self.changes.of(linked);
        if totals.writes > most {
            objections.push(Objection::TooMany { writes: totals.writes, most });
        }
        let most = self.clears.of(linked);
        let many = totals.clears.iter().filter(|(_, users)| **users > most);
        objections.extend(many.map(|(property, users)| Objection::Clears {
            property: property.clone(),
            users: *users,
            most,
        }));
        objections
    }
}
