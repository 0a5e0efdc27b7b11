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

impl RunbookEntry {
    /// The same for a terminal: each paragraph in one line, which is broken where the terminal ends and not where the source
    /// does, and what is to be looked at and done without asterisks. Code and tables stay as they are.
    #[must_use]
    pub(crate) fn paragraphs(&self) -> String {
        let (mut paragraphs, mut is_code, mut goes_on) = (String::new(), false, false);
        for line in self.text.lines() {
            let is_fence = line.starts_with("```");
            let is_verbatim =
                is_code || is_fence || line.is_empty() || line.starts_with(['|', ' ', '-', '*']);
            if !paragraphs.is_empty() {
                paragraphs.push(if goes_on && !is_verbatim { ' ' } else { '\n' });
            }
            match line.strip_prefix('*').and_then(|line| line.split_once(":*")) {
                Some((what, rest)) if !is_code => paragraphs.extend([what, ":", rest]),
                _ => paragraphs.push_str(line),
            }
            is_code ^= is_fence;
            goes_on = !(is_code || is_fence || line.is_empty() || line.starts_with('|'));
        }
        paragraphs
    }
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

    #[test]
    fn paragraphs_are_joined_and_what_is_code_or_a_table_is_not() {
        let text = "One of\ntwo lines.\n\n*Look:* here,\nand there.\n*Do:* this:\n\n```\na\n*b:* c\n```\nEnd\nof it.\n\n| a |\n| b |\n- x\n  y\nz";
        let plain = RunbookEntry { name: "Any", text }.paragraphs();
        assert_eq!(
            plain,
            "One of two lines.\n\nLook: here, and there.\nDo: this:\n\n```\na\n*b:* c\n```\nEnd of it.\n\n| a |\n| b |\n- x\n  y z"
        );
        // Nothing but breaks and asterisks is another.
        let bare = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('*', "");
        for entry in entries() {
            assert_eq!(bare(&entry.paragraphs()), bare(entry.text), "{}", entry.name);
        }
    }
}
