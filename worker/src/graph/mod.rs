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
pub(crate) use http::{GraphClient, MayWrite, Options, ThrottlePriority, UserPage, UserQuery};
use shared::{
    lanes::{Failure, Success},
    patch::UserWrite,
    plan::{LinkAnswer, LinkQuery},
    property::Property,
};
use tokio::time::Instant;

/// What a write would change by what Graph shows now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Properties that would be written.
    pub properties: Vec<Property>,
    /// Properties for which the user's mark shows a newer version.
    pub superseded: Vec<Property>,
}

/// What was answered, question by question.
pub(crate) type LinkAnswers = Vec<(LinkQuery, LinkAnswer)>;

/// A question that was not answered, and why.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub query: LinkQuery,
    pub error: Error,
}

impl Unanswered {
    /// The failure as the scheduler wants it.
    pub(crate) fn failure(&self) -> Failure {
        self.error.search_failure(&self.query)
    }
}

/// Asks all of them, one after another. The first that is not answered ends it.
pub(crate) async fn find_all(
    directory: &(impl Directory + ?Sized),
    queries: Vec<LinkQuery>,
) -> Result<LinkAnswers, Box<Unanswered>> {
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        match directory.find(&query).await {
            Ok(answer) => answers.push((query, answer)),
            Err(error) => return Err(Box::new(Unanswered { query, error })),
        }
    }
    Ok(answers)
}

/// Where users are kept.
#[async_trait]
pub(crate) trait Directory: Send + Sync + 'static {
    /// Gives a user these values. Repeating it is harmless; after an error the outcome may be unknown.
    async fn apply(&self, write: &UserWrite) -> Result<Success, Error>;

    /// Looks whether the user still shows what was written, and names the properties that somebody undid.
    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, Error>;

    /// Finds out which user is meant. Reads only.
    async fn find(&self, query: &LinkQuery) -> Result<LinkAnswer, Error>;

    /// Until then a call of a writer before this one may still take effect, so no write is left out because of what a look
    /// showed.
    fn distrust_looks_until(&self, until: Instant);

    /// Finds out whether calls can succeed at all, without changing anything. Used while intake is paused.
    async fn probe(&self) -> Result<(), Error>;
}
