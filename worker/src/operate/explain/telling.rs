//! The story in words and in JSON.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shared::{plan::SkipReason, reason::DeadLetterReason, shown::Shown};

use super::{
    event::{StoryEvent, What},
    story::Story,
};
use crate::{
    duration::exact,
    journal::{Entry, FailureCause, GraphCall, Place, RequestIds, Sighting, Tag, WriteEnd},
};

/// What is said of a run that has not come to its end.
const CUT_OFF: &str = "tells nothing more of this run: it was killed, or still works";
/// A wait that is worth a word.
const LONG: Duration = Duration::from_secs(1);

/// The command that tells what to do about a reason, if it is one of ours.
#[must_use]
pub(crate) fn runbook(reason: &str) -> Option<String> {
    let known = DeadLetterReason::ALL.iter().any(|known| known.as_str() == reason);
    known.then(|| format!("contactsync explain {reason}"))
}

/// A line for each thing that happened, oldest first.
pub(crate) fn lines(story: &Story) -> Vec<String> {
    let mut told = ToldSoFar::default();
    let mut lines = Vec::new();
    for event in &story.events {
        let Some((what, words)) = words(story, event, &mut told) else { continue };
        lines.push(format!("{}  {what:<16}  {}", millis(event.at), Shown(words)));
    }
    lines
}

/// What later lines refer to.
#[derive(Default)]
struct ToldSoFar<'s> {
    /// When a message was first seen.
    seen: BTreeMap<i64, Timestamp>,
    /// How a replica was going to settle a message, in words.
    settling: BTreeMap<(&'s Place, i64), String>,
    /// The ids of the calls of a write.
    requests: BTreeMap<(&'s Place, u64), RequestIds>,
}

/// What it is about, and what happened; nothing of what a later line tells.
fn words<'s>(story: &Story, event: &'s StoryEvent, told: &mut ToldSoFar<'s>) -> Option<(String, String)> {
    let (message, place) = (|number: &i64| format!("message {number}"), &event.place);
    let entry = match &event.what {
        What::Told(entry) => entry,
        What::CutOff { stopped, writes, settling } => {
            let why = if *stopped { "stopped" } else { CUT_OFF };
            return Some((
                "replica".into(),
                format!("{} {why}{}", place.replica, begun_there(place, writes, settling, told)),
            ));
        }
    };
    Some(match entry {
        Entry::Seen(delivery) => {
            told.seen.entry(delivery.message).or_insert(event.at);
            (message(&delivery.message), delivered(delivery))
        }
        Entry::Found { message: number, users } => {
            (message(number), format!("Graph was asked who is meant: {} user(s)", users.len()))
        }
        Entry::Write { write, request, user, messages, properties, .. } => {
            told.requests.insert((place, *write), *request);
            (format!("write {write}"), begun(event.at, story.name(*user), messages, properties, &told.seen))
        }
        Entry::Wrote { write, end, calls } => {
            (format!("write {write}"), format!("{}{}", ended(end), made(calls)))
        }
        Entry::Looked { undone, failed, calls, .. } => {
            let what = match failed {
                Some(cause) => format!("could not be made: {}", because(cause)),
                None if undone.is_empty() => "shows what was written".to_owned(),
                None => format!("shows that {} was undone; it is written again", undone.join(", ")),
            };
            ("second look".into(), format!("{what}{}", made(calls)))
        }
        Entry::Settling { message: number, outcome, needless, cause, due } => {
            let words = settled(outcome, needless.as_deref(), cause.as_ref(), *due);
            told.settling.insert((place, *number), words);
            return None;
        }
        Entry::Settled { messages } => {
            let number = messages.first()?;
            (message(number), told.settling.remove(&(place, *number)).unwrap_or_else(|| "settled".to_owned()))
        }
        Entry::Unsettled { message: number } => {
            told.settling.remove(&(place, *number));
            let words =
                "its settlement was not confirmed; unless it reached the queue all the same, it comes again";
            (message(number), words.to_owned())
        }
        Entry::State { state } => ("all writes".into(), held(state).to_owned()),
        Entry::Began { .. } => ("replica".into(), "began".into()),
        Entry::Ended => ("replica".into(), "stopped".into()),
    })
}

/// What had been begun when a run was cut off.
fn begun_there<'s>(place: &'s Place, writes: &[u64], settling: &[i64], told: &mut ToldSoFar<'s>) -> String {
    let mut text = String::new();
    for write in writes {
        let id = told.requests.get(&(place, *write)).map_or_else(String::new, RequestIds::to_string);
        // Writing to a string cannot fail.
        let _infallible = write!(
            text,
            "; write {write} was begun and whether it took effect is not known: look for client-request-id {id}, or the \
             next numbers, in Graph's activity log"
        );
    }
    for message in settling {
        let how = told.settling.remove(&(place, *message)).unwrap_or_default();
        let _infallible = write!(
            text,
            "; message {message} was going to be settled, and whether the queue heard it is not known ({how})"
        );
    }
    text
}

fn delivered(seen: &Sighting<Tag>) -> String {
    let mut text = format!("seen; it reached the queue at {}", time(seen.enqueued));
    // Writing to a string cannot fail.
    if let Some(original) = seen.copy_of {
        let _infallible = write!(text, "; a copy of message {original}");
    }
    if seen.attempt > 0 {
        let _infallible = write!(text, ", which came back {} time(s)", seen.attempt);
    }
    if seen.replays > 0 {
        let _infallible = write!(text, ", put back from the dead letters {} time(s)", seen.replays);
    }
    if seen.deliveries > 0 {
        let _infallible = write!(text, "; {} delivery(s) before failed", seen.deliveries);
    }
    if seen.contacts.len() > 1 {
        let _infallible = write!(text, "; about {} contacts", seen.contacts.len());
    }
    text
}

fn begun(
    at: Timestamp,
    user: Option<String>,
    messages: &[i64],
    properties: &[String],
    seen: &BTreeMap<i64, Timestamp>,
) -> String {
    let numbers: Vec<_> = messages.iter().map(i64::to_string).collect();
    let whom = user.map_or_else(String::new, |user| format!(" to user {user}"));
    let carries = match &*numbers {
        [] => "repairs what was undone".to_owned(),
        [one] => format!("message {one}"),
        many => format!("{} messages merged: {}", many.len(), many.join(", ")),
    };
    let first = messages.iter().filter_map(|message| seen.get(message)).min();
    let waited = first.and_then(|first| Duration::try_from(at.duration_since(*first)).ok());
    let waited = waited.filter(|waited| *waited >= LONG).map_or_else(String::new, |waited| {
        format!(", {} after the first of them was seen", exact(Duration::from_secs(waited.as_secs())))
    });
    format!("begins{whom}{waited}; {carries}; {}", properties.join(", "))
}

fn ended(end: &WriteEnd) -> String {
    let kept = |newer: &[String], same: &[String]| {
        let both = [("newer there", newer), ("so already", same)];
        let told = both.iter().filter(|(_, names)| !names.is_empty());
        told.fold(String::new(), |text, (what, names)| format!("{text}; {what}: {}", names.join(", ")))
    };
    match end {
        WriteEnd::Written { newer, same } => format!("written{}", kept(newer, same)),
        WriteEnd::Needless { newer, same } => format!("nothing was left to write{}", kept(newer, same)),
        WriteEnd::Failed { class, retry_after_ms, cause } => {
            let wait = retry_after_ms.map_or_else(String::new, |wait| {
                format!(", Graph asks for {}", exact(Duration::from_millis(wait)))
            });
            format!("failed ({class}{wait}): {}", because(cause))
        }
        WriteEnd::NotBegun => "was not sent: this replica was not sure to be the writer".to_owned(),
        WriteEnd::CutOff => {
            "was cut off, because this replica had to stop; whether it took effect is not known".to_owned()
        }
    }
}

fn because(cause: &FailureCause) -> String {
    let FailureCause { reason, code, property } = cause;
    let code = code.as_ref().map_or_else(String::new, |code| format!(", {code}"));
    let property = property.as_ref().map_or_else(String::new, |property| format!(", {property}"));
    format!("{reason}{code}{property}")
}

fn made(calls: &[GraphCall]) -> String {
    let call = |call: &GraphCall| {
        let id = match (&call.request_id, &call.client_request_id) {
            (Some(id), _) => format!(" request-id {id}"),
            (None, Some(id)) => format!(" client-request-id {id}"),
            (None, None) => String::new(),
        };
        format!("{} {}{id}", call.method, call.status)
    };
    let calls: Vec<_> = calls.iter().map(call).collect();
    if calls.is_empty() { String::new() } else { format!(" [{}]", calls.join("; ")) }
}

fn settled(outcome: &str, needless: Option<&str>, cause: Option<&FailureCause>, due: Option<i64>) -> String {
    let why = cause.map(because).unwrap_or_default();
    match outcome {
        "applied" => "applied: its effect is in Graph, and the queue was told that it is done".to_owned(),
        "stale" => "stale: newer values are in Graph, so it was completed without effect".to_owned(),
        "unchanged" => {
            let why = needless.unwrap_or_default();
            let known = SkipReason::ALL.into_iter().find(|reason| reason.as_str() == why);
            format!("needs nothing ({why}): {}", known.map_or("", SkipReason::explain))
        }
        "dead_lettered" => {
            let place = cause.and_then(|cause| runbook(&cause.reason));
            let place = place.map_or_else(String::new, |place| format!("; see {place}"));
            format!("dead letter: {why}{place}")
        }
        "returned" => {
            let due = due.map_or_else(|| "later".to_owned(), time);
            format!("comes back as a copy at {due}: {why}")
        }
        "held_aside" => "held aside, because its author changes too many users alike; contactsync held list shows what waits \
                         for a decision"
            .to_owned(),
        "released" => "given back untouched; it comes again".to_owned(),
        "copied" => "removed: a copy that was sent before takes its place".to_owned(),
        other => other.to_owned(),
    }
}

fn held(state: &str) -> &str {
    match state {
        "open" => "go on",
        "throttled" => "are held back: Graph asks for time",
        "breaker_open" => "are held back: those of many users failed in a row, one at a time is tried",
        "paused" => "are held back: the installation is at fault, see the log of that time",
        "trial" => "are tried again, one at a time",
        "standby" => "are another replica's",
        other => other,
    }
}

fn time(millis_since_1970: i64) -> String {
    Timestamp::from_millisecond(millis_since_1970).map_or_else(|_| "?".to_owned(), millis)
}

/// A time with milliseconds, so that lines stand below each other.
fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The same for machines: every event, and the writes and messages that they make up.
pub(crate) fn json(story: &Story) -> Value {
    let reading = &story.reading;
    let span = |at: fn(&(Timestamp, Timestamp)) -> Timestamp| reading.span.as_ref().map(at).map(millis);
    json!({
        "files": reading.files,
        "entries": reading.entries,
        "unreadable": reading.unreadable,
        "from": span(|(from, _)| *from),
        "until": span(|(_, until)| *until),
        "events": story.events.iter().map(|event| event_json(story, event)).collect::<Vec<_>>(),
        "writes": writes(story),
        "messages": messages(story),
    })
}

fn event_json(story: &Story, event: &StoryEvent) -> Value {
    let mut object = Map::new();
    object.insert("at".into(), json!(millis(event.at)));
    object.insert("replica".into(), json!(event.place.replica));
    object.insert("run".into(), json!(event.place.run));
    match &event.what {
        What::CutOff { stopped, writes, settling } => {
            object.insert("event".into(), json!("cutOff"));
            object.insert("stopped".into(), json!(stopped));
            object.insert("writes".into(), json!(writes));
            object.insert("settling".into(), json!(settling));
        }
        What::Told(entry) => {
            // A name and its fields, as it stands in the file.
            if let Ok(Value::Object(told)) = serde_json::to_value(entry)
                && let Some((name, fields)) = told.into_iter().next()
            {
                object.insert("event".into(), json!(name));
                if let Value::Object(fields) = fields {
                    object.extend(fields.into_iter().filter(|(name, _)| !is_tag(name)).map(readable));
                }
            }
            match entry {
                Entry::Write { user, .. } | Entry::Looked { user, .. } => {
                    object.insert("user".into(), json!(story.name(*user)));
                }
                Entry::Settled { messages } => {
                    object.remove("messages");
                    object.insert("message".into(), json!(messages.first()));
                }
                _ => {}
            }
        }
    }
    Value::Object(object)
}

/// Whether a field holds tags, which say nothing to anybody.
fn is_tag(name: &str) -> bool {
    matches!(name, "contacts" | "users" | "job" | "user")
}

fn readable((name, value): (String, Value)) -> (String, Value) {
    match (&*name, value.as_i64()) {
        ("enqueued" | "due", Some(at)) => (name, json!(time(at))),
        _ => (name, value),
    }
}

fn writes(story: &Story) -> Vec<Value> {
    let mut places: BTreeMap<(&str, &str, u64), usize> = BTreeMap::new();
    let mut writes: Vec<Value> = Vec::new();
    for StoryEvent { at, place, what } in &story.events {
        match what {
            What::Told(Entry::Write { write, request, user, messages, properties, .. }) => {
                places.insert((&place.replica, &place.run, *write), writes.len());
                writes.push(json!({
                    "replica": place.replica, "run": place.run, "write": write, "request": request,
                    "user": story.name(*user), "messages": messages, "properties": properties, "begun": millis(*at),
                }));
            }
            What::Told(Entry::Wrote { write, end, calls }) => {
                let found = places.get(&(&*place.replica, &*place.run, *write));
                if let Some(told) = found.and_then(|place| writes.get_mut(*place)) {
                    told["ended"] = json!(millis(*at));
                    told["end"] = json!(end);
                    told["calls"] = json!(calls);
                }
            }
            _ => {}
        }
    }
    writes
}

/// The deliveries of each message. One that was going to be settled has an outcome; it is known to have been settled so if it
/// also says when.
fn messages(story: &Story) -> Vec<Value> {
    let mut messages: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for StoryEvent { at, place, what } in &story.events {
        let What::Told(entry) = what else { continue };
        match entry {
            Entry::Seen(seen) => messages.entry(seen.message).or_default().push(json!({
                "replica": place.replica, "run": place.run, "seen": millis(*at), "copyOf": seen.copy_of,
                "attempt": seen.attempt, "replays": seen.replays,
            })),
            Entry::Settling { message, outcome, needless, cause, due } => {
                if let Some(delivery) = open(&mut messages, *message, place) {
                    delivery["settling"] = json!(millis(*at));
                    delivery["outcome"] = json!(outcome);
                    delivery["needless"] = json!(needless);
                    delivery["cause"] = json!(cause);
                    delivery["due"] = json!(due.map(time));
                }
            }
            Entry::Settled { messages: settled } => {
                for message in settled {
                    if let Some(delivery) = open(&mut messages, *message, place) {
                        delivery["settled"] = json!(millis(*at));
                    }
                }
            }
            Entry::Unsettled { message } => {
                if let Some(delivery) = open(&mut messages, *message, place) {
                    delivery["unsettled"] = json!(millis(*at));
                }
            }
            _ => {}
        }
    }
    messages
        .into_iter()
        .map(|(message, deliveries)| {
            let end = |what: &str| end_of(&deliveries).map_or(Value::Null, |end| end[what].clone());
            json!({
                "message": message, "outcome": end("outcome"), "settled": end("settled"), "deliveries": deliveries,
            })
        })
        .collect()
}

/// The delivery by which a message ended, or the one that is told of last. A message that was removed for certain is gone; an
/// earlier delivery of it, whose lock had lapsed, may be given back later than that and means nothing any more.
fn end_of(deliveries: &[Value]) -> Option<&Value> {
    let latest = |delivery: &&Value| {
        ["settling", "seen"].iter().find_map(|name| delivery[*name].as_str().map(str::to_owned))
    };
    let is_gone = |delivery: &&Value| delivery["settled"].is_string() && delivery["outcome"] != "released";
    let gone = deliveries.iter().filter(is_gone).max_by_key(latest);
    gone.or_else(|| deliveries.iter().max_by_key(latest))
}

/// The delivery of a message to a run, if it is not known to have been settled. One of several to the same run is meant by no
/// entry; it is taken to be the last.
fn open<'m>(
    messages: &'m mut BTreeMap<i64, Vec<Value>>,
    message: i64,
    place: &Place,
) -> Option<&'m mut Value> {
    let is_there = |delivery: &&mut Value| {
        delivery["run"] == *place.run
            && delivery["replica"] == *place.replica
            && delivery["settled"].is_null()
    };
    messages.get_mut(&message)?.iter_mut().rev().find(is_there)
}
