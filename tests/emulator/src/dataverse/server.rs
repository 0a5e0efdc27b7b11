//! An organization as the sockets see it.

use bytes::Bytes;
use hyper::http::request::Parts;

use super::{call::Call, core::Core, doors};
use crate::web::{Outcome, Service};

impl Service for Core {
    const LARGEST_BODY: usize = 16 * 1024 * 1024;

    async fn respond(&self, head: Parts, body: Bytes, secure: bool) -> Outcome {
        let call =
            Call { method: head.method, uri: head.uri, headers: head.headers, body, secure, is_item: false };
        if doors::is_meant(&call) {
            return Outcome::Response(doors::answer(self, &call).into_response(&call));
        }
        self.answer(&call).await
    }
}
