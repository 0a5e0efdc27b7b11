//! The fields of one entry, read with every mistake noted.

use std::{cell::RefCell, path::Path};

use secrecy::SecretString;
use shared::reason::chain;
use toml::{Table, Value};

use crate::{settings::reader::one_of, text_file};

/// One entry, and what is wrong with it.
pub(super) struct Fields<'t> {
    table: &'t Table,
    mistakes: RefCell<Vec<String>>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self { table, mistakes: RefCell::default() }
    }

    pub(super) fn into_mistakes(self) -> Vec<String> {
        self.mistakes.into_inner()
    }

    /// Notes a mistake. Always `None`, so that a caller can return it.
    pub(super) fn wrong<T>(&self, key: &str, text: &str) -> Option<T> {
        self.mistakes.borrow_mut().push(format!("{key} {text}"));
        None
    }

    /// Notes keys that such an entry does not have.
    pub(super) fn only(&self, known: &[&str]) {
        for key in self.table.keys().filter(|key| !known.contains(&key.as_str())) {
            let is_name = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let key = if is_name { key } else { "a key" };
            self.wrong::<()>(key, &format!("is unknown here; such a channel may have {}", known.join(", ")));
        }
    }

    /// A text that may be left out.
    pub(super) fn text(&self, key: &str) -> Option<&'t str> {
        let text = match self.table.get(key)? {
            Value::String(text) => text.trim(),
            _ => return self.wrong(key, "must be a text in quotes"),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// A text that has to be there.
    pub(super) fn required(&self, key: &str, what: &str) -> Option<&'t str> {
        let before = self.mistakes.borrow().len();
        let text = self.text(key);
        if text.is_none() && self.mistakes.borrow().len() == before {
            return self.wrong(key, &format!("is required: {what}"));
        }
        text
    }

    /// One of a few texts; the first one where it is left out.
    pub(super) fn choice(&self, key: &str, known: &[&'static str]) -> Option<&'static str> {
        let Some(text) = self.text(key) else { return known.first().copied() };
        let found = known.iter().find(|name| **name == text).copied();
        found.or_else(|| self.wrong(key, &one_of(known)))
    }

    /// A port.
    pub(super) fn port(&self, key: &str, usual: u16) -> Option<u16> {
        let number = match self.table.get(key) {
            None => return Some(usual),
            Some(Value::Integer(number)) => u16::try_from(*number).ok(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        number.filter(|port| *port > 0).or_else(|| self.wrong(key, "must be a number from 1 to 65535"))
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self, key: &str) -> Vec<&'t str> {
        match self.table.get(key) {
            None => Vec::new(),
            // A variable holds one text.
            Some(Value::String(text)) => {
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()
            }
            Some(Value::Array(list)) if list.iter().all(Value::is_str) => {
                list.iter().filter_map(Value::as_str).map(str::trim).collect()
            }
            Some(_) => {
                self.wrong::<()>(key, "must be a list of texts in brackets");
                Vec::new()
            }
        }
    }

    /// A secret, in the entry itself or in the file that is named beside it.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        match (self.text(key), self.text(&file_key)) {
            (Some(_), Some(_)) => {
                self.wrong(key, &format!("cannot stand beside {file_key}; leave one of them out"))
            }
            (Some(text), None) => Some(SecretString::from(text)),
            (None, Some(path)) => match text_file::read(Path::new(path)) {
                Ok(text) => Some(SecretString::from(text)),
                Err(error) => self.wrong(&file_key, &format!("names a file that {}", chain(&error))),
            },
            (None, None) => None,
        }
    }

    /// The same where it has to be there.
    pub(super) fn required_secret(&self, key: &str, what: &str) -> Option<SecretString> {
        let before = self.mistakes.borrow().len();
        let secret = self.secret(key);
        if secret.is_none() && self.mistakes.borrow().len() == before {
            return self.wrong(key, &format!("is required, better as {key}_file: {what}"));
        }
        secret
    }
}
