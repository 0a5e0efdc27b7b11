//! What the application user in Dataverse needs: the one place from which the commands, the guide and the file for
//! scripts have it.
//!
//! Names follow `prv` + verb + schema name of the table. Those of filters, images and jobs are not confirmed.

use std::collections::BTreeSet;

/// What a role is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RolePurpose {
    /// Reads contacts, for a long time.
    Service,
    /// Looks at the registration and at failed jobs.
    Verify,
    /// Registers; needed for minutes.
    Register,
    /// Touches a contact to see whether it arrives.
    Fire,
}

/// A privilege and what needs it. All of them are wanted for the whole organization: with less, reading shows fewer rows
/// and says nothing.
pub(crate) type Row = (RolePurpose, &'static str);

/// All privileges, by what they are for.
pub(crate) const ROLES: &[Row] = &[
    (RolePurpose::Service, "prvReadContact"),
    (RolePurpose::Verify, "prvReadServiceEndpoint"),
    (RolePurpose::Verify, "prvReadSdkMessage"),
    (RolePurpose::Verify, "prvReadSdkMessageFilter"),
    (RolePurpose::Verify, "prvReadSdkMessageProcessingStep"),
    (RolePurpose::Verify, "prvReadSdkMessageProcessingStepImage"),
    (RolePurpose::Verify, "prvReadAsyncOperation"),
    (RolePurpose::Verify, "prvReadEntity"),
    (RolePurpose::Verify, "prvReadAttribute"),
    (RolePurpose::Verify, "prvReadOrganization"),
    (RolePurpose::Register, "prvCreateServiceEndpoint"),
    (RolePurpose::Register, "prvWriteServiceEndpoint"),
    (RolePurpose::Register, "prvDeleteServiceEndpoint"),
    (RolePurpose::Register, "prvCreateSdkMessageProcessingStep"),
    (RolePurpose::Register, "prvWriteSdkMessageProcessingStep"),
    (RolePurpose::Register, "prvDeleteSdkMessageProcessingStep"),
    (RolePurpose::Register, "prvCreateSdkMessageProcessingStepImage"),
    (RolePurpose::Register, "prvWriteSdkMessageProcessingStepImage"),
    (RolePurpose::Register, "prvDeleteSdkMessageProcessingStepImage"),
    (RolePurpose::Fire, "prvReadContact"),
    (RolePurpose::Fire, "prvWriteContact"),
];

impl RolePurpose {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [Self::Service, Self::Verify, Self::Register, Self::Fire];

    /// Id of the role in the file for solutions, so that a second import changes it and makes no other.
    #[cfg(test)]
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Service => "6c5f1c5e-4d5b-4b0e-9a37-0d1f6b0c7a01",
            Self::Verify => "6c5f1c5e-4d5b-4b0e-9a37-0d1f6b0c7a02",
            Self::Register => "6c5f1c5e-4d5b-4b0e-9a37-0d1f6b0c7a03",
            Self::Fire => "6c5f1c5e-4d5b-4b0e-9a37-0d1f6b0c7a04",
        }
    }

    /// Stable name, and that of the role in the file for solutions.
    #[cfg(test)]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "contactsync service",
            Self::Verify => "contactsync verify",
            Self::Register => "contactsync register",
            Self::Fire => "contactsync fire",
        }
    }
}

/// The privileges for some purposes that somebody does not have.
pub(crate) fn missing(purposes: &[RolePurpose], held: &BTreeSet<String>) -> Vec<&'static str> {
    let wanted: BTreeSet<_> =
        ROLES.iter().filter(|(purpose, _)| purposes.contains(purpose)).map(|(_, name)| *name).collect();
    let has = |name: &str| held.iter().any(|own| own.eq_ignore_ascii_case(name));
    wanted.into_iter().filter(|name| !has(name)).collect()
}
