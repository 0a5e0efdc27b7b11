//! Both sides and the queue, as the settings name them.

use anyhow::{Context, bail};
use shared::{drift::StateScope, plan::ChangeFilter};

use crate::{
    commands::wiring,
    graph::ThrottlePriority,
    operate::reconcile::{ContactAccess, OpenedSides, ReconcileError, RepairQueues, RowReader, Sides, Toll},
    settings::{Settings, check::EntityUse},
};

/// Both sides as they are now, and who reads Dataverse.
pub(in crate::commands) async fn open(settings: &Settings, toll: Toll) -> anyhow::Result<OpenedSides> {
    let clients = wiring::clients(&settings.connection)?;
    let dataverse = wiring::dataverse(settings, &clients).context(
        "reconcile reads contacts from Dataverse: set dataverse.url and the keys of [dataverse.identity]",
    )?;
    let planner = settings.planner.clone();
    if !counts_updates(&planner.filter) {
        return Err(ReconcileError::NoUpdates.into());
    }
    let access = ContactAccess::ask(&dataverse).await?;
    if !planner.organizations.is_empty() && !planner.organizations.contains(&access.organization) {
        bail!(
            "dataverse.url leads to the organization {}, which filter.organizations does not name; its changes would \
             not count",
            access.organization
        );
    }
    let columns = dataverse.columns("contact").await.map_err(ReconcileError::from)?;
    let reader = RowReader::new(access.organization, &planner, &columns)?;
    // What is only compared can wait for what is written.
    let graph = wiring::directory_for(settings, clients, ThrottlePriority::Low);
    let sides =
        Sides { dataverse, graph, planner, reading: settings.reading(), reader, toll, overrules: false };
    let scope = belongs_to(settings, &sides, &access);
    let addressed_to = settings.planner.addressee.as_ref().map(|addressee| addressee.own.clone());
    Ok(OpenedSides { sides, access, scope, addressed_to })
}

fn counts_updates(filter: &ChangeFilter) -> bool {
    filter.operations.contains(&shared::change::Operation::Update)
}

/// What a state file belongs to.
fn belongs_to(settings: &Settings, sides: &Sides, access: &ContactAccess) -> StateScope {
    StateScope {
        organization: access.organization.to_string().into(),
        directory: settings.fingerprint().into(),
        columns: sides.reader.names().map(Into::into).collect(),
    }
}

/// The queue that is posted to, and that of its dead letters.
pub(in crate::commands) fn queues(settings: &Settings) -> anyhow::Result<RepairQueues> {
    let clients = wiring::clients(&settings.connection)?;
    let way = wiring::queue_settings(settings, &clients);
    let main = wiring::queue_without_intake(&way)?;
    let dead = wiring::queue_without_intake(&way.dead_letters())?;
    Ok(RepairQueues { main, dead, at: EntityUse::copies(&settings.bus) })
}
