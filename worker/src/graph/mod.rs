//! Microsoft Graph as the engine sees it: a directory that takes absolute values for a user.

mod answer;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod guard;
mod http;
mod wire;

pub(crate) use answer::GraphRefusal;
use async_trait::async_trait;
pub(crate) use error::{Error, GracePeriods};
pub(crate) use http::{GraphClient, MayWrite, Options, ThrottlePriority};
use shared::{lanes::Success, patch::UserWrite, property::Property};
use tokio::time::Instant;

/// What a write would change by what Graph shows now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Properties that would be written.
    pub properties: Vec<Property>,
    /// Properties for which the user's mark shows a newer version.
    pub superseded: Vec<Property>,
}

/// Where users are kept.
#[async_trait]
pub(crate) trait Directory: Send + Sync + 'static {
    /// Gives a user these values. Repeating it is harmless; after an error the outcome may be unknown.
    async fn apply(&self, write: &UserWrite) -> Result<Success, Error>;

    /// Looks whether the user still shows what was written, and names the properties that somebody undid.
    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, Error>;

    /// Until then a call of a writer before this one may still take effect, so no write is left out because of what a look
    /// showed.
    fn distrust_looks_until(&self, until: Instant);

    /// Finds out whether calls can succeed at all, without changing anything. Used while intake is paused.
    async fn probe(&self) -> Result<(), Error>;
}
