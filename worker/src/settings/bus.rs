//! The section `[service_bus]`: where the messages are, by which way, and with what right.

use std::fmt;

use reqwest::Url;
use servicebus::{
    ConnectionString, ConnectionStringError, NamespaceCredential, NamespaceEndpoint, Transport, admin,
};
use shared::reason::chain;

use super::{
    cloud::Cloud, identity, proxy, reader::Reader, source::Surroundings, stored_credential::StoredCredential,
};
use crate::identity::Identity;

/// The queue or subscription.
pub struct Bus {
    /// The namespace that it is in.
    pub namespace: Namespace,
    /// Where the messages come from.
    pub source: MessageSource,
    /// The entity that the connection string names, which need not be the one that messages come from.
    pub entity_path: Option<Box<str>>,
}

/// A namespace of Service Bus, and how to be let in.
pub struct Namespace {
    /// Where it is.
    pub endpoint: NamespaceEndpoint,
    /// By which protocol it is reached.
    pub way: Transport,
    /// With what right.
    pub access: Access,
    /// Where it is managed and its messages are counted.
    pub admin: Url,
}

impl Bus {
    /// Where it is on the network, as `host:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.namespace.endpoint.authority()
    }

    /// The namespace, for what is true of Service Bus alone.
    #[must_use]
    pub fn service_bus(&self) -> Option<&Namespace> {
        Some(&self.namespace)
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.source, self.authority())
    }
}

/// With what right the worker receives and sends.
pub enum Access {
    /// A shared access key or signature.
    Shared(NamespaceCredential),
    /// The same, in a file that may be replaced.
    Stored(StoredCredential),
    /// A role of an Entra identity.
    Entra {
        /// Who.
        identity: Box<Identity>,
        /// Whom the token is for, without a slash at the end.
        audience: &'static str,
    },
}

impl Access {
    /// The shared key or signature, as it was read first if it stands in a file.
    #[must_use]
    pub fn shared(&self) -> Option<&NamespaceCredential> {
        match self {
            Self::Shared(credential) => Some(credential),
            Self::Stored(stored) => Some(stored.first()),
            Self::Entra { .. } => None,
        }
    }
}

/// Where messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageSource {
    /// A queue.
    Queue(Box<str>),
    /// A subscription of a topic.
    Subscription {
        /// The topic.
        topic: Box<str>,
        /// The subscription's name.
        name: Box<str>,
    },
}

impl MessageSource {
    /// Where to receive.
    #[must_use]
    pub fn address(&self) -> Box<str> {
        match self {
            Self::Queue(name) => name.clone(),
            Self::Subscription { topic, name } => format!("{topic}/Subscriptions/{name}").into(),
        }
    }

    /// Where copies are sent to come back later: nothing can be sent to a subscription itself.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Subscription { topic: name, .. } => name,
        }
    }
}

impl fmt::Display for MessageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => write!(f, "queue {name}"),
            Self::Subscription { topic, name } => write!(f, "subscription {name} of topic {topic}"),
        }
    }
}

/// Where to go, with what right, and the entity that the connection string names.
type Door = (NamespaceEndpoint, Access, Option<Box<str>>);

pub(super) fn bus(r: &Reader<'_>, cloud: Option<&Cloud>, around: &Surroundings) -> Option<Bus> {
    let transport = r.section(|r| r.choice("service_bus.transport", &["amqp", "websocket"]));
    let door = match (r.optional("service_bus.connection_string"), r.optional("service_bus.namespace")) {
        (Some(text), None) => by_connection_string(r, text),
        (None, Some(text)) => by_namespace(r, text, cloud, around),
        (Some(_), Some(_)) => r.wrong(
            "service_bus.namespace",
            "cannot be used together with service_bus.connection_string; leave one out",
        ),
        (None, None) if r.is_told("service_bus.namespace") => None,
        (None, None) => r.missing(
            "service_bus.connection_string",
            "the connection string of a rule with the rights Listen and Send; or set service_bus.namespace to \
             sign in with Entra",
        ),
    };
    let entity_path = door.as_ref().and_then(|(_, _, entity)| entity.as_deref());
    // Without a door, the name may be in the connection string that cannot be read.
    let source = if door.is_some() || names_source(r) { source(r, entity_path) } else { None };
    let (endpoint, access, entity_path) = door?;
    let admin = r.url_or("service_bus.admin_url", admin::root(&endpoint).as_ref().map_or("", Url::as_str));
    let (endpoint, way) = if transport? == "websocket" {
        let endpoint = endpoint.for_web_socket();
        let proxy = proxy::proxy(r, &endpoint, around)?;
        (endpoint, Transport::WebSocket { proxy })
    } else {
        (endpoint, Transport::Tcp)
    };
    let namespace = Namespace { endpoint, way, access, admin: admin? };
    Some(Bus { namespace, source: source?, entity_path })
}

fn by_connection_string(r: &Reader<'_>, text: &str) -> Option<Door> {
    match ConnectionString::parse(text) {
        Ok(parsed) => {
            let ConnectionString { endpoint, credential, entity_path, .. } = parsed;
            let access = match r.file("service_bus.connection_string") {
                Some(file) => Access::Stored(StoredCredential::new(file, endpoint.clone(), credential)),
                None => Access::Shared(credential),
            };
            Some((endpoint, access, entity_path))
        }
        Err(error) => r.wrong("service_bus.connection_string", chain(&error)),
    }
}

fn by_namespace(r: &Reader<'_>, text: &str, cloud: Option<&Cloud>, around: &Surroundings) -> Option<Door> {
    let identity = identity::bus_identity(r, cloud, around);
    let cloud = cloud?;
    let bare = !text.contains(['.', ':']) && text != "localhost";
    let host = if bare { format!("{text}.{}", cloud.suffix) } else { text.to_owned() };
    let endpoint = match NamespaceEndpoint::parse(&host) {
        Ok(endpoint) => Some(endpoint),
        Err(error @ ConnectionStringError::Misplaced) => {
            r.wrong("service_bus.namespace", format!("{error}; put it into service_bus.connection_string"))
        }
        Err(error) => r.wrong("service_bus.namespace", chain(&error)),
    };
    Some((endpoint?, Access::Entra { identity: Box::new(identity?), audience: cloud.audience }, None))
}

fn names_source(r: &Reader<'_>) -> bool {
    ["queue", "topic", "subscription"].iter().any(|key| r.optional(&format!("service_bus.{key}")).is_some())
}

/// Whether a text can be the name of an entity; notes it if not.
pub(super) fn is_entity(r: &Reader<'_>, key: &str, name: &str) -> bool {
    let fits = is_name(name);
    if !fits {
        r.note(key, "must be a name: letters, digits, hyphens, dots, underscores and slashes");
    }
    fits
}

/// Whether a text can be the name of a queue, topic or subscription. It is told in logs, so a connection string that was
/// put in its place must not pass for one.
fn is_name(text: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || "-._~/$".contains(character);
    (1..=260).contains(&text.chars().count()) && text.chars().all(fits)
}

fn source(r: &Reader<'_>, entity_path: Option<&str>) -> Option<MessageSource> {
    const ENTITY_PATH: &str = "service_bus.connection_string";
    let (queue, topic) = (r.optional("service_bus.queue"), r.optional("service_bus.topic"));
    let subscription = r.optional("service_bus.subscription");
    for (key, name) in [
        ("service_bus.queue", queue),
        ("service_bus.topic", topic),
        ("service_bus.subscription", subscription),
        (ENTITY_PATH, entity_path),
    ] {
        if name.is_some_and(|name| !is_name(name)) {
            let what =
                if key == ENTITY_PATH { "has an EntityPath that is no name" } else { "must be a name" };
            return r.wrong(key, format!("{what}: letters, digits, hyphens, dots, underscores and slashes"));
        }
    }
    match (queue, topic, subscription) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => r.wrong(
            "service_bus.queue",
            "cannot be used together with service_bus.topic and service_bus.subscription; leave one out",
        ),
        (None, Some(_), None) => {
            r.wrong("service_bus.subscription", "is required with service_bus.topic: the subscription's name")
        }
        (None, topic, Some(name)) => match topic.or(entity_path) {
            Some(topic) => Some(MessageSource::Subscription { topic: topic.into(), name: name.into() }),
            None => {
                r.wrong("service_bus.topic", "is required with service_bus.subscription: the topic's name")
            }
        },
        (queue, None, None) => match queue.or(entity_path) {
            Some(queue) => Some(MessageSource::Queue(queue.into())),
            None => r.missing(
                "service_bus.queue",
                "the name of the queue that Dataverse posts to; or set service_bus.topic and \
                 service_bus.subscription",
            ),
        },
    }
}
