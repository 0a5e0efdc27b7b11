//! The books of one AMQP session: windows, delivery numbers, links and what is unsettled.

use std::collections::{BTreeMap, VecDeque};

use serde_amqp::Value;
use uuid::Uuid;

use super::{
    condition::Failure,
    frame::{self, HEADER, code, performative},
    link::Link,
    value::{binary, described},
};
use crate::{
    breakage::{Breakage, Broken},
    broker::Target,
};

/// Transfer frames that a client may send before this server says more.
pub(crate) const WINDOW: u32 = 5_000;

/// A delivery that the client has not settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsettled {
    pub(crate) handle: u32,
    pub(crate) target: Target,
    pub(crate) token: Uuid,
}

/// What a disposition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The outcome with this descriptor, and nothing more to it.
    Plain(u64),
    /// Rejected, with the reason.
    Failed(Failure),
}

impl Outcome {
    fn to_value(&self, broken: Broken) -> Value {
        match self {
            Self::Plain(outcome) => described(*outcome, Value::List(Vec::new())),
            Self::Failed(failure) => described(code::REJECTED, Value::List(vec![failure.to_value(broken)])),
        }
    }
}

/// Neighbouring deliveries with the same outcome, to be said in one frame.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    first: u32,
    last: u32,
    outcome: Outcome,
}

/// Outcomes that were decided and are not on the wire yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    open: Option<Run>,
}

impl Runs {
    /// Adds an outcome. What does not continue the present run ends it; the ended one is returned.
    fn add(&mut self, delivery: u32, outcome: Outcome) -> Option<Run> {
        if let Some(run) = &mut self.open
            && run.outcome == outcome
            && run.last.wrapping_add(1) == delivery
        {
            run.last = delivery;
            return None;
        }
        self.open.replace(Run { first: delivery, last: delivery, outcome })
    }
}

/// A transfer frame that waits for the client's window.
#[derive(Clone, Debug)]
struct Blocked {
    performative: Vec<u8>,
    payload: Vec<u8>,
}

/// A message on its way out.
pub(crate) struct Transfer<'a> {
    pub(crate) handle: u32,
    pub(crate) tag: Vec<u8>,
    pub(crate) settled: bool,
    pub(crate) bytes: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) channel: u16,
    pub(crate) next_incoming_id: u32,
    /// Frames that the client may still send.
    pub(crate) incoming_window: u32,
    pub(crate) next_outgoing_id: u32,
    /// Frames that may still be sent to the client.
    pub(crate) remote_window: u32,
    pub(crate) next_delivery_id: u32,
    pub(crate) links: BTreeMap<u32, Link>,
    pub(crate) unsettled: BTreeMap<u32, Unsettled>,
    blocked: VecDeque<Blocked>,
    /// Outcomes of what the client sent.
    accepts: Runs,
    /// Confirmations of what the client settled.
    echoes: Runs,
    pub(crate) broken: Broken,
}

impl Session {
    pub(crate) fn new(channel: u16, next_incoming_id: u32, remote_window: u32, broken: Broken) -> Self {
        Self {
            channel,
            next_incoming_id,
            incoming_window: WINDOW,
            next_outgoing_id: 0,
            remote_window,
            next_delivery_id: 0,
            links: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            blocked: VecDeque::new(),
            accepts: Runs::default(),
            echoes: Runs::default(),
            broken,
        }
    }

    /// Whether another message may be started.
    pub(crate) fn is_open(&self) -> bool {
        self.remote_window > 0 && self.blocked.is_empty()
    }

    /// Sends a message in as many frames as it takes and returns its delivery number.
    pub(crate) fn transfer(&mut self, out: &mut Vec<u8>, max_frame: u32, transfer: &Transfer<'_>) -> u32 {
        let delivery = self.next_delivery_id;
        let step = if self.broken.is(Breakage::DeliveryGaps) { 2 } else { 1 };
        self.next_delivery_id = delivery.wrapping_add(step);
        // Room for the performative in front of the payload; it is never longer than this.
        let room = (max_frame as usize).saturating_sub(HEADER + 64).max(1);
        let chunks = transfer.bytes.len().div_ceil(room).max(1);
        for index in 0..chunks {
            let start = index * room;
            let payload = &transfer.bytes[start..transfer.bytes.len().min(start + room)];
            let more = index + 1 < chunks;
            let fields = if index == 0 {
                vec![
                    Value::Uint(transfer.handle),
                    Value::Uint(delivery),
                    binary(transfer.tag.clone()),
                    Value::Uint(0),
                    Value::Bool(transfer.settled),
                    Value::Bool(more),
                ]
            } else {
                let mut fields = vec![Value::Uint(transfer.handle)];
                fields.extend([Value::Null, Value::Null, Value::Null, Value::Null, Value::Bool(more)]);
                fields
            };
            self.send(out, performative(code::TRANSFER, fields), payload);
        }
        delivery
    }

    fn send(&mut self, out: &mut Vec<u8>, performative: Vec<u8>, payload: &[u8]) {
        if self.remote_window == 0 {
            self.blocked.push_back(Blocked { performative, payload: payload.to_vec() });
            return;
        }
        self.remote_window -= 1;
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        frame::write(out, 0, self.channel, &performative, payload);
    }

    /// Sends what waited for the window.
    pub(crate) fn unblock(&mut self, out: &mut Vec<u8>) {
        while self.remote_window > 0
            && let Some(blocked) = self.blocked.pop_front()
        {
            self.send(out, blocked.performative, &blocked.payload);
        }
    }

    /// Notes the outcome of a delivery that the client sent.
    pub(crate) fn accept(&mut self, out: &mut Vec<u8>, delivery: u32, outcome: Outcome) {
        if let Some(run) = self.accepts.add(delivery, outcome) {
            self.dispose(out, true, &run);
        }
    }

    /// Notes the confirmation of a delivery that the client settled.
    pub(crate) fn echo(&mut self, out: &mut Vec<u8>, delivery: u32, outcome: Outcome) {
        if let Some(run) = self.echoes.add(delivery, outcome) {
            self.dispose(out, false, &run);
        }
    }

    /// Puts all noted outcomes on the wire.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some(run) = self.accepts.open.take() {
            self.dispose(out, true, &run);
        }
        if let Some(run) = self.echoes.open.take() {
            self.dispose(out, false, &run);
        }
    }

    fn dispose(&self, out: &mut Vec<u8>, as_receiver: bool, run: &Run) {
        let body = disposition(as_receiver, run.first, run.last, &run.outcome, self.broken);
        frame::write(out, 0, self.channel, &body, &[]);
    }
}

/// A settled disposition.
pub(crate) fn disposition(
    as_receiver: bool,
    first: u32,
    last: u32,
    outcome: &Outcome,
    broken: Broken,
) -> Vec<u8> {
    let settled = as_receiver || !broken.is(Breakage::EchoUnsettled);
    performative(
        code::DISPOSITION,
        vec![
            Value::Bool(as_receiver),
            Value::Uint(first),
            Value::Uint(last),
            Value::Bool(settled),
            outcome.to_value(broken),
        ],
    )
}
