//! The calls to Graph of one write, gathered for the journal: how each ended, and the id by which Microsoft finds it.

use std::{borrow::Cow, cell::RefCell, fmt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest id of a request. Graph's are GUIDs; whoever answers in its place can write anything.
const LONGEST_ID: usize = 64;

tokio::task_local! {
    /// The calls of the write that is being made.
    static CALLS: RefCell<Gathered>;
}

#[derive(Debug, Default)]
struct Gathered {
    calls: Vec<GraphCall>,
    /// The id of the next call, if it was foretold.
    next: Option<RequestIds>,
}

/// The `client-request-id`s of the calls of one write: this one, and those counted up from it in the last four digits. Told
/// before any call is made, so that also a call is found whose answer nobody was there to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RequestIds(Uuid);

impl RequestIds {
    /// Fresh ones.
    pub(crate) fn new() -> Self {
        let mut bytes: [u8; 16] = rand::random();
        bytes[14..].fill(0);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Those after the first one.
    fn rest(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128() + 1))
    }
}

impl fmt::Display for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One call to Graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphCall {
    /// `GET` or `PATCH`.
    pub(crate) method: Cow<'static, str>,
    /// Status of the answer, or what kept it away: `timeout`, `connection`.
    pub(crate) status: Cow<'static, str>,
    /// Graph's `request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// Our `client-request-id`, by which the call is found in the activity logs also if no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_request_id: Option<String>,
}

impl GraphCall {
    /// A call that ended so. Ids that are none are left out.
    pub(crate) fn new(
        method: &'static str,
        status: &'static str,
        request_id: Option<&str>,
        client_id: Option<&str>,
    ) -> Self {
        let id = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            ((1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
        };
        let (request_id, client_request_id) = (request_id.and_then(id), client_id.and_then(id));
        Self { method: method.into(), status: status.into(), request_id, client_request_id }
    }
}

/// Does this, and returns with what it came to the calls that it made; these ids are theirs, if they were foretold.
pub(crate) async fn gathering<T>(
    ids: Option<RequestIds>,
    work: impl Future<Output = T>,
) -> (T, Vec<GraphCall>) {
    CALLS
        .scope(RefCell::new(Gathered { calls: Vec::new(), next: ids }), async {
            let done = work.await;
            (done, CALLS.with(RefCell::take).calls)
        })
        .await
}

/// The id of the call that is made next, if it was foretold.
pub(crate) fn next_request_id() -> Option<Uuid> {
    let taken = CALLS.try_with(|gathered| {
        let mut gathered = gathered.borrow_mut();
        let ids = gathered.next?;
        gathered.next = Some(ids.rest());
        Some(ids.0)
    });
    taken.ok().flatten()
}

/// Notes a call, if somebody gathers them. It is formed only then.
pub(crate) fn note(call: impl FnOnce() -> GraphCall) {
    // Outside of a write nobody wants to know.
    let _gathered = CALLS.try_with(|gathered| gathered.borrow_mut().calls.push(call()));
}
