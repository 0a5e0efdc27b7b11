//! Where messages are: an entity or its dead-letter sub-queue.

use std::{fmt, sync::Arc};

/// Which of the stores of an entity is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The entity itself.
    Main,
    /// Its dead-letter sub-queue.
    DeadLetter,
    /// Its transfer dead-letter sub-queue, which stays empty here.
    TransferDeadLetter,
}

/// An entity's store. `Display` gives the address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    entity: Arc<str>,
    side: Side,
}

const DEAD_LETTER: &str = "/$deadletterqueue";
const TRANSFER: &str = "/$transfer";

impl Place {
    /// The store `side` of the entity called `entity` (spelled as it was created).
    pub(super) fn new(entity: Arc<str>, side: Side) -> Self {
        Self { entity, side }
    }

    /// Name of the entity, spelled as it was created.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// Which store.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Side::Main => formatter.write_str(&self.entity),
            Side::DeadLetter => write!(formatter, "{}/$DeadLetterQueue", self.entity),
            Side::TransferDeadLetter => write!(formatter, "{}/$Transfer/$DeadLetterQueue", self.entity),
        }
    }
}

/// Takes an address apart into the lower-case entity path and the side meant.
///
/// Clients write addresses bare, with a leading slash or as a whole URL, and in any case.
pub(super) fn parse(address: &str) -> (String, Side) {
    let mut path = entity_path(address);
    if let Some(stem) = path.strip_suffix(DEAD_LETTER).map(str::len) {
        path.truncate(stem);
        if let Some(stem) = path.strip_suffix(TRANSFER).map(str::len) {
            path.truncate(stem);
            return (path, Side::TransferDeadLetter);
        }
        return (path, Side::DeadLetter);
    }
    (path, Side::Main)
}

/// The path of an address: no scheme, no authority, no slashes around it, percent-decoded, in lower case.
#[must_use]
pub fn entity_path(address: &str) -> String {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    let path = path.split('?').next().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    decoded.trim_matches('/').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, path: &str, side: Side) {
        assert_eq!(parse(address), (path.to_owned(), side), "{address}");
    }

    #[test]
    fn addresses_are_understood_in_all_spellings() {
        check("contacts", "contacts", Side::Main);
        check("/Contacts", "contacts", Side::Main);
        check("amqps://localhost:5672/contacts", "contacts", Side::Main);
        check("sb://ns.servicebus.windows.net/a/b%20c/", "a/b c", Side::Main);
        check("contacts/$deadletterqueue", "contacts", Side::DeadLetter);
        check("t/Subscriptions/s/$DeadLetterQueue", "t/subscriptions/s", Side::DeadLetter);
        check("contacts/$Transfer/$DeadLetterQueue", "contacts", Side::TransferDeadLetter);
        check("amqps://host", "", Side::Main);
    }
}
