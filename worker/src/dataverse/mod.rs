//! Dataverse's Web API: a client that reads and writes rows, page by page, with every answer bounded.
//!
//! Everything here is optional: without `[dataverse]` nobody calls it. Reads, updates and deletions are tried again when they
//! fail for a reason that passes; what makes a row or acts is tried again only where it certainly was not carried out, and
//! otherwise ends as [`Error::Undecided`], because a second try could do it twice.

mod answer;
mod challenge;
mod channel;
mod client;
mod code;
mod context;
mod endpoint;
mod error;
mod form;
#[doc(hidden)]
pub mod fuzz;
mod job_code;
mod jobs;
mod metadata;
mod page;
mod refusal;
pub(crate) mod registration;
mod rights;
mod row_source;
mod rows;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use self::{
    challenge::Challenge,
    client::{DataverseClient as Client, PAGE},
    code::{Code, Kind},
    context::{ContactRow, ContextWriter},
    endpoint::{Destination, Match, NAME},
    error::Error,
    form::ColumnForm,
    job_code::JobCode,
    jobs::{EndpointStep, Job, JobState, Resumed, Wanted},
    metadata::{Column, HeldPrivilege, Table},
    page::RowPages,
    rights::{HeldRights, PrivilegeDepth, READ_CONTACT},
    row_source::{RowSeen, RowSource, RowsSeen, RowsUnreadable, retry_after},
    rows::{Organization, OrganizationType, ServiceEndpoint, WhoAmI},
    update::{ContactUpdate, attribute, choice, reference},
};
