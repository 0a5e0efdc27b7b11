//! How a call to Dataverse that failed ends the command.

use anyhow::anyhow;

use crate::dataverse::Error;

/// An error with what to do about it.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err wants")]
pub(super) fn told(error: Error) -> anyhow::Error {
    anyhow!(error.explained())
}
