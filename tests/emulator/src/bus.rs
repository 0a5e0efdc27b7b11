//! The local Service Bus as a test starts it: options, address, connection string and a look inside.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use emulator::bus::{Options, ServiceBus};
//!
//! let bus = ServiceBus::start(Options::default().queue("contacts")).await?;
//! println!("{}", bus.connection_string());
//! # Ok(())
//! # }
//! ```

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

pub use crate::hub::Patience;
use crate::{
    access::Access,
    admin::{self, Diverted},
    amqp::{condition::known, listener},
    breakage::{Breakage, Broken},
    broker::{self, Broker, Counts, EntityOptions, Holder, Sequence, Time, View},
    ca::{self, Ca},
    faults::Faults,
    handle::Order,
    hub::{Hub, Settings},
    journal::Journal,
    poster::Poster,
    sas::Rule,
};

/// A name as of a namespace in the cloud, for which the certificate is good too: clients treat `localhost` in a way of
/// its own, past their proxies for example.
pub const CLOUD_NAME: &str = "emulator.servicebus.windows.net";

/// Why the service could not be started.
#[derive(Debug, Error)]
pub enum Error {
    /// The port is taken, or may not be used.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The certificate cannot be made.
    #[error("set up TLS for the local Service Bus")]
    Tls(#[from] ca::Error),
    /// An entity of the options cannot be made.
    #[error("make the entity '{name}'")]
    Entity {
        /// Which.
        name: String,
        /// Why not.
        #[source]
        source: broker::Error,
    },
}

/// An entity to be made at the start.
#[derive(Clone, Debug, PartialEq)]
pub enum Entity {
    /// A queue.
    Queue(EntityOptions),
    /// A topic with its subscriptions.
    Topic(EntityOptions, Vec<Subscription>),
}

/// A subscription to be made at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its name below the topic.
    pub name: String,
    /// Its settings.
    pub options: EntityOptions,
    /// What it lets in; everything if empty.
    pub rules: Vec<broker::Rule>,
}

/// How the service is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port of plain AMQP on the loopback; 0 takes a free one.
    pub port: u16,
    /// Port of AMQP over TLS; 0 takes a free one, none leaves TLS out.
    pub tls_port: Option<u16>,
    /// Port of the HTTP interface; 0 takes a free one.
    pub admin_port: u16,
    /// Entities to be made, by name.
    pub entities: Vec<(String, Entity)>,
    /// Decides lock tokens and made-up message ids.
    pub seed: u64,
    /// Keys and tokens.
    pub access: Access,
    /// How long the service puts up with what.
    pub patience: Patience,
    /// A rule of the dialect to break.
    pub breakage: Option<Breakage>,
    /// By how much the clock of the service is ahead of this machine's; behind if negative.
    pub ahead: SignedDuration,
}

impl Default for Options {
    /// A free port and no entities.
    fn default() -> Self {
        Self {
            port: 0,
            tls_port: None,
            admin_port: 0,
            entities: Vec::new(),
            seed: rand::random(),
            access: Access::default(),
            patience: Patience::default(),
            breakage: None,
            ahead: SignedDuration::ZERO,
        }
    }
}

impl Options {
    /// Uses this port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Speaks TLS too, on a free port.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls_port = Some(0);
        self
    }

    /// Adds a queue with default settings.
    #[must_use]
    pub fn queue(self, name: &str) -> Self {
        self.queue_with(name, EntityOptions::default())
    }

    /// Adds a queue.
    #[must_use]
    pub fn queue_with(mut self, name: &str, options: EntityOptions) -> Self {
        self.entities.push((name.to_owned(), Entity::Queue(options)));
        self
    }

    /// Adds a topic with subscriptions.
    #[must_use]
    pub fn topic(mut self, name: &str, subscriptions: Vec<Subscription>) -> Self {
        self.entities.push((name.to_owned(), Entity::Topic(EntityOptions::default(), subscriptions)));
        self
    }
}

/// A running local Service Bus. It ends when it is dropped.
#[derive(Debug)]
pub struct ServiceBus {
    hub: Arc<Hub>,
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    admin_address: SocketAddr,
    ca_pem: String,
    rule: Rule,
    tasks: Vec<JoinHandle<()>>,
}

impl ServiceBus {
    /// Starts the service on 127.0.0.1. It takes connections when this returns.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_with_ca(options, &Ca::new()?).await
    }

    /// Starts the service with an authority that others use too.
    pub async fn start_with_ca(options: Options, ca: &Ca) -> Result<Self, Error> {
        let settings =
            Settings { access: options.access, patience: options.patience, broken: Broken(options.breakage) };
        let rule = settings.access.rules.first().cloned().unwrap_or_default();
        let hub = Arc::new(Hub::new(options.seed, options.ahead, settings));
        for (name, entity) in &options.entities {
            hub.run(|broker, now| make(broker, name, entity, now))
                .map_err(|source| Error::Entity { name: name.clone(), source })?;
        }
        let (listener, address) = bind(options.port).await?;
        let (admin, admin_address) = bind(options.admin_port).await?;
        let (http, diverted) = Diverted::new(admin_address);
        let clock = Arc::clone(&hub);
        let mut tasks = vec![
            tokio::spawn(async move { clock.keep_time().await }),
            tokio::spawn(listener::listen(listener, None, Arc::clone(&hub), http.clone())),
            tokio::spawn(admin::serve(admin, diverted, Arc::clone(&hub))),
        ];
        let mut tls_address = None;
        if let Some(port) = options.tls_port {
            let (listener, address) = bind(port).await?;
            let acceptor = TlsAcceptor::from(ca.server_config(&["localhost", "127.0.0.1", CLOUD_NAME])?);
            tasks.push(tokio::spawn(listener::listen(listener, Some(acceptor), Arc::clone(&hub), http)));
            tls_address = Some(address);
        }
        Ok(Self { hub, address, tls_address, admin_address, ca_pem: ca.pem(), rule, tasks })
    }

    /// Where plain AMQP is spoken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection string for Microsoft's SDKs and for the product.
    #[must_use]
    pub fn connection_string(&self) -> String {
        self.connection_string_for(&self.rule)
    }

    /// A connection string with another rule's key.
    #[must_use]
    pub fn connection_string_for(&self, rule: &Rule) -> String {
        let Rule { name, key, .. } = rule;
        let port = self.address.port();
        format!(
            "Endpoint=sb://localhost:{port};SharedAccessKeyName={name};SharedAccessKey={key};\
             UseDevelopmentEmulator=true;"
        )
    }

    /// Where AMQP is spoken over TLS, if it is.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// A connection string for the TLS port, as for a namespace in the cloud; none without TLS.
    #[must_use]
    pub fn tls_connection_string(&self) -> Option<String> {
        let Rule { name, key, .. } = &self.rule;
        let port = self.tls_address?.port();
        Some(format!("Endpoint=sb://localhost:{port};SharedAccessKeyName={name};SharedAccessKey={key}"))
    }

    /// The certificate that clients of the TLS port have to trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Base of the HTTP interface: entities, health and this emulator's own controls.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://localhost:{}", self.admin_address.port())
    }

    /// What happened so far, and a way to wait for what is to happen.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.hub.journal
    }

    /// The sending side, for a part of this process that posts as a client would.
    #[must_use]
    pub fn poster(&self) -> Poster {
        Poster::new(&self.hub, [Some(self.address), self.tls_address].into_iter().flatten())
    }

    /// Scripted faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.hub.faults
    }

    /// Runs an operation on the broker itself, past the wire: to seed, to inspect, to settle.
    pub fn broker<R>(&self, operation: impl FnOnce(&mut Broker, Time) -> R) -> R {
        self.hub.run(operation)
    }

    /// How many messages an entity or sub-queue holds, by state.
    pub fn counts(&self, address: &str) -> Result<Counts, broker::Error> {
        self.hub.run(|broker, _| broker.counts(broker.resolve(address)?))
    }

    /// All messages of an entity or sub-queue in order, without locking them.
    pub fn contents(&self, address: &str) -> Result<Vec<View>, broker::Error> {
        self.hub.run(|broker, _| broker.contents(broker.resolve(address)?))
    }

    /// Numbers of the connections that are open.
    #[must_use]
    pub fn connections(&self) -> Vec<u64> {
        self.hub.connections()
    }

    /// Pushes the service's clock forward: locks lapse, messages expire and scheduled ones appear.
    pub fn skip_time(&self, duration: Duration) {
        self.hub.skip(duration);
    }

    /// Lets locks lapse right now: of one message, or of all at the address. Returns how many.
    pub fn lapse_locks(&self, address: &str, sequence: Option<Sequence>) -> Result<usize, broker::Error> {
        self.hub.run(|broker, now| broker.lapse(broker.resolve(address)?, sequence, now))
    }

    /// Replaces the shared access policies, as somebody does who renews a key. Connections keep what they have proved
    /// until their tokens end.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        self.hub.set_rules(rules);
    }

    /// Cuts all connections without a word.
    pub fn drop_connections(&self) {
        self.hub.order(&Order::Cut);
    }

    /// Closes all connections in good form with an AMQP condition, for example `amqp:connection:forced`.
    pub fn close_connections(&self, condition: &str) {
        self.hub.order(&Order::Close(known(condition)));
    }

    /// Detaches all data links at an address with an AMQP condition, for example `amqp:link:detach-forced`.
    pub fn detach_links(&self, address: &str, condition: &str) -> Result<(), broker::Error> {
        let target = Some(self.hub.run(|broker, _| broker.resolve(address))?);
        self.hub.order(&Order::Detach { target, condition: known(condition) });
        Ok(())
    }

    /// Makes the connections of a client silent, by its container id, as if the network between were gone: nothing is
    /// read from it any more and nothing is written to it, and what it holds it holds until locks lapse. Returns their
    /// numbers. After four minutes the service gives such a connection up.
    #[must_use = "a test in which nobody was made silent proves nothing"]
    pub fn silence_container(&self, container: &str) -> Vec<u64> {
        self.hub.set_silent(true, |_, handle| *handle.container() == *container)
    }

    /// The same for the connection that holds a session. Returns its number; nothing if nobody holds the session.
    pub fn silence_holder(&self, address: &str, session: &str) -> Result<Option<u64>, broker::Error> {
        let target = self.hub.run(|broker, _| broker.resolve(address))?;
        Ok(self.hub.silence_holder(target, session))
    }

    /// The network is back: silent connections get what was written to them meanwhile, and are read again.
    pub fn restore_connections(&self) {
        self.hub.set_silent(false, |_, handle| handle.is_silent());
    }

    /// Takes a session from the link that holds it, without a word to that link, and returns who it was. Another
    /// receiver can have the session at once.
    pub fn free_session(&self, address: &str, session: &str) -> Result<Option<Holder>, broker::Error> {
        self.hub.run(|broker, now| broker.free_session(broker.resolve(address)?, session, now))
    }

    /// Which link holds a session now.
    pub fn session_holder(&self, address: &str, session: &str) -> Result<Option<Holder>, broker::Error> {
        self.hub.run(|broker, _| Ok(broker.session_holder(broker.resolve(address)?, session)))
    }

    /// Plays dead: cuts all connections and takes none for a while.
    pub fn go_away(&self, duration: Duration) {
        self.hub.go_away(duration);
    }

    /// Ends [`go_away`](Self::go_away) before its time.
    pub fn come_back(&self) {
        self.hub.come_back();
    }

    /// Ends the service and all its connections, and returns when they are gone.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // Aborted on purpose: the error only says so.
            drop(task.await);
        }
    }
}

impl Drop for ServiceBus {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listen = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}

fn make(broker: &mut Broker, name: &str, entity: &Entity, now: Time) -> Result<(), broker::Error> {
    match entity {
        Entity::Queue(options) => broker.add_queue(name, options.clone(), now),
        Entity::Topic(options, subscriptions) => {
            broker.add_topic(name, options.clone(), now)?;
            for Subscription { name: subscription, options, rules } in subscriptions {
                broker.add_subscription(name, subscription, options.clone(), rules.clone(), now)?;
            }
            Ok(())
        }
    }
}
