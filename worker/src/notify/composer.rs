//! Notices in words.

use jiff::Timestamp;
use shared::{
    notices::{ItemState, Notice, NoticeItem, NoticeState, Topic, Urgency},
    shown::{brief, shown},
};
use url::Url;
use uuid::Uuid;

use super::message::{NotifyItem, NotifyMessage, minute};
use crate::settings::Settings;

/// Ids of what is told come from what it is about, so that the same is never taken for two.
const NAMESPACE: Uuid = Uuid::from_u128(0x5c3f_7c1a_8d24_4a5e_9b60_1f0e_7a31_c2d4);
/// Where the runbook is among the files of the project.
const RUNBOOK: &str = "deploy/runbook.md";
/// Longest subject, in characters.
const SUBJECT: usize = 100;
/// Longest text of one thing.
const TEXT: usize = 600;

/// Puts notices into words.
#[derive(Clone, Debug)]
pub(crate) struct Composer {
    environment: String,
    page: Option<Url>,
    runbook: Option<Url>,
}

impl Composer {
    /// One for this installation.
    #[must_use]
    pub(crate) fn of(settings: &Settings) -> Self {
        let named = settings.notify.environment.as_deref().map(str::to_owned);
        let environment = named.unwrap_or_else(|| settings.bus.source.address().to_string());
        Self {
            environment: brief(&environment, 40).into_owned(),
            page: settings.notify.page_url.clone(),
            runbook: settings.telemetry.runbook_url.clone(),
        }
    }

    /// What is said of a notice.
    #[must_use]
    pub(super) fn notice(&self, notice: &Notice, now: Timestamp) -> NotifyMessage {
        let items: Vec<_> = notice.items.iter().map(|item| self.item(item)).collect();
        let beside = items.len() + notice.more;
        let first = items.first().map(|item| item.text.as_str()).unwrap_or_default();
        let many = if beside > 1 { format!(" (and {} more)", beside - 1) } else { String::new() };
        let lead = match notice.state {
            NoticeState::Firing => "",
            NoticeState::Resolved => "resolved: ",
            NoticeState::Repeat => "still: ",
        };
        // What is over is said in its own words.
        let lead = if first.starts_with("over: ") || first.starts_with("no more ") { "" } else { lead };
        let id = |number: u32| {
            let (target, topic) = (&notice.group.target, notice.group.topic.as_str());
            self.id(&format!("{target}/{topic}/{}/{number}", notice.opened))
        };
        NotifyMessage {
            thread: Some((id(0), notice.number)),
            state: notice.state.as_str(),
            urgency: notice.urgency(),
            subject: self.subject(&format!("{lead}{first}"), &many),
            items,
            more: notice.more,
            ..self.bare(id(notice.number), now)
        }
    }

    /// The digest of a day.
    #[must_use]
    pub(super) fn digest(&self, lines: Vec<String>, since: Timestamp, now: Timestamp) -> NotifyMessage {
        NotifyMessage {
            state: "digest",
            subject: self.subject(&format!("digest since {}", minute(since)), ""),
            lines,
            ..self.bare(self.id(&format!("digest/{now}")), now)
        }
    }

    /// What shows that a channel works.
    #[must_use]
    pub(crate) fn test(&self, channel: &str, now: Timestamp) -> NotifyMessage {
        NotifyMessage {
            state: "test",
            subject: self.subject(&format!("test of the channel {channel}"), ""),
            lines: vec!["This is a test. Nothing is wrong, and nothing is to be done.".to_owned()],
            ..self.bare(Uuid::new_v4(), now)
        }
    }

    fn bare(&self, id: Uuid, now: Timestamp) -> NotifyMessage {
        NotifyMessage {
            id,
            thread: None,
            state: "",
            urgency: Urgency::Info,
            subject: String::new(),
            environment: self.environment.clone(),
            items: Vec::new(),
            more: 0,
            lines: Vec::new(),
            page: self.page.as_ref().map(Url::to_string),
            at: now,
        }
    }

    fn id(&self, of: &str) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{}/{of}", self.environment).as_bytes())
    }

    fn subject(&self, text: &str, end: &str) -> String {
        let lead = format!("[contactsync {}] ", self.environment);
        let room = SUBJECT.saturating_sub(lead.chars().count() + end.chars().count() + 1);
        let text = shown(text);
        let cut = match text.char_indices().nth(room) {
            Some((place, _)) => format!("{}…", &text[..place]),
            None => text.into_owned(),
        };
        format!("{lead}{cut}{end}")
    }

    fn item(&self, item: &NoticeItem) -> NotifyItem {
        let seen = &item.seen;
        NotifyItem {
            state: item.state.as_str(),
            urgency: seen.urgency,
            target: seen.key.group.target.to_string(),
            topic: seen.key.group.topic.as_str(),
            name: seen.key.name.to_string(),
            text: brief(&said(item), TEXT).into_owned(),
            remedy: brief(&seen.remedy, TEXT).into_owned(),
            count: seen.count,
            since: item.since,
            runbook: self.place(&seen.anchor),
        }
    }

    fn place(&self, anchor: &str) -> String {
        match (&self.runbook, anchor) {
            (_, "") => String::new(),
            (Some(url), anchor) => {
                let mut url = url.clone();
                url.set_fragment(Some(anchor));
                url.into()
            }
            (None, anchor) => format!("{RUNBOOK}#{anchor}"),
        }
    }
}

/// The sentence about one thing.
fn said(item: &NoticeItem) -> String {
    let seen = &item.seen;
    match (item.state, seen.key.group.topic, seen.count) {
        (ItemState::Resolved, Topic::DeadLetters, Some(count)) => {
            let (text, since) = (&seen.text, minute(item.since));
            format!("no more {text}: {count} since {since}, which stay until somebody handles them")
        }
        (ItemState::Resolved, ..) => format!("over: {}", seen.text),
        (_, Topic::DeadLetters, Some(count)) => format!("new {}: {count} so far", seen.text),
        _ => seen.text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use shared::notices::{GroupKey, NoticeKey, Observation};

    use super::*;

    fn composer() -> Composer {
        let runbook = Url::parse("https://wiki.example/runbook.md").expect("an address");
        Composer { environment: "prod".into(), page: None, runbook: Some(runbook) }
    }

    fn item(state: ItemState, topic: Topic, text: &str, count: Option<u64>) -> NoticeItem {
        let group = GroupKey { target: "".into(), topic };
        let seen = Observation {
            key: NoticeKey { group, name: "n".into() },
            urgency: Urgency::Critical,
            count,
            text: text.into(),
            remedy: "mend it".into(),
            anchor: "heading".into(),
            patience: std::time::Duration::ZERO,
            happened: false,
            muted: false,
        };
        NoticeItem { state, seen, since: Timestamp::UNIX_EPOCH }
    }

    fn notice(state: NoticeState, number: u32, items: Vec<NoticeItem>) -> NotifyMessage {
        let group = items[0].seen.key.group.clone();
        let notice = Notice { group, opened: Timestamp::UNIX_EPOCH, number, state, items, more: 0 };
        composer().notice(&notice, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_subject_says_what_is_and_how_much_more_on_one_short_line() {
        let paused = item(ItemState::New, Topic::Work, "intake is paused\r\nBcc: somebody", None);
        let one = notice(NoticeState::Firing, 0, vec![paused.clone()]);
        assert_eq!(one.subject, r"[contactsync prod] intake is paused\u{d}\u{a}Bcc: somebody");
        let long = item(ItemState::New, Topic::Work, &"é".repeat(300), None);
        let several = notice(NoticeState::Firing, 0, vec![long, paused.clone(), paused.clone()]);
        assert_eq!(several.subject.chars().count(), 100);
        assert!(several.subject.ends_with("é… (and 2 more)"), "{}", several.subject);
        let over =
            notice(NoticeState::Resolved, 1, vec![NoticeItem { state: ItemState::Resolved, ..paused }]);
        assert!(over.subject.starts_with("[contactsync prod] over: intake is paused"), "{}", over.subject);
        assert_eq!(one.items[0].runbook, "https://wiki.example/runbook.md#heading");
    }

    #[test]
    fn what_follows_names_what_it_follows_and_has_an_id_of_its_own() {
        let items = vec![item(ItemState::New, Topic::Work, "a", None)];
        let (first, again) =
            (notice(NoticeState::Firing, 0, items.clone()), notice(NoticeState::Firing, 0, items.clone()));
        let next = notice(NoticeState::Repeat, 1, items);
        assert_eq!((first.id, first.thread), (again.id, Some((first.id, 0))));
        assert_eq!(next.thread, Some((first.id, 1)));
        assert_ne!(next.id, first.id);
    }

    #[test]
    fn dead_letters_are_counted() {
        let letters = |state, count| {
            let item =
                item(state, Topic::DeadLetters, "dead letters of the reason ValueInvalid", Some(count));
            notice(NoticeState::Firing, 0, vec![item]).items.remove(0).text
        };
        assert_eq!(letters(ItemState::New, 312), "new dead letters of the reason ValueInvalid: 312 so far");
        assert_eq!(
            letters(ItemState::Resolved, 10_000),
            "no more dead letters of the reason ValueInvalid: 10000 since 1970-01-01 00:00 UTC, which stay until somebody \
             handles them"
        );
    }
}
