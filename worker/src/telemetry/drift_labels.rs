//! Labels of what passes over contacts and users find.

use super::labels::{Labels, labels};

labels! {
    /// Why a user differs from the row of his contact; reasons of dead letters are not told apart.
    DriftLabel {
        /// No change of the property was ever applied.
        NeverApplied = "never-applied",
        /// The user has an older version than the row.
        Missed = "missed",
        /// The row was applied, and somebody else has changed the user.
        ChangedElsewhere = "changed-elsewhere",
        /// No mark is kept.
        Unknown = "unknown",
        /// The user was written last for another contact.
        OtherContact = "other-contact",
        /// The user has a newer version than the row.
        MarkAhead = "mark-ahead",
        /// There is no such user.
        UserMissing = "user-missing",
        /// Several contacts name him.
        Doubled = "doubled",
        /// The row cannot be planned.
        Unfit = "unfit",
        /// A person decides.
        Withheld = "withheld",
    }
}

labels! {
    /// Which contacts a pass has read.
    DriftPassKind {
        /// All of them.
        Full = "full",
        /// Those that have changed, and those that differed.
        Changes = "changes",
    }
}

labels! {
    /// A side of what is compared.
    DriftSide {
        /// Contacts.
        Dataverse = "dataverse",
        /// Users.
        Graph = "graph",
    }
}
