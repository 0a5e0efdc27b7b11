//! Traces: what became of one message, span by span.
//!
//! A message that is traced has a root span `process`, whose parent is the sender's span if the message names one
//! (`traceparent`, or `Diagnostic-Id` as Microsoft's SDKs write it). Below it lie `receive`, `decode`, `plan`, `apply`
//! with the calls to Graph, and `settle`.
//!
//! A merged write is one `apply` span: it is a child of the oldest traced message in it and linked to the others, and
//! each of the others links back. Telling it once for every message would show calls to Graph that never were.
//!
//! Without an exporter, and for messages that are not sampled, nothing of this is made.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use servicebus::{Message, MessagingSystem, clock};
use shared::{ids::UserId, outcome::Outcome, shown};
use tokio::sync::mpsc;

use super::{labels::Ended, values::Counter};

/// Spans that wait for export. More than that is lost and counted.
pub const ROOM: usize = 4_096;

/// What names a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
}

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanRole {
    /// Something inside.
    Internal,
    /// A call to somebody else.
    Client,
    /// Work on a message.
    Consumer,
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its name among spans.
    pub context: SpanContext,
    /// The span above it.
    pub parent: Option<[u8; 8]>,
    /// What was done.
    pub name: &'static str,
    /// What it stands for.
    pub kind: SpanRole,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is to be known about it.
    pub attributes: Vec<(&'static str, String)>,
    /// Spans that it belongs to as well.
    pub links: Vec<SpanContext>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Makes spans of the messages that are sampled.
#[derive(Debug)]
pub struct Tracer {
    spans: mpsc::Sender<Span>,
    ratio: f64,
    system: MessagingSystem,
    /// Spans for which there was no room.
    lost: Counter,
}

/// A message that is traced.
pub struct MessageTrace {
    tracer: Arc<Tracer>,
    /// Its root span.
    pub context: SpanContext,
    parent: Option<[u8; 8]>,
    start: Timestamp,
    links: Vec<SpanContext>,
}

/// A write that carries a message that is traced.
pub struct WriteTrace {
    tracer: Arc<Tracer>,
    context: SpanContext,
    parent: [u8; 8],
    links: Vec<SpanContext>,
}

tokio::task_local! {
    /// The write that this task makes, if it is traced.
    static WRITE: WriteTrace;
}

impl SpanContext {
    fn child(self) -> Self {
        Self { span: rand::random(), ..self }
    }

    /// Reads `00-<trace>-<span>-<flags>`; tells also whether the sender has sampled.
    fn parse(text: &str) -> Option<(Self, bool)> {
        let mut parts = text.trim().split('-');
        let version = parts.next()?;
        let (trace, span) = (bytes::<16>(parts.next()?)?, bytes::<8>(parts.next()?)?);
        let [flags] = bytes::<1>(parts.next()?)?;
        let usable = version.len() == 2 && version != "ff" && trace != [0; 16] && span != [0; 8];
        usable.then_some((Self { trace, span }, flags & 1 == 1))
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Tracer {
    /// A tracer of this share of the messages of a system, and where its spans come out.
    #[must_use]
    pub fn new(ratio: f64, system: MessagingSystem) -> (Self, mpsc::Receiver<Span>) {
        let (spans, ended) = mpsc::channel(ROOM);
        (Self { spans, ratio, system, lost: Counter::default() }, ended)
    }

    /// Begins to trace a message, if it is to be. The sender's decision counts; without one, chance decides.
    #[must_use]
    pub fn begin(self: &Arc<Self>, message: &Message, start: Timestamp) -> Option<Box<MessageTrace>> {
        let text = |name| message.properties.text(name).and_then(SpanContext::parse);
        let sender = ["traceparent", "Diagnostic-Id"].into_iter().find_map(text);
        let (context, parent) = match sender {
            Some((context, true)) => (context.child(), Some(context.span)),
            None if rand::random::<f64>() < self.ratio => {
                (SpanContext { trace: rand::random(), span: rand::random() }, None)
            }
            Some((_, false)) | None => return None,
        };
        Some(Box::new(MessageTrace { tracer: Arc::clone(self), context, parent, start, links: Vec::new() }))
    }

    /// Tells of a span; never waits.
    fn tell(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.lost.add(1);
        }
    }

    /// Spans for which there was no room since this was last asked.
    pub fn take_lost(&self) -> u64 {
        self.lost.take()
    }

    /// The span of a write that carries these messages, which link back to it; `None` if none of them is traced.
    #[must_use]
    pub fn write(traced: &mut [Box<MessageTrace>]) -> Option<WriteTrace> {
        let (first, others) = traced.split_first_mut()?;
        let context = first.context.child();
        let links = others.iter_mut().map(|other| {
            other.links.push(context);
            other.context
        });
        let links = links.collect();
        Some(WriteTrace { tracer: Arc::clone(&first.tracer), context, parent: first.context.span, links })
    }
}

impl MessageTrace {
    /// A part of the work, all within this process.
    pub fn part(&self, name: &'static str, start: Timestamp, end: Timestamp) {
        self.child(name, SpanRole::Internal, start, end, None);
    }

    /// The message is settled: tells of the settlement, and of the whole.
    ///
    /// `ids` are those of contact, user and job, by the names of their attributes.
    pub fn settled(
        self,
        message: &Message,
        ids: impl IntoIterator<Item = (&'static str, String)>,
        destination: &str,
        asked: Timestamp,
        outcome: Option<&Outcome>,
    ) {
        let end = clock::now();
        let ended = outcome.map_or(Ended::UNSETTLED, Ended::from);
        let lost = outcome.is_none().then(|| "the settlement did not reach the queue".to_owned());
        self.child("settle", SpanRole::Client, asked, end, lost);
        let system = self.tracer.system;
        let mut attributes = vec![
            ("messaging.system", system.name.to_owned()),
            ("messaging.operation.name", "process".to_owned()),
            ("messaging.operation.type", "process".to_owned()),
            ("messaging.destination.name", destination.to_owned()),
            (system.delivery_count, message.delivery_count.to_string()),
            ("message.sequence", message.sequence.to_string()),
            ("outcome", ended.outcome.to_owned()),
        ];
        attributes.extend(ids);
        let ids = [
            ("messaging.message.id", &message.message_id),
            ("messaging.message.conversation_id", &message.correlation_id),
        ];
        attributes.extend(
            ids.into_iter().filter_map(|(name, id)| Some((name, shown::id(id.as_deref()?).into_owned()))),
        );
        if !ended.reason.is_empty() {
            attributes.push(("reason", ended.reason.to_owned()));
        }
        let failure = match outcome {
            Some(Outcome::DeadLettered(letter)) => Some(letter.description.as_str().to_owned()),
            _ => None,
        };
        self.tracer.tell(Span {
            context: self.context,
            parent: self.parent,
            name: "process",
            kind: SpanRole::Consumer,
            start: self.start,
            end,
            attributes,
            links: self.links,
            failure,
        });
    }

    fn child(
        &self,
        name: &'static str,
        kind: SpanRole,
        start: Timestamp,
        end: Timestamp,
        failure: Option<String>,
    ) {
        self.tracer.tell(Span {
            context: self.context.child(),
            parent: Some(self.context.span),
            name,
            kind,
            start,
            end,
            attributes: Vec::new(),
            links: Vec::new(),
            failure,
        });
    }
}

impl WriteTrace {
    /// Makes the write in its span, below which calls find their place by [`call`].
    pub async fn around<T>(
        self,
        user: UserId,
        changes: usize,
        write: impl Future<Output = T>,
        failure: impl FnOnce(&T) -> Option<String>,
    ) -> T {
        let start = clock::now();
        let (tracer, context) = (Arc::clone(&self.tracer), self.context);
        let (parent, links) = (Some(self.parent), self.links.clone());
        let ended = WRITE.scope(self, write).await;
        tracer.tell(Span {
            context,
            parent,
            name: "apply",
            kind: SpanRole::Internal,
            start,
            end: clock::now(),
            attributes: vec![("changes", changes.to_string()), ("user.id", user.to_string())],
            links,
            failure: failure(&ended),
        });
        ended
    }
}

/// Tells of a call that this task has made for a write that is traced. The attributes are asked for only then.
pub fn call(
    name: &'static str,
    start: Timestamp,
    attributes: impl FnOnce() -> (Vec<(&'static str, String)>, Option<String>),
) {
    // Outside of a traced write there is nothing to tell.
    let _traced = WRITE.try_with(|write| {
        let (attributes, failure) = attributes();
        write.tracer.tell(Span {
            context: write.context.child(),
            parent: Some(write.context.span),
            name,
            kind: SpanRole::Client,
            start,
            end: clock::now(),
            attributes,
            links: Vec::new(),
            failure,
        });
    });
}

/// Whether this task makes a write that is traced.
#[must_use]
pub fn is_on() -> bool {
    WRITE.try_with(|_| ()).is_ok()
}

impl fmt::Debug for MessageTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageTrace").field("context", &self.context).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use servicebus::ApplicationValue;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<bool>) {
        assert_eq!(SpanContext::parse(text).map(|(_, sampled)| sampled), expected, "{text}");
    }

    #[test]
    fn a_sender_is_understood_if_it_speaks_the_standard() {
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(true));
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some(false));
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
        check("|old.style.1", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", None);
        check("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
        check("", None);
    }

    #[tokio::test]
    async fn a_merged_write_is_told_once_and_linked_with_every_message() {
        let (tracer, mut spans) = Tracer::new(1.0, MessagingSystem::SERVICE_BUS);
        let tracer = Arc::new(tracer);
        let begin = || tracer.begin(&Message::default(), Timestamp::UNIX_EPOCH).expect("sampled");
        let mut both = [begin(), begin()];
        let write = Tracer::write(&mut both).expect("traced");
        let [one, two] = both;
        write
            .around(
                UserId(uuid::Uuid::max()),
                2,
                async { call("PATCH", Timestamp::UNIX_EPOCH, Default::default) },
                |()| None,
            )
            .await;
        let (call, apply) = (spans.try_recv().expect("told"), spans.try_recv().expect("told"));
        assert_eq!((call.parent, call.context.trace), (Some(apply.context.span), one.context.trace));
        assert_eq!((apply.parent, apply.context.trace), (Some(one.context.span), one.context.trace));
        assert_eq!(apply.links, [two.context]);
        assert_eq!((one.links.len(), &*two.links), (0, &[apply.context][..]));
        assert!(!is_on());
    }

    #[test]
    fn a_sender_that_has_not_sampled_is_followed() {
        let tracer = Arc::new(Tracer::new(1.0, MessagingSystem::SERVICE_BUS).0);
        let mut message = Message::default();
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
        message.properties.set("Diagnostic-Id", ApplicationValue::from(&*format!("{text}0")));
        assert!(tracer.begin(&message, Timestamp::UNIX_EPOCH).is_none());
        message.properties.set("Diagnostic-Id", ApplicationValue::from(&*format!("{text}1")));
        let chosen = tracer.begin(&message, Timestamp::UNIX_EPOCH).expect("sampled");
        assert_eq!(chosen.parent, Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
    }
}
