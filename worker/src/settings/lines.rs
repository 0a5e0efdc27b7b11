//! Where each key of a settings file stands, so that a mistake can be found in an editor.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// The line of each key, counted from 1. Keys of the entries of a list have the number of the entry in their name, counted
/// from 0: `target.0.graph.root`.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Of a file that is TOML; of none otherwise.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            lines.note(table.get_ref(), "", text);
        }
        lines
    }

    /// The line of a key.
    pub(super) fn line(&self, key: &str) -> Option<usize> {
        self.0.get(key).copied()
    }

    fn note(&mut self, table: &DeTable<'_>, above: &str, text: &str) {
        for (name, value) in table {
            let key = format!("{above}{}", name.get_ref());
            self.0.insert(key.clone(), position(text, name.span().start).0);
            match value.get_ref() {
                DeValue::Table(table) => self.note(table, &format!("{key}."), text),
                DeValue::Array(entries) => {
                    for (number, entry) in entries.iter().enumerate() {
                        if let DeValue::Table(table) = entry.get_ref() {
                            self.note(table, &format!("{key}.{number}."), text);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Line and column of a byte, both counted from 1; columns in characters.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "cloud = \"x\"\r\n\n[pool]\nconcurrency = 3\n[[target]]\nname = \"a\"\n[target.graph]\nroot = \"é\"\n";
        let lines = Lines::of(text);
        let found = ["cloud", "pool.concurrency", "target.0.name", "target.0.graph.root", "nothing"];
        assert_eq!(found.map(|key| lines.line(key)), [Some(1), Some(4), Some(6), Some(8), None]);
        assert_eq!(Lines::of("[pool").line("pool"), None);
    }

    #[test]
    fn a_position_is_inside_the_text_whatever_byte_is_named() {
        assert_eq!(position("a\nbé", 0), (1, 1));
        assert_eq!(position("a\nbé", 3), (2, 2));
        assert_eq!(position("a\nbé", 99), (2, 3));
        // In the middle of a character.
        assert_eq!(position("a\nbé", 4), (2, 3));
    }
}
