//! The stream under AMQP. A single function opens it, by whichever way, and nothing above knows which.

use std::{path::Path, sync::Arc};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{stream::Stream, tunnel, websocket::WebSocket};
use crate::{connection_string::NamespaceEndpoint, error::Error, tls, transport::Transport};

/// Everything needed to open streams to one endpoint.
#[derive(Clone)]
pub(super) struct Connector {
    endpoint: NamespaceEndpoint,
    way: Transport,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// Prepares TLS with the certificates that the operating system trusts, and those of `ca_file` (PEM).
    pub(super) fn new(
        endpoint: NamespaceEndpoint,
        way: Transport,
        ca_file: Option<&Path>,
    ) -> Result<Self, Error> {
        if !endpoint.tls {
            // The parser refuses this too; here stands the last gate before the wire.
            if !endpoint.is_loopback() {
                let what = format!("{} would be reached without tls", endpoint.authority());
                return Err(Error::Settings { what: what.into(), cause: None });
            }
            return Ok(Self { endpoint, way, tls: None });
        }
        let name = ServerName::try_from(endpoint.host.to_string()).map_err(|cause| Error::Settings {
            what: format!("the host name {} cannot be checked against a certificate", endpoint.host).into(),
            cause: Some(cause.into()),
        })?;
        let config = tls::trusting(ca_file).map_err(|cause| Error::Settings {
            what: "the certificates to trust cannot be used".into(),
            cause: Some(cause.into()),
        })?;
        Ok(Self { endpoint, way, tls: Some((TlsConnector::from(Arc::new(config)), name)) })
    }

    /// Host and port, for messages.
    pub(super) fn authority(&self) -> Box<str> {
        self.endpoint.authority().into()
    }

    /// Host alone, as AMQP's `open` wants it.
    pub(super) fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// Opens a stream.
    pub(super) async fn open(&self) -> Result<Box<dyn Stream>, Error> {
        let tcp = self.connect().await.map_err(|cause| self.failed(cause))?;
        // Settlements and credit are small frames that must not wait for each other's acknowledgement.
        tcp.set_nodelay(true).map_err(|cause| self.failed(cause))?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some((connector, name)) => match connector.connect(name.clone(), tcp).await {
                Ok(stream) => Box::new(stream),
                // A certificate problem is reported as invalid data; anything else is the network's.
                Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(Error::Tls { host: self.authority(), cause: cause.into() });
                }
                Err(cause) => return Err(self.failed(cause)),
            },
        };
        match self.way {
            Transport::Tcp => Ok(stream),
            Transport::WebSocket { .. } => {
                let opened = WebSocket::open(stream, &self.authority(), self.endpoint.tls).await;
                Ok(Box::new(opened.map_err(|cause| self.failed(cause))?))
            }
        }
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        match &self.way {
            Transport::WebSocket { proxy: Some(proxy) } => tunnel::open(proxy, &self.authority()).await,
            Transport::Tcp | Transport::WebSocket { proxy: None } => {
                TcpStream::connect((&*self.endpoint.host, self.endpoint.port)).await
            }
        }
    }

    fn failed(&self, cause: std::io::Error) -> Error {
        Error::Connection { doing: "connecting", host: self.authority(), cause: cause.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_does_not_leave_this_machine() {
        let plain = |host: &str| NamespaceEndpoint { host: host.into(), port: 5672, tls: false };
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(Connector::new(plain(host), Transport::Tcp, None).is_ok(), "{host}");
        }
        for host in ["ns.servicebus.windows.net", "10.0.0.1", "127.0.0.1.example"] {
            assert!(
                matches!(Connector::new(plain(host), Transport::Tcp, None), Err(Error::Settings { .. })),
                "{host}"
            );
        }
    }
}
