//! Which of what is told belongs to an id, and in which words.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Story, telling};
use crate::journal::{Entry, Id, RequestIds, Sighting, Tag, TagKey};

const CONTACT: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const USER: Uuid = Uuid::from_u128(3);
const JOB: Uuid = Uuid::from_u128(4);

/// A directory with its key, and what is told in it.
struct Kept {
    folder: TempDir,
    key: TagKey,
    lines: String,
    at: i64,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("journal.key"), [7_u8; 32]).expect("written");
        Self { folder, key: TagKey::of(&[7; 32]), lines: String::new(), at: 1_700_000_000_000 }
    }

    fn tag(&self, id: Id) -> Tag {
        self.key.tag(id)
    }

    /// One entry, a second after the one before.
    fn tell(&mut self, entry: &Entry<Tag>) {
        self.raw(&serde_json::to_value(entry).expect("serializes"));
    }

    fn raw(&mut self, entry: &Value) {
        self.at += 1_000;
        self.lines.push_str(&json!([self.at, entry]).to_string());
        self.lines.push('\n');
    }

    fn began(&mut self, run: &str, target: Option<&str>) {
        self.raw(&json!({ "began": { "run": run, "version": "1", "queue": "contacts", "target": target } }));
    }

    fn seen(&mut self, message: i64, contact: Uuid) {
        let contacts = vec![self.tag(Id::Contact(contact))];
        let (users, job) = (vec![self.tag(Id::User(USER))], Some(self.tag(Id::Job(JOB))));
        let (attempt, replays, deliveries, enqueued) = (0, 0, 0, self.at);
        self.tell(&Entry::Seen(Sighting {
            message,
            copy_of: None,
            attempt,
            replays,
            deliveries,
            enqueued,
            contacts,
            users,
            job,
        }));
    }

    fn write(&mut self, write: u64, contact: Uuid, messages: &[i64]) {
        let (user, contacts) = (self.tag(Id::User(USER)), vec![self.tag(Id::Contact(contact))]);
        let (messages, properties) = (messages.to_vec(), vec!["givenName".to_owned()]);
        self.tell(&Entry::Write { write, request: RequestIds::new(), user, contacts, messages, properties });
    }

    fn settling(&mut self, message: i64, outcome: &str) {
        self.raw(&json!({ "settling": { "message": message, "outcome": outcome } }));
    }

    fn settled(&mut self, messages: &[i64]) {
        self.raw(&json!({ "settled": { "messages": messages } }));
    }

    fn story(&self, id: Uuid, target: Option<&str>) -> Story {
        fs::write(self.folder.path().join("pod.1.jsonl"), &self.lines).expect("written");
        Story::of_each(&[self.folder.path()], &[id], target).expect("read").remove(0)
    }

    /// Every event, as its name and its message or write.
    fn events(&self, id: Uuid, target: Option<&str>) -> Vec<String> {
        let told = telling::json(&self.story(id, target));
        let events = told["events"].as_array().cloned().unwrap_or_default();
        let number = |event: &Value| {
            let number = ["message", "write"].iter().find_map(|name| event[*name].as_u64());
            number.map_or_else(String::new, |number| format!(" {number}"))
        };
        events
            .iter()
            .map(|event| format!("{}{}", event["event"].as_str().unwrap_or_default(), number(event)))
            .collect()
    }
}

#[test]
fn a_story_has_what_is_about_the_id_and_nothing_of_others() {
    let mut kept = Kept::new();
    kept.began("a", None);
    kept.raw(&json!({ "state": { "state": "throttled" } }));
    kept.seen(1, CONTACT);
    kept.seen(2, OTHER);
    kept.raw(&json!({ "state": { "state": "open" } }));
    kept.write(1, CONTACT, &[1]);
    kept.raw(&json!({ "wrote": { "write": 1, "end": { "written": {} }, "calls": [] } }));
    kept.write(2, OTHER, &[2]);
    kept.settling(1, "applied");
    kept.settling(2, "applied");
    kept.settled(&[1, 2]);
    kept.raw(&json!({ "state": { "state": "paused" } }));
    kept.raw(&json!("ended"));
    let own = ["state", "seen 1", "state", "write 1", "wrote 1", "settling 1", "settled 1"];
    assert_eq!(kept.events(CONTACT, None), own);
    assert_eq!(kept.events(JOB, None).len(), 12, "both messages and both writes, and what held them back");
    assert_eq!(kept.events(USER, None).len(), 12);
    assert_eq!(kept.events(Uuid::from_u128(9), None), [""; 0]);
    let story = kept.story(CONTACT, None);
    assert_eq!(story.kinds.into_iter().collect::<Vec<_>>(), ["contact"]);
}

#[test]
fn what_a_killed_run_left_open_is_cut_off_and_what_comes_again_is_another_delivery() {
    let mut kept = Kept::new();
    kept.began("a", None);
    kept.seen(1, CONTACT);
    kept.write(1, CONTACT, &[1]);
    kept.began("b", None);
    kept.seen(1, CONTACT);
    kept.write(1, CONTACT, &[1]);
    kept.raw(
        &json!({ "wrote": { "write": 1, "end": { "needless": { "same": ["givenName"] } }, "calls": [] } }),
    );
    kept.raw(&json!({ "settling": { "message": 1, "outcome": "unchanged", "needless": "already-there" } }));
    kept.settled(&[1]);
    kept.raw(&json!("ended"));
    let told = ["seen 1", "write 1", "cutOff", "seen 1", "write 1", "wrote 1", "settling 1", "settled 1"];
    assert_eq!(kept.events(CONTACT, None), told);
    let told = telling::json(&kept.story(CONTACT, None));
    assert_eq!(told["messages"][0]["deliveries"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&told["writes"][0]["end"], &told["messages"][0]["outcome"]),
        (&Value::Null, &json!("unchanged"))
    );
}

#[test]
fn what_a_killed_run_had_begun_is_told_as_begun_and_not_known() {
    let mut kept = Kept::new();
    kept.began("a", None);
    kept.seen(1, CONTACT);
    kept.seen(2, CONTACT);
    kept.settling(1, "applied");
    kept.write(7, CONTACT, &[2]);
    let story = kept.story(CONTACT, None);
    let told = telling::json(&story);
    let cut_off = &told["events"][4];
    assert_eq!(
        (&cut_off["event"], &cut_off["writes"], &cut_off["settling"], &cut_off["stopped"]),
        (&json!("cutOff"), &json!([7]), &json!([1]), &json!(false))
    );
    let message = &told["messages"][0];
    assert_eq!((&message["outcome"], &message["settled"]), (&json!("applied"), &Value::Null));
    assert!(message["deliveries"][0]["settling"].is_string(), "{message}");
    assert_eq!(told["messages"][1]["outcome"], Value::Null);
    let request = told["writes"][0]["request"].as_str().expect("the ids of its calls");
    let lines = telling::lines(&story);
    for part in [
        &*format!(
            "write 7 was begun and whether it took effect is not known: look for client-request-id {request}"
        ),
        "message 1 was going to be settled, and whether the queue heard it is not known (applied: ",
    ] {
        assert!(lines.last().is_some_and(|line| line.contains(part)), "{part}\n{lines:#?}");
    }
    assert_eq!(lines.len(), 4, "what is not known to be settled has no line of its own: {lines:#?}");

    // The same when the run was stopped, and let go of what it had begun.
    kept.raw(&json!({ "wrote": { "write": 7, "end": "cutOff", "calls": [] } }));
    kept.raw(&json!("ended"));
    let told = telling::lines(&kept.story(CONTACT, None));
    assert!(told.iter().any(|line| line.contains("write 7") && line.contains("was cut off")), "{told:#?}");
    assert!(told.last().is_some_and(|line| line.contains("stopped; message 1 was going to be")), "{told:#?}");
}

#[test]
fn a_settlement_that_was_not_confirmed_says_so() {
    let mut kept = Kept::new();
    kept.began("a", None);
    kept.seen(1, CONTACT);
    kept.settling(1, "applied");
    kept.raw(&json!({ "unsettled": { "message": 1 } }));
    kept.raw(&json!("ended"));
    let story = kept.story(CONTACT, None);
    assert_eq!(telling::json(&story)["messages"][0]["settled"], Value::Null);
    assert!(telling::lines(&story)[1].contains("was not confirmed"), "{:#?}", telling::lines(&story));
}

#[test]
fn a_message_that_was_removed_is_gone_whatever_becomes_of_an_earlier_delivery() {
    for ends in [["released", "applied"], ["applied", "released"]] {
        let mut kept = Kept::new();
        kept.began("a", None);
        kept.seen(1, CONTACT);
        kept.seen(1, CONTACT);
        for end in ends {
            kept.settling(1, end);
            kept.settled(&[1]);
        }
        let told = telling::json(&kept.story(CONTACT, None));
        let message = &told["messages"][0];
        assert_eq!(
            (&message["outcome"], message["settled"].is_string()),
            (&json!("applied"), true),
            "{ends:?}"
        );
    }
}

#[test]
fn of_several_targets_one_can_be_asked_for() {
    let mut kept = Kept::new();
    for (run, target) in [("a", "b2c"), ("b", "external")] {
        kept.began(run, Some(target));
        kept.seen(1, CONTACT);
        kept.settling(1, "stale");
        kept.settled(&[1]);
        kept.raw(&json!("ended"));
    }
    assert_eq!(kept.events(CONTACT, Some("b2c")).len(), 3);
    assert_eq!(kept.events(CONTACT, None).len(), 6);
}

#[test]
fn every_line_says_what_happened_in_words() {
    let mut kept = Kept::new();
    kept.began("a", None);
    kept.seen(1, CONTACT);
    kept.at += 5_000;
    kept.write(1, CONTACT, &[1, 7]);
    kept.raw(&json!({ "wrote": { "write": 1,
        "end": { "failed": { "class": "throttled", "retryAfterMs": 3000, "cause": { "reason": "GraphRefused", "code": "Busy" } } },
        "calls": [{ "method": "PATCH", "status": "429", "requestId": "abc" }] } }));
    kept.raw(&json!({ "settling": { "message": 1, "outcome": "returned", "due": kept.at,
        "cause": { "reason": "RetryBudgetExhausted" } } }));
    kept.settled(&[1]);
    let mut story = kept.story(CONTACT, None);
    story.know(USER);
    let lines = telling::lines(&story);
    for (line, part) in [
        (0, "message 1         seen; it reached the queue at "),
        (
            1,
            &*format!(
                "begins to user {USER}, 6s after the first of them was seen; 2 messages merged: 1, 7; givenName"
            ),
        ),
        (2, "failed (throttled, Graph asks for 3s): GraphRefused, Busy [PATCH 429 request-id abc]"),
        (3, "comes back as a copy at 2023-11-14T22:"),
    ] {
        assert!(lines[line].contains(part), "{part}\n{lines:#?}");
    }
}

#[test]
fn without_the_key_it_is_said_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let told =
        |path: &Path| Story::of_each(&[path], &[CONTACT], None).map(drop).expect_err("no key").to_string();
    assert!(told(folder.path()).contains("journal.key"));
    fs::write(folder.path().join("journal.key"), "short").expect("written");
    assert!(told(folder.path()).contains("is no key of a journal"));
}
