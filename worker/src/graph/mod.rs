//! Microsoft Graph as the engine sees it: a directory that takes absolute values for a user.

mod answer;
mod connections;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod guard;
mod http;
mod route;
mod wire;

use async_trait::async_trait;
use shared::{lanes::Success, patch::UserWrite, property::Property};

pub use answer::{Answer, Handling};
pub use connections::Cause;
pub use error::{Error, Patience};
pub use http::{GraphClient, Options, Priority};

/// What became of a write that did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Whether Graph was written to at all; not if the user was so already.
    pub written: bool,
    /// Whether Graph hinted that a limit is near.
    pub near_limit: bool,
    /// Properties left out because the user's mark shows a newer version.
    pub superseded: Vec<Property>,
    /// Whether the mark shows that the row versions of the organization went back.
    pub went_back: bool,
}

impl From<Applied> for Success {
    fn from(Applied { written, superseded, went_back, .. }: Applied) -> Self {
        Self { written, superseded, went_back }
    }
}

/// What a write would change by what Graph shows now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Properties that would be written.
    pub properties: Vec<Property>,
    /// Properties for which the user's mark shows a newer version.
    pub superseded: Vec<Property>,
}

/// Where users are kept.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Gives a user these values. Repeating it is harmless; after an error the outcome may be unknown.
    async fn apply(&self, write: &UserWrite) -> Result<Applied, Error>;

    /// Looks whether the user still shows what was written, and names the properties that somebody undid.
    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, Error>;

    /// Finds out whether calls can succeed at all, without changing anything. Used while intake is paused.
    async fn probe(&self) -> Result<(), Error>;
}
