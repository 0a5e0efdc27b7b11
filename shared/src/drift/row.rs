//! One contact as Dataverse shows it.

use crate::{
    change::{Change, ChangeOrigin, Columns, Operation},
    ids::{ContactId, OrganizationId, UserId},
    patch::UserPatch,
    plan::{LinkQuery, Plan, Planner, SkipReason},
    reason::DeadLetterReason,
    version::Version,
};

/// One contact as Dataverse shows it: every column that was asked for, the empty ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The organization whose row it is.
    pub organization: OrganizationId,
    /// The contact.
    pub contact: ContactId,
    /// `versionnumber`, and `modifiedon` as the time.
    pub version: Version,
    /// The columns.
    pub columns: Columns,
}

/// A contact with a user, and what he shall look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The user.
    pub user: UserId,
    /// Every mapped property.
    pub patch: UserPatch,
}

/// A contact of which no user is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// It has none, or does not count.
    Passed(SkipReason),
    /// Its link or a value cannot be used. A message of it would become a dead letter.
    Unfit(DeadLetterReason),
    /// The directory has to be asked who is meant.
    Asks(Vec<LinkQuery>),
}

impl TableRow {
    /// The row as a change that saves all of it: what a message would report, and is planned as one.
    ///
    /// It sets the link without a word about the link before. So it says nothing about whose the sign-in address of the
    /// user is, and moves it only where [`LinkMatch`](crate::plan::LinkMatch) believes any link.
    #[must_use]
    pub fn change(&self) -> Change {
        Change {
            organization: Some(self.organization),
            contact: self.contact,
            operation: Operation::Update,
            version: Some(self.version),
            columns: self.columns.clone(),
            before: Columns::default(),
            after: self.columns.clone(),
            imaged: true,
            truncated: false,
            origin: ChangeOrigin { message: "Update".into(), depth: Some(1), ..ChangeOrigin::default() },
        }
    }

    /// What the row asks for.
    pub fn plan(&self, planner: &Planner) -> Result<Linked, Unlinked> {
        match planner.plan(&self.change()) {
            Plan::Write { user, patch } => Ok(Linked { user, patch }),
            Plan::Nothing(why) => Err(Unlinked::Passed(why)),
            Plan::LookUp(queries) => Err(Unlinked::Asks(queries)),
            Plan::Impossible(letter) => Err(Unlinked::Unfit(letter.reason)),
        }
    }
}
