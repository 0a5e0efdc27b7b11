//! What a run shows: names of columns and ids, never values.

use serde_json::{Value, json};
use shared::{
    drift::{DriftCause, LastRun, Objection, Totals, UserDifference},
    ids::{ContactId, UserId},
};
use uuid::Uuid;

use crate::{
    commands::{fitted, json_line, print, screen::Screen},
    operate::reconcile::{Asked, DriftFinding, PostEvent, Posted, ReconcileProgress},
};

/// Differences that are told one by one in text.
const TOLD: u64 = 20;

/// A part of reading whose length is known by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Users,
    Contacts,
    Looks,
}

/// Shows a run.
pub(super) struct Report {
    json: bool,
    screen: Screen,
    part: Option<Part>,
    /// How many users and contacts there may be.
    expected: [Option<u64>; 2],
    told: u64,
    failed: Option<anyhow::Error>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let screen = Screen::new(None);
        Self { json, screen, part: None, expected: [None; 2], told: 0, failed: None }
    }

    /// How many there may be: as Dataverse counts, and as the last run has read.
    pub(super) fn expect(&mut self, contacts: Option<u64>, last: Option<LastRun>) {
        self.expected = [last.map(|last| last.users), contacts.or(last.map(|last| last.contacts))];
    }

    /// How far reading has come.
    pub(super) fn reading(&mut self, progress: ReconcileProgress) {
        let [users_expected, contacts_expected] = self.expected;
        let (part, count, of, text) = match progress {
            ReconcileProgress::Users(users) => {
                (Part::Users, users, users_expected, format!("{users} users read"))
            }
            ReconcileProgress::Contacts(contacts) => {
                (Part::Contacts, contacts, contacts_expected, format!("{contacts} contacts read"))
            }
            ReconcileProgress::Looked { done, of } => {
                (Part::Looks, done.min(of), Some(of), format!("{} of {of} looked at", done.min(of)))
            }
        };
        if self.part.replace(part) != Some(part) {
            self.screen.end();
            // Where it is known how many there are, there is a bar with the time that is left.
            self.screen = Screen::new(of);
        }
        self.screen.at(count, &text, || text.clone());
    }

    /// One difference.
    pub(super) fn found(&mut self, finding: &DriftFinding<'_>) {
        self.told += 1;
        if !self.json && self.told > TOLD {
            return;
        }
        let (contact, user, properties) = match finding {
            DriftFinding::Differs(difference) => {
                (difference.contact, difference.user, properties(difference))
            }
            DriftFinding::Whole(candidate, cause) => {
                (candidate.contact, candidate.user, vec![(String::new(), *cause)])
            }
        };
        if self.json {
            self.print(&json_line(&difference_json(contact, user, &properties)));
        } else {
            let told =
                properties.iter().map(|(name, cause)| format!("{name} {}", cause.as_str()).trim().to_owned());
            self.screen
                .say(&format!("contact {contact} user {user}: {}", told.collect::<Vec<_>>().join(", ")));
        }
    }

    /// What was found, and what speaks against writing it.
    pub(super) fn planned(
        &mut self,
        totals: &Totals,
        asked: Asked,
        objections: &[Objection],
    ) -> anyhow::Result<()> {
        self.screen.end();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        print(&if self.json {
            json_line(&totals_json(totals, asked, objections))
        } else {
            fitted(&text(totals, asked, objections, self.told))
        })
    }

    /// Posting begins.
    pub(super) fn posting(&mut self, run: Uuid, of: u64) {
        self.screen = Screen::new(Some(of));
        self.screen.say(&format!("posting {of} changes; run {run}"));
    }

    /// How far posting has come.
    pub(super) fn at(&mut self, event: PostEvent) {
        let PostEvent { done, of, posted, well, failed } = event;
        let note = format!("({posted} posted, {well} consumed, {failed} dead letters)");
        self.screen.at(done, &note, || format!("{done} of {of} done {note}"));
    }

    /// What became of it.
    pub(super) fn posted(&mut self, posted: &Posted) -> anyhow::Result<()> {
        self.screen.end();
        let Posted { event: PostEvent { posted: count, well, failed, .. }, open, end } = posted;
        print(&if self.json {
            json_line(&json!({
                "event": "applied", "posted": count, "consumed": well, "deadLetters": failed, "open": open,
                "end": end.name(), "detail": end.explain(),
            }))
        } else {
            format!(
                "{count} changes posted; {well} consumed, {failed} dead letters, {open} not known yet\n{}\n",
                end.explain()
            )
        })
    }

    /// That it cannot be shown is told in the end.
    fn print(&mut self, text: &str) {
        if let Err(error) = print(text) {
            self.failed.get_or_insert(error);
        }
    }
}

fn properties(difference: &UserDifference) -> Vec<(String, DriftCause)> {
    difference.found.iter().map(|(property, found)| (property.to_string(), found.cause)).collect()
}

fn difference_json(contact: ContactId, user: UserId, properties: &[(String, DriftCause)]) -> Value {
    let told = properties.iter().map(|(name, cause)| match name.as_str() {
        "" => json!({"cause": cause.as_str()}),
        name => json!({"property": name, "cause": cause.as_str()}),
    });
    let differences: Vec<_> = told.collect();
    json!({
        "event": "difference", "contact": contact.to_string(), "user": user.to_string(), "differences": differences,
    })
}

fn totals_json(totals: &Totals, asked: Asked, objections: &[Objection]) -> Value {
    let causes: Vec<_> = totals
        .causes
        .iter()
        .map(|(cause, contacts)| json!({"cause": cause.as_str(), "contacts": contacts}))
        .collect();
    let properties = totals.properties.iter().map(|((property, cause), users)| {
        json!({"property": property.name(), "cause": cause.as_str(), "users": users})
    });
    let passed: Vec<_> = totals
        .passed
        .iter()
        .map(|(why, contacts)| json!({"reason": why.as_str(), "contacts": contacts}))
        .collect();
    json!({
        "event": "plan", "contacts": totals.contacts, "users": totals.users, "linked": totals.linked,
        "equal": totals.equal, "writes": totals.writes, "causes": causes, "passed": passed,
        "requests": {"dataverse": asked.dataverse, "graph": asked.graph},
        "properties": properties.collect::<Vec<_>>(),
        "objections": objections.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn text(totals: &Totals, asked: Asked, objections: &[Objection], told: u64) -> String {
    let Totals { contacts, users, linked, equal, writes, .. } = totals;
    let mut lines = vec![format!(
        "{contacts} contacts and {users} users read; {linked} contacts are linked, {equal} as they shall be"
    )];
    if told > TOLD {
        lines.push(format!("{} more differences; --json tells all", told - TOLD));
    }
    for (cause, contacts) in &totals.causes {
        lines.push(format!("{contacts:>8}  {}: {}", cause.as_str(), cause.explain()));
    }
    for ((property, cause), users) in &totals.properties {
        lines.push(format!("{users:>8}  {property} {}", cause.as_str()));
    }
    for (why, contacts) in &totals.passed {
        lines.push(format!("{contacts:>8}  passed over: {}", why.explain()));
    }
    let Asked { dataverse, graph } = asked;
    lines.push(format!(
        "{dataverse} requests to Dataverse, of 6,000 that a user has in 300 s; {graph} reads of Graph, of 1,750 that an app has \
         in 10 s in a small tenant"
    ));
    lines.push(format!("{writes} users would be written"));
    lines.extend(objections.iter().map(|objection| format!("nothing is written: {objection}")));
    lines.join("\n") + "\n"
}
