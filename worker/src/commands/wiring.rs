//! Concrete parts made from the settings, for every command that needs them.

use std::sync::Arc;

use anyhow::Context;
use servicebus::{
    TokenSource,
    admin::AdminClient,
    amqp::{self, AmqpQueue},
    clock,
};

use crate::{
    graph::{self, GraphClient},
    http_client,
    identity::{Clients, EntraSource, EntraTokens, TokenProvider},
    settings::{self, Access, Bus, Settings},
    telemetry::{Observer, tokens::ObservedTokens},
};

/// The HTTP clients of the process.
pub fn clients(connection: &settings::Connection) -> anyhow::Result<Clients> {
    let settings::Connection { ca_file, connect_timeout, request_timeout } = connection;
    let timeouts = http_client::Timeouts { connect: *connect_timeout, request: *request_timeout };
    Ok(Clients::new(http_client::Client::new(timeouts, ca_file.as_deref())?))
}

/// The queue, being received from.
pub fn queue(amqp: &amqp::Settings) -> anyhow::Result<AmqpQueue> {
    AmqpQueue::open(amqp).context("the queue cannot be opened")
}

/// How to reach the queue, for whoever opens it in another way.
pub fn amqp_settings(settings: &Settings, clients: &Clients) -> amqp::Settings {
    let bus = &settings.bus;
    let tokens = bus_tokens(bus, clients);
    let mut amqp = amqp::Settings::new(bus.endpoint.clone(), tokens, &bus.source.address(), clock::now);
    amqp.target = bus.source.target().into();
    amqp.way = bus.way.clone();
    amqp.ca_file.clone_from(&settings.connection.ca_file);
    amqp.times = Arc::clone(&clients.times);
    amqp
}

/// The management interface of the namespace, to ask about our queue or subscription.
#[must_use]
pub fn admin(bus: &Bus, clients: &Clients) -> AdminClient {
    admin_by(bus, clients, bus_tokens(bus, clients))
}

/// The same with tokens that others use too.
#[must_use]
pub fn admin_by(bus: &Bus, clients: &Clients, tokens: Arc<dyn TokenSource>) -> AdminClient {
    AdminClient::new(
        clients.http.to(&bus.admin).clone(),
        &bus.admin,
        &bus.source.address(),
        tokens,
        clock::now,
    )
    .telling(Arc::clone(&clients.times))
}

/// Tokens for Service Bus, by a shared key or by Entra.
pub fn bus_tokens(bus: &Bus, clients: &Clients) -> Arc<dyn TokenSource> {
    match &bus.access {
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

/// Graph.
#[must_use]
pub fn directory(settings: &Settings, clients: Clients) -> GraphClient {
    directory_for(settings, clients, graph::Priority::Normal)
}

/// Graph, for calls of this rank.
pub(super) fn directory_for(settings: &Settings, clients: Clients, priority: graph::Priority) -> GraphClient {
    let options = graph_options(settings, priority);
    let http = clients.http.clone();
    GraphClient::new(&http, Arc::new(graph_tokens(settings, clients)), &options)
}

/// Graph, with every call told to an observer; and its tokens, to ask for the first one early.
#[must_use]
pub fn observed_directory(
    settings: &Settings,
    clients: Clients,
    observer: &Arc<Observer>,
) -> (GraphClient, Arc<ObservedTokens>) {
    let http = clients.http.clone();
    let tokens = ObservedTokens::new(Arc::new(graph_tokens(settings, clients)), Arc::clone(observer));
    let tokens = Arc::new(tokens);
    let provider: Arc<dyn TokenProvider> = Arc::clone(&tokens) as _;
    let options = graph_options(settings, graph::Priority::Normal);
    (GraphClient::new(&http, provider, &options).observed(Arc::clone(observer)), tokens)
}

fn graph_options(settings: &Settings, priority: graph::Priority) -> graph::Options {
    graph::Options { root: settings.graph.root.clone(), reading: settings.reading(), priority }
}

/// Tokens for Graph.
pub(super) fn graph_tokens(settings: &Settings, clients: Clients) -> EntraTokens {
    let resource = settings.graph.root.as_str().trim_end_matches('/');
    EntraTokens::new(settings.identity.clone(), clients, resource, clock::now)
}
