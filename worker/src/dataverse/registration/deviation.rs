//! One thing in which the registration is not as wanted.

use std::fmt;

use serde_json::{Value, json};
use uuid::Uuid;

use super::desired::{Hook, Moment};
use crate::settings::check::Severity;

/// What is not as wanted, what to do about it, and what would put it right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deviation {
    pub kind: DeviationKind,
    pub severity: Severity,
    /// What it is about, as a person finds it in Dataverse.
    pub place: String,
    /// What is the case, and what comes of it.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// What `register` does about it; nothing about what is not ours.
    pub repair: Option<Repair>,
}

/// What `register` does about a deviation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Repair {
    MakeEndpoint,
    SetEndpoint(Uuid, Column),
    GiveKey(Uuid),
    MakeStep(Hook),
    SetStep(Uuid, Column),
    EnableStep(Uuid),
    MakeImage(Uuid, Hook, Moment),
    SetImage(Uuid, Column),
    DropStep(Uuid),
}

/// A column and the value that it gets.
pub(crate) type Column = (&'static str, Value);

macro_rules! kinds {
    ($($kind:ident = $name:literal $severity:ident),* $(,)?) => {
        /// The kinds of deviations. Their names are a contract with machines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum DeviationKind {
            $($kind,)*
        }

        impl DeviationKind {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Stable name.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// How grave it is: an error loses changes or applies wrong ones, a warning costs messages or privacy.
            pub(crate) const fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)*
                }
            }
        }
    };
}

kinds! {
    OrganizationRefused = "organization-refused" Error,
    WrongPurpose = "wrong-purpose" Error,
    NotProduction = "not-production" Warning,
    OtherOrganization = "other-organization" Error,
    ColumnMissing = "column-missing" Error,
    ColumnSecured = "column-secured" Warning,
    ColumnsUnknown = "columns-unknown" Note,
    EndpointMissing = "endpoint-missing" Error,
    EndpointAmbiguous = "endpoint-ambiguous" Error,
    EndpointUnmarked = "endpoint-unmarked" Note,
    SecondEndpoint = "second-endpoint" Warning,
    WrongContract = "wrong-contract" Error,
    WrongNamespace = "wrong-namespace" Error,
    WrongAddressForm = "wrong-address-form" Error,
    WrongQueue = "wrong-queue" Error,
    WrongConnectionMode = "wrong-connection-mode" Error,
    FormatUnsupported = "format-unsupported" Error,
    CharsetUnsupported = "charset-unsupported" Error,
    UserClaim = "user-claim" Warning,
    WrongAccess = "wrong-access" Error,
    ManagedIdentity = "managed-identity" Note,
    KeyMissing = "key-missing" Error,
    StepMissing = "step-missing" Error,
    StepDisabled = "step-disabled" Error,
    StepSynchronous = "step-synchronous" Error,
    StepStage = "step-stage" Error,
    StepDeployment = "step-deployment" Error,
    StepKeepsJobs = "step-keeps-jobs" Warning,
    StepEveryTable = "step-every-table" Error,
    StepTwice = "step-twice" Warning,
    StepForeign = "step-foreign" Warning,
    FilterEmpty = "filter-empty" Warning,
    FilterLacksLink = "filter-lacks-link" Error,
    FilterLacksColumn = "filter-lacks-column" Error,
    ImageMissing = "image-missing" Error,
    ImageAllColumns = "image-all-columns" Error,
    ImageSecret = "image-secret" Error,
    ImageLacksLink = "image-lacks-link" Error,
    ImageLacksColumn = "image-lacks-column" Error,
    ImageWithoutVersion = "image-without-version" Warning,
    ImageProperty = "image-property" Error,
    Managed = "managed" Warning,
    JobsFailed = "jobs-failed" Warning,
}

impl Deviation {
    pub(crate) fn new(kind: DeviationKind, place: impl Into<String>, what: impl Into<String>) -> Self {
        let (place, what) = (place.into(), what.into());
        Self { kind, severity: kind.severity(), place, what, remedy: String::new(), repair: None }
    }

    /// What a person does about it, because `register` must not.
    pub(crate) fn by_hand(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    /// What `register` does about it. The words say what comes of it.
    pub(crate) fn repaired(self, repair: Repair, remedy: &str) -> Self {
        let remedy = format!("contactsync dataverse register --apply {remedy}");
        Self { remedy, repair: Some(repair), ..self }
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "kind": self.kind.as_str(), "severity": self.severity.as_str(), "place": self.place, "what": self.what,
            "remedy": self.remedy, "repairable": self.repair.is_some(),
        })
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9}{}: {}", self.severity.as_str(), self.place, self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}
