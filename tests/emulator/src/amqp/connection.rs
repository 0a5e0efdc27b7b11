//! One connection: the loop between the socket and the books, and the frames that concern all of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::BytesMut;
use serde_amqp::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

use super::{
    condition::{self, Failure},
    delayed::{Delayed, Late},
    ended::Ended,
    frame::{self, Frame, MAX_FRAME, Performative, code, performative},
    pending::PendingAttach,
    sasl,
    session::{Session, WINDOW},
    value::string,
};
use crate::{
    access::{Grant, Rights},
    handle::{Handle, Order},
    hub::Hub,
    journal::Event,
};

/// Output beyond which nothing more is handed out until the client has read some.
pub(crate) const HIGH_WATER: usize = 1 << 20;

/// Output beyond which nothing more is read: answers must not pile up without bound.
const FULL: usize = 16 << 20;

/// Highest handle of a session.
const HANDLE_MAX: u32 = 4_999;

/// After this long without a frame the service gives a connection up.
const IDLE_TIMEOUT: Duration = Duration::from_mins(4);

/// How far a connection has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// The last frame is written or waits to be written.
    Closing,
    /// Nothing is read any more, and the connection is dropped when what waits is written.
    Leaving,
    /// To be dropped at once.
    Cut,
}

/// The books of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) hub: Arc<Hub>,
    pub(crate) handle: Handle,
    pub(crate) out: Vec<u8>,
    pub(crate) sessions: BTreeMap<u16, Session>,
    pub(crate) pending: Vec<PendingAttach>,
    pub(crate) delayed: Vec<Delayed>,
    pub(crate) max_frame: u32,
    pub(crate) rights: Rights,
    /// Whether a token was ever accepted.
    pub(crate) proved: bool,
    pub(crate) opened: Instant,
    /// When a link was attached or detached last.
    pub(crate) last_link: Option<Instant>,
    heartbeat: Option<Duration>,
    last_sent: Instant,
    last_heard: Instant,
    phase: Phase,
}

/// Serves one connection until it ends.
pub(crate) async fn serve<S>(stream: S, hub: Arc<Hub>, id: u64, handle: Handle)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut connection = Connection::new(Arc::clone(&hub), id, handle);
    let why = connection.run(stream).await;
    connection.release_all();
    hub.leave(id);
    let why = why.err().unwrap_or(Ended::Closed);
    tracing::debug!(connection.id = id, %why, "connection ended");
    hub.journal.record([Event::Closed { connection: id, why: why.to_string() }]);
}

impl Connection {
    fn new(hub: Arc<Hub>, id: u64, handle: Handle) -> Self {
        let now = Instant::now();
        Self {
            id,
            hub,
            handle,
            out: Vec::new(),
            sessions: BTreeMap::new(),
            pending: Vec::new(),
            delayed: Vec::new(),
            max_frame: 512,
            rights: Rights::default(),
            proved: false,
            opened: now,
            last_link: None,
            heartbeat: None,
            last_sent: now,
            last_heard: now,
            phase: Phase::Running,
        }
    }

    async fn run<S>(&mut self, mut stream: S) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let mut input = BytesMut::with_capacity(2 * MAX_FRAME as usize);
        if let Some(grant) = sasl::greet(&mut stream, &mut input, &self.hub.access()).await? {
            self.grant_right(grant);
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut written = 0;
        loop {
            while self.phase == Phase::Running
                && !self.handle.is_silent()
                && self.out.len() < FULL
                && let Some(frame) = frame::read(&mut input).inspect_err(|error| self.complain(error))?
            {
                self.last_heard = Instant::now();
                self.on_frame(frame);
            }
            self.work();
            if self.phase == Phase::Cut {
                return Err(Ended::Cut);
            }
            let silent = self.handle.is_silent();
            if silent && self.phase != Phase::Running {
                return Err(Ended::Silent);
            }
            if matches!(self.phase, Phase::Closing | Phase::Leaving) && self.out.is_empty() {
                writer.shutdown().await?;
                return if self.phase == Phase::Closing { Ok(()) } else { Err(Ended::Cut) };
            }
            let deadline = self.deadline();
            input.reserve(MAX_FRAME as usize);
            tokio::select! {
                biased;
                count = writer.write(&self.out[written..]), if !self.out.is_empty() && !silent => {
                    written += count?;
                    if written == self.out.len() {
                        self.out.clear();
                        written = 0;
                        self.last_sent = Instant::now();
                        writer.flush().await?;
                    }
                }
                count = reader.read_buf(&mut input), if self.out.len() < FULL && !silent => {
                    if self.handle.is_silent() {
                        // It came just as the connection was made silent.
                        continue;
                    }
                    if count? == 0 {
                        return if self.phase == Phase::Closing { Ok(()) } else { Err(Ended::Left) };
                    }
                }
                () = self.handle.woken() => self.look_again(),
                () = tokio::time::sleep_until(deadline) => self.on_time()?,
            }
        }
    }

    /// Adds a right that was proved.
    pub(crate) fn grant_right(&mut self, grant: Grant) {
        self.rights.add(grant);
        self.proved = true;
    }

    /// What has to be done whenever anything happened.
    fn work(&mut self) {
        for order in self.handle.take_orders() {
            self.obey(&order);
        }
        if self.phase != Phase::Running {
            return;
        }
        self.retry_pending();
        self.pump();
        for session in self.sessions.values_mut() {
            session.flush(&mut self.out);
        }
    }

    fn obey(&mut self, order: &Order) {
        match order {
            Order::Cut => self.cut(),
            Order::Detach { target, condition } => self.detach_data(*target, condition),
            Order::Close(condition) => {
                self.close(&Failure::new(condition, "The connection was closed by the service."));
            }
        }
    }

    /// Ends the connection without a word.
    pub(crate) fn cut(&mut self) {
        self.phase = Phase::Cut;
    }

    /// Ends the connection without a word when what was decided so far is written.
    pub(crate) fn cut_after_writing(&mut self) {
        for session in self.sessions.values_mut() {
            session.flush(&mut self.out);
        }
        self.phase = Phase::Leaving;
    }

    /// Closes the connection with a reason.
    pub(crate) fn close(&mut self, failure: &Failure) {
        if self.phase == Phase::Running {
            let error = failure.to_value(self.hub.settings.broken);
            self.emit(0, code::CLOSE, vec![error]);
            self.phase = Phase::Closing;
            // Before the client can read of it: it may come back at once for the same sessions.
            self.release_all();
        }
    }

    fn complain(&mut self, error: &frame::Error) {
        tracing::debug!(connection.id = self.id, %error, "broken frame");
    }

    /// Appends a frame to what is sent next, behind the outcomes that were decided before it.
    pub(crate) fn emit(&mut self, channel: u16, code: u64, fields: Vec<Value>) {
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.flush(&mut self.out);
        }
        frame::write(&mut self.out, 0, channel, &performative(code, fields), &[]);
    }

    /// Appends a frame now or, if a fault says so, later.
    pub(crate) fn emit_after(&mut self, delay: Option<Duration>, channel: u16, body: Vec<u8>) {
        match delay {
            None => frame::write(&mut self.out, 0, channel, &body, &[]),
            Some(delay) => {
                self.delayed.push(Delayed { at: Instant::now() + delay, what: Late::Frame(channel, body) });
            }
        }
    }

    fn on_frame(&mut self, frame: Frame) {
        let Some(performative) = frame.performative else { return };
        let channel = frame.channel;
        match performative.code {
            code::OPEN => self.on_open(&performative),
            code::BEGIN => self.on_begin(channel, &performative),
            code::ATTACH => self.on_attach(channel, performative),
            code::FLOW => self.on_flow(channel, &performative),
            code::TRANSFER => self.on_transfer(channel, &performative, frame.payload),
            code::DISPOSITION => self.on_disposition(channel, performative),
            code::DETACH => self.on_detach(channel, &performative),
            code::END => self.on_end(channel),
            code::CLOSE => {
                if self.phase == Phase::Running {
                    self.emit(0, code::CLOSE, Vec::new());
                }
                self.phase = Phase::Closing;
                self.release_all();
            }
            other => {
                let text = format!("Descriptor {other:#x} is not a performative.");
                self.close(&Failure::new(condition::FRAMING_ERROR, text));
            }
        }
    }

    fn on_open(&mut self, open: &Performative) {
        self.max_frame = open.u32(2).unwrap_or(MAX_FRAME).clamp(512, MAX_FRAME);
        let idle = open.u32(4).filter(|millis| *millis > 0);
        self.heartbeat = idle.map(|millis| Duration::from_millis(u64::from(millis)) / 2);
        let container = open.text(0).unwrap_or_default().to_owned();
        self.handle.set_container(&container);
        self.hub.journal.record([Event::Opened { connection: self.id, container }]);
        let idle = u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        let fields = vec![
            string("contactsync-emulator"),
            Value::Null,
            Value::Uint(MAX_FRAME),
            Value::Ushort(4_999),
            Value::Uint(idle),
        ];
        self.emit(0, code::OPEN, fields);
    }

    fn on_begin(&mut self, channel: u16, begin: &Performative) {
        let session = Session::new(
            channel,
            begin.u32(1).unwrap_or(0),
            begin.u32(2).unwrap_or(0),
            self.hub.settings.broken,
        );
        self.sessions.insert(channel, session);
        let fields = vec![
            Value::Ushort(channel),
            Value::Uint(0),
            Value::Uint(WINDOW),
            Value::Uint(WINDOW),
            Value::Uint(HANDLE_MAX),
        ];
        self.emit(channel, code::BEGIN, fields);
    }

    fn on_end(&mut self, channel: u16) {
        if let Some(mut session) = self.sessions.remove(&channel) {
            session.flush(&mut self.out);
            self.pending.retain(|pending| pending.channel != channel);
            for link in session.links.values() {
                self.release(link);
            }
            self.emit(channel, code::END, Vec::new());
        }
    }

    /// When there is something to do even if nothing comes in.
    fn deadline(&self) -> Instant {
        let heartbeat = self.heartbeat_interval().map(|interval| self.last_sent + interval);
        let delayed = self.delayed.iter().map(|delayed| delayed.at);
        let pending = self.pending.iter().map(|pending| pending.until);
        let silence = [self.last_heard + IDLE_TIMEOUT];
        let patience = self.patience_end();
        let all = heartbeat.into_iter().chain(delayed).chain(pending).chain(patience).chain(silence);
        all.min().unwrap_or(self.last_heard)
    }

    /// How long nothing may be written; nothing is written to a silent connection anyhow.
    fn heartbeat_interval(&self) -> Option<Duration> {
        self.heartbeat.filter(|_| !self.handle.is_silent())
    }

    fn on_time(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if self.last_heard + IDLE_TIMEOUT <= now {
            return Err(Ended::Silent);
        }
        self.lose_patience(now)?;
        if self.heartbeat_interval().is_some_and(|interval| self.last_sent + interval <= now) {
            frame::write(&mut self.out, 0, 0, &[], &[]);
        }
        let (due, waiting) = std::mem::take(&mut self.delayed).into_iter().partition(|frame| frame.at <= now);
        self.delayed = waiting;
        let due: Vec<Delayed> = due;
        for delayed in due {
            match delayed.what {
                Late::Frame(channel, body) => frame::write(&mut self.out, 0, channel, &body, &[]),
                Late::Answer(answer) => self.give(answer),
            }
        }
        Ok(())
    }
}
