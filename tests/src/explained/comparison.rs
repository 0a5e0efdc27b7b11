//! The comparison: each write and each settlement that the services have seen is told, for certain or as begun with an outcome
//! that is not known; and nothing is told that they have not seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Result;
use emulator::broker::Settled;
use serde_json::Value;
use uuid::Uuid;

use super::{
    journals,
    seen::{Seen, SeenMessage},
};

/// Ids that one command is asked about.
const AT_ONCE: usize = 200;

/// How the stories agree with what the services have seen.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What is told otherwise than it was.
    pub wrong: Vec<String>,
    /// What was and is not told.
    pub untold: Vec<String>,
    /// Writes and settlements that are told as they were.
    pub told: usize,
    /// Of those, such that are told as begun, with an outcome that is not known.
    pub begun: usize,
    /// The text of all stories.
    pub text: String,
    /// Messages that were told of.
    messages: BTreeSet<i64>,
    /// Calls that are told to have ended: the user, the status.
    calls: BTreeMap<String, (String, String)>,
    /// Ids of the first calls of writes whose end is not known.
    open: BTreeSet<Uuid>,
}

impl Comparison {
    /// Asks for the stories of these contacts and users, and holds all that was seen against them.
    pub async fn of(settings: &Path, seen: &Seen, ids: impl IntoIterator<Item = Uuid>) -> Result<Self> {
        let mut comparison = Self::default();
        let ids: Vec<_> = ids.into_iter().collect();
        for ids in ids.chunks(AT_ONCE) {
            for (id, story) in ids.iter().zip(journals(settings, ids).await?) {
                comparison.text += &story.to_string();
                comparison.writes(*id, &story);
                comparison.deliveries(*id, &story, seen);
            }
        }
        comparison.all_calls(seen);
        comparison.all_messages(seen);
        Ok(comparison)
    }

    /// Takes in what is told of writes, which have to be in order.
    fn writes(&mut self, id: Uuid, story: &Value) {
        let mut last = String::new();
        for write in list(&story["writes"]) {
            let (begun, ended) = (text(&write["begun"]), write["ended"].as_str());
            if begun < last || ended.is_some_and(|ended| ended < &*begun) {
                self.wrong.push(format!("a write in the story of {id} is out of order: {write}"));
            }
            last = begun;
            for call in list(&write["calls"]).filter(|call| call["method"] == "PATCH") {
                let told = (id.to_string(), text(&call["status"]));
                self.calls.insert(text(&call["clientRequestId"]), told);
            }
            if (ended.is_none() || write["end"] == "cutOff")
                && let Ok(first) = text(&write["request"]).parse()
            {
                self.open.insert(first);
            }
        }
    }

    /// Each call that Graph has seen is told once, and no other one.
    fn all_calls(&mut self, seen: &Seen) {
        for call in &seen.writes {
            if let Some((id, status)) = self.calls.remove(&call.client_request_id) {
                let same = match call.status {
                    Some(number) => number.to_string() == status,
                    None => status.parse::<u16>().is_err(),
                };
                if same {
                    self.told += 1;
                } else {
                    self.wrong.push(format!("{id}: {status} for {call:?}"));
                }
            } else if self.is_begun(&call.client_request_id) {
                self.told += 1;
                self.begun += 1;
            } else {
                self.untold.push(format!("a call that Graph has seen: {call:?}"));
            }
        }
        for (request, (id, status)) in std::mem::take(&mut self.calls) {
            self.wrong.push(format!("{id}: Graph has not seen {request}, told with {status}"));
        }
    }

    /// Whether a call has one of the ids that were foretold for a write whose end is not known.
    fn is_begun(&self, request: &str) -> bool {
        let Ok(request) = request.parse::<Uuid>() else { return false };
        self.open.contains(&Uuid::from_u128(request.as_u128() & !0xFFFF))
    }

    /// The deliveries of each message of a story, and its ends, against those that the broker has seen.
    fn deliveries(&mut self, id: Uuid, story: &Value, seen: &Seen) {
        for message in list(&story["messages"]) {
            let number = message["message"].as_i64().unwrap_or_default();
            if !self.messages.insert(number) {
                continue;
            }
            match seen.messages.get(&number) {
                Some(seen) => self.message(id, number, message, seen),
                None => self.wrong.push(format!("{id}: the queue has not seen message {number}")),
            }
        }
    }

    fn message(&mut self, id: Uuid, number: i64, message: &Value, seen: &SeenMessage) {
        let deliveries: Vec<_> = list(&message["deliveries"]).collect();
        if deliveries.len() > seen.deliveries {
            let told = deliveries.len();
            self.wrong.push(format!("{id}: message {number} was not delivered {told} times: {seen:?}"));
        }
        for how in [Settled::Completed, Settled::DeadLettered, Settled::Released] {
            let told = deliveries.iter().filter(|told| how_of(&told["outcome"]) == Some(how));
            let certain = told.clone().filter(|told| told["settled"].is_string()).count();
            let was = seen.settled.iter().filter(|seen| **seen == how).count();
            // The client gives back what came in excess, before anybody has seen it.
            let unseen =
                if how == Settled::Released { seen.deliveries.saturating_sub(deliveries.len()) } else { 0 };
            if was > told.count() + unseen {
                self.untold
                    .push(format!("{id}: message {number} was {how:?} {was} times: {seen:?} {message}"));
                continue;
            }
            self.told += was;
            self.begun += was.saturating_sub(certain);
        }
        // A completion is sent and not confirmed: one that was on its way when the connection broke is made again. And where
        // the outcome of a delivery is not known, a later one may seem to be the end.
        let end = seen.settled.last().filter(|how| **how != Settled::Released).copied();
        let told = how_of(&message["outcome"]);
        let may_be =
            deliveries.iter().any(|told| told["settled"].is_null() && how_of(&told["outcome"]) == end);
        if end.is_some() && told != end && !may_be {
            self.wrong.push(format!("{id}: message {number} is told {told:?} and is {seen:?}: {message}"));
        }
        let certain = message["settled"].is_string();
        if end.is_none() && certain && matches!(told, Some(Settled::Completed | Settled::DeadLettered)) {
            self.wrong
                .push(format!("{id}: message {number} is told {told:?} and was not: {seen:?} {message}"));
        }
    }

    /// Each message that was settled is in some story; but those that name nobody.
    fn all_messages(&mut self, seen: &Seen) {
        let settled = seen.messages.iter().filter(|(_, was)| !was.settled.is_empty());
        for (number, was) in settled {
            if !self.messages.contains(number) && !seen.nameless.contains(number) {
                self.untold.push(format!("message {number}: {was:?}"));
            }
        }
    }
}

/// How a message is settled that has this outcome.
fn how_of(outcome: &Value) -> Option<Settled> {
    match outcome.as_str()? {
        "applied" | "stale" | "unchanged" | "returned" | "copied" | "held_aside" => Some(Settled::Completed),
        "dead_lettered" => Some(Settled::DeadLettered),
        "released" => Some(Settled::Released),
        _ => None,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
