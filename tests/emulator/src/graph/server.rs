//! Graph as the sockets see it.

use bytes::Bytes;
use hyper::http::request::Parts;

use super::{call::Call, core::Core, inspect, reply::Verdict};
use crate::web::{Outcome, Service};

impl Service for Core {
    const LARGEST_BODY: usize = 4 * 1024 * 1024;

    async fn respond(&self, head: Parts, body: Bytes, secure: bool) -> Outcome {
        let call =
            Call { method: head.method, uri: head.uri, headers: head.headers, body, secure, item: None };
        if inspect::is_meant(&call) {
            return Outcome::Response(inspect::answer(self, &call).await.into_response());
        }
        match self.answer(call).await {
            Verdict::Reply(reply) => Outcome::Response(reply.into_response()),
            Verdict::Reset => Outcome::Reset,
            Verdict::Hang => Outcome::Hang,
        }
    }
}
