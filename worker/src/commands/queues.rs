//! The queues that commands about dead letters need, and the set that their filters choose.

use std::{ops::ControlFlow, sync::Arc};

use anyhow::Context;
use servicebus::{Message, Peek, Queue, clock};
use shared::ids::SequenceNumber;

use super::{
    screen::Screen,
    wiring::{self, QueueSettings, ServiceBusQueue},
};
use crate::{
    identity::Clients,
    operate::dead_letters::{Selection, Walk, browse},
    operate::replay::Members,
    settings::{Settings, Telemetry},
    telemetry::logging,
};

/// Starts the log of a command that shows its own progress: what is usual there would only be in the way.
pub(super) fn start_log(settings: &Telemetry) -> anyhow::Result<()> {
    let mut settings = settings.clone();
    if &*settings.log_level == "info" {
        settings.log_level = "warn".into();
    }
    logging::start(&settings)
}

/// The dead letters, and where their copies go.
pub(super) struct Queues {
    clients: Clients,
    dead: QueueSettings,
    /// The dead letters, to look at.
    pub(super) looking: ServiceBusQueue,
    /// Where copies go.
    pub(super) target: Arc<ServiceBusQueue>,
    /// The dead letters of where copies go.
    pub(super) target_dead: Arc<ServiceBusQueue>,
}

impl Queues {
    pub(super) fn open(settings: &Settings, to: Option<&str>) -> anyhow::Result<Self> {
        let clients = wiring::clients(&settings.connection)?;
        let main = wiring::queue_settings(settings, &clients);
        let dead = main.clone().dead_letters();
        let mut target = main;
        if let Some(to) = to {
            (target.entity, target.target) = (to.into(), to.into());
        }
        Ok(Self {
            looking: wiring::queue_without_intake(&dead)?,
            target: Arc::new(wiring::queue_without_intake(&target)?),
            target_dead: Arc::new(wiring::queue_without_intake(&target.dead_letters())?),
            clients,
            dead,
        })
    }

    /// The dead letters, to be received. How long their locks hold is asked beside, so that it is known soon.
    pub(super) fn receiving(&self, settings: &Settings) -> anyhow::Result<ServiceBusQueue> {
        tokio::spawn(wiring::admin(&settings.bus, &self.clients).get_acquainted());
        wiring::queue(&self.dead).context("the dead-letter queue cannot be opened")
    }

    pub(super) async fn close(&self) {
        for queue in [&self.looking, &*self.target, &*self.target_dead] {
            Queue::close(queue).await;
        }
    }
}

/// One dead letter, looked at.
pub(super) async fn dead_letter_at(settings: &Settings, sequence: SequenceNumber) -> anyhow::Result<Message> {
    let queues = Queues::open(settings, None)?;
    let peeked = queues.looking.peek(sequence, 1).await.context("the dead letters cannot be looked at");
    queues.close().await;
    let found = peeked?.into_iter().find(|peeked| peeked.message.sequence == sequence);
    let found = found.with_context(|| {
        format!("there is no dead letter {sequence}; contactsync dead-letters list tells the numbers")
    })?;
    Ok(found.message)
}

/// Fixes the set: all that are meant and are there now. Shows each of them to `each`.
pub(super) async fn choose(
    queue: &dyn Peek,
    settings: &Settings,
    selection: &Selection,
    mut each: impl FnMut(&Message) -> anyhow::Result<()>,
) -> anyhow::Result<(Members, Walk)> {
    let (now, mut members, mut failed) = (clock::now(), Members::new(), None);
    let mut screen = Screen::new(None);
    let (limit, mut seen) = (selection.limit.unwrap_or(u64::MAX), 0);
    let walk = browse(queue, selection.first(), |peeked| {
        let message = &peeked.message;
        seen += 1;
        screen
            .at(seen, &format!("looked at {seen} dead letters"), || format!("looked at {seen} dead letters"));
        if selection.matches(message, now, &settings.planner) {
            members.insert(message.sequence);
            failed = each(message).err();
        }
        let enough = members.len() as u64 >= limit || selection.is_behind(message.sequence);
        if enough || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let walk = walk.await.context("the dead letters cannot be looked at")?;
    screen.end();
    match failed {
        Some(error) => Err(error),
        None => Ok((members, walk)),
    }
}
