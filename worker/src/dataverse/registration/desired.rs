//! What the settings ask of Dataverse.

use std::collections::BTreeSet;

use shared::{
    change::Operation,
    ids::OrganizationId,
    plan::{ChangeFilter, Planner},
};

use super::super::{endpoint::Destination, rows::ServiceEndpoint};
use crate::settings::{Bus, MessageSource, Purpose};

/// Table whose changes are wanted, by its logical name.
pub(crate) const CONTACT: &str = "contact";
/// Column with the row version, which orders changes.
pub(crate) const VERSION: &str = "versionnumber";
/// Columns that never belong into a message: the password of local portal users and what their sessions hang on.
pub(crate) const SECRET_COLUMNS: [&str; 3] =
    ["adx_identity_newpassword", "adx_identity_passwordhash", "adx_identity_securitystamp"];

/// Names of columns, in order.
pub(crate) type ColumnNames = BTreeSet<Box<str>>;

/// What has to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Desired {
    /// Name of the endpoint.
    pub name: Box<str>,
    /// Where messages have to go.
    pub destination: Destination,
    /// Host of the namespace, with a port where it is not the usual one.
    pub authority: Box<str>,
    /// How Dataverse posts there.
    pub contract: Contract,
    /// Messages to react to, and whether their step has to be there.
    pub steps: Vec<(Hook, Need)>,
    /// Columns that name the user.
    pub link: ColumnNames,
    /// All columns that planning looks at, those of the link among them.
    pub columns: ColumnNames,
    /// Organizations that the settings accept; empty for any.
    pub organizations: Vec<OrganizationId>,
    /// What the environment has to be.
    pub purpose: Purpose,
}

/// The kind of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    Topic,
    Queue,
}

/// Messages of Dataverse that change what the worker writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    Create,
    Update,
    /// The platform updates the remaining contact as well, so that a step for it is not needed. One that is there has to
    /// be right.
    Merge,
}

/// Whether a step has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Tolerated,
}

/// When an image is taken, by its number in Dataverse; 2 is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Pre = 0,
    Post = 1,
}

/// Why the settings ask for nothing that could be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undesirable {
    #[error(
        "filter.operations leaves out create and update, so that no step would be of any use; add one of them"
    )]
    NothingCounts,
    #[error(
        "the settings read {0}, which is a secret of the portal and must not be in a message; take it out of the mapping"
    )]
    Secret(Box<str>),
    #[error("the queue is in a namespace without a host")]
    NoNamespace,
}

impl Hook {
    pub(super) const ALL: [(Self, Operation, Need); 3] = [
        (Self::Create, Operation::Create, Need::Required),
        (Self::Update, Operation::Update, Need::Required),
        (Self::Merge, Operation::Merge, Need::Tolerated),
    ];

    /// Name of the message in Dataverse.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Merge => "Merge",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().map(|(hook, ..)| hook).find(|hook| hook.as_str() == name)
    }

    /// The property of the message that an image is of. Documentation says `Target` throughout; on `Create` the platform
    /// refuses it (0x8004416b), because there is no row yet when the message begins.
    pub(crate) const fn image_property(self) -> &'static str {
        match self {
            Self::Create => "Id",
            Self::Update | Self::Merge => "Target",
        }
    }

    /// The images that a step needs. What was there before spares writes and tells which sign-in address to change.
    pub(crate) const fn images(self) -> &'static [Moment] {
        match self {
            Self::Create => &[Moment::Post],
            Self::Update | Self::Merge => &[Moment::Post, Moment::Pre],
        }
    }

    /// Whether the platform looks at the filtering attributes.
    pub(crate) const fn filters(self) -> bool {
        matches!(self, Self::Update)
    }
}

impl Contract {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Topic => ServiceEndpoint::TOPIC,
            Self::Queue => ServiceEndpoint::QUEUE,
        }
    }
}

impl Moment {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre image",
            Self::Post => "post image",
        }
    }

    /// Under what name the image travels.
    pub(crate) const fn alias(self) -> &'static str {
        match self {
            Self::Pre => "PreImage",
            Self::Post => "PostImage",
        }
    }

    /// Whether an image of this type in Dataverse is taken then.
    pub(crate) fn is_in(self, image_type: Option<i64>) -> bool {
        image_type == Some(2) || image_type == Some(self as i64)
    }
}

impl Desired {
    /// What is wanted for the workers that take from one queue or topic. There are several where each has a target of its
    /// own: a step that left out what one of them reads would silence it.
    pub(crate) fn of(
        name: &str,
        bus: &Bus,
        purpose: Purpose,
        planners: &[&Planner],
    ) -> Result<Self, Undesirable> {
        let namespace = bus.service_bus().ok_or(Undesirable::NoNamespace)?;
        let contract = match bus.source {
            MessageSource::Queue(_) => Contract::Queue,
            MessageSource::Subscription { .. } => Contract::Topic,
        };
        let steps: Vec<_> = Hook::ALL
            .into_iter()
            .filter(|(_, operation, _)| planners.iter().any(|one| counts(&one.filter, *operation)))
            .map(|(hook, _, need)| (hook, need))
            .collect();
        if !steps.iter().any(|(_, need)| *need == Need::Required) {
            return Err(Undesirable::NothingCounts);
        }
        let columns: ColumnNames = planners.iter().flat_map(|one| one.columns()).map(Into::into).collect();
        if let Some(secret) = columns.iter().find(|column| is_secret(column)) {
            return Err(Undesirable::Secret(secret.clone()));
        }
        Ok(Self {
            name: name.into(),
            destination: Destination {
                host: namespace.endpoint.host.clone(),
                entity: bus.source.target().into(),
            },
            authority: usual_authority(&namespace.endpoint.authority()).into(),
            contract,
            steps,
            link: planners.iter().flat_map(|one| one.link_columns()).map(Into::into).collect(),
            columns,
            organizations: accepted(planners),
            purpose,
        })
    }

    /// Address of the namespace, as the tools of Microsoft write it.
    pub(crate) fn address(&self) -> String {
        format!("sb://{}/", self.authority)
    }

    /// First label of the host, which Dataverse asks for besides.
    pub(crate) fn namespace(&self) -> &str {
        self.authority.split(['.', ':']).next().unwrap_or(&self.authority)
    }

    /// What an image has to hold.
    pub(crate) fn image(&self, moment: Moment) -> ColumnNames {
        let version = (moment == Moment::Post).then(|| VERSION.into());
        self.columns.iter().cloned().chain(version).collect()
    }
}

pub(crate) fn is_secret(column: &str) -> bool {
    SECRET_COLUMNS.contains(&column)
}

/// Columns as Dataverse lists them: with commas and without blanks.
pub(crate) fn listed(columns: &ColumnNames) -> String {
    columns.iter().map(|column| &**column).collect::<Vec<_>>().join(",")
}

/// A host without a port that everybody means anyhow.
pub(crate) fn usual_authority(authority: &str) -> &str {
    let bare = [":5671", ":443"].into_iter().find_map(|port| authority.strip_suffix(port));
    bare.unwrap_or(authority)
}

fn counts(filter: &ChangeFilter, operation: Operation) -> bool {
    filter.operations.contains(&operation)
}

/// What all of them accept; one that accepts any leaves it to the others.
fn accepted(planners: &[&Planner]) -> Vec<OrganizationId> {
    let mut lists = planners.iter().map(|one| &one.organizations).filter(|list| !list.is_empty());
    let Some(first) = lists.next() else { return Vec::new() };
    let rest: Vec<_> = lists.collect();
    first.iter().filter(|id| rest.iter().all(|list| list.contains(id))).copied().collect()
}
