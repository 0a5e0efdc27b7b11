//! Settlement: what clients decide about deliveries, and how that is confirmed.

use std::time::Duration;

use serde_amqp::Value;

use super::{
    condition::{Failure, known},
    connection::Connection,
    frame::{Performative, code},
    session::{Outcome, Unsettled, disposition},
    value::{entries, fields, text, undescribe},
};
use crate::{
    breakage::Breakage,
    broker::{Error, Verb},
    faults::{Action, Point},
    journal::Event,
};

/// The condition that makes `rejected` an orderly dead-lettering.
const DEAD_LETTER: &str = "com.microsoft:dead-letter";

impl Connection {
    pub(crate) fn on_disposition(&mut self, channel: u16, mut said: Performative) {
        // What a sender says about its own deliveries changes nothing here.
        if !said.bool(0) {
            return;
        }
        let first = said.u32(1).unwrap_or(0);
        let last = said.u32(2).unwrap_or(first);
        let settled = said.bool(3);
        let Some(verb) = read_verb(said.take(4)) else { return };
        let Some(session) = self.sessions.get_mut(&channel) else { return };
        if last < first {
            return;
        }
        let meant: Vec<u32> = session.unsettled.range(first..=last).map(|(delivery, _)| *delivery).collect();
        for delivery in meant {
            let Some(session) = self.sessions.get_mut(&channel) else { return };
            let Some(unsettled) = session.unsettled.remove(&delivery) else { continue };
            if let Some(link) = session.links.get_mut(&unsettled.handle) {
                link.touch();
            }
            self.settle(channel, delivery, unsettled, &verb, settled);
        }
    }

    fn settle(&mut self, channel: u16, delivery: u32, unsettled: Unsettled, verb: &Verb, settled: bool) {
        let mut outcome = None;
        match self.settle_fault(Point::Settle, channel, &unsettled) {
            None | Some(Action::Withhold | Action::DelayMillis(_) | Action::Http(_)) => {}
            Some(Action::Disconnect) => return self.cut(),
            Some(Action::Detach(condition)) => {
                let failure = Failure::scripted(known(&condition));
                return self.force_detach(channel, unsettled.handle, &failure);
            }
            Some(Action::Refuse(condition)) => outcome = Some(Outcome::Failed(Failure::scripted(&condition))),
            Some(Action::LapseLock) => self.lapse(&unsettled),
        }
        let outcome = outcome.unwrap_or_else(|| {
            let Unsettled { target, token, .. } = unsettled;
            match self.hub.run(|broker, now| broker.settle(target, token, verb.clone(), now)) {
                Ok(_) => Outcome::Plain(outcome_code(verb)),
                // Messages of a session have no locks of their own.
                Err(Error::MessageLockLost)
                    if self
                        .link(channel, unsettled.handle)
                        .is_some_and(|link| self.has_lost_session(link)) =>
                {
                    Outcome::Failed(Error::SessionLockLost.into())
                }
                Err(error) => Outcome::Failed(error.into()),
            }
        });
        if !settled {
            self.confirm(channel, delivery, &unsettled, outcome);
        }
    }

    fn confirm(&mut self, channel: u16, delivery: u32, unsettled: &Unsettled, mut outcome: Outcome) {
        let broken = self.hub.settings.broken;
        if broken.is(Breakage::EchoWithheld) {
            return;
        }
        if broken.is(Breakage::DeadLetterEchoError) && outcome == Outcome::Plain(code::REJECTED) {
            outcome = Outcome::Failed(Failure::new(DEAD_LETTER, "The message was dead-lettered."));
        }
        match self.settle_fault(Point::Echo, channel, unsettled) {
            Some(Action::Disconnect) => self.cut(),
            Some(Action::Withhold) => {}
            Some(Action::DelayMillis(millis)) => {
                let body = disposition(false, delivery, delivery, &outcome, self.hub.settings.broken);
                self.emit_after(Some(Duration::from_millis(millis)), channel, body);
            }
            Some(Action::Detach(condition)) => {
                let failure = Failure::scripted(known(&condition));
                self.force_detach(channel, unsettled.handle, &failure);
            }
            None | Some(Action::Refuse(_) | Action::LapseLock | Action::Http(_)) => {
                if let Some(session) = self.sessions.get_mut(&channel) {
                    session.echo(&mut self.out, delivery, outcome);
                }
            }
        }
    }

    fn settle_fault(&mut self, at: Point, channel: u16, unsettled: &Unsettled) -> Option<Action> {
        if self.hub.faults.is_quiet() {
            return None;
        }
        let address = self.link(channel, unsettled.handle)?.address.clone();
        let action = self.hub.faults.strike(at, &[&address])?;
        self.hub.journal.record([Event::Fault { what: format!("{at:?}: {action:?}") }]);
        Some(action)
    }

    fn lapse(&self, unsettled: &Unsettled) {
        let Unsettled { target, token, .. } = *unsettled;
        self.hub.run(|broker, now| {
            if let Some(sequence) = broker.locked_sequence(target, token) {
                broker.lapse(target, Some(sequence), now).ok();
            }
        });
    }
}

/// The outcome that confirms a settlement: the same type as asked, and never with an error.
fn outcome_code(verb: &Verb) -> u64 {
    match verb {
        Verb::Complete => code::ACCEPTED,
        Verb::Release => code::RELEASED,
        Verb::Abandon { .. } | Verb::Defer { .. } => code::MODIFIED,
        Verb::DeadLetter { .. } => code::REJECTED,
    }
}

/// What a delivery state asks for; nothing for states that settle nothing.
fn read_verb(state: Value) -> Option<Verb> {
    let (outcome, list) = undescribe(state)?;
    let mut list = fields(list);
    Some(match outcome {
        code::ACCEPTED => Verb::Complete,
        code::RELEASED => Verb::Release,
        code::MODIFIED => {
            let aside = matches!(list.get(1), Some(Value::Bool(true)));
            let properties = list.get_mut(2).map(std::mem::take).map(entries).unwrap_or_default();
            if aside { Verb::Defer { properties } } else { Verb::Abandon { properties } }
        }
        code::REJECTED => {
            let error = list.first_mut().map(std::mem::take).unwrap_or_default();
            read_rejection(undescribe(error).map(|(_, error)| fields(error)).unwrap_or_default())
        }
        _ => return None,
    })
}

fn read_rejection(mut error: Vec<Value>) -> Verb {
    let condition = error.first().and_then(text).map(str::to_owned);
    let mut description = error.get(1).and_then(text).map(str::to_owned);
    let mut properties = error.get_mut(2).map(std::mem::take).map(entries).unwrap_or_default();
    let mut reason = condition.filter(|condition| condition != DEAD_LETTER);
    if reason.is_none() {
        // An orderly dead-lettering says why in the map, and anything else there is a property to set.
        description = None;
    }
    properties.retain(|(name, value)| {
        let place = match name.as_str() {
            "DeadLetterReason" => &mut reason,
            "DeadLetterErrorDescription" => &mut description,
            _ => return *value != Value::Null,
        };
        if let Some(text) = text(value) {
            *place = Some(text.to_owned());
        }
        false
    });
    Verb::DeadLetter { reason, description, properties }
}
