//! The faults that wait, and which of them strikes a call.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Answer, Fault, Scope};
use crate::graph::{
    call::{Call, Place},
    token,
};

impl Fault {
    fn matches(&self, scope: Scope, call: &Call, user: Option<Uuid>) -> bool {
        let path = || call.uri.path_and_query().map_or("", |path| path.as_str());
        self.on == scope
            && self.method.as_ref().is_none_or(|method| call.method.as_str().eq_ignore_ascii_case(method))
            && self.user.is_none_or(|wanted| user == Some(wanted))
            && self.path.as_ref().is_none_or(|part| path().contains(part.as_str()))
            && self.property.as_ref().is_none_or(|property| sets(call, property))
    }
}

/// Whether the body of a call sets a property.
fn sets(call: &Call, property: &str) -> bool {
    let body = serde_json::from_slice::<Map<String, Value>>(&call.body);
    body.is_ok_and(|body| body.contains_key(property))
}

/// Which side a call is on.
fn scope(call: &Call) -> Scope {
    match call.place() {
        Some(_) if call.item.is_some() => Scope::BatchItem,
        Some(
            Place::Nowhere
            | Place::Batch
            | Place::User(_)
            | Place::EmailMethods(..)
            | Place::Users
            | Place::Delta
            | Place::ByIds
            | Place::RoleAssignments
            | Place::DeletedUsers
            | Place::DeletedUser(_),
        ) => Scope::Graph,
        None if token::is_managed(call) => Scope::ManagedIdentity,
        None => Scope::Token,
    }
}

/// The faults that are still to come, in the order in which they were scripted.
#[derive(Debug, Default)]
pub(in crate::graph) struct Script {
    faults: Vec<Scripted>,
    last: u64,
}

#[derive(Debug)]
struct Scripted {
    number: u64,
    fault: Fault,
    lapses: Option<Instant>,
    /// Matching requests so far.
    met: u32,
}

/// A fault that strikes.
#[derive(Clone, Debug)]
pub(in crate::graph) struct Strike {
    pub(in crate::graph) number: u64,
    pub(in crate::graph) delay: Duration,
    pub(in crate::graph) hold: bool,
    pub(in crate::graph) apply: bool,
    pub(in crate::graph) answer: Option<Answer>,
}

impl Script {
    pub(in crate::graph) fn add(&mut self, fault: Fault, now: Instant) -> u64 {
        self.last += 1;
        let lapses = fault.for_ms.map(|time| now + Duration::from_millis(time));
        self.faults.push(Scripted { number: self.last, fault, lapses, met: 0 });
        self.last
    }

    pub(in crate::graph) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Ends the faults that hold calls back.
    pub(in crate::graph) fn let_go(&mut self) {
        self.faults.retain(|one| !one.fault.hold);
    }

    pub(in crate::graph) fn pending(&self) -> impl Iterator<Item = (u64, &Fault)> {
        self.faults.iter().map(|scripted| (scripted.number, &scripted.fault))
    }

    /// The first fault that strikes this call, if any.
    pub(in crate::graph) fn strike(
        &mut self,
        call: &Call,
        user: Option<Uuid>,
        now: Instant,
    ) -> Option<Strike> {
        if self.faults.is_empty() {
            return None;
        }
        self.faults.retain(|one| one.lapses.is_none_or(|lapses| lapses > now));
        let scope = scope(call);
        let at = self.faults.iter_mut().position(|one| {
            let matches = one.fault.matches(scope, call, user);
            one.met += u32::from(matches);
            matches && one.met > one.fault.skip && (one.met - one.fault.skip) % one.fault.every.max(1) == 0
        })?;
        let one = &mut self.faults[at];
        let strike = Strike {
            number: one.number,
            delay: Duration::from_millis(one.fault.delay_ms),
            hold: one.fault.hold,
            apply: one.fault.apply,
            answer: one.fault.answer.clone(),
        };
        one.fault.times = one.fault.times.map(|times| times.saturating_sub(1));
        if one.fault.times == Some(0) {
            self.faults.remove(at);
        }
        Some(strike)
    }
}
