//! What a fault makes the client read.

use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use jiff::SignedDuration;

use super::{ErrorAnswer, Page, RetryAfter};
use crate::{
    clock,
    graph::{
        refusal::Refusal,
        reply::{Body, Ids, Reply},
    },
};

impl ErrorAnswer {
    pub(in crate::graph) fn reply(&self, ids: &Ids) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, message) = usual(self.status);
        let code = self.code.as_deref().unwrap_or(code);
        let mut refusal = Refusal::new(status, code, self.message.as_deref().unwrap_or(message));
        if let Some(target) = &self.target {
            refusal = refusal.about_property(target);
        }
        if self.status == 401 && self.graph_headers {
            refusal = refusal.with_header("www-authenticate", "Bearer realm=\"\"");
        }
        let mut reply = refusal.into_reply(ids);
        match &self.body {
            Page::Graph => {}
            Page::Empty => (reply.body, reply.code) = (Body::Empty, None),
            Page::Html => {
                let text = format!("<html><body><h1>{status}</h1></body></html>");
                (reply.body, reply.code) = (Body::Other("text/html", text.into()), None);
            }
            Page::Json(value) => reply.body = Body::Json(value.clone()),
            Page::Text { mime, text } => {
                (reply.body, reply.code) = (Body::Other("text/plain", text.clone().into()), None);
                if let Ok(mime) = HeaderValue::from_str(mime) {
                    reply.headers.insert(CONTENT_TYPE, mime);
                }
            }
        }
        if let Some(after) = &self.retry_after {
            reply.set("retry-after", &after.to_header());
        }
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                reply.headers.insert(name, value);
            }
        }
        reply
    }
}

impl RetryAfter {
    pub(in crate::graph) fn to_header(&self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::DateIn(seconds) => http_date(*seconds),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The moment so many seconds ahead, as HTTP writes it.
pub(in crate::graph) fn http_date(ahead: i64) -> String {
    let then = clock::now().saturating_add(SignedDuration::from_secs(ahead));
    then.map(|then| then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).unwrap_or_default()
}

/// The code and message that usually go with a status.
fn usual(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("Request_BadRequest", "The request is invalid."),
        401 => ("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
        403 => ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
        404 => ("Request_ResourceNotFound", "The resource does not exist."),
        409 => ("Directory_ConcurrencyViolation", "Please wait briefly and retry."),
        412 => ("Request_PreconditionFailed", "A precondition failed."),
        422 => ("Request_UnprocessableEntity", "The request cannot be processed."),
        423 => ("Request_Locked", "The resource is locked."),
        429 => ("TooManyRequests", "Too many requests"),
        500 => ("Service_InternalServerError", "Encountered an internal server error."),
        503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
        _ => ("UnknownError", ""),
    }
}
