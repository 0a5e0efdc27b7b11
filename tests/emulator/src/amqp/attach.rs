//! Attach and detach: which link may be had, and how it is refused.

use std::collections::VecDeque;

use serde_amqp::{Value, primitives::Symbol};
use tokio::time::Instant;

use super::{
    condition::{self, Failure, known},
    connection::Connection,
    frame::{Performative, code},
    link::{Answering, Held, Kind, Link, Node, Receiving},
    pending::{Attach, PendingAttach, terminus_address},
    value::{described, fields, map, string, symbol, timestamp, undescribe},
};
use crate::{
    access::Use,
    breakage::{Breakage, Broken},
    broker::{Error, Target, Time, entity_path},
    faults::{Action, Only, Point},
    journal::{Event, Role},
};

const SESSION_FILTER: &str = "com.microsoft:session-filter";
const MANAGEMENT: &str = "/$management";

/// Descriptor codes of the two ends of a link.
const SOURCE: u64 = 0x28;
const TARGET: u64 = 0x29;

/// Descriptor code of a target that begins transactions.
const COORDINATOR: u64 = 0x30;

/// Longest request on a node that is kept; what nodes announce is "no limit". Entities are stricter by far.
const LONGEST_REQUEST: u64 = 128 * 1024 * 1024;

/// The session that a link locked, and until when.
type Locked = Option<(String, Time)>;

/// What a link that may be had is like.
struct Granted {
    kind: Kind,
    max_message_size: u64,
    session: Locked,
}

/// Whether a link may be had.
enum Answer {
    Yes(Box<Granted>),
    /// No session is free yet.
    Wait(Target),
    No(Failure),
}

impl Connection {
    pub(crate) fn on_attach(&mut self, channel: u16, attach: Performative) {
        let attach = Attach::read(attach);
        if !self.sessions.contains_key(&channel) {
            return;
        }
        if let Some(failure) = self.attach_fault(&attach) {
            self.refuse(channel, &attach, &failure);
            return;
        }
        match self.grant(&attach) {
            Answer::Yes(granted) => self.accept_link(channel, &attach, *granted),
            Answer::No(failure) => self.refuse(channel, &attach, &failure),
            Answer::Wait(target) => {
                self.hub.wait_at(target, &self.handle);
                let until = Instant::now() + attach.session_wait();
                self.pending.push(PendingAttach { channel, until, target, attach });
            }
        }
    }

    fn attach_fault(&mut self, attach: &Attach) -> Option<Failure> {
        let address = attach.address();
        if entity_path(&address).starts_with('$') {
            return None;
        }
        let role = if attach.receiver { Only::Receiver } else { Only::Sender };
        let action = self.hub.faults.strike_if(Point::Attach, &[&address], Some(role))?;
        self.hub.journal.record([Event::Fault { what: format!("attach: {action:?}") }]);
        match action {
            Action::Refuse(condition) | Action::Detach(condition) => {
                Some(Failure::scripted(known(&condition)))
            }
            Action::Disconnect => {
                self.cut();
                None
            }
            Action::Withhold | Action::DelayMillis(_) | Action::LapseLock | Action::Http(_) => None,
        }
    }

    fn grant(&mut self, attach: &Attach) -> Answer {
        let address = attach.address();
        let path = entity_path(&address);
        if matches!(undescribe(attach.target.clone()), Some((COORDINATOR, _))) {
            let text = "This local service has no transactions.";
            return Answer::No(Failure::new(condition::NOT_IMPLEMENTED, text));
        }
        if let Err(failure) = self.authorize(attach, &path) {
            return Answer::No(failure);
        }
        let granted = if path == "$cbs" {
            Ok(Self::node(attach, Node::Cbs))
        } else if path.ends_with(MANAGEMENT) {
            self.management(attach, &path)
        } else if attach.receiver {
            return self.receiving(attach, &address);
        } else {
            self.taking(&address)
        };
        match granted {
            Ok(granted) => Answer::Yes(Box::new(granted)),
            Err(failure) => Answer::No(failure),
        }
    }

    /// Whether a token on this connection allows the link.
    fn authorize(&self, attach: &Attach, path: &str) -> Result<(), Failure> {
        let wanted = if path.ends_with(MANAGEMENT) {
            Use::Any
        } else if attach.receiver {
            Use::Listen
        } else {
            Use::Send
        };
        let access = self.hub.access();
        if path == "$cbs" || !access.enforced || self.rights.allow(path, wanted, self.hub.now()) {
            return Ok(());
        }
        let claim = if wanted == Use::Send { "Send" } else { "Listen" };
        let text = format!(
            "Unauthorized access. '{claim}' claim(s) are required to perform this operation. Resource: \
             'sb://localhost/{path}'."
        );
        Err(Failure::new(condition::UNAUTHORIZED, text))
    }

    fn node(attach: &Attach, node: Node) -> Granted {
        let kind = if attach.receiver {
            let reply_to = terminus_address(&attach.target);
            Kind::Answering(Answering { node, reply_to, waiting: VecDeque::new() })
        } else {
            Kind::Asking(node)
        };
        Granted { kind, max_message_size: u64::MAX, session: None }
    }

    fn management(&mut self, attach: &Attach, path: &str) -> Result<Granted, Failure> {
        let entity = path.strip_suffix(MANAGEMENT).unwrap_or(path);
        let target = self.resolve(entity)?;
        Ok(Self::node(attach, Node::Management(target)))
    }

    fn taking(&mut self, address: &str) -> Result<Granted, Failure> {
        let target = self.resolve(address)?;
        let options = self.hub.run(|broker, _| broker.options(target).cloned())?;
        if !options.status.takes() {
            return Err(Error::Disabled(address.to_owned()).into());
        }
        let max_message_size = options.max_message_size;
        Ok(Granted { kind: Kind::Taking(target), max_message_size, session: None })
    }

    fn receiving(&mut self, attach: &Attach, address: &str) -> Answer {
        let filter = attach.session_filter();
        let checked = self.resolve(address).and_then(|target| {
            self.hub.run(|broker, _| broker.check_receiver(target, filter.is_some()))?;
            let options = self.hub.run(|broker, _| broker.options(target).cloned())?;
            Ok((target, options.max_message_size))
        });
        let (target, max_message_size) = match checked {
            Ok(checked) => checked,
            Err(failure) => return Answer::No(failure),
        };
        let session = match filter {
            None => None,
            Some((wanted, _)) => {
                let (wanted, holder) = (wanted.as_deref(), self.new_holder(&attach.name));
                match self.hub.run(|broker, now| broker.accept_session(target, wanted, &holder, now)) {
                    Ok(Some(session)) => Some((session, holder)),
                    Ok(None) => return Answer::Wait(target),
                    Err(error) => return Answer::No(error.into()),
                }
            }
        };
        let (session, held) = session.map_or((None, None), |(locked, holder)| {
            let held = Held { session: locked.0.clone(), holder };
            (Some(locked), Some(held))
        });
        if held.is_some() {
            // So that the link is told of a lost session even if it never asks for messages.
            self.hub.wait_at(target, &self.handle);
        }
        let receiving = Receiving { target, mode: attach.mode(), held, idle: false };
        Answer::Yes(Box::new(Granted { kind: Kind::Receiving(receiving), max_message_size, session }))
    }

    /// Finds an entity; the refusal names it as the service does.
    pub(crate) fn resolve(&self, address: &str) -> Result<Target, Failure> {
        self.hub.run(|broker, _| broker.resolve(address)).map_err(|_| {
            let entity = entity_path(address);
            let text = format!("The messaging entity 'sb://localhost/{entity}' could not be found.");
            Failure::new(condition::NOT_FOUND, text)
        })
    }

    fn accept_link(&mut self, channel: u16, attach: &Attach, granted: Granted) {
        let address = attach.address();
        let max_size = granted.max_message_size.min(LONGEST_REQUEST);
        let mut link = Link::new(&attach.name, &address, granted.kind, max_size);
        link.delivery_count = if attach.receiver { 0 } else { attach.initial_count };
        let data = link.is_data();
        let fields = answer(attach, &granted.session, granted.max_message_size, self.hub.settings.broken);
        self.emit(channel, code::ATTACH, fields);
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.links.insert(attach.handle, link);
            self.last_link = Some(Instant::now());
        }
        self.top_up(channel, attach.handle);
        if data {
            let role = if attach.receiver { Role::Receiver } else { Role::Sender };
            self.hub.journal.record([Event::Attached { connection: self.id, address, role }]);
        }
    }

    /// Refuses a link: an attach whose own end is null, then a detach that says why.
    fn refuse(&mut self, channel: u16, attach: &Attach, failure: &Failure) {
        let address = attach.address();
        let condition = failure.condition;
        self.hub.journal.record([Event::Refused { connection: self.id, address, condition }]);
        let (source, target) = if attach.receiver {
            (Value::Null, non_null(attach.target.clone(), TARGET))
        } else {
            (non_null(attach.source.clone(), SOURCE), Value::Null)
        };
        let fields = vec![
            string(&attach.name),
            Value::Uint(attach.handle),
            Value::Bool(!attach.receiver),
            attach.send_mode.clone(),
            attach.receive_mode.clone(),
            source,
            target,
            Value::Null,
            Value::Null,
            if attach.receiver { Value::Uint(0) } else { Value::Null },
        ];
        self.emit(channel, code::ATTACH, fields);
        let detach =
            vec![Value::Uint(attach.handle), Value::Bool(true), failure.to_value(self.hub.settings.broken)];
        self.emit(channel, code::DETACH, detach);
    }

    /// Tries again what waits for a free session.
    pub(crate) fn retry_pending(&mut self) {
        let now = Instant::now();
        for pending in std::mem::take(&mut self.pending) {
            match self.receiving(&pending.attach, &pending.attach.address()) {
                Answer::Yes(granted) => self.accept_link(pending.channel, &pending.attach, *granted),
                Answer::No(failure) => self.refuse(pending.channel, &pending.attach, &failure),
                Answer::Wait(_) if pending.until <= now => {
                    let text = "The operation did not complete within the allotted time: no session is free.";
                    let failure = Failure::new(condition::TIMEOUT, text);
                    self.refuse(pending.channel, &pending.attach, &failure);
                }
                Answer::Wait(_) => {
                    self.hub.wait_at(pending.target, &self.handle);
                    self.pending.push(pending);
                }
            }
        }
    }

    pub(crate) fn on_detach(&mut self, channel: u16, detach: &Performative) {
        let handle = detach.u32(0).unwrap_or(0);
        let waiting = self.pending.len();
        self.pending.retain(|pending| pending.channel != channel || pending.attach.handle != handle);
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        let link = session.links.remove(&handle);
        self.last_link = Some(Instant::now());
        if link.is_none() && waiting == self.pending.len() {
            // The answer to a detach of ours.
            return;
        }
        session.unsettled.retain(|_, unsettled| unsettled.handle != handle);
        session.flush(&mut self.out);
        self.emit(channel, code::DETACH, vec![Value::Uint(handle), Value::Bool(detach.bool(1))]);
        if let Some(link) = link {
            self.release(&link);
            self.note_detached(&link, None);
        }
    }

    /// Ends a link from this side.
    pub(crate) fn force_detach(&mut self, channel: u16, handle: u32, failure: &Failure) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        let Some(link) = session.links.remove(&handle) else { return };
        self.last_link = Some(Instant::now());
        session.unsettled.retain(|_, unsettled| unsettled.handle != handle);
        session.flush(&mut self.out);
        let detach = vec![Value::Uint(handle), Value::Bool(true), failure.to_value(self.hub.settings.broken)];
        self.emit(channel, code::DETACH, detach);
        self.release(&link);
        self.note_detached(&link, Some(failure.condition));
    }

    /// Ends the data links of an entity, or all.
    pub(crate) fn detach_data(&mut self, target: Option<Target>, condition: &'static str) {
        let failure = Failure::new(condition, "The link was detached by the service.");
        let meant: Vec<(u16, u32)> = self
            .sessions
            .iter()
            .flat_map(|(channel, session)| {
                session.links.iter().map(|(handle, link)| (*channel, *handle, link))
            })
            .filter(|(_, _, link)| link.is_data() && (target.is_none() || link.entity() == target))
            .map(|(channel, handle, _)| (channel, handle))
            .collect();
        for (channel, handle) in meant {
            self.force_detach(channel, handle, &failure);
        }
    }

    fn note_detached(&self, link: &Link, condition: Option<&'static str>) {
        if link.is_data() {
            let address = link.address.clone();
            self.hub.journal.record([Event::Detached { connection: self.id, address, condition }]);
        }
    }
}

/// The fields of the attach that grants a link.
fn answer(attach: &Attach, session: &Locked, max_message_size: u64, broken: Broken) -> Vec<Value> {
    let properties = session.as_ref().map(|(_, until)| {
        let until = if broken.is(Breakage::LockedUntilTimestamp) {
            timestamp(*until)
        } else {
            // A long of ticks, not a timestamp: clients read the raw eight bytes.
            Value::Long(until.ticks())
        };
        map([(symbol("com.microsoft:locked-until-utc"), until)])
    });
    let source = match (session, attach.session_filter()) {
        (Some((session, _)), Some((_, code))) => with_session(&attach.source, session, code),
        _ => attach.source.clone(),
    };
    let max_message_size =
        if broken.is(Breakage::NoMaxMessageSize) { Value::Null } else { Value::Ulong(max_message_size) };
    vec![
        string(&attach.name),
        Value::Uint(attach.handle),
        Value::Bool(!attach.receiver),
        attach.send_mode.clone(),
        attach.receive_mode.clone(),
        non_null(source, SOURCE),
        non_null(attach.target.clone(), TARGET),
        Value::Null,
        Value::Null,
        if attach.receiver { Value::Uint(0) } else { Value::Null },
        max_message_size,
        Value::Null,
        Value::Null,
        properties.unwrap_or_default(),
    ]
}

/// A terminus that is not null, because null means refusal.
fn non_null(terminus: Value, code: u64) -> Value {
    if terminus == Value::Null { described(code, Value::List(Vec::new())) } else { terminus }
}

/// The source with the session that was locked in its filter, in the form in which the client asked.
fn with_session(source: &Value, session: &str, descriptor: Option<u64>) -> Value {
    let Some((code, list)) = undescribe(source.clone()) else { return source.clone() };
    let mut list = fields(list);
    if let Some(Value::Map(filters)) = list.get_mut(7) {
        let value = match descriptor {
            None => string(session),
            Some(code) => described(code, string(session)),
        };
        filters.insert(Value::Symbol(Symbol::from(SESSION_FILTER)), value);
    }
    described(code, Value::List(list))
}
