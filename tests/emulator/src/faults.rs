//! Faults on demand: what the real service does on its bad days, at a point that the test chooses.
//!
//! A [`Rule`] names a point, lets the first few occasions pass, strikes a given number of times and is used up.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;

use crate::broker::entity_path;

/// Where a fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Point {
    /// A client puts a token.
    Token,
    /// A client attaches a data link.
    Attach,
    /// A client sent a message, which is not stored yet.
    Send,
    /// A message was stored, and its confirmation is on the wire.
    Sent,
    /// A message is about to be handed out.
    Deliver,
    /// A client settled a delivery, which has not been acted on yet.
    Settle,
    /// A settlement was acted on and is about to be confirmed.
    Echo,
    /// A request on the management node was received and not acted on yet.
    Request,
    /// A request on the management node was acted on and is about to be answered.
    Reply,
    /// The HTTP interface is asked about an entity, with a token that is good.
    Admin,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// The connection is cut without a word.
    Disconnect,
    /// Whatever was asked for is refused with an AMQP condition, for example `com.microsoft:server-busy`.
    Refuse(String),
    /// The link is detached with an AMQP condition, for example `amqp:link:detach-forced`.
    Detach(String),
    /// The confirmation or answer is never sent.
    Withhold,
    /// The confirmation or answer is sent this many milliseconds late.
    DelayMillis(u64),
    /// The lock of the delivery lapses just before; at `sent`, all locks of the entity.
    LapseLock,
    /// The HTTP interface gives this answer in place of the right one.
    Http(Wrong),
}

/// A wrong answer of the HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// This status, for example 429.
    Status(u16),
    /// Counts of 0, as the service has been seen to answer when it throttles.
    Zeros,
}

/// What may have to be so for a fault to strike, beside the point and the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Only {
    /// At `attach`: the client wants to send.
    Sender,
    /// At `attach`: the client wants to receive.
    Receiver,
    /// At `send` and `sent`: the message is to appear later.
    Scheduled,
}

/// A fault that waits for its occasion.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where it strikes.
    pub at: Point,
    /// What it does.
    pub action: Action,
    /// Only at this entity, or for this management operation; everywhere if absent.
    #[serde(default)]
    pub on: Option<String>,
    /// Only if this is so.
    #[serde(default)]
    pub only: Option<Only>,
    /// Occasions that pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How often it strikes; null means until cleared.
    #[serde(default = "once")]
    pub times: Option<u32>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

impl Rule {
    /// A fault that strikes once, at the next occasion.
    #[must_use]
    pub fn new(at: Point, action: Action) -> Self {
        Self { at, action, on: None, only: None, skip: 0, times: once() }
    }

    /// Narrows it to an entity or a management operation (without the `com.microsoft:` prefix).
    #[must_use]
    pub fn on(mut self, name: &str) -> Self {
        self.on = Some(name.to_owned());
        self
    }

    /// Narrows it further.
    #[must_use]
    pub fn only(mut self, only: Only) -> Self {
        self.only = Some(only);
        self
    }

    /// Lets this many occasions pass first.
    #[must_use]
    pub fn skip(mut self, occasions: u32) -> Self {
        self.skip = occasions;
        self
    }

    /// Strikes this often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes until cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }
}

impl Action {
    /// The answer comes late by this much.
    #[must_use]
    pub fn delay(duration: Duration) -> Self {
        Self::DelayMillis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The faults that wait. Clones are handles to the same list.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    waiting: Arc<Mutex<VecDeque<Rule>>>,
    // Spares the lock on the usual path, where nothing is scripted.
    any: Arc<AtomicBool>,
}

impl Faults {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Rule>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault.
    pub fn add(&self, rule: Rule) {
        let mut waiting = self.waiting();
        waiting.push_back(rule);
        self.any.store(true, Ordering::Release);
    }

    /// Forgets all faults.
    pub fn clear(&self) {
        let mut waiting = self.waiting();
        waiting.clear();
        self.any.store(false, Ordering::Release);
    }

    /// How many faults wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Whether no fault waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Whether nothing is scripted; cheaper than asking for a fault.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Whether a fault strikes on this occasion. `names` are the entity and, for requests, the operation.
    pub(crate) fn strike(&self, at: Point, names: &[&str]) -> Option<Action> {
        self.strike_if(at, names, None)
    }

    /// The same on an occasion of which something more is so.
    pub(crate) fn strike_if(&self, at: Point, names: &[&str], so: Option<Only>) -> Option<Action> {
        if self.is_quiet() {
            return None;
        }
        let mut waiting = self.waiting();
        let meant = |rule: &Rule| {
            rule.at == at
                && rule.only.is_none_or(|only| so == Some(only))
                && rule
                    .on
                    .as_deref()
                    .is_none_or(|on| names.iter().any(|name| entity_path(name) == entity_path(on)))
        };
        let index = waiting.iter().position(meant)?;
        let rule = &mut waiting[index];
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        let action = rule.action.clone();
        rule.times = rule.times.map(|times| times.saturating_sub(1));
        if rule.times == Some(0) {
            waiting.remove(index);
        }
        self.any.store(!waiting.is_empty(), Ordering::Release);
        Some(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_strikes_and_is_used_up() {
        let faults = Faults::default();
        faults.add(Rule::new(Point::Settle, Action::Withhold).on("Contacts").skip(1).times(2));
        let strikes: Vec<bool> = ["contacts", "other", "contacts", "/contacts", "contacts"]
            .into_iter()
            .map(|entity| faults.strike(Point::Settle, &[entity]).is_some())
            .collect();
        assert_eq!(strikes, [false, false, true, true, false]);
        assert!(faults.is_empty());
    }

    #[test]
    fn a_rule_may_be_narrow_and_may_last() {
        let faults = Faults::default();
        faults.add(Rule::new(Point::Send, Action::Withhold).only(Only::Scheduled).always());
        for _ in 0..3 {
            assert!(faults.strike(Point::Send, &["q"]).is_none());
            assert!(faults.strike_if(Point::Send, &["q"], Some(Only::Sender)).is_none());
            assert!(faults.strike_if(Point::Send, &["q"], Some(Only::Scheduled)).is_some());
        }
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn rules_read_from_json_strike_once_unless_they_say_otherwise() {
        let read = |text: &str| serde_json::from_str::<Rule>(text).expect("a rule");
        assert_eq!(read(r#"{"at": "settle", "action": "lapse-lock"}"#).times, Some(1));
        let lasting = read(r#"{"at": "sent", "only": "scheduled", "action": "disconnect", "times": null}"#);
        assert_eq!((lasting.times, lasting.only), (None, Some(Only::Scheduled)));
    }
}
