//! Handing out: as many messages and answers as credit, window and the socket allow.

use uuid::Uuid;

use super::{
    condition::{Failure, known},
    connection::{Connection, HIGH_WATER},
    link::{Held, Kind, Receiving},
    message::encode_delivery,
    session::{Session, Transfer, Unsettled},
};
use crate::{
    breakage::{Breakage, Broken},
    broker::{Broker, Delivery, Error, Mode, Standing, Time},
    faults::{Action, Point},
    hub::Hub,
    journal::Event,
};

/// Messages taken from the broker at a time, so that its lock is not held for long.
const BATCH: u32 = 64;

/// What came of trying to hand out.
enum Step {
    /// There may be more.
    Again,
    /// Nothing is ready, or nothing may be sent.
    Enough,
    /// The link has to end.
    End(Failure),
    /// The connection has to end.
    Cut,
}

impl Connection {
    /// Hands out on all links what can be handed out now.
    pub(crate) fn pump(&mut self) {
        let channels: Vec<u16> = self.sessions.keys().copied().collect();
        for channel in channels {
            let Some(session) = self.sessions.get(&channel) else { continue };
            let handles: Vec<u32> = session
                .links
                .iter()
                .filter(|(_, link)| {
                    !link.takes() && (link.credit > 0 || link.drain || link.entity().is_some())
                })
                .map(|(handle, _)| *handle)
                .collect();
            for handle in handles {
                self.pump_link(channel, handle);
            }
        }
    }

    fn pump_link(&mut self, channel: u16, handle: u32) {
        while self.out.len() < HIGH_WATER {
            match self.step(channel, handle) {
                Step::Again => {}
                Step::Enough => break,
                Step::End(failure) => return self.force_detach(channel, handle, &failure),
                Step::Cut => return self.cut(),
            }
        }
        self.answer_drain(channel, handle);
    }

    fn step(&mut self, channel: u16, handle: u32) -> Step {
        let Some(session) = self.sessions.get_mut(&channel) else { return Step::Enough };
        let open = session.is_open();
        let window = session.remote_window;
        let Some(link) = session.links.get_mut(&handle) else { return Step::Enough };
        match &mut link.kind {
            Kind::Answering(answering) => {
                if !open || link.credit == 0 {
                    return Step::Enough;
                }
                let Some(bytes) = answering.waiting.pop_front() else { return Step::Enough };
                link.spend();
                let tag = link.delivery_count.to_be_bytes().to_vec();
                let transfer = Transfer { handle, tag, settled: true, bytes: &bytes };
                session.transfer(&mut self.out, self.max_frame, &transfer);
                Step::Again
            }
            Kind::Receiving(receiving) => {
                if receiving.idle || link.credit == 0 || !open {
                    return Step::Enough;
                }
                let max = link.credit.min(window).min(BATCH);
                let receiving = receiving.clone();
                self.hand_out(channel, handle, &receiving, max)
            }
            Kind::Taking(_) | Kind::Asking(_) => Step::Enough,
        }
    }

    fn hand_out(&mut self, channel: u16, handle: u32, receiving: &Receiving, max: u32) -> Step {
        let Some(session) = self.sessions.get_mut(&channel) else { return Step::Enough };
        let Some(link) = session.links.get_mut(&handle) else { return Step::Enough };
        match self.hub.faults.strike(Point::Deliver, &[&link.address]) {
            None => {}
            Some(action) => {
                self.hub.journal.record([Event::Fault { what: format!("deliver: {action:?}") }]);
                match action {
                    Action::Disconnect => return Step::Cut,
                    Action::Detach(condition) | Action::Refuse(condition) => {
                        return Step::End(Failure::scripted(known(&condition)));
                    }
                    Action::Withhold | Action::DelayMillis(_) | Action::LapseLock | Action::Http(_) => {}
                }
            }
        }
        // Registered before looking: what becomes ready in between wakes us, perhaps in vain.
        let taken = match take(&self.hub, receiving, max as usize) {
            Ok(taken) if taken.is_empty() => {
                self.hub.wait_at(receiving.target, &self.handle);
                match take(&self.hub, receiving, max as usize) {
                    Ok(taken) => taken,
                    Err(error) => return Step::End(error.into()),
                }
            }
            Ok(taken) => taken,
            Err(error) => return Step::End(error.into()),
        };
        if taken.is_empty() {
            if let Kind::Receiving(receiving) = &mut link.kind {
                receiving.idle = true;
            }
            return Step::Enough;
        }
        for delivery in &taken {
            send(session, &mut self.out, self.max_frame, handle, receiving, delivery);
        }
        Step::Again
    }

    /// Tells a client that wanted all there was that there is no more.
    fn answer_drain(&mut self, channel: u16, handle: u32) {
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        let open = session.is_open();
        let Some(link) = session.links.get_mut(&handle) else { return };
        let exhausted = match &link.kind {
            Kind::Receiving(receiving) => link.credit == 0 || (receiving.idle && open),
            Kind::Answering(answering) => link.credit == 0 || answering.waiting.is_empty(),
            Kind::Taking(_) | Kind::Asking(_) => false,
        };
        if link.drain && exhausted {
            link.delivery_count = link.delivery_count.wrapping_add(link.credit);
            link.credit = 0;
            link.drain = false;
            self.emit_link_flow(channel, handle, true);
        }
    }

    /// The broker has news: links that had nothing to do look again.
    pub(crate) fn look_again(&mut self) {
        self.expire_rights();
        for link in self.sessions.values_mut().flat_map(|session| session.links.values_mut()) {
            if let Kind::Receiving(receiving) = &mut link.kind {
                receiving.idle = false;
            }
        }
        self.detach_lost();
    }
}

fn take(hub: &Hub, receiving: &Receiving, max: usize) -> Result<Vec<Delivery>, Error> {
    let Receiving { target, mode, held, .. } = receiving;
    hub.run(|broker: &mut Broker, now: Time| {
        let Some(Held { session, holder }) = held else { return broker.receive(*target, *mode, max, now) };
        if broker.session_standing(*target, session, holder, now)? == Standing::LostUnawares {
            return Ok(Vec::new());
        }
        broker.receive_session(*target, session, holder, *mode, max, now)
    })
}

fn send(
    session: &mut Session,
    out: &mut Vec<u8>,
    max_frame: u32,
    handle: u32,
    receiving: &Receiving,
    delivery: &Delivery,
) {
    let settled = receiving.mode == Mode::ReceiveAndDelete;
    let bytes = encode_delivery(delivery, session.broken);
    let tag = tag(delivery.token, session.broken);
    let number = session.transfer(out, max_frame, &Transfer { handle, tag, settled, bytes: &bytes });
    if !settled {
        let unsettled = Unsettled { handle, target: receiving.target, token: delivery.token };
        session.unsettled.insert(number, unsettled);
    }
    if let Some(link) = session.links.get_mut(&handle) {
        link.spend();
        link.touch();
    }
}

/// The delivery tag: the lock token in .NET byte order, in which clients read it.
fn tag(token: Uuid, broken: Broken) -> Vec<u8> {
    match broken.0 {
        Some(Breakage::TagOrder) => token.as_bytes().to_vec(),
        Some(Breakage::ShortTags) => token.as_bytes()[..4].to_vec(),
        _ => token.to_bytes_le().to_vec(),
    }
}
