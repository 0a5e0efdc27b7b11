//! Flow frames: windows of sessions and credit of links, both ways.

use serde_amqp::Value;

use super::{
    connection::Connection,
    frame::{Performative, code},
    link::{Kind, Link},
    session::{Session, WINDOW},
};
use crate::{breakage::Breakage, journal::Event};

/// Credit that a client sender is given.
const SENDER_CREDIT: u32 = 1_000;

impl Connection {
    pub(crate) fn on_flow(&mut self, channel: u16, flow: &Performative) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        // How many frames the client can take, counted from what it has seen of ours.
        let seen = flow.u32(0).unwrap_or(0);
        let window = flow.u32(1).unwrap_or(0);
        let in_flight = session.next_outgoing_id.wrapping_sub(seen);
        session.remote_window = window.saturating_sub(in_flight);
        session.unblock(&mut self.out);
        let echo = flow.bool(9);
        let Some(handle) = flow.u32(4) else {
            if echo {
                let fields = session_fields(session);
                self.emit(channel, code::FLOW, fields);
            }
            return;
        };
        let Some(link) = session.links.get_mut(&handle) else { return };
        link.touch();
        if !link.takes() {
            read_credit(link, flow);
            self.hub.journal.record([Event::Credit {
                connection: self.id,
                address: link.address.clone(),
                credit: link.credit,
                drain: link.drain,
            }]);
        }
        if echo {
            self.emit_link_flow(channel, handle, false);
        }
    }

    /// Says how things stand on a link.
    pub(crate) fn emit_link_flow(&mut self, channel: u16, handle: u32, drained: bool) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        session.incoming_window = WINDOW;
        let Some(link) = session.links.get(&handle) else { return };
        let mut fields = session_fields(session);
        fields.extend([
            Value::Uint(handle),
            Value::Uint(link.delivery_count),
            Value::Uint(link.credit),
            Value::Null,
            Value::Bool(drained),
        ]);
        self.emit(channel, code::FLOW, fields);
    }

    /// Gives a client sender as much credit as it may have.
    pub(crate) fn top_up(&mut self, channel: u16, handle: u32) {
        let Some(link) = self.sessions.get_mut(&channel).and_then(|session| session.links.get_mut(&handle))
        else {
            return;
        };
        let broken = self.hub.settings.broken.is(Breakage::NoSenderCredit) && link.is_data();
        if link.takes() && link.credit <= SENDER_CREDIT / 2 && !broken {
            link.credit = SENDER_CREDIT;
            self.emit_link_flow(channel, handle, false);
        }
    }

    /// Opens the session's window again before it closes.
    pub(crate) fn widen(&mut self, channel: u16) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        if session.incoming_window <= WINDOW / 2 {
            session.incoming_window = WINDOW;
            let fields = session_fields(session);
            self.emit(channel, code::FLOW, fields);
        }
    }
}

fn read_credit(link: &mut Link, flow: &Performative) {
    let seen = flow.u32(5).unwrap_or(0);
    let granted = flow.u32(6).unwrap_or(0);
    // The client may not have seen our latest deliveries when it wrote this.
    let in_flight = link.delivery_count.wrapping_sub(seen);
    link.credit = granted.saturating_sub(in_flight);
    link.drain = flow.bool(8);
    if let Kind::Receiving(receiving) = &mut link.kind {
        receiving.idle = false;
    }
}

fn session_fields(session: &Session) -> Vec<Value> {
    vec![
        Value::Uint(session.next_incoming_id),
        Value::Uint(session.incoming_window),
        Value::Uint(session.next_outgoing_id),
        Value::Uint(WINDOW),
    ]
}
