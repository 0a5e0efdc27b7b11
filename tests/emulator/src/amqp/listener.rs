//! Takes connections and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::connection::serve;
use crate::hub::Hub;

/// Pause after a failed accept, so that a lack of file handles does not make the loop spin.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections until it is dropped; connections end with it.
pub(crate) async fn listen(listener: TcpListener, hub: Arc<Hub>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(take(stream, Arc::clone(&hub)));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not take a connection");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn take(stream: TcpStream, hub: Arc<Hub>) {
    let id = hub.next_id();
    let Some(handle) = hub.enter(id) else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not switch delays off");
    }
    serve(stream, hub, id, handle).await;
}
