//! Concrete parts made from the settings, for every command that needs them.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use servicebus::{
    Queue, SessionQueue, TokenSource,
    admin::{AdminClient, Describe},
    amqp::{self, AmqpQueue},
    clock,
};

use shared::lease::{Holder, LeasePolicy};

use crate::{
    dataverse,
    graph::{self, GraphClient},
    http_client,
    identity::{Clients, EntraSource, EntraTokens, TokenProvider},
    notify::{Channel, ChannelTools},
    run::{LONGEST_CONNECT, LeaseOptions},
    settings::{self, Access, Bus, Settings},
    telemetry::{Observer, tokens::ObservedTokens},
};

/// Longest time to establish a connection over HTTP.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The HTTP clients of the process.
pub(crate) fn clients(connection: &settings::Connection) -> anyhow::Result<Clients> {
    clients_that_connect_within(CONNECT_TIMEOUT, connection)
}

/// The same for one of several replicas: a write must not wait longer for a connection than its lease is sure to hold.
pub(super) fn clients_of_replica(settings: &Settings) -> anyhow::Result<Clients> {
    let leased = settings.replicas.lease_queue.is_some();
    clients_that_connect_within(if leased { LONGEST_CONNECT } else { CONNECT_TIMEOUT }, &settings.connection)
}

fn clients_that_connect_within(
    connect: Duration,
    connection: &settings::Connection,
) -> anyhow::Result<Clients> {
    let request = connection.request_timeout;
    let timeouts = http_client::Timeouts { connect: connect.min(request), request };
    Ok(Clients::new(http_client::Client::new(timeouts, connection.ca_file.as_deref())?))
}

/// How to reach a queue. Nothing else names the protocol.
pub(super) type QueueSettings = amqp::Settings;

/// How to reach the queue of the settings.
pub(super) fn queue_settings(settings: &Settings, clients: &Clients) -> QueueSettings {
    let bus = &settings.bus;
    let (endpoint, tokens) = (bus.namespace.endpoint.clone(), bus_tokens(bus, clients));
    let mut queue = QueueSettings::new(endpoint, tokens, &bus.source.address(), clock::now);
    queue.target = bus.source.target().into();
    queue.way = bus.namespace.way.clone();
    queue.ca_file.clone_from(&settings.connection.ca_file);
    queue.times = Arc::clone(&clients.times);
    queue
}

/// The queue, being received from.
pub(super) fn queue(way: &QueueSettings) -> Result<Arc<dyn Queue>, servicebus::Error> {
    Ok(Arc::new(AmqpQueue::open(way)?))
}

/// The queue, being received from, and the lease by which replicas agree on who writes. Both use one connection: if that
/// dies, both are noticed. No lease if there is one replica.
pub(super) fn queue_and_lease(
    way: &QueueSettings,
    settings: &Settings,
) -> Result<(Arc<dyn Queue>, Option<LeaseOptions>), servicebus::Error> {
    let queue = AmqpQueue::open(way)?;
    let lease = settings.replicas.lease_queue.as_deref().map(|name| LeaseOptions {
        queue: queue.session_queue(name),
        intake: settings.bus.source.address(),
        holder: Holder {
            // Whoever reads it looks for a pod or machine; the number tells processes of it apart.
            name: format!("{}/{}", hostname(), uuid::Uuid::new_v4().simple()),
            settings: settings.fingerprint(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        // Nobody waits longer for a call to Graph, so none of a predecessor's takes effect later than that.
        policy: LeasePolicy {
            // A little longer, because no clock is exact.
            calls_end_within: settings.connection.request_timeout.mul_f64(1.03),
            ..LeasePolicy::default()
        },
    });
    Ok((Arc::new(queue), lease))
}

/// The queue with sessions of that name, to try a session of it.
pub(super) fn session_queue(
    settings: &Settings,
    clients: &Clients,
    name: &str,
) -> Result<SessionQueue, servicebus::Error> {
    SessionQueue::open(&queue_settings(settings, clients).towards(name))
}

/// The queue for sending and looking only.
pub(super) fn queue_without_intake(settings: &QueueSettings) -> anyhow::Result<Arc<dyn Queue>> {
    Ok(Arc::new(AmqpQueue::open_without_intake(settings).context("the queue cannot be opened")?))
}

/// The management interface of the namespace, to ask about our queue or subscription.
#[must_use]
pub(crate) fn admin(bus: &Bus, clients: &Clients) -> Arc<dyn Describe> {
    admin_of(bus, clients, &bus.source.address())
}

/// The same to ask about another queue.
#[must_use]
pub(super) fn admin_of(bus: &Bus, clients: &Clients, address: &str) -> Arc<dyn Describe> {
    admin_by(bus, clients, bus_tokens(bus, clients), address)
}

/// The same by the tokens that the queue is reached with: one identity needs no second one.
#[must_use]
pub(super) fn admin_beside(queue: &QueueSettings, bus: &Bus, clients: &Clients) -> Arc<dyn Describe> {
    admin_by(bus, clients, Arc::clone(&queue.tokens), &bus.source.address())
}

fn admin_by(bus: &Bus, clients: &Clients, tokens: Arc<dyn TokenSource>, address: &str) -> Arc<dyn Describe> {
    let root = &bus.namespace.admin;
    let http = clients.http.to(root).clone();
    let client = AdminClient::new(http, root, address, tokens, clock::now);
    Arc::new(client.telling(Arc::clone(&clients.times)))
}

/// Tokens for Service Bus, by a shared key or by Entra.
fn bus_tokens(bus: &Bus, clients: &Clients) -> Arc<dyn TokenSource> {
    match &bus.namespace.access {
        Access::Shared(credential) => credential.source(),
        Access::Stored(stored) => Arc::new(stored.clone()),
        Access::Entra { identity, audience } => {
            // Microsoft's clients ask with two slashes here: the resource itself ends with one.
            let resource = format!("{audience}/");
            let tokens = EntraTokens::new((**identity).clone(), clients.clone(), &resource, clock::now);
            Arc::new(EntraSource::new(Arc::new(tokens)))
        }
    }
}

/// What this machine or pod is called.
pub(super) fn hostname() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = String::from("worker");
    name
}

/// Graph.
#[must_use]
pub(crate) fn directory(settings: &Settings, clients: Clients) -> GraphClient {
    directory_for(settings, clients, graph::ThrottlePriority::Normal)
}

/// Graph, for calls of this rank.
pub(super) fn directory_for(
    settings: &Settings,
    clients: Clients,
    priority: graph::ThrottlePriority,
) -> GraphClient {
    let options = graph_options(settings, priority);
    let http = clients.http.clone();
    GraphClient::new(&http, Arc::new(graph_tokens(settings, clients)), &options)
}

/// Graph, with every call told to an observer; and its tokens, to ask for the first one early.
#[must_use]
pub(crate) fn observed_directory(
    settings: &Settings,
    clients: Clients,
    observer: &Arc<Observer>,
) -> (GraphClient, Arc<ObservedTokens>) {
    let http = clients.http.clone();
    let tokens = ObservedTokens::new(Arc::new(graph_tokens(settings, clients)), Arc::clone(observer));
    let tokens = Arc::new(tokens);
    let provider: Arc<dyn TokenProvider> = Arc::clone(&tokens) as _;
    let options = graph_options(settings, graph::ThrottlePriority::Normal);
    (GraphClient::new(&http, provider, &options).observed(Arc::clone(observer)), tokens)
}

fn graph_options(settings: &Settings, priority: graph::ThrottlePriority) -> graph::Options {
    graph::Options { root: settings.graph.root.clone(), reading: settings.reading(), priority }
}

/// Dataverse, if the settings name an environment.
#[must_use]
pub(crate) fn dataverse(settings: &Settings, clients: &Clients) -> Option<dataverse::Client> {
    Some(dataverse_of(settings.dataverse.environment.as_ref()?, clients))
}

/// Dataverse, in this environment.
#[must_use]
pub(super) fn dataverse_of(environment: &settings::Environment, clients: &Clients) -> dataverse::Client {
    let tokens = dataverse_tokens(environment, clients.clone());
    dataverse::Client::new(&clients.http, Arc::new(tokens), &environment.url)
}

/// Tokens for an environment of Dataverse.
pub(super) fn dataverse_tokens(environment: &settings::Environment, clients: Clients) -> EntraTokens {
    EntraTokens::new(environment.identity.clone(), clients, environment.resource(), clock::now)
}

/// Tokens for Graph.
pub(super) fn graph_tokens(settings: &Settings, clients: Clients) -> EntraTokens {
    let resource = settings.graph.root.as_str().trim_end_matches('/');
    EntraTokens::new(settings.identity.clone(), clients, resource, clock::now)
}

/// The channels by which people are told.
pub(super) fn channels(settings: &Settings) -> anyhow::Result<Vec<Channel>> {
    let ca_file = settings.connection.ca_file.clone();
    // A channel that does not answer is given up soon: the next notice says what is so then.
    let timeouts = http_client::Timeouts { connect: Duration::from_secs(5), request: CONNECT_TIMEOUT };
    let clients = Clients::new(http_client::Client::new(timeouts, ca_file.as_deref())?);
    let tokens = |resource: &str| {
        let identity = settings.notify.identity.clone()?;
        let tokens = EntraTokens::new(identity, clients.clone(), resource, clock::now);
        Some(Arc::new(tokens) as Arc<dyn TokenProvider>)
    };
    let tools = ChannelTools {
        http: clients.http.clone(),
        tokens: &tokens,
        ca_file,
        graph: settings.graph.root.clone(),
    };
    let channels = settings.notify.channels.iter().map(|channel| Channel::new(channel.clone(), &tools));
    Ok(channels.collect::<Result<_, _>>()?)
}
