//! What is told about jobs, to people and to machines.

use std::time::Duration;

use serde_json::{Value, json};
use shared::shown::Shown;

use super::{
    again::Sent,
    groups::{Group, groups},
    look::Findings,
    resume::Resumption,
};
use crate::{
    commands::{json_text, print, probes::line},
    dataverse::{JobState, Match},
    duration::exact,
};

/// Most contacts that are listed for people.
const LISTED: usize = 20;

/// Everything that there is to tell.
pub(super) struct Report<'f> {
    findings: &'f Findings,
    groups: Vec<Group>,
    seen: Result<Option<String>, String>,
    since: Duration,
    pub(super) resumed: Option<Resumption>,
    pub(super) again: Option<Sent>,
}

impl<'f> Report<'f> {
    pub(super) fn of(findings: &'f Findings, seen: Result<Option<String>, String>, since: Duration) -> Self {
        Self { findings, groups: groups(&findings.jobs), seen, since, resumed: None, again: None }
    }

    /// Whether nothing is left to be seen to.
    pub(super) fn is_settled(&self) -> bool {
        let resumed = self.resumed.is_some_and(|told| told.done);
        let again =
            self.again.as_ref().is_some_and(|sent| sent.done && sent.unfit.is_empty() && sent.others == 0);
        !self.findings.more
            && self.groups.iter().all(|group| match group.state {
                JobState::Waiting => resumed,
                JobState::Failed => again,
                _ => false,
            })
    }

    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        print(&if as_json { json_text(&self.json()) } else { self.text() })
    }

    fn step(&self, place: usize) -> String {
        let step = &self.findings.steps[place];
        step.name.as_deref().map_or_else(|| step.id.to_string(), str::to_owned)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (endpoint, by) in &self.findings.endpoints {
            let name = endpoint.name.as_deref().unwrap_or_default();
            let elsewhere = if *by == Match::NameOnly { ", which posts to another queue" } else { "" };
            line(&mut text, &format!("endpoint {name} ({}){elsewhere}", endpoint.id));
        }
        for (place, step) in self.findings.steps.iter().enumerate() {
            let disabled = if step.statecode == Some(1) {
                "; it is disabled, so no change reaches the queue by it"
            } else {
                ""
            };
            line(&mut text, &format!("step {}{disabled}", self.step(place)));
        }
        if self.findings.steps.is_empty() {
            line(&mut text, "no step posts by it, so no change reaches the queue; register one");
        }
        text.push('\n');
        for group in &self.groups {
            self.tell_group(&mut text, group);
        }
        self.tell_sum(&mut text);
        if let Some(told) = &self.resumed {
            tell_resumed(&mut text, told);
        }
        if let Some(sent) = &self.again {
            tell_again(&mut text, sent);
        }
        text
    }

    fn tell_group(&self, text: &mut String, group: &Group) {
        let code = group.code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
        let explanation = group.explanation();
        let (oldest, newest) = (group.oldest, group.newest);
        let state = group.state.as_str();
        line(
            text,
            &format!(
                "{:<9}{} of {}, {code}: {}",
                state,
                group.count,
                self.step(group.step),
                explanation.meaning
            ),
        );
        line(text, &format!("{:9}from {oldest} to {newest}", ""));
        line(text, &format!("{:9}to do: {}", "", explanation.remedy));
        if let Some(example) = &group.example {
            line(text, &format!("{:9}dataverse says: {example}", ""));
        }
    }

    fn tell_sum(&self, text: &mut String) {
        let count = |state| {
            self.groups.iter().filter(|group| group.state == state).map(|group| group.count).sum::<usize>()
        };
        let since = exact(self.since);
        if self.groups.is_empty() {
            let no_proof = "That is no proof that all is well: what does not fire leaves no job.";
            line(text, &format!("No job has failed or waits in the last {since}. {no_proof}"));
        } else {
            let (failed, waiting) = (count(JobState::Failed), count(JobState::Waiting));
            line(text, &format!("{failed} failed and {waiting} wait in the last {since}."));
        }
        if self.findings.more {
            line(text, "There are more than were looked at; narrow them down by --since.");
        }
        line(
            text,
            &match &self.seen {
                Ok(Some(time)) => format!("A worker last received a message at {time}."),
                Ok(None) => "The worker has received no message since it started.".to_owned(),
                Err(why) => format!("When a message was last received is not known: {why}"),
            },
        );
    }

    fn json(&self) -> Value {
        let endpoints = self.findings.endpoints.iter().map(|(endpoint, by)| {
            json!({"id": endpoint.id, "name": endpoint.name, "postsHere": *by == Match::Address})
        });
        let steps = self
            .findings
            .steps
            .iter()
            .map(|step| json!({"id": step.id, "name": step.name, "enabled": step.statecode != Some(1)}));
        let groups = self.groups.iter().map(|group| {
            let explanation = group.explanation();
            json!({
                "step": self.findings.steps[group.step].id,
                "state": group.state.as_str(),
                "code": group.code.map(|code| code.to_string()),
                "count": group.count,
                "oldest": group.oldest.to_string(),
                "newest": group.newest.to_string(),
                "meaning": explanation.meaning,
                "remedy": explanation.remedy,
                "example": group.example,
            })
        });
        let mut told = json!({
            "ok": self.is_settled(),
            "endpoints": endpoints.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "groups": groups.collect::<Vec<_>>(),
            "more": self.findings.more,
            "lastReceived": self.seen.as_ref().ok().and_then(Option::as_deref),
        });
        if let Some(resumed) = &self.resumed {
            told["resume"] = json!({
                "done": resumed.done, "waiting": resumed.waiting, "resumed": resumed.resumed,
                "notWaiting": resumed.quicker,
            });
        }
        if let Some(sent) = &self.again {
            told["again"] = again_json(sent);
        }
        told
    }
}

fn tell_resumed(text: &mut String, told: &Resumption) {
    let waiting = told.waiting;
    line(
        text,
        &if told.done {
            let quicker = match told.quicker {
                0 => String::new(),
                quicker => format!("; {quicker} waited no more"),
            };
            format!("Resumed {} of {waiting} waiting jobs{quicker}.", told.resumed)
        } else {
            format!("{waiting} waiting jobs would be resumed; --yes does it.")
        },
    );
}

fn tell_again(text: &mut String, sent: &Sent) {
    let (contacts, jobs) = (sent.contacts.len(), sent.jobs);
    line(
        text,
        &if sent.done {
            format!("Sent {contacts} contacts of {jobs} failed jobs to the queue.")
        } else {
            format!("{contacts} contacts of {jobs} failed jobs would be sent to the queue; --yes does it.")
        },
    );
    for (contact, message) in sent.contacts.iter().take(LISTED) {
        let message = message.map_or_else(String::new, |id| format!(" as {id}"));
        line(text, &format!("  {contact}{message}"));
    }
    if contacts > LISTED {
        line(text, &format!("  and {} more; --json lists them", contacts - LISTED));
    }
    for (count, what) in [
        (sent.gone, "contacts are deleted, or not shown to the application user, and were left out"),
        (sent.unlinked, "contacts have no user and were left out"),
        (sent.others, "failed jobs are about no contact and were left out"),
    ] {
        if count > 0 {
            line(text, &format!("{count} {what}."));
        }
    }
    for (contact, why) in &sent.unfit {
        line(text, &format!("{contact} was left out: {}.", Shown(why)));
    }
    if !sent.labelled.is_empty() {
        let columns = sent.labelled.join(", ");
        line(
            text,
            &format!(
                "The texts of {columns} are in the language of the application user; give their rows in the mapping choices if \
             that is another one than your users'."
            ),
        );
    }
}

fn again_json(sent: &Sent) -> Value {
    let contacts = sent
        .contacts
        .iter()
        .map(|(contact, message)| json!({"contact": contact.to_string(), "messageId": message}));
    let unfit = sent.unfit.iter().map(|(contact, why)| json!({"contact": contact.to_string(), "why": why}));
    json!({
        "done": sent.done, "jobs": sent.jobs, "contacts": contacts.collect::<Vec<_>>(), "gone": sent.gone,
        "unlinked": sent.unlinked, "aboutOthers": sent.others, "unfit": unfit.collect::<Vec<_>>(),
        "labels": sent.labelled,
    })
}
