//! The greeting: protocol headers and SASL.

use bytes::{Buf, BytesMut};
use serde_amqp::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    ended::Ended,
    frame::{self, Performative, code, performative},
    value::{array, bytes, symbol},
};
use crate::access::{Access, Grant};

const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

/// In the order in which the service offers them.
const MECHANISMS: [&str; 4] = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];

/// Greets a client; afterwards the stream carries AMQP frames. Returns the right that a rule's key gives.
pub(crate) async fn greet<S>(
    stream: &mut S,
    input: &mut BytesMut,
    access: &Access,
) -> Result<Option<Grant>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut grant = None;
    let mut header = take_header(stream, input).await?;
    if header == SASL_HEADER {
        let offered = array(MECHANISMS.iter().map(|name| symbol(name)).collect());
        let mut out = SASL_HEADER.to_vec();
        frame::write(&mut out, 1, 0, &performative(code::SASL_MECHANISMS, vec![offered]), &[]);
        send(stream, &out).await?;
        let init = read_init(stream, input).await?;
        let accepted = match init.text(0) {
            Some("MSSBCBS" | "ANONYMOUS") => true,
            Some("PLAIN") => {
                grant = plain(&init, access);
                grant.is_some()
            }
            _ => false,
        };
        let outcome = vec![Value::Ubyte(u8::from(!accepted))];
        out.clear();
        frame::write(&mut out, 1, 0, &performative(code::SASL_OUTCOME, outcome), &[]);
        send(stream, &out).await?;
        if !accepted {
            return Err(Ended::Greeting("the client did not authenticate"));
        }
        header = take_header(stream, input).await?;
    }
    // Whatever the client asked for, it is told what this server speaks.
    send(stream, &AMQP_HEADER).await?;
    if header == AMQP_HEADER { Ok(grant) } else { Err(Ended::Greeting("the client does not speak AMQP 1.0")) }
}

/// Rule name and key, between zero bytes.
fn plain(init: &Performative, access: &Access) -> Option<Grant> {
    let response = bytes(init.get(1))?;
    let mut parts = response.split(|byte| *byte == 0).skip(1).map(std::str::from_utf8);
    let (name, key) = (parts.next()?.ok()?, parts.next()?.ok()?);
    access.check_plain(name, key)
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Ended> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    Ok(())
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut) -> Result<(), Ended> {
    if stream.read_buf(input).await? == 0 { Err(Ended::Left) } else { Ok(()) }
}

async fn take_header<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut) -> Result<[u8; 8], Ended> {
    loop {
        if let Some(header) = input.first_chunk::<8>().copied() {
            input.advance(header.len());
            return Ok(header);
        }
        fill(stream, input).await?;
    }
}

async fn read_init<S>(stream: &mut S, input: &mut BytesMut) -> Result<Performative, Ended>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(frame) = frame::read(input)? {
            return match frame.performative {
                Some(performative) if performative.code == code::SASL_INIT => Ok(performative),
                _ => Err(Ended::Greeting("the client did not choose a mechanism")),
            };
        }
        fill(stream, input).await?;
    }
}
