//! The calls to Graph of one write, gathered for the journal: how each ended, and the id by which Microsoft finds it.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

/// Longest id of a request. Graph's are GUIDs; whoever answers in its place can write anything.
const LONGEST_ID: usize = 64;

tokio::task_local! {
    /// The calls of the write that is being made.
    static CALLS: RefCell<Vec<GraphCall>>;
}

/// One call to Graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphCall {
    /// `GET` or `PATCH`.
    pub(crate) method: String,
    /// Status of the answer, or what kept it away: `timeout`, `connection`.
    pub(crate) status: String,
    /// Graph's `request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// Our `client-request-id`, by which the call is found in the activity logs also if no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_request_id: Option<String>,
}

impl GraphCall {
    /// A call that ended so. Ids that are none are left out.
    pub(crate) fn new(method: &str, status: &str, request_id: Option<&str>, client_id: Option<&str>) -> Self {
        let id = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            ((1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
        };
        let (request_id, client_request_id) = (request_id.and_then(id), client_id.and_then(id));
        Self { method: method.to_owned(), status: status.to_owned(), request_id, client_request_id }
    }
}

/// Does this, and returns with what it came to the calls that it made.
pub(crate) async fn gathering<T>(work: impl Future<Output = T>) -> (T, Vec<GraphCall>) {
    CALLS
        .scope(RefCell::default(), async {
            let done = work.await;
            (done, CALLS.with(RefCell::take))
        })
        .await
}

/// Notes a call, if somebody gathers them. It is formed only then.
pub(crate) fn note(call: impl FnOnce() -> GraphCall) {
    // Outside of a write nobody wants to know.
    let _gathered = CALLS.try_with(|calls| calls.borrow_mut().push(call()));
}
