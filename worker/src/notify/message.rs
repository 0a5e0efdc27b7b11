//! What is told, in words that every channel gives its own form.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::notices::Urgency;
use uuid::Uuid;

/// What is told to people.
#[derive(Clone, Debug)]
pub(crate) struct NotifyMessage {
    /// The same for every try to send it, and for no other.
    pub(super) id: Uuid,
    /// The id of the first one about the same, and the place among those that follow.
    pub(super) thread: Option<(Uuid, u32)>,
    /// firing, resolved, repeat, digest or test.
    pub(super) state: &'static str,
    pub(super) urgency: Urgency,
    /// One line, 100 characters at most.
    pub(super) subject: String,
    pub(super) environment: String,
    pub(super) items: Vec<NotifyItem>,
    /// How many things more there were.
    pub(super) more: usize,
    /// Lines of their own, of a digest.
    pub(super) lines: Vec<String>,
    /// The status page.
    pub(super) page: Option<String>,
    pub(super) at: Timestamp,
}

/// One thing that is told.
#[derive(Clone, Debug)]
pub(super) struct NotifyItem {
    /// firing, resolved or still firing.
    pub(super) state: &'static str,
    pub(super) urgency: Urgency,
    /// Which of several targets; empty where there is one without a name.
    pub(super) target: String,
    pub(super) topic: &'static str,
    pub(super) name: String,
    /// A sentence.
    pub(super) text: String,
    /// What to do; empty where nothing is.
    pub(super) remedy: String,
    pub(super) count: Option<u64>,
    pub(super) since: Timestamp,
    /// Its place in the runbook: an address, or a heading where nobody knows the address. Empty where there is none.
    pub(super) runbook: String,
}

impl NotifyItem {
    /// Whether the place in the runbook can be opened.
    pub(super) fn has_link(&self) -> bool {
        self.runbook.starts_with("http")
    }

    /// The urgency of what is so, or that it is over.
    pub(super) fn mark(&self) -> &'static str {
        if self.state == "resolved" { self.state } else { self.urgency.as_str() }
    }

    /// What stands beside the sentence.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("Since", minute(self.since))];
        if !self.remedy.is_empty() && self.state != "resolved" {
            facts.push(("To do", self.remedy.clone()));
        }
        if !self.runbook.is_empty() {
            facts.push(("Runbook", self.runbook.clone()));
        }
        facts
    }
}

/// As people read a time.
pub(super) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

impl NotifyMessage {
    /// What was left out, in words; `None` if nothing was.
    pub(super) fn rest(&self) -> Option<String> {
        match (self.more, &self.page) {
            (0, _) => None,
            (more, Some(_)) => Some(format!("and {more} more, which the status page shows")),
            (more, None) => Some(format!("and {more} more, which contactsync status shows")),
        }
    }

    /// The same with no more than that many things.
    pub(super) fn cut(&self, most: usize) -> Self {
        let left_out = self.items.len().saturating_sub(most);
        let mut cut = self.clone();
        cut.items.truncate(most);
        cut.more += left_out;
        cut
    }

    /// As plain text, for mails.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{line}\r\n");
        };
        for item in &self.items {
            let target =
                if item.target.is_empty() { String::new() } else { format!("target {}: ", item.target) };
            line(&format!("{}: {target}{}", item.mark(), item.text));
            for (name, value) in item.facts() {
                line(&format!("    {name}: {value}"));
            }
            line("");
        }
        self.rest().iter().for_each(|rest| line(rest));
        self.lines.iter().for_each(|own| line(own));
        if let Some(page) = &self.page {
            line(&format!("Status page: {page}"));
        }
        line(&format!("contactsync {}, {}", env!("CARGO_PKG_VERSION"), self.environment));
        text
    }

    /// As data, for programs.
    pub(super) fn data(&self) -> Value {
        let item = |item: &NotifyItem| {
            json!({
                "state": item.state,
                "severity": item.urgency.as_str(),
                "target": Some(&item.target).filter(|target| !target.is_empty()),
                "topic": item.topic,
                "name": item.name,
                "text": item.text,
                "remedy": Some(&item.remedy).filter(|remedy| !remedy.is_empty()),
                "count": item.count,
                "since": format!("{:.0}", item.since),
                "runbook": Some(&item.runbook).filter(|runbook| !runbook.is_empty()),
            })
        };
        json!({
            "state": self.state,
            "severity": self.urgency.as_str(),
            "environment": self.environment,
            "subject": self.subject,
            "key": self.thread.map_or(self.id, |(first, _)| first),
            "number": self.thread.map_or(0, |(_, number)| number),
            "items": self.items.iter().map(item).collect::<Vec<_>>(),
            "more": self.more,
            "lines": self.lines,
            "page": self.page,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message with that many things, the texts of which no form may take for its own.
    pub(in crate::notify) fn sample(items: usize) -> NotifyMessage {
        let item = |number: usize| NotifyItem {
            state: if number == 1 { "resolved" } else { "firing" },
            urgency: Urgency::Critical,
            target: String::new(),
            topic: "work",
            name: format!("item{number}"),
            text: format!("a *b* _c_ [d](e) <f> & g{number}"),
            remedy: "mend it".into(),
            count: None,
            since: Timestamp::UNIX_EPOCH,
            runbook: "https://wiki.example/runbook#heading".into(),
        };
        NotifyMessage {
            id: Uuid::from_u128(2),
            thread: Some((Uuid::from_u128(1), 1)),
            state: "firing",
            urgency: Urgency::Critical,
            subject: "[contactsync prod] a *b*".into(),
            environment: "prod".into(),
            items: (0..items).map(item).collect(),
            more: 0,
            lines: Vec::new(),
            page: Some("https://page.example/".into()),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_mail_is_plain_lines_of_what_is_and_what_to_do() {
        let text = sample(3).cut(2).text();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "critical: a *b* _c_ [d](e) <f> & g0",
                "    Since: 1970-01-01 00:00 UTC",
                "    To do: mend it",
                "    Runbook: https://wiki.example/runbook#heading",
                "",
                "resolved: a *b* _c_ [d](e) <f> & g1",
                "    Since: 1970-01-01 00:00 UTC",
                "    Runbook: https://wiki.example/runbook#heading",
                "",
                "and 1 more, which the status page shows",
                "Status page: https://page.example/",
                &format!("contactsync {}, prod", env!("CARGO_PKG_VERSION")),
            ]
        );
    }
}
