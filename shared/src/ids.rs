//! Newtypes for every id that crosses a module, so that no two of them can be mistaken for each other.

use std::{collections::HashMap, fmt};

use uuid::Uuid;

/// Hashes ids: quick, and seeded anew for each process, because ids come from messages.
pub type IdState = foldhash::fast::RandomState;

/// What is kept by an id.
pub type IdMap<K, V> = HashMap<K, V, IdState>;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

uuid_id! {
    /// Object id of a user in the directory. Only [`UserId::parse`] makes one from text, so whatever
    /// reaches a URL is a GUID and nothing else.
    UserId
}

uuid_id! {
    /// Primary key of a Dataverse contact.
    ContactId
}

uuid_id! {
    /// Id of the Dataverse organization a message comes from.
    OrganizationId
}

uuid_id! {
    /// Id of the system job of Dataverse that posted a message: `OperationId` of its context. It stays the same when the
    /// job is tried again.
    JobId
}

uuid_id! {
    /// Lock token of a peek-locked message, in canonical (RFC 4122) order.
    LockToken
}

impl UserId {
    /// Reads the text of a portal's link column. Blanks around it, braces and upper case are forgiven,
    /// because portals and imports write all of them; anything else that is not a hyphenated GUID is refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bare = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}')?,
            None => text,
        };
        // `Uuid::try_parse` also takes the simple and URN forms, which no portal writes.
        (bare.len() == 36).then(|| Uuid::try_parse(bare).ok()).flatten().filter(|id| !id.is_nil()).map(Self)
    }
}

/// Sequence number the queue gave a message; unique and increasing within one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub i64);

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many earlier deliveries of a message failed; 0 on the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryCount(pub u32);

impl fmt::Display for DeliveryCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "11111111-2222-4333-8444-aaaaaaaaaaaa";

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(UserId::parse(text).map(|id| id.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn a_guid_in_any_of_the_spellings_portals_write_is_a_user() {
        check(ID, Some(ID));
        check(" 11111111-2222-4333-8444-AAAAAAAAAAAA\t", Some(ID));
        check("{11111111-2222-4333-8444-aaaaaaaaaaaa}", Some(ID));
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "me",
            "ada@example.com",
            "../applications/11111111-2222-4333-8444-aaaaaaaaaaaa",
            "11111111222243338444aaaaaaaaaaaa",
            "urn:uuid:11111111-2222-4333-8444-aaaaaaaaaaaa",
            "{11111111-2222-4333-8444-aaaaaaaaaaaa",
            "11111111-2222-4333-8444-aaaaaaaaaaaa/manager",
            "00000000-0000-0000-0000-000000000000",
        ] {
            check(text, None);
        }
        check(&"1".repeat(10_240), None);
    }
}
