//! Messages about several contacts: which of these failed, and one dead letter about all that did.

use std::fmt::Write;

use crate::{
    ids::ContactId,
    reason::{DeadLetter, DeadLetterText},
};

/// One of several contacts in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its place, counted from 1.
    pub position: usize,
    /// Which contact, if it says so.
    pub contact: Option<ContactId>,
}

/// The members that failed, each with its reason. Others go on, so nothing is settled by them before the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    named: Vec<(Member, DeadLetter)>,
    more: usize,
}

/// How many are named; the text would hold no more, and a message can bring very many.
const NAMED: usize = 20;
/// Bytes of one member's description that are repeated.
const DESCRIPTION: usize = 1_000;
/// Bytes kept free for saying how many more there are.
const TAIL: usize = 40;

impl Failures {
    /// Notes one.
    pub fn push(&mut self, member: Member, letter: DeadLetter) {
        if self.named.len() < NAMED {
            self.named.push((member, letter));
        } else {
            self.more += 1;
        }
    }

    /// Whether all members are well so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Whether this member is among those that are named.
    pub(super) fn names(&self, member: Member) -> bool {
        self.named.iter().any(|(named, _)| *named == member)
    }

    /// The dead letter about all of them: the reason is that of the first, by position.
    #[must_use]
    pub fn letter(&self) -> Option<DeadLetter> {
        let mut named: Vec<_> = self.named.iter().collect();
        named.sort_by_key(|(member, _)| *member);
        let (_, first) = named.first()?;
        Some(DeadLetter { description: DeadLetterText::new(&self.told(&named)), ..first.clone() })
    }

    fn told(&self, named: &[&(Member, DeadLetter)]) -> String {
        let count = named.len() + self.more;
        let mut text =
            format!("{count} of the contacts in this message failed, the others are done; counted from 1: ");
        let (mut rest, mut told) = (named, 0);
        while let Some((_, letter)) = rest.first() {
            // Neighbours that failed alike are told together.
            let alike = rest.iter().take_while(|(_, other)| other == letter).count();
            let piece = told_alike(&rest[..alike], letter);
            if text.len() + piece.len() + TAIL > DeadLetterText::MAX_LEN {
                break;
            }
            text.push_str(if told > 0 { "; " } else { "" });
            text.push_str(&piece);
            told += alike;
            rest = &rest[alike..];
        }
        if told < count {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "; and {} more", count - told);
        }
        text
    }
}

fn told_alike(members: &[&(Member, DeadLetter)], letter: &DeadLetter) -> String {
    let name = |(member, _): &&(Member, DeadLetter)| match member.contact {
        Some(contact) => format!("number {} (contact {contact})", member.position),
        None => format!("number {}", member.position),
    };
    let names: Vec<_> = members.iter().map(name).collect();
    let description = letter.description.as_str();
    let description = &description[..description.floor_char_boundary(DESCRIPTION)];
    format!("{}: {}, {description}", names.join(", "), letter.reason)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::reason::DeadLetterReason;

    fn member(position: usize) -> Member {
        let contact = Some(ContactId(Uuid::from_u128(u128::try_from(position).expect("small"))));
        Member { position, contact }
    }

    fn failures(failed: impl IntoIterator<Item = (usize, DeadLetterReason, &'static str)>) -> Failures {
        let mut failures = Failures::default();
        for (position, reason, text) in failed {
            failures.push(member(position), DeadLetter::new(reason, text));
        }
        failures
    }

    #[test]
    fn one_dead_letter_names_all_by_position_and_contact_and_has_the_first_ones_reason() {
        assert_eq!(failures([]).letter(), None);
        let link = (DeadLetterReason::UserLinkInvalid, "the link is no id");
        let mut failures = failures([
            (7, DeadLetterReason::GraphRefused, "refused"),
            (2, link.0, link.1),
            (4, link.0, link.1),
        ]);
        failures.push(
            Member { position: 9, contact: None },
            DeadLetter::new(DeadLetterReason::BodyUndecodable, "no id"),
        );
        let letter = failures.letter().expect("some failed");
        assert_eq!(letter.reason, DeadLetterReason::UserLinkInvalid);
        assert_eq!(
            letter.description.as_str(),
            "4 of the contacts in this message failed, the others are done; counted from 1: \
             number 2 (contact 00000000-0000-0000-0000-000000000002), \
             number 4 (contact 00000000-0000-0000-0000-000000000004): UserLinkInvalid, the link is no id; \
             number 7 (contact 00000000-0000-0000-0000-000000000007): GraphRefused, refused; \
             number 9: BodyUndecodable, no id"
        );
    }

    #[test]
    fn very_many_are_counted_and_not_named_and_the_text_ends_with_how_many() {
        let failed = |text| (1..=1_000).map(move |position| (position, DeadLetterReason::ValueInvalid, text));
        let text = |failures: Failures| failures.letter().expect("some failed").description;
        let alike = text(failures(failed("too long")));
        assert!(alike.as_str().starts_with("1000 of the contacts"), "{alike:?}");
        assert!(alike.as_str().ends_with("ValueInvalid, too long; and 980 more"), "{alike:?}");
        let long: &'static str = Box::leak("é".repeat(900).into_boxed_str());
        let mut various = failures(failed(long));
        for (index, (_, letter)) in various.named.iter_mut().enumerate() {
            letter.code = Some(index.to_string().into());
        }
        let various = text(various);
        assert!(various.as_str().len() <= DeadLetterText::MAX_LEN);
        assert!(various.as_str().ends_with("; and 997 more"), "{various:?}");
    }
}
