//! `contactsync pause` and `contactsync resume`.

use std::{process::ExitCode, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{
    json_text, print, print_words,
    runtime::{runtime, stop_signal},
    terminal::print_aside,
    wiring,
};
use crate::{
    commands::global::Global,
    duration,
    operate::intake::{IntakeChange, Wish},
    settings::{Bus, QueueAlone, Settings},
};

/// Options of `pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It sets the status of the queue or subscription to ReceiveDisabled, which every replica sees, as do the portal and all other tools. \
Dataverse can go on sending: the messages wait, and `contactsync resume` lets them be taken again. What replicas hold at that \
moment is still written. Needs the right Manage, or the role Azure Service Bus Data Owner; the workers need neither.

Mind how long messages live in the queue (default time to live) before you pause for days.")]
pub struct Pause {
    /// Resume after this time, such as 30m or 8h. The command waits for it; if it is stopped before, the pause stays.
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    lasting: Option<Duration>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It sets the status of the queue or subscription from ReceiveDisabled to Active. Replicas look every few seconds, at most once a \
minute, and go on by themselves. Needs the right Manage, or the role Azure Service Bus Data Owner.")]
pub struct Resume {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(span) if (Duration::from_secs(1)..=Duration::from_hours(7 * 24)).contains(&span) => Ok(span),
        _ => Err("must be a duration from 1s to 7d, such as 30m or 8h".to_owned()),
    }
}

/// Stops the intake, for a time if one is told.
pub(crate) fn pause(global: &Global, args: &Pause) -> anyhow::Result<ExitCode> {
    let settings = global.settings::<QueueAlone>()?;
    runtime()?.block_on(async {
        let mut stopped = stop_signal()?;
        let deed = Deed::new(&settings, args.json)?;
        deed.fulfil(Wish::Pause).await?;
        let Some(lasting) = args.lasting else { return Ok(ExitCode::SUCCESS) };
        let left_to_do = "contactsync resume ends the pause";
        print_aside(&format!(
            "waiting {} until it is resumed; if this command is stopped before, {left_to_do}",
            duration::exact(lasting)
        ));
        tokio::select! {
            () = sleep_until(Instant::now() + lasting) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {
                print_aside(&format!("stopped while {} is still paused; {left_to_do}", deed.queue));
                return Ok(ExitCode::FAILURE);
            }
        }
        deed.fulfil(Wish::Resume).await.map(|()| ExitCode::SUCCESS)
    })
}

/// Allows the intake again.
pub(crate) fn resume(global: &Global, args: &Resume) -> anyhow::Result<ExitCode> {
    let settings = global.settings::<QueueAlone>()?;
    runtime()?.block_on(async {
        Deed::new(&settings, args.json)?.fulfil(Wish::Resume).await.map(|()| ExitCode::SUCCESS)
    })
}

/// What is done to one queue, and told.
struct Deed {
    admin: servicebus::admin::AdminClient,
    queue: Box<str>,
    json: bool,
}

impl Deed {
    fn new(settings: &Settings<QueueAlone>, json: bool) -> anyhow::Result<Self> {
        let bus: &Bus = &settings.bus;
        let clients = wiring::clients(&settings.connection)?;
        Ok(Self { admin: wiring::admin_client(bus, &clients), queue: bus.source.address(), json })
    }

    async fn fulfil(&self, wish: Wish) -> anyhow::Result<()> {
        let effect = wish.fulfil(&self.admin).await?;
        if self.json {
            let paused = wish == Wish::Pause;
            let told =
                json!({ "queue": self.queue, "paused": paused, "changed": effect == IntakeChange::Done });
            return print(&json_text(&told));
        }
        let queue = &self.queue;
        print_words(&match (wish, effect) {
            (Wish::Pause, IntakeChange::Done) => format!(
                "{queue} hands out no more messages; what Dataverse sends waits in it. contactsync resume ends the pause.\n"
            ),
            (Wish::Pause, IntakeChange::Already) => {
                format!("{queue} was paused already. contactsync resume ends the pause.\n")
            }
            (Wish::Resume, IntakeChange::Done) => {
                format!("{queue} hands out messages again; workers go on within a minute.\n")
            }
            (Wish::Resume, IntakeChange::Already) => format!("{queue} was not paused.\n"),
        })
    }
}
