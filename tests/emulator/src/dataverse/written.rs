//! A write that was committed, as the pipeline of an organization sees it.

use jiff::Timestamp;
use uuid::Uuid;

use super::value::Row;

/// What was done to the row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// It was made.
    Create,
    /// Columns of it were set.
    Update,
    /// It was removed.
    Delete,
}

/// One committed write of one row.
#[derive(Clone, Debug)]
pub struct Written {
    /// What was done.
    pub message: Message,
    /// Logical name of the table.
    pub table: String,
    /// The row.
    pub id: Uuid,
    /// The columns that the request set, and no others.
    pub target: Row,
    /// The whole row before; none when it was made.
    pub before: Option<Row>,
    /// The whole row after; none when it was removed.
    pub after: Option<Row>,
    /// Id of the system user who wrote it.
    pub user: Uuid,
    /// User agent of the request.
    pub user_agent: String,
    /// `tag` of the request's URL, which becomes a shared variable.
    pub tag: Option<String>,
    /// When it was committed.
    pub at: Timestamp,
    /// Id of the request.
    pub request: Uuid,
    /// The same for all that one request has led to.
    pub correlation: Uuid,
    /// 1 for a request from outside.
    pub depth: i32,
    /// Whether the request asked that asynchronous custom logic be passed over.
    pub bypass: bool,
}
