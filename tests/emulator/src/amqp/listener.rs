//! Takes connections, finds out what they speak and gives each a task of its own.
//!
//! Every port takes AMQP, AMQP over web sockets and HTTP alike; the first bytes tell. That is because some SDKs
//! insist on one port for all of them.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    connection::serve,
    rewind::{Rewind, Stream},
    websocket,
};
use crate::{handle::Handle, hub::Hub};

/// Pause after a failed accept, so that a lack of file handles does not make the loop spin.
const BREATH: Duration = Duration::from_millis(50);

/// How long a new connection may take to say what it speaks.
const GREETING_TIME: Duration = Duration::from_secs(20);

/// Longest head of an HTTP request that is looked at.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where connections that speak HTTP go.
pub(crate) type HttpSender = mpsc::Sender<Rewind>;

/// Takes connections until it is dropped; connections end with it.
pub(crate) async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, hub: Arc<Hub>, http: HttpSender) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(take(stream, tls.clone(), Arc::clone(&hub), http.clone()));
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

async fn take(stream: TcpStream, tls: Option<TlsAcceptor>, hub: Arc<Hub>, http: HttpSender) {
    let id = hub.next_id();
    let Some(handle) = hub.enter(id) else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not switch delays off");
    }
    let spoken = tokio::time::timeout(GREETING_TIME, find_out(stream, tls)).await;
    match spoken {
        Ok(Ok(Spoken::Amqp(stream))) => serve(stream, hub, id, handle).await,
        Ok(Ok(Spoken::WebSocket(stream))) => upgrade(stream, hub, id, handle).await,
        Ok(Ok(Spoken::Http(stream))) => {
            hub.leave(id);
            // The receiver is gone only when everything ends.
            http.send(stream).await.ok();
        }
        Ok(Err(error)) => {
            hub.leave(id);
            tracing::debug!(%error, "a connection ended before it said anything");
        }
        Err(_) => hub.leave(id),
    }
}

async fn upgrade(stream: Rewind, hub: Arc<Hub>, id: u64, handle: Handle) {
    match websocket::accept(stream).await {
        Ok(stream) => serve(stream, hub, id, handle).await,
        Err(error) => {
            hub.leave(id);
            tracing::debug!(%error, "a WebSocket was not opened");
        }
    }
}

/// What a client speaks.
enum Spoken {
    Amqp(Rewind),
    WebSocket(Rewind),
    Http(Rewind),
}

async fn find_out(stream: TcpStream, tls: Option<TlsAcceptor>) -> std::io::Result<Spoken> {
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(acceptor) => Box::new(acceptor.accept(stream).await?),
    };
    let mut seen = BytesMut::new();
    while seen.len() < 4 {
        fill(&mut stream, &mut seen).await?;
    }
    if seen.starts_with(b"AMQP") {
        return Ok(Spoken::Amqp(Rewind::new(seen.freeze(), stream)));
    }
    while seen.len() < LONGEST_HEAD && !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        fill(&mut stream, &mut seen).await?;
    }
    let head = String::from_utf8_lossy(&seen);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let path = path.replace("%24", "$");
    let amqp = path.starts_with(websocket::PATH);
    let stream = Rewind::new(seen.freeze(), stream);
    Ok(if amqp { Spoken::WebSocket(stream) } else { Spoken::Http(stream) })
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), seen: &mut BytesMut) -> std::io::Result<()> {
    match stream.read_buf(seen).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
