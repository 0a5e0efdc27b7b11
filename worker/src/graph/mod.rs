//! Microsoft Graph as the engine sees it: a directory that takes absolute values for a user.

mod answer;
mod error;
mod http;
mod wire;

use async_trait::async_trait;
use shared::{ids::UserId, patch::UserPatch};

pub use answer::{Answer, Handling};
pub use error::{Error, Patience};
pub use http::{GraphClient, Options};

/// Where users are kept.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Gives a user these values. Repeating it is harmless; after an error the outcome may be unknown.
    async fn apply(&self, user: UserId, patch: &UserPatch) -> Result<(), Error>;

    /// Finds out whether calls can succeed at all, without changing anything. Used while intake is paused.
    async fn probe(&self) -> Result<(), Error>;
}
