//! Two directories held against each other: all users of both are read once, page by page, and whatever differs is looked at
//! once more. Nothing is written to either.
//!
//! [`walk`] reads, [`state`] keeps what was read so that a run that was killed goes on, and [`again`] is the second look.

mod again;
mod comparison;
mod directory;
mod state;
mod walk;

use shared::comparison::{Findings, Side, findings};
use tokio::time::sleep;

pub(crate) use self::{
    comparison::{ComparisonError, DirectoryComparison, ReadProgress},
    directory::ComparedDirectory,
    state::{ComparisonState, StateHeader},
};

/// What a comparison comes to.
pub(crate) struct ComparisonResult {
    /// What was found.
    pub(crate) found: Findings,
    /// Whether what differs was looked at once more, or there was too much of it.
    pub(crate) looked_again: bool,
}

/// Reads what is not read yet, looks once more at whatever differs, and tells what comes of it.
pub(crate) async fn compare(
    run: &mut DirectoryComparison,
    mut told: impl FnMut(ReadProgress),
) -> Result<ComparisonResult, ComparisonError> {
    for side in Side::BOTH {
        walk::read(run, side, &mut told).await?;
    }
    let mut found = findings(&run.scope, &run.state.directories);
    let mut looked_again = true;
    if found.differences() > 0 {
        sleep(run.settle).await;
        looked_again = again::look_again(run, &mut found, &mut told).await?;
    }
    Ok(ComparisonResult { found, looked_again })
}
