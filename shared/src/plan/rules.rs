//! By what the user of a contact is found: in the message, or by a question to the directory.
//!
//! A rule that asks is planned twice: first the plan is the question ([`Plan::LookUp`](super::Plan)), and once the answer
//! is among [`KnownLinks`] it is a write.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::Duration,
};

use crate::{
    ids::{ContactId, UserId},
    monotonic_time::MonotonicTime,
};

/// One way to find the user. The first of several that gives one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkRule {
    /// A column of the contact holds the object id.
    ObjectId(Box<str>),
    /// An attribute of the user holds the contact's id; by its name in Graph.
    Attribute(Box<str>),
    /// The user has an identity that the contact names.
    Identity {
        /// Who issued it.
        issuer: IdentityIssuer,
        /// Column with the id that the issuer gave.
        id: Box<str>,
    },
}

/// Who issued an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityIssuer {
    /// Always the same.
    Fixed(Box<str>),
    /// As a column of the contact says.
    Column(Box<str>),
}

impl LinkRule {
    /// The columns of the contact that name the user.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::ObjectId(column) => (Some(column), None),
            Self::Attribute(_) => (None, None),
            Self::Identity { issuer: IdentityIssuer::Fixed(_), id } => (Some(id), None),
            Self::Identity { issuer: IdentityIssuer::Column(issuer), id } => (Some(id), Some(issuer)),
        };
        first.into_iter().chain(second).map(|column| &**column)
    }
}

/// A question to the directory: who is meant?
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LinkQuery {
    /// The user whose attribute holds this contact's id.
    Attribute {
        /// Its name in Graph.
        attribute: Box<str>,
        /// The contact.
        contact: ContactId,
    },
    /// The user with this identity.
    Identity {
        /// Who issued it.
        issuer: Box<str>,
        /// What the issuer calls the user.
        id: Box<str>,
    },
}

impl LinkQuery {
    /// The longest text that Graph takes in a filter, in characters.
    pub const LONGEST_VALUE: usize = 120;

    /// The question as Graph's `$filter`. Texts of the message stay in their quotes whatever is in them.
    #[must_use]
    pub fn filter(&self) -> String {
        match self {
            // Microsoft's "user resource type" names `eq` for both kinds of attributes; whether B2C tenants answer it for
            // the fifteen is not confirmed.
            Self::Attribute { attribute, contact } if attribute.starts_with("extensionAttribute") => {
                format!("onPremisesExtensionAttributes/{attribute} eq '{contact}'")
            }
            Self::Attribute { attribute, contact } => format!("{attribute} eq '{contact}'"),
            Self::Identity { issuer, id } => format!(
                "identities/any(c:c/issuerAssignedId eq {} and c/issuer eq {})",
                quoted(id),
                quoted(issuer)
            ),
        }
    }

    /// Whether a text can stand in a filter.
    pub(super) fn takes(text: &str) -> bool {
        text.chars().count() <= Self::LONGEST_VALUE && !text.chars().any(char::is_control)
    }
}

/// A text of `OData`: a quote in it is written twice.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl fmt::Display for LinkQuery {
    /// What is asked, without what the contact says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute { attribute, contact } => {
                write!(f, "the user whose {attribute} holds {contact}, the id of the contact")
            }
            Self::Identity { .. } => f.write_str("the user with the identity that the contact names"),
        }
    }
}

/// What the directory answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAnswer {
    /// This user and no other.
    User(UserId),
    /// Nobody.
    Nobody,
    /// These two, and perhaps more.
    Several(UserId, UserId),
}

/// Answers that planning may use: those of the moment, and users that were found a while ago.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownLinks {
    answers: HashMap<LinkQuery, LinkAnswer>,
    /// Until when users are remembered, the first to go first.
    until: VecDeque<(MonotonicTime, LinkQuery)>,
}

impl KnownLinks {
    /// How long a user is remembered. Several changes of a contact come together; but whose attribute names the contact
    /// may change at any time, and until this is over the user before is written.
    pub const REMEMBERED_FOR: Duration = Duration::from_mins(1);
    /// Most users that are remembered.
    pub const MOST: usize = 20_000;

    /// The answer to a question, if it is known.
    #[must_use]
    pub fn get(&self, query: &LinkQuery) -> Option<LinkAnswer> {
        self.answers.get(query).copied()
    }

    /// Takes answers in, until they are [settled](Self::settle).
    pub fn learn(&mut self, answers: &[(LinkQuery, LinkAnswer)]) {
        self.answers.extend(answers.iter().cloned());
    }

    /// Remembers users from now on for a while, and gives up what is no user: that may be another answer soon.
    pub fn settle(&mut self, answers: Vec<(LinkQuery, LinkAnswer)>, now: MonotonicTime) {
        for (query, answer) in answers {
            match answer {
                LinkAnswer::User(_) => self.until.push_back((now + Self::REMEMBERED_FOR, query)),
                LinkAnswer::Nobody | LinkAnswer::Several(..) => drop(self.answers.remove(&query)),
            }
        }
        self.expire(now);
    }

    /// Gives up what was remembered for long enough.
    pub fn expire(&mut self, now: MonotonicTime) {
        while self.until.len() > Self::MOST || self.until.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, query)) = self.until.pop_front() {
                self.answers.remove(&query);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn questions_are_written_as_graph_takes_them() {
        let contact = ContactId(Uuid::from_u128(0x1111_1111_2222_4333_8444_aaaa_aaaa_aaaa));
        let attribute = |name: &str| LinkQuery::Attribute { attribute: name.into(), contact }.filter();
        assert_eq!(
            attribute("extensionAttribute7"),
            "onPremisesExtensionAttributes/extensionAttribute7 eq '11111111-2222-4333-8444-aaaaaaaaaaaa'"
        );
        assert_eq!(
            attribute("extension_0123_contact"),
            "extension_0123_contact eq '11111111-2222-4333-8444-aaaaaaaaaaaa'"
        );
        let identity = LinkQuery::Identity { issuer: "https://idp.example".into(), id: "o'neill".into() };
        assert_eq!(
            identity.filter(),
            "identities/any(c:c/issuerAssignedId eq 'o''neill' and c/issuer eq 'https://idp.example')"
        );
    }

    #[test]
    fn users_are_remembered_for_a_while_and_nobody_is_not() {
        let of = |id: usize| LinkQuery::Identity { issuer: "i".into(), id: id.to_string().into() };
        let user = LinkAnswer::User(UserId(Uuid::max()));
        let mut known = KnownLinks::default();
        let at = |seconds| MonotonicTime::after_start(Duration::from_secs(seconds));
        let answers = vec![
            (of(1), user),
            (of(2), LinkAnswer::Nobody),
            (of(3), LinkAnswer::Several(UserId(Uuid::max()), UserId(Uuid::max()))),
        ];
        known.learn(&answers);
        assert_eq!(known.get(&of(2)), Some(LinkAnswer::Nobody));
        known.settle(answers, at(1));
        assert_eq!([1, 2, 3].map(|id| known.get(&of(id)).is_some()), [true, false, false]);
        known.expire(at(60));
        assert_eq!(known.get(&of(1)), Some(user));
        known.expire(at(61));
        assert_eq!(known, KnownLinks::default());
        for id in 0..=KnownLinks::MOST {
            known.learn(&[(of(id), user)]);
            known.settle(vec![(of(id), user)], at(70));
        }
        assert_eq!((known.get(&of(0)), known.get(&of(KnownLinks::MOST))), (None, Some(user)));
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_quotes(issuer in "[a'() =]{0,12}", id in "[a'() =]{0,12}") {
            let query = LinkQuery::Identity { issuer: issuer.as_str().into(), id: id.as_str().into() };
            let filter = query.filter();
            // Read back as `OData` has it: what stands between quotes, two for one.
            let mut texts = Vec::new();
            let mut rest = filter.as_str();
            while let Some(start) = rest.find('\'') {
                let (mut text, mut after) = (String::new(), &rest[start + 1..]);
                loop {
                    let end = after.find('\'').expect("it ends");
                    text.push_str(&after[..end]);
                    after = &after[end + 1..];
                    match after.strip_prefix('\'') {
                        Some(more) => { text.push('\''); after = more; }
                        None => break,
                    }
                }
                texts.push(text);
                rest = after;
            }
            prop_assert_eq!(texts, vec![id, issuer]);
        }
    }
}
