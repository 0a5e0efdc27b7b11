//! What replicas tell each other: the state of the session, a small document of JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::shown::shown;

/// The version of the document that is written, and the newest that is understood.
const VERSION: u64 = 1;
/// Bytes of a record.
const LONGEST: usize = 1024;
/// Bytes of each text in it.
const LONGEST_TEXT: usize = 128;
/// Terms above are not believed: JSON of others would not carry them, and there would be none after the last.
const LAST_TERM: u64 = 1 << 53;
/// A rate that is older tells nothing about the quota of now.
const RATE_HOLDS: Duration = Duration::from_mins(10);

/// What is left of the quota, as far as a holder knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Writes a second.
    pub rate: f64,
    /// Writes that may be made at once.
    pub tokens: f64,
}

/// Who a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name, which no other process has, not even the next one on the same machine.
    pub name: String,
    /// Hash of the settings that decide what is written.
    pub settings: String,
    /// Version of the program.
    pub version: String,
}

impl Holder {
    /// The same as it stands in records: texts on one line, of bounded length. What makes a name unique stands at its end.
    pub(super) fn bounded(self) -> Self {
        let bounded = |text: String| {
            let text = shown(&text);
            text[text.ceil_char_boundary(text.len().saturating_sub(LONGEST_TEXT))..].to_owned()
        };
        Self { name: bounded(self.name), settings: bounded(self.settings), version: bounded(self.version) }
    }
}

/// The state of the session.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseRecord {
    /// Grows with each acquisition.
    pub term: u64,
    /// Who has, or had, the lease.
    pub holder: Holder,
    /// When this term began.
    pub since: Timestamp,
    /// Whether the holder left with no call under way.
    pub clean: bool,
    /// What it knew of the quota; nothing where there is no limit.
    pub budget: Option<Budget>,
    /// When the record was written.
    pub at: Timestamp,
    /// What other versions put there.
    pub(super) others: Map<String, Value>,
}

impl LeaseRecord {
    /// The document. Members of other versions go along as long as there is room.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = self.others.clone();
        members.extend(self.own_members());
        let document = Value::Object(members).to_string();
        if document.len() <= LONGEST {
            return document;
        }
        Value::Object(self.own_members().collect()).to_string()
    }

    fn own_members(&self) -> impl Iterator<Item = (String, Value)> {
        let budget = self.budget.filter(|budget| budget.rate.is_finite() && budget.tokens.is_finite());
        let rate = budget.map_or(Value::Null, |budget| budget.rate.into());
        let tokens = budget.map_or(Value::Null, |budget| budget.tokens.into());
        [
            ("v", VERSION.into()),
            ("term", self.term.into()),
            ("holder", self.holder.name.clone().into()),
            ("since", self.since.as_millisecond().into()),
            ("clean", self.clean.into()),
            ("rate", rate),
            ("tokens", tokens),
            ("at", self.at.as_millisecond().into()),
            ("settings", self.holder.settings.clone().into()),
            ("version", self.holder.version.clone().into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// What a successor may believe of the budget.
    #[must_use]
    pub fn budget_at(&self, now: Timestamp, unclean: bool) -> Option<Budget> {
        let age = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        let budget = self.budget.filter(|budget| age < RATE_HOLDS && budget.rate > 0.0)?;
        // Nobody knows what was used after the record was written.
        let tokens = if unclean { 1.0 } else { budget.tokens.max(0.0) + budget.rate * age.as_secs_f64() };
        Some(Budget { tokens, ..budget })
    }
}

/// What stood in the session.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// Nothing: nobody ever had the lease.
    Nothing,
    /// A record.
    Record(LeaseRecord),
    /// Something else. Somebody may be writing.
    Unreadable {
        /// The term it tells all the same, or zero.
        term: u64,
        /// Its other members.
        others: Map<String, Value>,
    },
}

impl Found {
    pub(super) fn read(state: Option<&[u8]>) -> Self {
        let Some(state) = state.filter(|state| !state.is_empty()) else { return Self::Nothing };
        let mut members: Map<String, Value> = serde_json::from_slice(state).unwrap_or_default();
        let term = term(&members);
        let known = (state.len() <= LONGEST).then(|| record(&mut members)).flatten();
        match known {
            Some(record) => Self::Record(record),
            None => Self::Unreadable { term, others: members },
        }
    }

    pub(super) fn term(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Record(record) => record.term,
            Self::Unreadable { term, .. } => *term,
        }
    }

    /// Whether somebody may have calls under way.
    pub(super) fn is_unclean(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Record(record) => !record.clean,
            Self::Unreadable { .. } => true,
        }
    }

    /// Whether this replica wrote it for that term.
    pub(super) fn is_of(&self, holder: &Holder, term: u64) -> bool {
        matches!(self, Self::Record(record) if record.holder.name == holder.name && record.term == term)
    }

    pub(super) fn into_parts(self) -> (Option<LeaseRecord>, Map<String, Value>) {
        match self {
            Self::Nothing => (None, Map::new()),
            Self::Record(record) => {
                let others = record.others.clone();
                (Some(record), others)
            }
            Self::Unreadable { others, .. } => (None, others),
        }
    }
}

fn term(members: &Map<String, Value>) -> u64 {
    members.get("term").and_then(Value::as_u64).filter(|term| *term <= LAST_TERM).unwrap_or(0)
}

/// The record, if the members are those of one; they are taken out then.
fn record(members: &mut Map<String, Value>) -> Option<LeaseRecord> {
    let number = |name: &str| members.get(name).and_then(Value::as_f64);
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| Timestamp::from_millisecond(members.get(name)?.as_i64()?).ok();
    if members.get("v")?.as_u64()? != VERSION {
        return None;
    }
    let record = LeaseRecord {
        term: Some(term(members)).filter(|term| *term > 0)?,
        holder: Holder {
            name: text("holder")?,
            settings: text("settings").unwrap_or_default(),
            version: text("version").unwrap_or_default(),
        }
        .bounded(),
        since: time("since")?,
        clean: members.get("clean")?.as_bool()?,
        budget: number("rate").zip(number("tokens")).map(|(rate, tokens)| Budget { rate, tokens }),
        at: time("at")?,
        others: Map::new(),
    };
    let mut others = std::mem::take(members);
    for (name, _) in record.own_members() {
        others.remove(&name);
    }
    Some(LeaseRecord { others, ..record })
}
