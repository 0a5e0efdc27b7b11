//! By which way the service is reached.

use secrecy::SecretString;

/// What carries AMQP.
#[derive(Clone, Debug, Default)]
pub enum Transport {
    /// A connection of its own, port 5671 as a rule.
    #[default]
    Tcp,
    /// A WebSocket, port 443 as a rule, which firewalls let through.
    WebSocket {
        /// The proxy on the way, if any.
        proxy: Option<Proxy>,
    },
}

/// An HTTP proxy that opens tunnels.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// What it wants to be told in `Proxy-Authorization`.
    pub authorization: Option<SecretString>,
}
