//! Why a message was dead-lettered: a closed list, and the text that goes with it.

use std::fmt;

use crate::shown;

/// Longest words of one cause, in characters: who is asked may answer at any length.
const LONGEST_CAUSE: usize = 1_000;

/// Rows of `variant = text`, in the order of the runbook.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Stable reasons. Their strings are a contract with operators: alerts, replay filters and the headings of
        /// `deploy/runbook.md` use them, so none is ever renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DeadLetterReason {
            $($(#[$doc])* $name,)*
        }

        impl DeadLetterReason {
            /// All reasons, in the order of the runbook.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// The text in `DeadLetterReason`, in metrics and in filters.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// The body is none of the formats Dataverse sends, or is damaged.
    BodyUndecodable = "BodyUndecodable";
    /// The message around the body is damaged, nested too deep, or has more properties than anybody needs.
    MessageUnreadable = "MessageUnreadable";
    /// The message is about another table than contact.
    WrongEntity = "WrongEntity";
    /// The message comes from an organization that the filter does not accept.
    ForeignOrganization = "ForeignOrganization";
    /// The pipeline message is one that contactsync does not know, and no contact with mapped columns is in it.
    MessageNotSupported = "MessageNotSupported";
    /// The sender removed columns and images because of its size limit.
    ContextTruncated = "ContextTruncated";
    /// The link column is in no place of the message, so nobody can tell which user is meant.
    UserLinkUnknown = "UserLinkUnknown";
    /// The link column holds something that is not an object id.
    UserLinkInvalid = "UserLinkInvalid";
    /// The directory has several users to whom the contact's link leads.
    UserLinkAmbiguous = "UserLinkAmbiguous";
    /// A mapped property needs a column that is in no place of the message.
    ColumnMissing = "ColumnMissing";
    /// Graph knows no such user, also after the time that a new one may take to appear.
    UserNotFound = "UserNotFound";
    /// A value would be refused by Graph: too long, empty where it must not be, of the wrong kind.
    ValueInvalid = "ValueInvalid";
    /// Nothing tells which of the user's sign-in addresses is meant, or he has another one than the contact had.
    SignInAmbiguous = "SignInAmbiguous";
    /// One message makes the user the contact's and would move his sign-in address.
    LinkAndAddressTogether = "LinkAndAddressTogether";
    /// The user belongs to another contact.
    UserOfAnotherContact = "UserOfAnotherContact";
    /// The user is not of those whom the filter lets be written.
    UserNotAllowed = "UserNotAllowed";
    /// A value belongs to another object of the directory already.
    IdentityConflict = "IdentityConflict";
    /// Graph refused to move the address for password reset; the user himself was written.
    ResetAddressRefused = "ResetAddressRefused";
    /// Graph refused this one user or value for good.
    GraphRefused = "GraphRefused";
    /// Graph fails for this one user each time, while others are written.
    GraphFailsForUser = "GraphFailsForUser";
    /// It was tried again and again until its time was over.
    RetryBudgetExhausted = "RetryBudgetExhausted";
    /// The copy that should come back later is refused by the queue for good.
    CopyRefused = "CopyRefused";
    /// Our own code failed on this message.
    InternalError = "InternalError";
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The description beside a reason: what happened and what a person can do. Never holds values of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterText(Box<str>);

impl DeadLetterText {
    /// Longest text in bytes. Service Bus allows 4,096 characters; we stay below it in any encoding.
    pub const MAX_LEN: usize = 4_000;

    /// Cuts what is too long, on a character boundary, and writes out what would not show.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = shown::shown(text);
        Self(text[..text.floor_char_boundary(Self::MAX_LEN)].into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why one message is taken out of the queue for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The stable reason.
    pub reason: DeadLetterReason,
    /// What happened here and what can be done.
    pub description: DeadLetterText,
    /// Graph's code for it, or the status of an answer without one.
    pub code: Option<Box<str>>,
    /// The property of the user that it is about.
    pub target: Option<Box<str>>,
}

impl DeadLetter {
    /// A dead letter with a description in words.
    #[must_use]
    pub fn new(reason: DeadLetterReason, description: &str) -> Self {
        Self { reason, description: DeadLetterText::new(description), code: None, target: None }
    }

    /// The same about this property of the user.
    #[must_use]
    pub fn about(self, property: &str) -> Self {
        Self { target: Some(property.into()), ..self }
    }
}

/// An error and its causes as one line, outermost first. The one place that prints a cause. Some of the words are
/// those of whoever answered, so none commands a terminal, and none is longer than anybody reads.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<_> =
        causes.map(|error| shown::brief(&error.to_string(), LONGEST_CAUSE).into_owned()).collect();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_text_of_its_own() {
        let mut texts: Vec<_> = DeadLetterReason::ALL.iter().map(|reason| reason.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), DeadLetterReason::ALL.len());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = DeadLetterText::new(&"é".repeat(DeadLetterText::MAX_LEN));
        assert_eq!(text.as_str().len(), DeadLetterText::MAX_LEN);
        let text = DeadLetterText::new(&format!("x{}", "é".repeat(DeadLetterText::MAX_LEN)));
        assert_eq!(text.as_str().len(), DeadLetterText::MAX_LEN - 1);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer \x1b[2J")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Inner(String);

    #[test]
    fn words_of_others_neither_command_nor_go_on_for_ever() {
        assert_eq!(DeadLetterText::new("a\nb\u{202e}").as_str(), r"a\u{a}b\u{202e}");
        let line = chain(&Outer(Inner("x".repeat(1_000_000))));
        assert!(line.starts_with(r"outer \u{1b}[2J: xxx") && line.ends_with("… (1000000 bytes)"), "{line}");
        assert!(line.len() < 1_200);
    }
}
