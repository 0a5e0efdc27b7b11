//! The queues that commands about dead letters need, and the set that their filters choose.

use std::{sync::Arc, vec};

use anyhow::Context;
use jiff::Timestamp;
use servicebus::{Message, Peeked, Queue, Walk, admin, clock};
use shared::{ids::SequenceNumber, plan::Planner};

use super::{
    screen::Screen,
    waiting::patiently,
    wiring::{self, QueueSettings},
};
use crate::{
    identity::Clients,
    operate::{dead_letters::Selection, replay::Members},
    settings::{
        Bus, Needs, Settings, Telemetry,
        check::{Advice, EntityUse},
    },
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
    /// Whose dead letters they are, and where copies go, for words about failures.
    pub(super) ends: (EntityUse, EntityUse),
    /// The dead letters, to look at.
    pub(super) looking: Arc<dyn Queue>,
    /// Where copies go.
    pub(super) target: Arc<dyn Queue>,
    /// The dead letters of where copies go.
    pub(super) target_dead: Arc<dyn Queue>,
}

impl Queues {
    pub(super) fn open<N>(settings: &Settings<N>, to: Option<&str>) -> anyhow::Result<Self>
    where
        N: Needs<Bus = Bus>,
    {
        let clients = wiring::clients(&settings.connection)?;
        let main = wiring::queue_settings(settings, &clients);
        let dead = main.clone().dead_letters();
        let mut ends = (EntityUse::intake(&settings.bus), EntityUse::copies(&settings.bus));
        let target = match to {
            Some(to) => {
                ends.1 = ends.1.towards(to);
                main.towards(to)
            }
            None => main,
        };
        Ok(Self {
            ends,
            looking: wiring::queue_without_intake(&dead)?,
            target: wiring::queue_without_intake(&target)?,
            target_dead: wiring::queue_without_intake(&target.dead_letters())?,
            clients,
            dead,
        })
    }

    /// The dead letters, to be received. How long their locks hold is asked beside, so that it is known soon.
    pub(super) fn receiving(&self, bus: &Bus) -> anyhow::Result<Arc<dyn Queue>> {
        tokio::spawn(admin::get_acquainted(wiring::admin(bus, &self.clients)));
        wiring::queue(&self.dead).context("the dead-letter queue cannot be opened")
    }

    /// The dead letters cannot be looked at.
    fn not_looked_at(&self, error: &servicebus::Error) -> anyhow::Error {
        failed(error, &self.ends.0).context("the dead letters cannot be looked at")
    }

    pub(super) async fn close(&self) {
        for queue in [&self.looking, &self.target, &self.target_dead] {
            queue.close().await;
        }
    }
}

/// What is said where a filter leaves nothing over: it may be mistyped, so that nobody should take it for an all-clear.
pub(super) fn none_match(looked_at: u64) -> String {
    match looked_at {
        0 => "No dead letters.\n".to_owned(),
        1 => "The only dead letter that was looked at does not match.\n".to_owned(),
        count => format!("None of the {count} dead letters that were looked at match.\n"),
    }
}

/// A failure of Service Bus as it is told to a person: what is the case, and what to do.
pub(super) fn failed(error: &servicebus::Error, at: &EntityUse) -> anyhow::Error {
    anyhow::anyhow!("{}", Advice::of(error, at))
}

/// One dead letter, looked at.
pub(super) async fn dead_letter_at<N>(
    settings: &Settings<N>,
    sequence: SequenceNumber,
) -> anyhow::Result<Message>
where
    N: Needs<Bus = Bus>,
{
    let queues = Queues::open(settings, None)?;
    let peeking = queues.looking.peek(sequence, 1);
    let peeked = patiently(format_args!("service bus at {}", queues.ends.0.place), peeking).await;
    let peeked = peeked.map_err(|error| queues.not_looked_at(&error));
    queues.close().await;
    let found = peeked?.into_iter().find(|peeked| peeked.message.sequence == sequence);
    let found = found.with_context(|| {
        format!("there is no dead letter {sequence}; contactsync dead-letters list tells the numbers")
    })?;
    Ok(found.message)
}

/// The dead letters that are meant, one after another, and to whoever waits how many were looked at.
pub(super) struct Chosen<'a> {
    queues: &'a Queues,
    selection: &'a Selection,
    planner: &'a Planner,
    now: Timestamp,
    walk: Walk,
    page: vec::IntoIter<Peeked>,
    looked_at: u64,
    left: u64,
    screen: Screen,
}

impl<'a> Chosen<'a> {
    pub(super) fn of(queues: &'a Queues, planner: &'a Planner, selection: &'a Selection) -> Self {
        Self {
            queues,
            selection,
            planner,
            now: clock::now(),
            walk: Walk::from(selection.first()),
            page: Vec::new().into_iter(),
            looked_at: 0,
            left: selection.limit.unwrap_or(u64::MAX),
            screen: Screen::new(None),
        }
    }

    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        while self.left > 0 {
            let Some(Peeked { message, .. }) = self.page.next() else {
                let page = self.walk.page(&*self.queues.looking);
                let page = patiently(format_args!("service bus at {}", self.queues.ends.0.place), page).await;
                let page = page.map_err(|error| self.queues.not_looked_at(&error))?;
                self.left = if page.is_empty() { 0 } else { self.left };
                self.page = page.into_iter();
                continue;
            };
            self.looked_at += 1;
            let letters = if self.looked_at == 1 { "letter" } else { "letters" };
            let told = format!("looked at {} dead {letters}", self.looked_at);
            self.screen.at(self.looked_at, &told, || told.clone());
            let meant = self.selection.matches(&message, self.now, self.planner);
            self.left -= u64::from(meant);
            if self.selection.is_behind(message.sequence) {
                self.left = 0;
            }
            if meant {
                return Ok(Some(message));
            }
        }
        self.screen.end();
        Ok(None)
    }
}

/// Fixes the set: all that are meant and are there now. Shows each of them to `each`.
pub(super) async fn choose(
    queues: &Queues,
    planner: &Planner,
    selection: &Selection,
    mut each: impl FnMut(&Message) -> anyhow::Result<()>,
) -> anyhow::Result<(Members, Walk)> {
    let (mut chosen, mut members) = (Chosen::of(queues, planner, selection), Members::new());
    while let Some(message) = chosen.next().await? {
        members.insert(message.sequence);
        if let Err(error) = chosen.screen.beside(|| each(&message)) {
            chosen.screen.end();
            return Err(error);
        }
    }
    Ok((members, chosen.walk))
}
