//! Targets: directories to which the same changes are applied, each by itself.

use std::fmt;

/// Name of a target: lower-case letters, digits and single hyphens between them.
///
/// ```
/// use shared::target::TargetName;
///
/// assert!(TargetName::parse("external-id").is_some());
/// assert!(TargetName::parse("External ID").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(Box<str>);

impl TargetName {
    /// Longest name, in characters.
    const LONGEST: usize = 40;

    /// A name from text; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        (text.len() <= Self::LONGEST && text.split('-').all(is_word)).then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who takes messages from a subscription, among others who take the same messages from theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// Whoever asks.
    pub own: TargetName,
    /// The others that are known.
    pub others: Vec<TargetName>,
}

impl Addressee {
    /// Whether a message that names a target is for one of the others. A name that nobody knows, such as the former one of
    /// a target, is no reason to leave a change out.
    #[must_use]
    pub fn leaves_to_another(&self, named: &str) -> bool {
        named != self.own.as_str() && self.others.iter().any(|other| other.as_str() == named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TargetName {
        TargetName::parse(text).expect("a name")
    }

    #[test]
    fn a_name_is_one_word_or_several_with_single_hyphens() {
        for good in ["b2c", "external-id", "a", "1", "a-b-c", &"x".repeat(40)] {
            assert_eq!(TargetName::parse(good).as_ref().map(TargetName::as_str), Some(good));
        }
        for bad in ["", "-", "a-", "-a", "a--b", "B2C", "a_b", "a.b", "a b", "ä", &"x".repeat(41)] {
            assert_eq!(TargetName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_names_another_known_target_is_left_to_it() {
        let addressee = Addressee { own: name("b2c"), others: vec![name("external-id")] };
        for (named, left) in [("b2c", false), ("external-id", true), ("former", false), ("", false)] {
            assert_eq!(addressee.leaves_to_another(named), left, "{named}");
        }
    }
}
