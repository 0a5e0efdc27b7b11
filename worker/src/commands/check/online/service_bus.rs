//! The way to Service Bus, the rights at the queue, and how the queue is set up.

use std::collections::BTreeSet;

use servicebus::{self, LinkState, Peek, Queue, RefusalKind, Walk, admin};
use shared::{ids::UserId, plan::Planner, reason::chain};

use super::super::super::wiring;
use crate::{
    identity::Clients,
    preview::waiting::{Sample, WAITING},
    settings::{
        Settings,
        check::{NetworkFault, Probe, Severity, queue},
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

pub(super) async fn probes(settings: &Settings, clients: &Clients) -> (Vec<Probe>, BTreeSet<UserId>) {
    let opened = wiring::queue(&wiring::queue_settings(settings, clients));
    let queue = match opened {
        Ok(queue) => queue,
        Err(error) => return (vec![Probe::failed(SERVICE, chain(&error), "")], BTreeSet::new()),
    };
    let mut users = BTreeSet::new();
    let mut probes = Vec::new();
    let listening = ready(&*queue).await;
    let reached = match &listening {
        Ok(()) => true,
        Err(servicebus::Error::Refused { kind, .. }) => *kind != RefusalKind::Token,
        Err(_) => false,
    };
    let place = settings.bus.authority();
    if reached {
        probes.push(Probe::good(SERVICE, format!("{place} answers")));
    }
    let address = settings.bus.source.address();
    probes.push(match listening {
        Ok(()) => Probe::good(LISTEN, format!("messages of {address} can be received")),
        Err(error) => failed(LISTEN, &address, &place, &error),
    });
    if reached {
        let target = settings.bus.source.target();
        probes.push(match queue.attach_sender().await {
            Ok(()) => Probe::good(SEND, format!("copies can be sent to {target}")),
            Err(error) => failed(SEND, target, &place, &error),
        });
        probes.extend(described(settings, clients, &address).await);
        let (waiting, meant) = waiting(&*queue, &settings.planner).await;
        probes.extend(waiting);
        users = meant;
    } else {
        probes.extend([SEND, QUEUE].map(|check| Probe::skipped(check, "service bus cannot be used")));
    }
    queue.close().await;
    probes.extend(super::lease::probes(settings, clients, reached).await);
    (probes, users)
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
fn failed(right: &'static str, entity: &str, place: &str, error: &servicebus::Error) -> Probe {
    match error {
        servicebus::Error::Tls { .. } => NetworkFault::Untrusted.probe(SERVICE, place, &chain(error)),
        servicebus::Error::Timeout { .. } => NetworkFault::Silent.probe(SERVICE, place, &chain(error)),
        servicebus::Error::Connection { .. } => NetworkFault::of(error).probe(SERVICE, place, &chain(error)),
        servicebus::Error::Token { .. } => Probe::failed(TOKEN, chain(error), ""),
        servicebus::Error::Refused { kind: RefusalKind::Token, description, .. }
            if description.to_ascii_lowercase().contains("expired") =>
        {
            Probe::failed(
                TOKEN,
                format!("service bus says that the token has ended: {description}"),
                "let the system set its clock by NTP; a SharedAccessSignature in the connection string ends by itself, \
                 so put a new one into it",
            )
        }
        servicebus::Error::Refused { kind: RefusalKind::Token, condition, .. } => Probe::failed(
            TOKEN,
            format!("service bus does not accept the token ({condition})"),
            "copy the connection string again: the key was replaced, or the rule is another queue's; with Entra, give \
             the identity the roles Azure Service Bus Data Receiver and Data Sender",
        ),
        servicebus::Error::Refused { kind, .. } => refused(right, entity, *kind, error),
        _ => Probe::failed(SERVICE, chain(error), ""),
    }
}

fn refused(right: &'static str, entity: &str, kind: RefusalKind, error: &servicebus::Error) -> Probe {
    let (what, role) = if right == LISTEN {
        ("listen at", "Listen, or the identity the role Azure Service Bus Data Receiver")
    } else {
        ("send to", "Send, or the identity the role Azure Service Bus Data Sender")
    };
    match kind {
        RefusalKind::NotFound => Probe::failed(
            right,
            format!("there is no {entity} in this namespace"),
            "make it, or correct service_bus.queue, or topic and subscription",
        ),
        RefusalKind::Denied => Probe::failed(
            right,
            format!("the credential may not {what} {entity}"),
            &format!("give the rule the right {role}"),
        ),
        RefusalKind::Disabled => {
            Probe::failed(right, format!("{entity} is disabled"), "set its status to Active")
        }
        RefusalKind::Token | RefusalKind::Other => Probe::failed(right, chain(error), ""),
    }
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
