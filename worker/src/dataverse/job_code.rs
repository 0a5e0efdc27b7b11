//! Why a job could not post its message, in a sentence, and what the administrator has to do.
//!
//! Source: Microsoft's "Web service error codes", and reports of users for what they come from.

use super::code::Code;

/// What a code of a job means, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobCode {
    /// What happened.
    pub(crate) meaning: &'static str,
    /// What to do.
    pub(crate) remedy: &'static str,
}

const KEY: &str = "set the key at the endpoint again: exports, imports and minimal copies leave it out";
const SAS: &str = "register the endpoint again with a SAS key";
const BY_ITSELF: &str = "it is tried again by itself; --resume does it at once";

const CODES: [(u32, &str, &str); 12] = [
    (0x8008_1112, "the endpoint has no key", KEY),
    (
        0x8004_4175,
        "the message could not be posted to Service Bus",
        "see what Service Bus said: the queue is missing, disabled or full, the key is wrong, or a network rule keeps \
         Dataverse out",
    ),
    (
        0x8004_4178,
        "Service Bus gave no token for the post",
        "set the name of the policy and its key at the endpoint; the policy needs the right Send",
    ),
    (0x8004_4179, "the post was put off", BY_ITSELF),
    (
        0x8004_417a,
        "posting is switched off in the organization",
        "see whether the environment is in administration mode, or a policy forbids it",
    ),
    (0x8004_4176, "the endpoint signs in by the former Access Control Service, without an issuer", SAS),
    (0x8004_4177, "the endpoint signs in by the former Access Control Service, without a certificate", SAS),
    (
        0x8005_0208,
        "the message is too large even without its images and parameters",
        "take columns out of the images of the step",
    ),
    (0x8005_0209, "the endpoint signs in by the former Access Control Service, which is no more", SAS),
    (0x8004_4306, "the network between Dataverse and Service Bus failed", BY_ITSELF),
    (0x8004_4307, "the connection between Dataverse and Service Bus failed", BY_ITSELF),
    (
        0x8004_0328,
        "it was put off after it had failed again and again",
        "see why the first ones failed, mend that, and then --resume",
    ),
];

impl JobCode {
    /// What is known of a code.
    #[must_use]
    pub(crate) fn of(code: Option<Code>) -> Self {
        let Some(code) = code else {
            return Self {
                meaning: "it has not failed yet",
                remedy: "wait, or see whether background operations are on",
            };
        };
        let known = CODES.iter().find(|(known, ..)| *known == code.0);
        known.map_or(
            Self {
                meaning: "it failed with a code that contactsync does not know",
                remedy: "look the code up among Microsoft's web service error codes",
            },
            |(_, meaning, remedy)| Self { meaning, remedy },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_jobs_are_known_by_their_signed_numbers() {
        let signed = [
            -2_146_954_990,
            -2_147_204_747,
            -2_147_204_744,
            -2_147_204_743,
            -2_147_204_742,
            -2_147_204_746,
            -2_147_204_745,
            -2_147_155_448,
            -2_147_155_447,
            -2_147_204_346,
            -2_147_204_345,
            -2_147_220_696,
        ];
        for (signed, (code, meaning, _)) in signed.into_iter().zip(CODES) {
            assert_eq!(Code::from(signed), Code(code));
            assert_eq!(JobCode::of(Some(Code::from(signed))).meaning, meaning);
        }
        assert!(JobCode::of(Some(Code(1))).meaning.contains("does not know"));
    }
}
