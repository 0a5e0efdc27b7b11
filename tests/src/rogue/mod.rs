//! A Service Bus that means harm: it speaks just enough AMQP to be listened to, and then says what a test wants.
//!
//! One that is on the way to the real one, or has taken its place, can do all of this. The worker must not end, must not
//! grow, and must say what is wrong. Everything it sends is written byte by byte by [`encode`].

pub mod encode;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use fe2o3_amqp_types::{
    definitions::{Handle, Role},
    messaging::{Body, Message, MessageId, TargetArchetype, message::__private::Deserializable},
    performatives::{Attach, Performative, Transfer},
    primitives::SimpleValue,
};
use serde::Deserialize as _;
use serde_amqp::{Value, de::Deserializer, read::IoReader};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::encode::{FALSE, NULL, TRUE, binary, described, frame, int, list, map, symbol, text, uint};

/// The queue it pretends to have.
pub const QUEUE: &str = "contacts";

/// What it does.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Bytes in answer to the first frame of a connection, after which it says nothing more.
    pub greeting: Option<Vec<u8>>,
    /// Encoded messages over the receiving link, on each connection.
    pub messages: Vec<Vec<u8>>,
    /// What it sends on the receiving link after them.
    pub flood: Option<Flood>,
    /// Encoded messages for whoever looks; numbered from 1.
    pub peeked: Vec<Vec<u8>>,
    /// An encoded message in place of its answers to questions about messages and locks.
    pub answer: Option<Vec<u8>>,
    /// The session that it says it gives to whoever attaches a receiving link; without one it knows nothing of filters.
    pub session: Option<String>,
    /// A performative that nobody expects, as soon as a link is attached.
    pub surprise: Option<Vec<u8>>,
}

/// What has no end.
#[derive(Clone, Copy, Debug)]
pub enum Flood {
    /// One message in pieces of so many bytes.
    Endless(usize),
    /// Messages, whatever the credit is.
    Uncalled,
}

/// What was done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections so far.
    pub connections: usize,
    /// Dead-letter reasons in the order in which they came, with their texts.
    pub dead: Vec<(String, String)>,
    /// Links that were detached by the other side.
    pub detached: usize,
    /// Bytes of the flood.
    pub flooded: usize,
    /// Questions that named the receiving link they are about.
    pub associated: usize,
}

/// A running one.
pub struct Rogue {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    listening: JoinHandle<()>,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Rogue {
    /// Starts it on a free port.
    pub async fn start(behaviour: Behaviour) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::<Mutex<Seen>>::default();
        let noting = Arc::clone(&seen);
        let listening = tokio::spawn(async move {
            let behaviour = Arc::new(behaviour);
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                note(&noting, |seen| seen.connections += 1);
                let connection = Connection::new(stream, Arc::clone(&behaviour), Arc::clone(&noting));
                connections.spawn(connection.serve());
            }
        });
        Ok(Self { port, seen, listening })
    }

    /// How a worker reaches it.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!(
            "Endpoint=sb://localhost:{};SharedAccessKeyName=worker;SharedAccessKey=WORKER_KEY;\
             UseDevelopmentEmulator=true",
            self.port
        )
    }

    /// What was done to it so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something was done to it.
    pub async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let deadline = Instant::now() + crate::PATIENCE;
        loop {
            let seen = self.seen();
            if holds(&seen) {
                return Ok(seen);
            }
            ensure!(Instant::now() < deadline, "never: {what}; seen: {seen:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn note(seen: &Mutex<Seen>, change: impl FnOnce(&mut Seen)) {
    change(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
}

struct Connection {
    stream: TcpStream,
    behaviour: Arc<Behaviour>,
    seen: Arc<Mutex<Seen>>,
    /// Where answers go, by the address that they are asked for at.
    replies: HashMap<String, (u16, u32)>,
    /// The receiving link, and whether it had its messages.
    receiving: Option<(u16, u32)>,
    /// Its name.
    name: String,
    done: bool,
    next: u32,
}

impl Connection {
    fn new(stream: TcpStream, behaviour: Arc<Behaviour>, seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            stream,
            behaviour,
            seen,
            replies: HashMap::new(),
            receiving: None,
            name: String::new(),
            done: false,
            next: 0,
        }
    }

    /// Until the other side has had enough; why does not matter.
    async fn serve(mut self) {
        drop(self.speak().await);
    }

    async fn speak(&mut self) -> Result<()> {
        self.stream.read_exact(&mut [0; 8]).await?;
        self.stream.write_all(b"AMQP\x03\x01\x00\x00").await?;
        let name = [&[0xe0, 12, 1, 0xa3, 9][..], b"ANONYMOUS"].concat();
        self.stream.write_all(&frame(1, 0, &described(0x40, &list(&[&name])), &[])).await?;
        self.frame().await?;
        self.stream.write_all(&frame(1, 0, &described(0x44, &list(&[&[0x50, 0]])), &[])).await?;
        self.stream.read_exact(&mut [0; 8]).await?;
        self.stream.write_all(b"AMQP\x00\x01\x00\x00").await?;
        loop {
            let (channel, body) = self.frame().await?;
            if let Some(greeting) = self.behaviour.greeting.clone() {
                self.stream.write_all(&greeting).await?;
                // Nothing more is said; the other side decides when to go.
                while self.stream.read(&mut [0; 1_024]).await? > 0 {}
                return Ok(());
            }
            if body.is_empty() {
                continue;
            }
            let mut rest = &body[..];
            let performative = Performative::deserialize(&mut Deserializer::new(IoReader::new(&mut rest)))?;
            self.answer(channel, performative, rest).await?;
        }
    }

    async fn frame(&mut self) -> Result<(u16, Vec<u8>)> {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).await?;
        let [size @ .., _, _, high, low] = head;
        let size = usize::try_from(u32::from_be_bytes(size))?;
        let mut body = vec![0; size.saturating_sub(8)];
        self.stream.read_exact(&mut body).await?;
        Ok((u16::from_be_bytes([high, low]), body))
    }

    async fn say(&mut self, channel: u16, code: u8, fields: &[&[u8]], payload: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(&frame(0, channel, &described(code, &list(fields)), payload)).await?)
    }

    async fn answer(&mut self, channel: u16, said: Performative, payload: &[u8]) -> Result<()> {
        match said {
            Performative::Open(_) => self.say(0, 0x10, &[&text("rogue"), NULL, &uint(65_536)], &[]).await,
            Performative::Begin(_) => {
                let [high, low] = channel.to_be_bytes();
                let fields = [&[0x60, high, low][..], &uint(0), &uint(5_000), &uint(5_000), &uint(255)];
                self.say(channel, 0x11, &fields, &[]).await
            }
            Performative::Attach(attach) => self.attach(channel, *Box::new(attach)).await,
            Performative::Flow(flow) => {
                let place = flow.handle.map(|Handle(handle)| (channel, handle));
                let credit = flow.link_credit.unwrap_or_default();
                match self.receiving.filter(|receiving| Some(*receiving) == place) {
                    Some(place) if credit > 0 && !self.done => self.attack(place).await,
                    _ => Ok(()),
                }
            }
            Performative::Transfer(transfer) => self.asked(channel, &transfer, payload).await,
            Performative::Detach(detach) => {
                note(&self.seen, |seen| seen.detached += 1);
                self.say(channel, 0x16, &[&uint(detach.handle.0), TRUE], &[]).await
            }
            Performative::End(_) => self.say(channel, 0x17, &[], &[]).await,
            Performative::Close(_) => {
                self.say(0, 0x18, &[], &[]).await?;
                bail!("closed")
            }
            Performative::Disposition(_) => Ok(()),
        }
    }

    async fn attach(&mut self, channel: u16, attach: Attach) -> Result<()> {
        let handle = attach.handle.0;
        let receives = attach.role == Role::Receiver;
        let source = attach.source.and_then(|source| source.address).unwrap_or_default();
        let target = match attach.target.as_deref() {
            Some(TargetArchetype::Target(target)) => target.address.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let end = |code, address: &str| described(code, &list(&[&text(address)]));
        let origin = match &self.behaviour.session {
            Some(session) => {
                let filter = map(&[&symbol("com.microsoft:session-filter"), &text(session)]);
                let fields = [&text(&source)[..], NULL, NULL, NULL, NULL, NULL, NULL, &filter];
                described(0x28, &list(&fields))
            }
            None => end(0x28, &source),
        };
        let fields = [
            &text(&attach.name)[..],
            &uint(handle),
            if receives { FALSE } else { TRUE },
            &[0x50, 0],
            &[0x50, 0],
            &origin,
            &end(0x29, &target),
            NULL,
            FALSE,
            if receives { &[0x43] } else { NULL },
        ];
        self.say(channel, 0x12, &fields, &[]).await?;
        if let Some(surprise) = self.behaviour.surprise.clone() {
            self.stream.write_all(&frame(0, channel, &surprise, &[])).await?;
        }
        if !receives {
            let fields =
                [&uint(0), &uint(5_000), &uint(1), &uint(5_000), &uint(handle), &uint(0), &uint(1_000)];
            return self.say(channel, 0x13, &fields.map(|field| &field[..]), &[]).await;
        }
        if source.contains('$') && source.contains("management") || source == "$cbs" {
            self.replies.insert(target, (channel, handle));
        } else {
            self.receiving = Some((channel, handle));
            self.name = attach.name;
        }
        Ok(())
    }

    /// Sends a message in frames of a usual size.
    async fn deliver(&mut self, (channel, handle): (u16, u32), encoded: &[u8]) -> Result<()> {
        let number = self.next;
        self.next += 1;
        let tag = binary(uuid::Uuid::from_u128(u128::from(number) + 1).as_bytes());
        let mut pieces = encoded.chunks(60_000).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let more = pieces.peek().is_some();
            let flag = if more { TRUE } else { FALSE };
            let fields = [&uint(handle)[..], &uint(number), &tag, &uint(0), FALSE, flag];
            self.say(channel, 0x14, &fields, piece).await?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn attack(&mut self, place: (u16, u32)) -> Result<()> {
        self.done = true;
        for message in self.behaviour.messages.clone() {
            self.deliver(place, &message).await?;
        }
        match self.behaviour.flood {
            None => Ok(()),
            Some(Flood::Uncalled) => loop {
                self.deliver(place, &encode::data(b"{}")).await?;
                note(&self.seen, |seen| seen.flooded += 1);
            },
            Some(Flood::Endless(size)) => {
                let (channel, handle) = place;
                let tag = binary(&[1; 16]);
                let piece = vec![b'a'; size];
                loop {
                    let fields = [&uint(handle)[..], &uint(self.next), &tag, &uint(0), FALSE, TRUE];
                    self.say(channel, 0x14, &fields, &piece).await?;
                    note(&self.seen, |seen| seen.flooded += size.max(1));
                }
            }
        }
    }

    /// Answers a question.
    async fn asked(&mut self, channel: u16, transfer: &Transfer, payload: &[u8]) -> Result<()> {
        let number = transfer.delivery_id.unwrap_or_default();
        let accepted = described(0x24, &list(&[]));
        self.say(channel, 0x15, &[TRUE, &uint(number), &uint(number), TRUE, &accepted], &[]).await?;
        let Deserializable(message) =
            serde_amqp::from_slice::<Deserializable<Message<Body<Value>>>>(payload)?;
        let asked = message.properties.context("a question has properties")?;
        let Some(place) = asked.reply_to.and_then(|to| self.replies.get(&to).copied()) else { return Ok(()) };
        let Some(MessageId::String(id)) = asked.message_id else { return Ok(()) };
        let property = |name| match message.application_properties.as_ref().and_then(|all| all.0.get(name)) {
            Some(SimpleValue::String(text)) => text.as_str(),
            _ => "",
        };
        let operation = property("operation").trim_start_matches("com.microsoft:");
        if !self.name.is_empty() && property("associated-link-name") == self.name {
            note(&self.seen, |seen| seen.associated += 1);
        }
        let body = match &message.body {
            Body::Value(value) => value.0.clone(),
            _ => Value::Null,
        };
        let properties = described(0x73, &list(&[NULL, NULL, NULL, NULL, NULL, &text(&id)]));
        if operation != "put-token"
            && let Some(answer) = &self.behaviour.answer
        {
            let answer = [&properties[..], answer].concat();
            return self.deliver(place, &answer).await;
        }
        let (status, body) = match operation {
            "peek-message" => self.look(&body),
            "update-disposition" => {
                let part = |name: &str| entry(&body, name).and_then(as_text).unwrap_or_default();
                note(&self.seen, |seen| {
                    seen.dead.push((part("deadletter-reason"), part("deadletter-description")));
                });
                (200, map(&[]))
            }
            _ => (200, map(&[])),
        };
        let answer = map(&[&text("statusCode"), &int(status), &text("statusDescription"), &text("so be it")]);
        let answer = [properties, described(0x74, &answer), described(0x77, &body)].concat();
        self.deliver(place, &answer).await
    }

    fn look(&self, asked: &Value) -> (i32, Vec<u8>) {
        let number = |name| match entry(asked, name) {
            Some(Value::Long(number)) => *number,
            Some(Value::Int(number)) => i64::from(*number),
            _ => 1,
        };
        let from = usize::try_from(number("from-sequence-number").max(1)).unwrap_or(usize::MAX);
        let count = usize::try_from(number("message-count")).unwrap_or_default();
        let entries: Vec<_> = self.behaviour.peeked.iter().skip(from - 1).take(count).collect();
        if entries.is_empty() {
            return (204, NULL.to_vec());
        }
        let entries: Vec<_> =
            entries.into_iter().map(|encoded| map(&[&text("message"), &binary(encoded)])).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        (200, map(&[&text("messages"), &list(&entries)]))
    }
}

fn entry<'a>(map: &'a Value, key: &str) -> Option<&'a Value> {
    match map {
        Value::Map(map) => map.get(&Value::String(key.to_owned())),
        _ => None,
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
