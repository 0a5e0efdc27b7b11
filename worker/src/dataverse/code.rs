//! Codes of Dataverse and what they mean: the error table of the reference, one line a code.
//!
//! Source: Microsoft's "Web service error codes" and "Compose HTTP requests and handle errors". Older pages show empty
//! codes, so a refusal is never judged by its code alone.

use std::fmt;

/// A code of Dataverse. Bodies of refusals write it as `0x80040217`, system jobs as a signed number of the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    /// Reads the code in the body of a refusal.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix("0x").or_else(|| text.trim().strip_prefix("0X"))?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }

    /// What it means, and what to do; `None` if it is not known.
    pub(super) fn known(self) -> Option<(Kind, &'static str)> {
        CODES.iter().find(|(code, ..)| *code == self.0).map(|(_, kind, remedy)| (*kind, *remedy))
    }
}

impl From<i32> for Code {
    fn from(signed: i32) -> Self {
        Self(signed.cast_unsigned())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no such row.
    Gone,
    /// A table, column or setting is not as it has to be.
    Configuration,
    /// The token is not accepted, or nobody in the environment belongs to it.
    Account,
    /// The role lacks a privilege.
    Privilege,
    /// Somebody else has the row that was to be made, or has changed the one that was to be written.
    Conflict,
    /// A plug-in of the organization refused.
    PlugIn,
    /// The request itself is at fault.
    Request,
    /// The environment as a whole is closed.
    Closed,
    /// A limit is reached.
    Throttled,
    /// It passes by itself.
    Busy,
    /// Nothing that is known.
    Other,
}

const NO_ROW: &str = "the row was deleted, or belongs to another environment";
const COLUMN: &str = "see that the column exists in this environment, and how its name is written";
const TABLE: &str =
    "see that the table exists in this environment; tables that begin with adx_ come with the portal";
const FAULT: &str = "report it as a fault in contactsync";
const WAIT: &str = "it passes; contactsync waits and tries again";
const SIGN_IN: &str =
    "see that dataverse.url and dataverse.identity.tenant belong together, and to the clock of this machine";
const SECURED: &str = "take the column out of the mapping, or give the application user a column security profile that may read \
                       it";
const SHARED: &str = "give the role of the application user this privilege for the whole organization";
const STEP: &str =
    "the registration does not fit the message or the table; report it as a fault in contactsync";
const DEPENDENTS: &str = "delete what depends on the row first";

const CODES: [(u32, Kind, &str); 49] = [
    (0x8004_0217, Kind::Gone, NO_ROW),
    (0x8006_0891, Kind::Gone, NO_ROW),
    (
        0x8006_0888,
        Kind::Configuration,
        "see that the table and its columns exist in this environment, and how they are written",
    ),
    (0x8004_1102, Kind::Configuration, TABLE),
    (0x8004_1103, Kind::Configuration, COLUMN),
    (0x8004_8d19, Kind::Request, FAULT),
    (0x8004_4331, Kind::Request, "a text is longer than its column takes; shorten it in the settings"),
    (0x8004_0203, Kind::Request, FAULT),
    (0x8004_430c, Kind::Request, FAULT),
    (0x8004_430a, Kind::Request, FAULT),
    (0x8004_418a, Kind::Request, FAULT),
    (0x8004_0265, Kind::PlugIn, "a plug-in of the organization refused it; ask whoever maintains that"),
    (0x8006_0882, Kind::Conflict, "somebody else has changed the row; look at it and try again"),
    (0x8006_0883, Kind::Configuration, FAULT),
    (0x8006_088d, Kind::Configuration, FAULT),
    (0x8004_0237, Kind::Conflict, "such a row is there already"),
    (0x8004_f504, Kind::Configuration, SECURED),
    (0x8004_f506, Kind::Configuration, SECURED),
    (0x8004_f507, Kind::Configuration, SECURED),
    (0x8004_4151, Kind::Busy, WAIT),
    (0x8004_0255, Kind::Busy, WAIT),
    (0x8004_0216, Kind::Busy, WAIT),
    (0x8007_2321, Kind::Throttled, WAIT),
    (0x8007_2322, Kind::Throttled, WAIT),
    (0x8007_2323, Kind::Throttled, WAIT),
    (0x8007_2326, Kind::Throttled, WAIT),
    (0x8005_f103, Kind::Throttled, WAIT),
    (0x8004_4302, Kind::Account, SIGN_IN),
    (0x8004_0277, Kind::Account, SIGN_IN),
    (
        0x8007_2560,
        Kind::Account,
        "make an application user for the app: Power Platform admin center, the environment, Settings, Users + permissions, \
         Application users, New app user; a managed identity is found there by its client id",
    ),
    (0x8004_0225, Kind::Account, "activate the application user, in the Power Platform admin center"),
    (
        0x8004_0220,
        Kind::Privilege,
        "give the role of the application user the privilege that is missing, for the whole organization; a change of a role takes a minute or two to count",
    ),
    (0x8004_8306, Kind::Privilege, SHARED),
    (0x8004_8405, Kind::Privilege, SHARED),
    (0x8004_a104, Kind::Closed, "the environment is disabled or in administration mode; switch that off"),
    (
        0x8004_a107,
        Kind::Closed,
        "the environment is disabled by Microsoft for now; see the service health of the tenant",
    ),
    (0x8004_f510, Kind::Configuration, "the app is not known in the tenant of the environment"),
    (0x8004_f512, Kind::Configuration, "the app is not known in the environment"),
    (0x8004_4352, Kind::Conflict, "the remembered position is too old; everything has to be read again"),
    (0x8004_416b, Kind::Request, STEP),
    (0x8004_4189, Kind::Request, STEP),
    (0x8004_416d, Kind::Request, STEP),
    (0x8004_416e, Kind::Request, STEP),
    (0x8004_4184, Kind::Request, STEP),
    (0x8004_4187, Kind::Configuration, "the table takes no steps of customers for this message"),
    (0x8009_0307, Kind::Configuration, "the table takes no steps for this message"),
    (0x8009_0308, Kind::Request, STEP),
    (0x8004_0227, Kind::Conflict, DEPENDENTS),
    (0x8004_4163, Kind::Conflict, "another process has changed the job; look at it again"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_the_same_in_both_of_its_forms() {
        for (text, signed) in
            [("0x80081112", -2_146_954_990), ("0x80044175", -2_147_204_747), ("0X80040328", -2_147_220_696)]
        {
            assert_eq!(Code::parse(text), Some(Code::from(signed)), "{text}");
            assert_eq!(Code::from(signed).to_string(), text.to_lowercase());
        }
        for text in ["", "80040217", "0x", "0xg", "0x1800402170", "ada@example.com"] {
            assert_eq!(Code::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_code_stands_once_and_has_a_remedy() {
        let codes: BTreeSet<_> = CODES.iter().map(|(code, ..)| code).collect();
        assert_eq!(codes.len(), CODES.len());
        assert!(CODES.iter().all(|(_, _, remedy)| !remedy.is_empty()));
        assert!(CODES.iter().all(|(_, kind, _)| *kind != Kind::Other));
    }
}
