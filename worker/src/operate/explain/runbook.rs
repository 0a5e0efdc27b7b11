//! The runbook, which is part of the program: whoever is woken at night has the one, and not the repository.

/// All of it.
const RUNBOOK: &str = include_str!("../../../../deploy/runbook.md");

/// The entry about a dead-letter reason or an alert, by its name in letters of any size.
#[must_use]
pub(crate) fn entry(name: &str) -> Option<RunbookEntry> {
    entries().find(|entry| entry.name.eq_ignore_ascii_case(name.trim()))
}

/// Names of all entries, in their order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    entries().map(|entry| entry.name)
}

/// What the runbook says about one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunbookEntry {
    /// The reason, or the name of the alert.
    pub(crate) name: &'static str,
    /// What is to be known and done, as it stands there.
    pub(crate) text: &'static str,
}

fn entries() -> impl Iterator<Item = RunbookEntry> {
    RUNBOOK.split("\n### ").skip(1).filter_map(|entry| {
        let (name, text) = entry.split_once('\n')?;
        // A chapter begins where a heading of a higher rank stands.
        let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
        Some(RunbookEntry { name: name.trim(), text: text.trim() })
    })
}

#[cfg(test)]
mod tests {
    use shared::reason::DeadLetterReason;

    use super::*;

    #[test]
    fn every_reason_and_alert_is_explained_without_what_stands_behind_it() {
        for reason in DeadLetterReason::ALL {
            let entry = entry(&reason.as_str().to_lowercase()).unwrap_or_else(|| panic!("{reason}"));
            assert_eq!(entry.name, reason.as_str());
            assert!(entry.text.len() > 40 && !entry.text.contains("\n#"), "{}", entry.text);
        }
        assert!(entry("ContactsyncNotReady").is_some_and(|entry| !entry.text.is_empty()));
        assert_eq!(entry("Nope"), None);
    }
}
