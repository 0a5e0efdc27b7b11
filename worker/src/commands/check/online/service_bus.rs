//! The way to Service Bus, the rights at the queue, and how the queue is set up.

use std::collections::BTreeSet;

use servicebus::{self, LinkState, Peek, Queue, RefusalKind, Walk, admin};
use shared::{ids::UserId, plan::Planner, reason::chain};

use super::super::{super::wiring, trials::Trials};
use crate::{
    identity::Clients,
    preview::waiting::{Sample, WAITING},
    settings::{
        Settings,
        check::{Advice, EntityUse, Hurdle, Probe, Severity, queue},
    },
};

const SERVICE: &str = "service bus";
const TOKEN: &str = "token for service bus";
const LISTEN: &str = "right to listen";
const SEND: &str = "right to send";
const QUEUE: &str = "queue";

/// Most messages that are looked at together, and how often.
const PAGE: u32 = 100;
const PAGES: u32 = 5;

pub(super) async fn probes(
    settings: &Settings,
    clients: &Clients,
    trials: &mut Trials,
) -> anyhow::Result<BTreeSet<UserId>> {
    let most = settings.connection.request_timeout;
    let queue = match wiring::queue(&wiring::queue_settings(settings, clients)) {
        Ok(queue) => queue,
        Err(error) => {
            trials.told([Probe::failed(SERVICE, chain(&error), "")])?;
            return Ok(BTreeSet::new());
        }
    };
    let place = settings.bus.authority();
    let listening = trials.wait((&format!("service bus at {place}"), most), ready(&*queue)).await;
    let reached = match &listening {
        Ok(()) => true,
        Err(servicebus::Error::Refused { kind, .. }) => *kind != RefusalKind::Token,
        Err(_) => false,
    };
    let address = settings.bus.source.address();
    trials.told(reached.then(|| Probe::good(SERVICE, format!("{place} answers"))))?;
    trials.told([match listening {
        Ok(()) => Probe::good(LISTEN, format!("messages of {address} can be received")),
        Err(error) => failed(LISTEN, &EntityUse::intake(&settings.bus), &error),
    }])?;
    let mut users = BTreeSet::new();
    if reached {
        let target = settings.bus.source.target();
        let sending = trials.wait((SEND, most), queue.attach_sender()).await;
        trials.told([match sending {
            Ok(()) => Probe::good(SEND, format!("copies can be sent to {target}")),
            Err(error) => failed(SEND, &EntityUse::copies(&settings.bus), &error),
        }])?;
        let described = described(settings, clients, &address);
        let described = trials.wait(("the settings of the queue", most), described).await;
        trials.told(described)?;
        let waiting = waiting(&*queue, &settings.planner);
        let (waiting, meant) = trials.wait(("a look at messages", most), waiting).await;
        trials.told(waiting)?;
        users = meant;
    } else {
        // As many lines as where it is reached, so that nobody misses one.
        let skipped = if trials.has(LISTEN) { &[SEND, QUEUE][..] } else { &[LISTEN, SEND, QUEUE] };
        trials.told(skipped.iter().map(|check| Probe::skipped(check, "service bus cannot be used")))?;
    }
    queue.close().await;
    let lease = Box::pin(super::lease::probes(settings, clients, reached));
    let lease = trials.wait(("a session of the lease", most), lease).await;
    trials.told(lease)?;
    Ok(users)
}

/// What the messages that wait say about the settings, and which users they mean. They are looked at and not taken.
async fn waiting(queue: &dyn Peek, planner: &Planner) -> (Vec<Probe>, BTreeSet<UserId>) {
    let mut sample = Sample::new(planner);
    let mut walk = Walk::default();
    for _ in 0..PAGES {
        match walk.look(queue, PAGE).await {
            Ok(page) if page.is_empty() => break,
            Ok(page) => page.iter().for_each(|peeked| sample.add(&peeked.message)),
            Err(error) => {
                let probe = Probe::found(Severity::Warning, WAITING, chain(&error), "");
                return (vec![probe], sample.into_users());
            }
        }
    }
    (sample.probes(), sample.into_users())
}

/// Waits until messages could come, or for the first reason why not. Without credit none does come.
async fn ready(queue: &dyn Queue) -> Result<(), servicebus::Error> {
    let mut state = queue.state();
    tokio::select! {
        // An error would mean that the task has ended; then `receive` says why.
        Ok(_) = state.wait_for(|state| *state == LinkState::Ready) => Ok(()),
        received = queue.receive() => received.map(drop),
    }
}

/// What a failure at the entity means.
fn failed(right: &'static str, at: &EntityUse, error: &servicebus::Error) -> Probe {
    let advice = Advice::of(error, at);
    let check = match advice.hurdle {
        Hurdle::Service => SERVICE,
        Hurdle::Token => TOKEN,
        Hurdle::Right => right,
    };
    Probe::failed(check, advice.what, advice.remedy)
}

/// How the queue is set up, if we may know.
async fn described(settings: &Settings, clients: &Clients, address: &str) -> Vec<Probe> {
    match wiring::admin(&settings.bus, clients).describe().await {
        Ok(description) => queue::judge(address, &description.properties, settings),
        Err(admin::Error::NotFound { address }) => vec![Probe::failed(
            QUEUE,
            format!("there is no {address} in this namespace"),
            "make it, or correct service_bus.queue, or topic and subscription",
        )],
        Err(admin::Error::Denied { status, .. }) => vec![Probe::found(
            Severity::Note,
            QUEUE,
            format!(
                "how {address} is set up cannot be seen without the right Manage ({status}), which run does not need"
            ),
            "see for yourself: no sessions, lock 1 to 5 minutes, 10 deliveries, dead-lettering on expiration, no \
             auto-delete, no forwarding of dead letters",
        )],
        Err(error) => vec![Probe::found(Severity::Warning, QUEUE, chain(&error), "")],
    }
}
