//! What clients send: messages for entities and requests for nodes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{
    condition::{self, Failure, known},
    connection::Connection,
    frame::{Performative, code},
    link::{Incoming, Kind, Link, Node, Partial},
    message::decode_transfer,
    session::{Outcome, disposition},
};
use crate::{
    broker::{Error, Target},
    faults::{Action, Only, Point},
    journal::Event,
};

impl Connection {
    pub(crate) fn on_transfer(&mut self, channel: u16, transfer: &Performative, payload: Bytes) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        session.next_incoming_id = session.next_incoming_id.wrapping_add(1);
        session.incoming_window = session.incoming_window.saturating_sub(1);
        let handle = transfer.u32(0).unwrap_or(0);
        let Some(link) = session.links.get_mut(&handle) else { return };
        link.touch();
        let incoming = assemble(link, transfer, payload);
        let destination = match &link.kind {
            Kind::Taking(target) => Some(Destination::Entity(*target)),
            Kind::Asking(node) => Some(Destination::Node(*node)),
            Kind::Receiving(_) | Kind::Answering(_) => None,
        };
        self.widen(channel);
        let (Some(incoming), Some(destination)) = (incoming, destination) else { return };
        match destination {
            Destination::Entity(target) => self.take_message(channel, handle, target, &incoming),
            Destination::Node(node) => {
                if !incoming.settled {
                    self.answer(channel, incoming.delivery, Outcome::Plain(code::ACCEPTED));
                }
                self.on_request(channel, handle, node, &incoming.bytes);
            }
        }
        self.top_up(channel, handle);
    }

    fn answer(&mut self, channel: u16, delivery: u32, outcome: Outcome) {
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.accept(&mut self.out, delivery, outcome);
        }
    }

    fn take_message(&mut self, channel: u16, handle: u32, target: Target, incoming: &Incoming) {
        let Some(link) = self.link(channel, handle) else { return };
        let (address, limit) = (link.address.clone(), link.max_size);
        let scheduled = self.is_scheduled(incoming);
        let mut delay = None;
        let mut withheld = false;
        match self.send_fault(Point::Send, &address, scheduled) {
            None | Some(Action::LapseLock | Action::Http(_)) => {}
            Some(Action::Disconnect) => return self.cut(),
            Some(Action::Detach(condition)) => {
                let failure = Failure::scripted(known(&condition));
                return self.force_detach(channel, handle, &failure);
            }
            Some(Action::Refuse(condition)) => {
                let failure = Failure::scripted(known(&condition));
                return self.answer(channel, incoming.delivery, Outcome::Failed(failure));
            }
            Some(Action::Withhold) => withheld = true,
            Some(Action::DelayMillis(millis)) => delay = Some(Duration::from_millis(millis)),
        }
        let outcome = match self.store(target, incoming, limit) {
            Ok(()) => Outcome::Plain(code::ACCEPTED),
            Err(failure) => Outcome::Failed(failure),
        };
        if incoming.settled || withheld {
            return;
        }
        let number = incoming.delivery;
        if delay.is_some() {
            let body = disposition(true, number, number, &outcome, self.hub.settings.broken);
            return self.emit_after(delay, channel, body);
        }
        let stored = outcome == Outcome::Plain(code::ACCEPTED);
        self.answer(channel, number, outcome);
        if stored {
            self.after_sending(channel, handle, target, &address, scheduled);
        }
    }

    /// What goes wrong when a message was stored and its sender is about to know.
    fn after_sending(
        &mut self,
        channel: u16,
        handle: u32,
        target: Target,
        address: &str,
        scheduled: Option<Only>,
    ) {
        match self.send_fault(Point::Sent, address, scheduled) {
            None | Some(Action::Refuse(_) | Action::Withhold | Action::DelayMillis(_) | Action::Http(_)) => {}
            Some(Action::Disconnect) => self.cut_after_writing(),
            Some(Action::Detach(condition)) => {
                self.force_detach(channel, handle, &Failure::scripted(known(&condition)));
            }
            Some(Action::LapseLock) => {
                self.hub.run(|broker, now| broker.lapse(target, None, now)).ok();
            }
        }
    }

    fn send_fault(&self, at: Point, address: &str, scheduled: Option<Only>) -> Option<Action> {
        let action = self.hub.faults.strike_if(at, &[address], scheduled)?;
        let point = if at == Point::Sent { "sent" } else { "send" };
        self.hub.journal.record([Event::Fault { what: format!("{point}: {action:?}") }]);
        Some(action)
    }

    /// Looks into a message only if some fault waits, because it is decoded once more for that.
    fn is_scheduled(&self, incoming: &Incoming) -> Option<Only> {
        if self.hub.faults.is_quiet() {
            return None;
        }
        let messages = decode_transfer(incoming.format, &incoming.bytes).ok()?;
        messages.iter().any(|message| message.scheduled.is_some()).then_some(Only::Scheduled)
    }

    fn store(&mut self, target: Target, incoming: &Incoming, limit: u64) -> Result<(), Failure> {
        let size = incoming.size;
        if size > limit {
            return Err(Error::TooLarge { size, limit }.into());
        }
        let messages = decode_transfer(incoming.format, &incoming.bytes)
            .map_err(|error| Failure::new(condition::DECODE_ERROR, error.to_string()))?;
        self.hub.run(|broker, now| broker.send(target, messages, now))?;
        Ok(())
    }

    /// A link by session and handle.
    pub(crate) fn link(&self, channel: u16, handle: u32) -> Option<&Link> {
        self.sessions.get(&channel)?.links.get(&handle)
    }
}

/// Where a delivery goes.
enum Destination {
    Entity(Target),
    Node(Node),
}

/// Adds a transfer frame to what came before; a whole delivery comes out with its last frame.
fn assemble(link: &mut Link, transfer: &Performative, payload: Bytes) -> Option<Incoming> {
    let more = transfer.bool(5);
    let aborted = transfer.bool(9);
    let Some(mut partial) = link.partial.take() else {
        let delivery = transfer.u32(1).unwrap_or(0);
        let format = transfer.u32(3).unwrap_or(0);
        let settled = transfer.bool(4);
        link.spend();
        if aborted {
            return None;
        }
        let size = payload.len() as u64;
        if !more {
            return Some(Incoming { delivery, format, settled, size, bytes: payload });
        }
        link.partial = Some(Partial { delivery, format, settled, size, bytes: BytesMut::from(payload) });
        return None;
    };
    if aborted {
        return None;
    }
    partial.size += payload.len() as u64;
    if partial.size <= link.max_size {
        partial.bytes.extend_from_slice(&payload);
    }
    partial.settled |= transfer.bool(4);
    if more {
        link.partial = Some(partial);
        return None;
    }
    let Partial { delivery, format, settled, size, bytes } = partial;
    Some(Incoming { delivery, format, settled, size, bytes: bytes.freeze() })
}
