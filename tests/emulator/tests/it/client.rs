//! A client written at the level of frames, so that tests can see and say what no library lets them.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use serde_amqp::{
    Value,
    described::Described,
    descriptor::Descriptor,
    primitives::{Binary, OrderedMap, Symbol, Uuid},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const OPEN: u64 = 0x10;
pub(crate) const BEGIN: u64 = 0x11;
pub(crate) const ATTACH: u64 = 0x12;
pub(crate) const FLOW: u64 = 0x13;
pub(crate) const TRANSFER: u64 = 0x14;
pub(crate) const DISPOSITION: u64 = 0x15;
pub(crate) const DETACH: u64 = 0x16;
pub(crate) const END: u64 = 0x17;
pub(crate) const CLOSE: u64 = 0x18;

pub(crate) const ACCEPTED: u64 = 0x24;
pub(crate) const REJECTED: u64 = 0x25;
pub(crate) const RELEASED: u64 = 0x26;

/// How long an answer may take before the test fails; on a busy machine it may be long.
const PATIENCE: Duration = Duration::from_mins(2);

/// A frame from the server.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) code: u64,
    pub(crate) fields: Vec<Value>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn field(&self, index: usize) -> &Value {
        self.fields.get(index).unwrap_or(&Value::Null)
    }

    pub(crate) fn number(&self, index: usize) -> u32 {
        match self.field(index) {
            Value::Uint(number) => *number,
            other => panic!("field {index} of {:#x} is {other:?}, not a number", self.code),
        }
    }

    /// Condition of the error in a field, after checking that the error has all three fields.
    pub(crate) fn condition(&self, index: usize) -> String {
        let error = list(self.field(index));
        assert_eq!(error.len(), 3, "an error needs three fields: {error:?}");
        text(&error[0])
    }

    /// Descriptor of the delivery state of a disposition.
    pub(crate) fn outcome(&self) -> u64 {
        descriptor(self.field(4))
    }

    /// The value of a section of the message in the payload.
    pub(crate) fn section(&self, code: u64) -> Option<Value> {
        sections(&self.payload).into_iter().find(|(found, _)| *found == code).map(|(_, value)| value)
    }
}

/// How a link is to be.
pub(crate) struct Link<'a> {
    pub(crate) handle: u32,
    pub(crate) address: &'a str,
    pub(crate) receiver: bool,
    pub(crate) settle_mode: u8,
    pub(crate) filter: Value,
    pub(crate) properties: Value,
}

impl<'a> Link<'a> {
    pub(crate) fn sender(handle: u32, address: &'a str) -> Self {
        let (filter, properties) = (Value::Null, Value::Null);
        Self { handle, address, receiver: false, settle_mode: 0, filter, properties }
    }

    pub(crate) fn receiver(handle: u32, address: &'a str) -> Self {
        Self { receiver: true, ..Self::sender(handle, address) }
    }
}

/// A connection with one session.
pub(crate) struct Client {
    stream: TcpStream,
    input: BytesMut,
    sent: u32,
}

impl Client {
    /// Opens a connection and a session with a wide window.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        Self::connect_as(address, "test").await
    }

    /// The same with a container id.
    pub(crate) async fn connect_as(address: SocketAddr, container: &str) -> Result<Self> {
        Self::open(address, container, 1 << 20, 65_536).await
    }

    pub(crate) async fn connect_with(address: SocketAddr, window: u32, max_frame: u32) -> Result<Self> {
        Self::open(address, "test", window, max_frame).await
    }

    async fn open(address: SocketAddr, container: &str, window: u32, max_frame: u32) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, input: BytesMut::new(), sent: 0 };
        client.stream.write_all(b"AMQP\x00\x01\x00\x00").await?;
        client.write(OPEN, vec![container.into(), "localhost".into(), Value::Uint(max_frame)], &[]).await?;
        let begin = vec![Value::Null, Value::Uint(0), Value::Uint(window), Value::Uint(1 << 20)];
        client.write(BEGIN, begin, &[]).await?;
        while client.input.len() < 8 {
            client.fill().await?;
        }
        client.input.advance(8);
        client.expect(OPEN).await?;
        client.expect(BEGIN).await?;
        Ok(client)
    }

    pub(crate) async fn write(&mut self, code: u64, fields: Vec<Value>, payload: &[u8]) -> Result<()> {
        let body = encode(&described(code, Value::List(fields)));
        let mut frame = u32::try_from(8 + body.len() + payload.len())?.to_be_bytes().to_vec();
        frame.extend([2, 0, 0, 0]);
        frame.extend(body);
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await?;
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.input));
        ensure!(read.await.context("nothing came from the server")?? > 0, "the server hung up");
        Ok(())
    }

    /// The next frame that is not empty.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(size) = self.input.first_chunk::<4>().map(|size| u32::from_be_bytes(*size) as usize)
                && self.input.len() >= size
            {
                let frame = self.input.split_to(size);
                if size > 8 {
                    return decode(&frame[8..]);
                }
                continue;
            }
            self.fill().await?;
        }
    }

    /// The next frame, which must be of this kind.
    pub(crate) async fn expect(&mut self, code: u64) -> Result<Frame> {
        let frame = self.next().await?;
        ensure!(frame.code == code, "expected {code:#x}, got {frame:?}");
        Ok(frame)
    }

    /// The next frame of this kind; others before it are skipped.
    pub(crate) async fn until(&mut self, code: u64) -> Result<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.code == code {
                return Ok(frame);
            }
        }
    }

    /// The next frame that is more than the confirmation of what this client sent.
    pub(crate) async fn news(&mut self) -> Result<Frame> {
        loop {
            let frame = self.next().await?;
            let confirms = frame.code == DISPOSITION && frame.field(0) == &Value::Bool(true);
            if !confirms {
                return Ok(frame);
            }
        }
    }

    /// Drops what has come and was not looked at, and tells whether there was anything.
    pub(crate) fn drop_unread(&mut self) -> bool {
        let mut any = !self.input.is_empty();
        self.input.clear();
        let mut scrap = [0; 4_096];
        while self.stream.try_read(&mut scrap).is_ok_and(|read| read > 0) {
            any = true;
        }
        any
    }

    /// Whether the server ends the connection without a word.
    pub(crate) async fn is_cut(&mut self) -> bool {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(error) => return !error.to_string().contains("nothing came"),
            }
        }
    }

    pub(crate) async fn attach(&mut self, link: &Link<'_>) -> Result<Frame> {
        self.send_attach(link).await?;
        self.until(ATTACH).await
    }

    pub(crate) async fn send_attach(&mut self, link: &Link<'_>) -> Result<()> {
        let mut ends = [vec!["other".into()], vec![link.address.into()]];
        if link.receiver {
            ends.reverse();
            ends[0].resize(7, Value::Null);
            ends[0].push(link.filter.clone());
        }
        let [source, target] = ends;
        let mut fields = vec![
            format!("link-{}", link.handle).into(),
            Value::Uint(link.handle),
            Value::Bool(link.receiver),
            Value::Ubyte(link.settle_mode),
            Value::Ubyte(1 - link.settle_mode.min(1)),
            described(0x28, Value::List(source)),
            described(0x29, Value::List(target)),
            Value::Null,
            Value::Null,
            Value::Uint(0),
        ];
        fields.extend([Value::Null, Value::Null, Value::Null, link.properties.clone()]);
        self.write(ATTACH, fields, &[]).await
    }

    /// Grants credit. `seen` is how many deliveries of the link were received so far.
    pub(crate) async fn flow(&mut self, handle: u32, seen: u32, credit: u32, drain: bool) -> Result<()> {
        let mut fields = [0, 1 << 20, self.sent, 1 << 20, handle, seen, credit].map(Value::Uint).to_vec();
        fields.extend([Value::Null, Value::Bool(drain)]);
        self.write(FLOW, fields, &[]).await
    }

    /// Sends a message in one frame and returns its delivery number.
    pub(crate) async fn send(&mut self, handle: u32, format: u32, message: &[u8]) -> Result<u32> {
        let delivery = self.sent;
        self.sent += 1;
        let tag = Value::Binary(Binary::from(delivery.to_be_bytes().to_vec()));
        let numbers = [handle, delivery].map(Value::Uint);
        let mut fields = numbers.to_vec();
        fields.extend([tag, Value::Uint(format), Value::Bool(false)]);
        self.write(TRANSFER, fields, message).await?;
        Ok(delivery)
    }

    /// Sends a message and waits for the server's word on it.
    pub(crate) async fn deliver(&mut self, handle: u32, message: &[u8]) -> Result<Frame> {
        self.send(handle, 0, message).await?;
        self.until(DISPOSITION).await
    }

    pub(crate) async fn settle(&mut self, delivery: u32, settled: bool, state: Value) -> Result<()> {
        let numbers = [delivery, delivery].map(Value::Uint);
        let mut fields = vec![Value::Bool(true)];
        fields.extend(numbers);
        fields.extend([Value::Bool(settled), state]);
        self.write(DISPOSITION, fields, &[]).await
    }

    /// Settles and waits for the confirmation.
    pub(crate) async fn confirm(&mut self, delivery: u32, state: Value) -> Result<Frame> {
        self.settle(delivery, false, state).await?;
        self.until(DISPOSITION).await
    }

    /// Attaches both links of a request node, at `handle` and the one after it.
    pub(crate) async fn attach_node(&mut self, handle: u32, address: &str) -> Result<()> {
        self.attach(&Link::sender(handle, address)).await?;
        self.attach(&Link::receiver(handle + 1, address)).await?;
        self.flow(handle + 1, 0, 1_000, false).await
    }

    /// Sends a request on the node at `handle` and returns the answer.
    pub(crate) async fn ask(
        &mut self,
        handle: u32,
        id: Value,
        properties: &[(&str, Value)],
        body: Value,
    ) -> Result<Frame> {
        self.request(handle, id, properties, body).await?;
        self.until(TRANSFER).await
    }

    /// Sends a request on the node at `handle`.
    pub(crate) async fn request(
        &mut self,
        handle: u32,
        id: Value,
        properties: &[(&str, Value)],
        body: Value,
    ) -> Result<()> {
        let mut message = encode(&described(0x73, Value::List(vec![id])));
        let properties = properties.iter().map(|(key, value)| ((*key).into(), value.clone()));
        message.extend(encode(&described(0x74, map(properties))));
        message.extend(encode(&described(0x77, body)));
        self.send(handle, 0, &message).await?;
        Ok(())
    }

    /// Puts a token and returns the status.
    pub(crate) async fn put_token(&mut self, handle: u32, audience: &str, token: &str) -> Result<i32> {
        let properties = [("operation", "put-token".into()), ("name", audience.into())];
        let answer = self.ask(handle, Value::Ulong(1), &properties, token.into()).await?;
        match answer.section(0x74).as_ref().and_then(|map| get(map, "status-code")) {
            Some(Value::Int(status)) => Ok(*status),
            other => bail!("the answer has the status {other:?}"),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Frame> {
    let end = end(bytes, 0);
    match serde_amqp::from_slice::<Value>(&bytes[..end])? {
        Value::Described(described) => {
            let Descriptor::Code(code) = described.descriptor else { bail!("no numeric descriptor") };
            let Value::List(fields) = described.value else { bail!("a performative is a list") };
            Ok(Frame { code, fields, payload: bytes[end..].to_vec() })
        }
        other => bail!("a frame holds {other:?}"),
    }
}

/// Where the described value at `start` ends. Only the encodings that frames and sections have.
fn end(bytes: &[u8], start: usize) -> usize {
    let descriptor = start + 1;
    let value = descriptor + if bytes[descriptor] == 0x80 { 9 } else { 2 };
    let content = value + 1;
    match bytes[value] {
        0x40..=0x45 => content,
        0xa0 | 0xa1 | 0xa3 | 0xc0 | 0xc1 => content + 1 + usize::from(bytes[content]),
        _ => {
            let length = u32::from_be_bytes([0, 1, 2, 3].map(|offset| bytes[content + offset]));
            content + 4 + length as usize
        }
    }
}

/// The sections of a message with their values.
pub(crate) fn sections(bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut sections = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = end(bytes, at);
        let value = serde_amqp::from_slice(&bytes[at..end]).expect("a section can be decoded");
        sections.push((descriptor(&value), inner(value)));
        at = end;
    }
    sections
}

pub(crate) fn described(code: u64, value: Value) -> Value {
    Value::Described(Box::new(Described { descriptor: Descriptor::Code(code), value }))
}

pub(crate) fn descriptor(value: &Value) -> u64 {
    match value {
        Value::Described(described) => match described.descriptor {
            Descriptor::Code(code) => code,
            Descriptor::Name(_) => 0,
        },
        _ => 0,
    }
}

pub(crate) fn inner(value: Value) -> Value {
    match value {
        Value::Described(described) => described.value,
        other => other,
    }
}

/// The fields of a described list.
pub(crate) fn list(value: &Value) -> Vec<Value> {
    match inner(value.clone()) {
        Value::List(fields) => fields,
        other => panic!("{other:?} is not a list"),
    }
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Symbol(symbol) => symbol.as_str().to_owned(),
        other => panic!("{other:?} is not text"),
    }
}

pub(crate) fn map(entries: impl IntoIterator<Item = (Value, Value)>) -> Value {
    let mut map = OrderedMap::new();
    for (key, value) in entries {
        map.insert(key, value);
    }
    Value::Map(map)
}

pub(crate) fn get<'a>(map: &'a Value, key: &str) -> Option<&'a Value> {
    let Value::Map(map) = map else { return None };
    map.get(&Value::from(key)).or_else(|| map.get(&symbol(key)))
}

pub(crate) fn symbol(text: &str) -> Value {
    Value::Symbol(Symbol::from(text))
}

pub(crate) fn uuid(bytes: [u8; 16]) -> Value {
    Value::Uuid(Uuid::from(bytes))
}

pub(crate) fn outcome(code: u64) -> Value {
    described(code, Value::List(Vec::new()))
}

/// A rejection that dead-letters in good form.
pub(crate) fn dead_letter(reason: &str) -> Value {
    let info = map([("DeadLetterReason".into(), reason.into())]);
    let error = vec![symbol("com.microsoft:dead-letter"), Value::Null, info];
    described(REJECTED, Value::List(vec![described(0x1d, Value::List(error))]))
}

pub(crate) fn encode(value: &Value) -> Vec<u8> {
    serde_amqp::to_vec(value).expect("a value of a test can be encoded")
}

/// An encoded message with a body and nothing else.
pub(crate) fn plain(body: &[u8]) -> Vec<u8> {
    encode(&described(0x75, Value::Binary(Binary::from(body.to_vec()))))
}

/// An encoded message of a session.
pub(crate) fn in_session(session: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = vec![Value::Null; 10];
    fields.push(session.into());
    let mut message = encode(&described(0x73, Value::List(fields)));
    message.extend(plain(body));
    message
}
