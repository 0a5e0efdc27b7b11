//! AMQP inside a WebSocket: the same bytes, in binary messages.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error as WsError, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::stream::Stream;

/// Where the service speaks AMQP.
const PATH: &str = "/$servicebus/websocket";
/// What both sides agree to speak.
const SUBPROTOCOL: &str = "AMQPWSB10";

/// The bytes inside a WebSocket.
#[derive(Debug)]
pub(super) struct WebSocket {
    inner: WebSocketStream<Box<dyn Stream>>,
    /// What of the latest message was not asked for yet.
    unread: Bytes,
}

impl WebSocket {
    /// Asks the service at `authority` (host and port) to speak AMQP on the stream.
    pub(super) async fn open(stream: Box<dyn Stream>, authority: &str, tls: bool) -> io::Result<Self> {
        let scheme = if tls { "wss" } else { "ws" };
        let mut request = format!("{scheme}://{authority}{PATH}").into_client_request().map_err(to_io)?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        let (inner, _) = client_async(request, stream).await.map_err(to_io)?;
        Ok(Self { inner, unread: Bytes::new() })
    }
}

/// The body of a refused upgrade is no part of the error: a proxy's page may hold anything.
fn to_io(error: WsError) -> io::Error {
    match error {
        WsError::Io(error) => error,
        WsError::Http(response) => {
            let status = response.status().as_u16();
            io::Error::other(format!("the upgrade to a websocket was answered with status {status}"))
        }
        WsError::ConnectionClosed | WsError::AlreadyClosed => ErrorKind::ConnectionReset.into(),
        error => io::Error::other(error),
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                // Pings are answered beneath us.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    let what = "a websocket that carries amqp sent text";
                    return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, what)));
                }
                Some(Err(error)) => return Poll::Ready(Err(to_io(error))),
            }
        }
        let count = self.unread.len().min(out.remaining());
        out.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(to_io)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.inner).start_send(message).map_err(to_io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.inner).poll_close(cx)) {
            // The peer was quicker.
            Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(to_io(error))),
        }
    }
}
