//! What a replica is told to do, and how patient it is to be.

use std::time::Duration;

use shared::{engine, plan::Planner, retry::Ladder};

use super::delayed_retry::Returns;
use crate::{
    graph::GracePeriods,
    settings::{LinkUnseen, Settings, check::EntityUse},
};

/// What the shell needs to know besides the engine's policy.
#[derive(Clone, Debug)]
pub(crate) struct PipelineOptions {
    /// What to write for a change.
    pub planner: Planner,
    /// What to do when messages prove that the link column or the images are wrong.
    pub link_unseen: LinkUnseen,
    /// Waits between looks at the queue while messages are held back for that.
    pub looks: Ladder,
    /// Bounds and patience of the engine.
    pub engine: engine::EnginePolicy,
    /// Patience with answers of Graph that may pass.
    pub patience: GracePeriods,
    /// How a message that was handed back comes again.
    pub(super) returns: Returns,
    /// Time to finish at shutdown.
    pub grace: Duration,
    /// Whether what is written carries a mark.
    pub guarded: bool,
    /// Where messages come from.
    pub intake: EntityUse,
}

/// Patience with an overload that Graph reports for one write; longer waits are the ladder's.
const BRIEF: Duration = Duration::from_secs(30);
/// Patience with a value that somebody else has. People who hand an address on are often changed at the same time.
const CONFLICT: Duration = Duration::from_secs(5);

/// The policy of the engine, with what the mapping tells of properties.
fn engine_policy(settings: &Settings) -> engine::EnginePolicy {
    let mut policy = settings.engine.clone();
    let constants = settings.planner.mapping.constants();
    policy.mass_change.constants = constants.map(|row| row.property.clone()).collect();
    policy
}

impl PipelineOptions {
    /// The policy that these settings ask for.
    #[must_use]
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            planner: settings.planner.clone(),
            link_unseen: settings.link_unseen,
            looks: settings.engine.gate.probe,
            engine: engine_policy(settings),
            patience: GracePeriods {
                not_found: settings.shell.not_found_grace,
                brief: BRIEF,
                conflict: CONFLICT,
            },
            returns: Returns {
                delays: settings.shell.returns,
                target: settings.planner.addressee.as_ref().map(|addressee| addressee.own.clone()),
            },
            grace: settings.shell.grace,
            guarded: settings.guard.attribute.is_some(),
            intake: EntityUse::intake(&settings.bus),
        }
    }
}
