//! AMQP over web sockets: the same bytes, inside binary messages.

use std::{
    io::{Error, Result},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode},
    },
};

use super::rewind::Rewind;

/// Path on which AMQP is spoken.
pub(crate) const PATH: &str = "/$servicebus/websocket";

/// The subprotocol that clients ask for.
const PROTOCOL: &str = "AMQPWSB10";

const PROTOCOL_HEADER: &str = "sec-websocket-protocol";

/// The bytes inside a WebSocket.
pub(crate) struct WebSocket {
    inner: WebSocketStream<Rewind>,
    unread: Bytes,
}

/// Upgrades an HTTP connection.
pub(crate) async fn accept(stream: Rewind) -> std::result::Result<WebSocket, Box<WsError>> {
    let inner = tokio_tungstenite::accept_hdr_async(stream, agree).await.map_err(Box::new)?;
    Ok(WebSocket { inner, unread: Bytes::new() })
}

/// Agrees to the upgrade if the client asks for the one subprotocol there is.
#[expect(clippy::result_large_err, reason = "the library prescribes the type")]
fn agree(request: &Request, mut response: Response) -> std::result::Result<Response, ErrorResponse> {
    let asked = request.headers().get_all(PROTOCOL_HEADER).iter().filter_map(|value| value.to_str().ok());
    if asked.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == PROTOCOL) {
        response.headers_mut().insert(PROTOCOL_HEADER, HeaderValue::from_static(PROTOCOL));
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some(format!("the subprotocol {PROTOCOL} is required")));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

fn io(error: WsError) -> Error {
    match error {
        WsError::Io(error) => error,
        error => Error::other(error),
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io(error))),
            }
        }
        let count = self.unread.len().min(out.remaining());
        out.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(io)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.inner).start_send(message).map_err(io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx).map_err(io)
    }
}
