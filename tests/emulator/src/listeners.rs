//! The two ports of a local service that speaks HTTP, one of them with TLS.

use std::{io, net::SocketAddr, sync::Arc};

use thiserror::Error;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::{
    ca::{self, Ca},
    web,
};

/// Why the ports could not be opened.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The certificate could not be made.
    #[error("prepare the certificate")]
    Certificate(#[from] ca::Error),
    /// The port is taken, or not ours to take.
    #[error("listen on {address}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Ports that are taken, and at which nobody is served yet.
pub(crate) struct BoundPorts {
    plain: TcpListener,
    secure: TcpListener,
    tls: TlsAcceptor,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// Both ports, being served. Dropping them ends that.
#[derive(Debug)]
pub(crate) struct Listeners {
    http: SocketAddr,
    https: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl BoundPorts {
    /// Takes both ports; the certificate is for these names.
    pub(crate) async fn bind(
        [http, https]: [SocketAddr; 2],
        names: &[impl AsRef<str>],
        ca: &Ca,
    ) -> Result<Self, ListenError> {
        let mut tls = (*ca.server_config(names)?).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let bind = async |address| {
            web::bind(address).await.map_err(|source| ListenError::Listen { address, source })
        };
        let (plain, http) = bind(http).await?;
        let (secure, https) = bind(https).await?;
        Ok(Self { plain, secure, tls: TlsAcceptor::from(Arc::new(tls)), http, https })
    }

    /// Serves at both.
    pub(crate) fn serve<V: web::Service>(self, service: &Arc<V>) -> Listeners {
        let Self { plain, secure, tls, http, https } = self;
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(web::listen(plain, None, Arc::clone(service), stopped.clone())),
            tokio::spawn(web::listen(secure, Some(tls), Arc::clone(service), stopped)),
        ];
        Listeners { http, https, stop, tasks }
    }
}

impl Listeners {
    /// `http://127.0.0.1:port`.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// `https://localhost:port`.
    pub(crate) fn https_url(&self) -> String {
        format!("https://localhost:{}", self.https.port())
    }

    /// Stops listening, drops every connection and returns when no new one can be made.
    pub(crate) async fn stop(&mut self) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a listener had failed");
            }
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
