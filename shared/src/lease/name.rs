//! What the session that says who writes is called.

use sha2::{Digest, Sha256};

/// Characters of a session's id that Service Bus takes.
const LONGEST: usize = 128;

/// The session for the replicas that take messages from this address, such as `contacts` or
/// `topic/subscriptions/sub`. Names of entities do not differ by case.
#[must_use]
pub fn session_name(intake: &str) -> String {
    let name = intake.to_lowercase();
    if name.chars().count() <= LONGEST {
        return name;
    }
    let digits = Sha256::digest(name).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    "h:".chars().chain(digits.filter_map(|digit| char::from_digit(digit.into(), 16))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_called_like_the_intake_in_lower_case() {
        assert_eq!(session_name("Contacts"), "contacts");
        assert_eq!(session_name("Topic/Subscriptions/Sub"), "topic/subscriptions/sub");
        assert_eq!(session_name(&"Ä".repeat(128)), "ä".repeat(128), "characters count, not bytes");
    }

    #[test]
    fn a_long_name_is_hashed_and_still_does_not_differ_by_case() {
        let name = session_name(&"a".repeat(129));
        // `printf 'a%.0s' $(seq 129) | sha256sum`
        assert_eq!(name, "h:c12cb024a2e5551cca0e08fce8f1c5e314555cc3fef6329ee994a3db752166ae");
        assert_eq!(name, session_name(&"A".repeat(129)));
        assert_ne!(name, session_name(&"a".repeat(130)));
    }
}
