//! Typed access to the settings, which notes every mistake and goes on.

use std::{cell::RefCell, collections::BTreeMap, fmt::Display, path::Path, time::Duration};

use reqwest::Url;
use shared::{lanes::LaneLimits, retry::Ladder};
use toml::Value;

use super::{
    entry::{Entries, SettingOrigin, SourcedValue},
    problem::SettingsProblem,
};
use crate::duration::{self, exact};

/// What a value has to be, besides its type. Noted whenever a value is held against it, so that the schema for
/// editors says the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    /// One of these texts.
    OneOf(Vec<&'static str>),
    /// A whole number from one to the other.
    Count(usize, usize),
    /// A number from one to the other.
    Number(f64, f64),
    /// A duration from one to the other.
    Duration(Duration, Duration),
    /// An address.
    Address,
}

/// The rules of all keys that have one.
pub(super) type Rules = BTreeMap<String, Rule>;

/// Reads values by key.
pub(super) struct Reader<'a> {
    entries: &'a Entries,
    problems: RefCell<Vec<SettingsProblem>>,
    rules: RefCell<Rules>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(entries: &'a Entries, problems: Vec<SettingsProblem>) -> Self {
        Self { entries, problems: RefCell::new(problems), rules: RefCell::default() }
    }

    pub(super) fn into_problems(self) -> Vec<SettingsProblem> {
        self.problems.into_inner()
    }

    pub(super) fn finish(self) -> (Vec<SettingsProblem>, Rules) {
        (self.problems.into_inner(), self.rules.into_inner())
    }

    /// Notes what the value of a key has to be.
    pub(super) fn rule(&self, key: &str, rule: Rule) {
        self.rules.borrow_mut().insert(key.to_owned(), rule);
    }

    /// Notes what is wrong with an entry of the list `key`, which is called `place`.
    pub(super) fn note_entry(&self, key: &str, place: &str, text: &str) {
        let position = self.entries.get(key).and_then(SourcedValue::position);
        self.problems.borrow_mut().push(SettingsProblem::new(place, text).at(position));
    }

    /// Notes what is wrong with a key.
    pub(super) fn note(&self, key: &str, text: impl Display) {
        let position = self.entries.get(key).and_then(SourcedValue::position);
        self.problems.borrow_mut().push(SettingsProblem::new(key, &text.to_string()).at(position));
    }

    /// The same. Always `None`, so that a caller can return it.
    pub(super) fn wrong<T>(&self, key: &str, text: impl Display) -> Option<T> {
        self.note(key, text);
        None
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        match self.entries.get(key) {
            Some(entry) => Some(&entry.value),
            None => self.wrong(key, "is missing from the defaults; this is a fault in contactsync"),
        }
    }

    /// A text; empty if nobody set it.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.value(key)?.as_str().map(str::trim)
    }

    /// A text that must be set.
    pub(super) fn required(&self, key: &str, what: &str) -> Option<&'a str> {
        self.optional(key).or_else(|| self.missing(key, what))
    }

    /// Notes that a key must be set, unless it was meant to be and that is told already. Always `None`.
    pub(super) fn missing<T>(&self, key: &str, what: &str) -> Option<T> {
        if self.is_told(key) { None } else { self.wrong(key, format!("is required: {what}")) }
    }

    /// Whether it is told already that a value for this key cannot be used.
    pub(super) fn is_told(&self, key: &str) -> bool {
        self.problems.borrow().iter().any(|problem| problem.is_about(key))
    }

    /// A text that may be left out.
    pub(super) fn optional(&self, key: &str) -> Option<&'a str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// What is read together, unless something is wrong with a part of it. Where a value is wrong, what reads it goes
    /// on with one that could be right, so that all mistakes of the section are noted and none of it is used.
    pub(super) fn section<T>(&self, read: impl FnOnce(&Self) -> T) -> Option<T> {
        let before = self.problems.borrow().len();
        let section = read(self);
        (self.problems.borrow().len() == before).then_some(section)
    }

    /// One of a few texts; the first one where it is wrong.
    pub(super) fn choice(&self, key: &str, known: &[&'static str]) -> &'static str {
        self.rule(key, Rule::OneOf(known.to_vec()));
        let text = self.text(key).unwrap_or_default();
        let found = known.iter().find(|name| **name == text).copied();
        found.or_else(|| self.wrong(key, one_of(known))).or(known.first().copied()).unwrap_or_default()
    }

    /// A whole number; the least one where it is wrong.
    pub(super) fn count(&self, key: &str, least: usize, most: usize) -> usize {
        self.rule(key, Rule::Count(least, most));
        let number = self.value(key).and_then(Value::as_integer).unwrap_or_default();
        match usize::try_from(number) {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => self.wrong(key, format!("must be from {least} to {most}, and is {number}")).unwrap_or(least),
        }
    }

    /// A number; the least one where it is wrong.
    pub(super) fn number(&self, key: &str, least: f64, most: f64) -> f64 {
        self.rule(key, Rule::Number(least, most));
        let number = self.value(key).and_then(Value::as_float).unwrap_or_default();
        if (least..=most).contains(&number) {
            return number;
        }
        self.wrong(key, format!("must be from {least} to {most}, and is {number}")).unwrap_or(least)
    }

    /// A length of time; the least one where it is wrong.
    pub(super) fn duration(&self, key: &str, least: Duration, most: Duration) -> Duration {
        self.right_duration(key, least, most).unwrap_or(least)
    }

    fn right_duration(&self, key: &str, least: Duration, most: Duration) -> Option<Duration> {
        self.rule(key, Rule::Duration(least, most));
        let text = self.text(key)?;
        match duration::parse(text) {
            Some(duration) if (least..=most).contains(&duration) => Some(duration),
            Some(_) => {
                self.wrong(key, format!("must be from {} to {}, and is {text}", exact(least), exact(most)))
            }
            None => self.wrong(key, "must be a duration such as 500ms, 30s, 5m or 2h"),
        }
    }

    /// Two durations that belong together, the first of which is not the longer one; any where that is wrong.
    pub(super) fn ladder(&self, first: &str, longest: &str) -> Ladder {
        let duration = |key| self.right_duration(key, Duration::from_millis(1), Duration::from_hours(24));
        let right = match (duration(first), duration(longest)) {
            (Some(min), Some(max)) => Ladder::new(min, max)
                .ok()
                .or_else(|| self.wrong(first, format!("must not be longer than {longest}"))),
            _ => None,
        };
        right.unwrap_or(LaneLimits::default().retries)
    }

    /// The file that held the value, if it came from one of its own.
    pub(super) fn file(&self, key: &str) -> Option<&'a Path> {
        self.entries.get(key)?.file.as_deref()
    }

    /// Whether nobody has set a key.
    pub(super) fn is_default(&self, key: &str) -> bool {
        self.entries.get(key).is_none_or(|entry| entry.origin == SettingOrigin::Default)
    }

    /// An address, or the usual one if nobody set it. It starts with https, or with http on this machine only:
    /// anything else would carry secrets in the open.
    pub(super) fn url_or(&self, key: &str, usual: &str) -> Option<Url> {
        self.rule(key, Rule::Address);
        let Ok(url) = Url::parse(self.optional(key).unwrap_or(usual)) else {
            return self.wrong(key, "must be an address that starts with https://");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return self.wrong(key, "must hold no user name and no password: nobody asks for them there");
        }
        match url.scheme() {
            "https" => Some(url),
            "http" if is_loopback(&url) => Some(url),
            "http" => {
                self.wrong(key, "must start with https://; plain http is accepted for this machine only")
            }
            _ => self.wrong(key, "must be an address that starts with https://"),
        }
    }
}

/// Whether an address is on this machine, so that nothing that goes there can be read on the way.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `must be "a", "b" or "c"`.
pub(super) fn one_of(known: &[&str]) -> String {
    let quoted: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("must be {last}"),
        Some((last, rest)) => format!("must be {} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
