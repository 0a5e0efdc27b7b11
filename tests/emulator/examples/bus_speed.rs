//! How many messages a second go through the local Service Bus: sent, received and completed by one client.
//!
//! `cargo run --release -p emulator --example bus_speed -- [messages] [bytes]`
//!
//! The client is written by hand at the level of frames, so that the figure is the server's and not that of an
//! AMQP library. It keeps 500 credits open, completes in ranges and waits for every confirmation.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::{Buf, BytesMut};
use emulator::bus::{Options, ServiceBus};
use serde_amqp::{Value, described::Described, descriptor::Descriptor, primitives::Binary};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

const CREDIT: u32 = 500;

/// Messages that may wait in the queue: sending is quicker than receiving, and the queue has a quota.
const BACKLOG: u32 = 2_000;
const QUEUE: &str = "contacts";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figure is what the example is for")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let messages = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let size = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let mut options = Options::default().queue(QUEUE);
    // The client puts no tokens: it is about messages.
    options.access.enforced = false;
    let bus = ServiceBus::start(options).await?;
    let stream = TcpStream::connect(bus.address()).await?;
    stream.set_nodelay(true)?;
    let mut client = Client::new(stream, messages, size);
    let started = Instant::now();
    let run = tokio::spawn(async move { client.run().await });
    let result =
        tokio::time::timeout(Duration::from_mins(5), run).await.context("the run took too long")??;
    result.with_context(|| format!("last seen: {:?}", bus.journal().all().last()))?;
    let elapsed = started.elapsed();
    let left = bus.counts(QUEUE)?;
    if left.active != 0 {
        bail!("{} messages are left in the queue", left.active);
    }
    println!(
        "{messages} messages of {size} bytes in {elapsed:.2?}: {:.0} messages/s sent, received and completed",
        f64::from(messages) / elapsed.as_secs_f64()
    );
    bus.stop().await;
    Ok(())
}

struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    message: Vec<u8>,
    total: u32,
    /// What the server lets us send.
    may_send: u32,
    sent: u32,
    received: u32,
    confirmed: u32,
    /// Received and not yet completed: first and one behind the last.
    open: Option<(u32, u32)>,
    since_flow: u32,
}

impl Client {
    fn new(stream: TcpStream, total: u32, size: usize) -> Self {
        let data = described(0x75, Value::Binary(Binary::from(vec![b'x'; size])));
        let id = Value::String("0123456789abcdef".to_owned());
        let mut message = encode(&described(0x73, Value::List(vec![id])));
        message.extend(encode(&data));
        Self {
            stream,
            out: Vec::new(),
            message,
            total,
            may_send: 0,
            sent: 0,
            received: 0,
            confirmed: 0,
            open: None,
            since_flow: 0,
        }
    }

    fn frame(&mut self, code: u64, fields: Vec<Value>, payload: &[u8]) {
        let body = encode(&described(code, Value::List(fields)));
        let size = u32::try_from(8 + body.len() + payload.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(&size.to_be_bytes());
        self.out.extend_from_slice(&[2, 0, 0, 0]);
        self.out.extend_from_slice(&body);
        self.out.extend_from_slice(payload);
    }

    fn open(&mut self) {
        self.out.extend_from_slice(b"AMQP\x00\x01\x00\x00");
        self.frame(0x10, vec!["speed".into(), "localhost".into(), Value::Uint(65_536)], &[]);
        let window = Value::Uint(1 << 30);
        self.frame(0x11, vec![Value::Null, Value::Uint(0), window.clone(), window], &[]);
        let queue = || Value::List(vec![QUEUE.into()]);
        let (source, target) = (described(0x28, queue()), described(0x29, queue()));
        let ends = |name: &str, handle, receiver, source, target| {
            let modes = [Value::Ubyte(0), Value::Ubyte(1)];
            let mut fields = vec![name.into(), Value::Uint(handle), Value::Bool(receiver)];
            fields.extend(modes);
            fields.extend([source, target, Value::Null, Value::Null, Value::Uint(0)]);
            fields
        };
        self.frame(0x12, ends("out", 0, false, described(0x28, Value::List(Vec::new())), target), &[]);
        self.frame(0x12, ends("in", 1, true, source, described(0x29, Value::List(Vec::new()))), &[]);
        self.grant();
    }

    fn grant(&mut self) {
        let fields = [0, 1 << 30, self.sent, 1 << 30, 1, self.received, CREDIT].map(Value::Uint);
        self.frame(0x13, fields.to_vec(), &[]);
        self.since_flow = 0;
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        self.open();
        let mut input = BytesMut::with_capacity(1 << 20);
        while self.confirmed < self.total {
            self.send();
            self.complete();
            self.stream.write_all(&self.out).await?;
            self.out.clear();
            input.reserve(1 << 16);
            if self.stream.read_buf(&mut input).await? == 0 {
                bail!("the server hung up");
            }
            if input.starts_with(b"AMQP") && input.len() >= 8 {
                input.advance(8);
            }
            while let Some(size) = input.first_chunk::<4>().map(|size| u32::from_be_bytes(*size) as usize)
                && input.len() >= size
            {
                let frame = input.split_to(size);
                self.on_frame(&frame[8..])?;
            }
        }
        Ok(())
    }

    fn send(&mut self) {
        let message = std::mem::take(&mut self.message);
        // A bounded number at a time, so that reading is never put off for long.
        let backlog = BACKLOG.saturating_sub(self.sent - self.received);
        for _ in 0..self.may_send.min(self.total - self.sent).min(backlog).min(256) {
            let tag = Value::Binary(Binary::from(self.sent.to_be_bytes().to_vec()));
            let fields =
                vec![Value::Uint(0), Value::Uint(self.sent), tag, Value::Uint(0), Value::Bool(false)];
            self.frame(0x14, fields, &message);
            self.sent += 1;
            self.may_send -= 1;
        }
        self.message = message;
    }

    fn complete(&mut self) {
        if let Some((first, end)) = self.open.take() {
            let accepted = described(0x24, Value::List(Vec::new()));
            let range = [Value::Uint(first), Value::Uint(end - 1), Value::Bool(false), accepted];
            let mut fields = vec![Value::Bool(true)];
            fields.extend(range);
            self.frame(0x15, fields, &[]);
        }
        if self.since_flow >= CREDIT / 2 {
            self.grant();
        }
    }

    fn on_frame(&mut self, body: &[u8]) -> anyhow::Result<()> {
        if body.is_empty() {
            return Ok(());
        }
        let Value::Described(described) = serde_amqp::from_slice::<Value>(body)? else {
            bail!("a frame is not a performative");
        };
        let (Descriptor::Code(code), Value::List(fields)) = (described.descriptor, described.value) else {
            bail!("a performative is not a list");
        };
        let number = |index: usize| match fields.get(index) {
            Some(Value::Uint(number)) => *number,
            _ => 0,
        };
        match code {
            0x13 if fields.get(4) == Some(&Value::Uint(0)) => {
                self.may_send = (number(5) + number(6)).saturating_sub(self.sent);
            }
            0x10..=0x13 => {}
            0x14 => {
                let delivery = number(1);
                let first = self.open.map_or(delivery, |(first, _)| first);
                self.open = Some((first, delivery + 1));
                self.received += 1;
                self.since_flow += 1;
            }
            0x15 => {
                let Some(Value::Described(outcome)) = fields.get(4) else { bail!("no outcome: {fields:?}") };
                if outcome.descriptor != Descriptor::Code(0x24) {
                    bail!("not accepted: {outcome:?}");
                }
                if fields.first() == Some(&Value::Bool(false)) {
                    self.confirmed += number(2) - number(1) + 1;
                }
            }
            other => bail!("unexpected performative {other:#x}: {fields:?}"),
        }
        Ok(())
    }
}

fn described(code: u64, value: Value) -> Value {
    Value::Described(Box::new(Described { descriptor: Descriptor::Code(code), value }))
}

fn encode(value: &Value) -> Vec<u8> {
    serde_amqp::to_vec(value).unwrap_or_default()
}
