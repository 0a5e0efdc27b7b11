//! What the messages that wait say about the settings: the link, and the mapped columns. Names and counts, no values.

use std::collections::{BTreeMap, BTreeSet};

use servicebus::{Message, clock};
use shared::{
    ids::UserId,
    link_watch::{LinkWatch, Report, Verdict, WARN_AT_START, Why},
    plan::Planner,
    reason::DeadLetterReason,
};

use super::{Preview, judge};
use crate::settings::check::{Probe, Severity};

/// What was tried, for the messages as a whole.
pub(crate) const WAITING: &str = "waiting messages";
const LINK: &str = "link";
const COLUMNS: &str = "mapped columns";

/// What to do about a link that is certainly wrong.
#[must_use]
pub(crate) fn remedy(why: Why, report: &Report) -> String {
    let column = &report.column;
    match (&report.likeliest, why.is_about_images()) {
        (_, true) => format!("add {column} to the image of the step in Dataverse"),
        (Some(other), false) => {
            format!(
                "set mapping.link_column = \"{other}\" if it holds the object id of the user, or add {column} to the image"
            )
        }
        (None, false) => {
            "set mapping.link_column to the column that holds the object id of the user".to_owned()
        }
    }
}

/// Messages that were looked at, and what they showed.
pub(crate) struct Sample<'p> {
    planner: &'p Planner,
    watch: LinkWatch,
    messages: u64,
    letters: BTreeMap<DeadLetterReason, u64>,
    carried: BTreeSet<Box<str>>,
    users: BTreeSet<UserId>,
}

impl<'p> Sample<'p> {
    /// None yet.
    #[must_use]
    pub(crate) fn new(planner: &'p Planner) -> Self {
        Self {
            planner,
            watch: LinkWatch::new(&planner.link_column),
            messages: 0,
            letters: BTreeMap::new(),
            carried: BTreeSet::new(),
            users: BTreeSet::new(),
        }
    }

    /// Takes a message in.
    pub(crate) fn add(&mut self, message: &Message) {
        let Self { planner, watch, carried, users, .. } = self;
        let preview = Preview::of(message, planner, clock::now());
        let changes = judge::changes(&preview.report);
        watch.look(changes, planner, message.sequence);
        users.extend(changes.iter().filter_map(|change| planner.linked_user(change)));
        for columns in changes.iter().flat_map(|change| [&change.columns, &change.after, &change.before]) {
            let mapped = columns.iter().map(|(name, _)| name).filter(|name| planner.mapping.maps(name));
            carried.extend(mapped.map(Box::from));
        }
        self.messages += 1;
        if let Some(letter) = &preview.letter {
            *self.letters.entry(letter.reason).or_default() += 1;
        }
    }

    /// The users whom the messages mean.
    #[must_use]
    pub(crate) fn into_users(self) -> BTreeSet<UserId> {
        self.users
    }

    /// What there is to say.
    #[must_use]
    pub(crate) fn probes(&self) -> Vec<Probe> {
        if self.messages == 0 {
            return vec![Probe::good(WAITING, "none waits, so nothing shows whether the link is right")];
        }
        [Some(self.looked_at()), self.link(), self.columns()].into_iter().flatten().collect()
    }

    fn looked_at(&self) -> Probe {
        let messages = self.messages;
        if self.letters.is_empty() {
            return Probe::good(WAITING, format!("looked at {messages}, and each can be dealt with"));
        }
        let reasons = self.letters.iter().map(|(reason, count)| format!("{count} {}", reason.as_str()));
        let what = format!(
            "looked at {messages}, of which {} would be dead letters: {}",
            self.letters.values().sum::<u64>(),
            reasons.collect::<Vec<_>>().join(", ")
        );
        let remedy =
            "see deploy/runbook.md for the reasons; contactsync run --dry-run --once tells each message";
        Probe::found(Severity::Warning, WAITING, what, remedy)
    }

    fn link(&self) -> Option<Probe> {
        if !self.planner.shows_link() {
            let found = self.users.len();
            return Some(Probe::good(LINK, format!("link.rules find {found} users without asking Graph")));
        }
        let counts = self.watch.counts();
        let column = &self.planner.link_column;
        Some(match self.watch.judge() {
            Verdict::Seen => {
                let (linked, all) = (counts.linked, counts.looked_at);
                Probe::good(
                    LINK,
                    format!("{column} shows the user in {linked} of {all} changes that need it"),
                )
            }
            Verdict::Misconfigured(why, report) => {
                Probe::failed(LINK, report.told(Some(why)), &remedy(why, &report))
            }
            Verdict::NotSeenYet(_) if counts.looked_at == 0 => return None,
            Verdict::NotSeenYet(_) if counts.without_user() == 0 => {
                Probe::good(LINK, format!("{column} shows the user in {} changes", counts.linked))
            }
            Verdict::NotSeenYet(report) => {
                let many = counts.without_user() >= WARN_AT_START;
                let severity = if many { Severity::Warning } else { Severity::Note };
                let remedy = format!(
                    "change a contact that has a user, and try again; if {column} is still not shown, add it to the \
                     image of the step"
                );
                Probe::found(severity, LINK, report.told(None), &remedy)
            }
        })
    }

    fn columns(&self) -> Option<Probe> {
        let mapped: BTreeSet<_> =
            self.planner.mapping.rows().iter().flat_map(shared::mapping::MappingRow::columns).collect();
        let missing: Vec<_> = mapped.into_iter().filter(|column| !self.carried.contains(*column)).collect();
        if missing.is_empty() {
            return Some(Probe::good(COLUMNS, "each is in some message"));
        }
        // A few messages need not carry each of them.
        (self.messages >= WARN_AT_START).then(|| {
            let what = format!("{} in none of {} messages", missing.join(", "), self.messages);
            let remedy =
                "see that these are logical names of columns of contact, and that the step fires for them";
            Probe::found(Severity::Warning, COLUMNS, what, remedy)
        })
    }
}
