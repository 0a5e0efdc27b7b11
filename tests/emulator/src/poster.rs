//! Sending to a running local Service Bus from within this process, with the checks that the wire makes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use url::Url;

use crate::{
    access::{Rights, Use},
    broker::{self, Message, entity_path},
    bus::CLOUD_NAME,
    faults::{Action, Only, Point},
    hub::Hub,
    journal::Event,
    sas::{self, Rule},
};

/// Why a message was not taken, or is not known to have been.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Nobody answers, or the connection broke. The message may have been stored all the same.
    #[error("{0}")]
    Network(String),
    /// The key is wrong, or its policy does not allow sending.
    #[error("{0}")]
    Unauthorized(String),
    /// The service refuses for now.
    #[error("The service refused the message: {0}.")]
    Busy(String),
    /// The entity does not take the message.
    #[error(transparent)]
    Refused(#[from] broker::Error),
}

/// By what a sender proves that it may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Name and key of a shared access policy.
    Key {
        /// The name.
        name: String,
        /// The key.
        key: String,
    },
    /// A shared access signature.
    Token(String),
    /// Nothing: the identity of the sender is known.
    Trusted,
}

/// The sending side of a local Service Bus.
#[derive(Clone, Debug)]
pub struct Poster {
    hub: Arc<Hub>,
    name: Option<String>,
    ports: Vec<u16>,
}

impl Poster {
    pub(crate) fn new(hub: &Arc<Hub>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let ports = addresses.into_iter().map(|address| address.port()).collect();
        Self { hub: Arc::clone(hub), name: None, ports }
    }

    /// Lets it also be found under the name of a namespace: `contoso` for `sb://contoso.servicebus.windows.net/`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_ascii_lowercase());
        self
    }

    /// Whether this is the service at an address such as `sb://localhost:5672/`, or the namespace of this name.
    #[must_use]
    pub fn is_at(&self, address: &str) -> bool {
        let address = if address.contains("://") { address.to_owned() } else { format!("sb://{address}") };
        let Ok(url) = Url::parse(&address) else { return false };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let first = host.split('.').next().unwrap_or_default();
        if self.name.as_deref().is_some_and(|name| name == first || name == host) {
            return true;
        }
        let local = ["localhost", "127.0.0.1", CLOUD_NAME].contains(&&*host);
        local && url.port().is_some_and(|port| self.ports.contains(&port))
    }

    /// Sends a message as a client does that proves itself so.
    pub fn post(&self, entity: &str, proof: &Proof, message: Message) -> Result<(), Error> {
        if self.hub.is_away() {
            return Err(Error::Network("No connection could be made: connection refused.".to_owned()));
        }
        self.authorize(entity, proof)?;
        self.strike(Point::Attach, entity, Some(Only::Sender))?;
        self.strike(Point::Send, entity, None)?;
        self.hub.run(|broker, now| {
            let target = broker.resolve(entity)?;
            broker.send(target, vec![message], now)
        })?;
        self.strike(Point::Sent, entity, None)
    }

    fn authorize(&self, entity: &str, proof: &Proof) -> Result<(), Error> {
        let access = self.hub.access();
        let (now, path) = (self.hub.now(), entity_path(entity));
        let audience = format!("sb://{CLOUD_NAME}/{path}");
        let token = match proof {
            _ if !access.enforced => return Ok(()),
            Proof::Trusted => return Ok(()),
            Proof::Token(token) => token.clone(),
            Proof::Key { name, key } => {
                let rule = Rule { name: name.clone(), key: key.clone(), ..Rule::default() };
                sas::sign(&audience, &rule, now + Duration::from_mins(20))
            }
        };
        let grant = access.check(&token, &audience, now).map_err(Error::Unauthorized)?;
        let mut rights = Rights::default();
        rights.add(grant);
        if rights.allow(&path, Use::Send, now) {
            return Ok(());
        }
        Err(Error::Unauthorized(
            "Unauthorized access. 'Send' claim(s) are required to perform this operation.".to_owned(),
        ))
    }

    /// What a scripted fault does to whoever sends from here.
    fn strike(&self, point: Point, entity: &str, only: Option<Only>) -> Result<(), Error> {
        let Some(action) = self.hub.faults.strike_if(point, &[entity], only) else { return Ok(()) };
        self.hub.journal.record([Event::Fault { what: format!("{point:?}: {action:?}") }]);
        match action {
            Action::Refuse(condition) | Action::Detach(condition) => Err(Error::Busy(condition)),
            Action::Disconnect => {
                Err(Error::Network("The connection was closed by the remote host.".to_owned()))
            }
            Action::Withhold => {
                Err(Error::Network("The operation did not complete within the allotted time.".to_owned()))
            }
            Action::DelayMillis(_) | Action::LapseLock | Action::Http(_) => Ok(()),
        }
    }
}
