//! Which sections a command needs. What it does not use is not asked for: whoever looks at a queue does not have to hold
//! the right to write all users.

use super::{bus::Bus, dataverse::Dataverse, problem::SettingsProblem};
use crate::identity::Identity;

/// A section in settings, or [`Unused`] in its place.
pub trait Needed<T>: Sized {
    /// Whether mistakes in the section matter.
    const IS_USED: bool;

    /// What stands in the settings for the section as it was read; nothing if it is needed and cannot be used.
    fn taken(read: Option<T>) -> Option<Self>;
}

/// In place of a section that a command does not use: its values, and mistakes in it, are no matter.
#[derive(Clone, Copy, Debug)]
pub struct Unused;

impl<T> Needed<T> for Unused {
    const IS_USED: bool = false;

    fn taken(_: Option<T>) -> Option<Self> {
        Some(Self)
    }
}

/// What a command needs of the sections that hold what nobody else can know.
pub trait Needs {
    /// The queue.
    type Bus: Needed<Bus>;
    /// Who is at work towards Graph.
    type Identity: Needed<Identity>;
    /// The environment of Dataverse.
    type Dataverse: Needed<Dataverse>;

    /// Whether a mistake is in a section that is not used.
    #[must_use]
    fn leaves_out(problem: &SettingsProblem) -> bool {
        match problem.section {
            Some("bus") => !Self::Bus::IS_USED,
            Some("identity") => !Self::Identity::IS_USED,
            Some("dataverse") => !Self::Dataverse::IS_USED,
            _ => false,
        }
    }
}

macro_rules! sections_that_can_be_left_out {
    ($($section:ty),*) => {
        $(impl Needed<Self> for $section {
            const IS_USED: bool = true;

            fn taken(read: Option<Self>) -> Option<Self> {
                read
            }
        })*
    };
}

sections_that_can_be_left_out!(Bus, Identity, Dataverse);

/// Rows of `name: queue, identity, environment`.
macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident: $bus:ty, $identity:ty, $dataverse:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $name {}

            impl Needs for $name {
                type Bus = $bus;
                type Identity = $identity;
                type Dataverse = $dataverse;
            }
        )*
    };
}

needs! {
    /// What `run` needs.
    Everything: Bus, Identity, Dataverse;
    /// To look at the queue, and to send to it.
    QueueAlone: Bus, Unused, Unused;
    /// To ask Graph.
    GraphAlone: Unused, Identity, Unused;
    /// To hold messages of the queue against Graph.
    QueueAndGraph: Bus, Identity, Unused;
    /// To ask Dataverse.
    DataverseAlone: Unused, Unused, Dataverse;
    /// To hold what Dataverse tells against the queue.
    QueueAndDataverse: Bus, Unused, Dataverse;
}
