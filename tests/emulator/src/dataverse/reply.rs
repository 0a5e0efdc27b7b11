//! An answer before it is bytes, and the headers that every answer carries.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{call::Call, gzip, refusal::Refusal};

/// The body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    Other(String, Bytes),
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// The error code in the body, for the journal.
    pub(crate) code: Option<String>,
    /// How many rows it holds, for the journal.
    pub(crate) rows: usize,
}

/// The content type of everything in JSON.
const JSON: &str = "application/json; odata.metadata=minimal";

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Body::Empty, code: None, rows: 0 }
    }

    pub(crate) fn json(status: StatusCode, body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::empty(status) }
    }

    pub(crate) fn text(status: StatusCode, mime: impl Into<String>, text: impl Into<Bytes>) -> Self {
        Self { body: Body::Other(mime.into(), text.into()), ..Self::empty(status) }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The answer that a refusal is; the annotations come only if all of them were asked for.
    pub(crate) fn refused(refusal: Refusal, annotated: bool) -> Self {
        let code = refusal.code_text();
        let mut error = json!({ "code": code, "message": refusal.message });
        if annotated {
            error["@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus"] = json!("0");
            error["@Microsoft.PowerApps.CDS.ErrorDetails.SubErrorCode"] = json!("-2146233088");
            error["@Microsoft.PowerApps.CDS.HelpLink"] =
                json!(format!("http://go.microsoft.com/fwlink/?LinkID=398563&error={code}"));
            error["@Microsoft.PowerApps.CDS.InnerError.Message"] = json!(refusal.message);
        }
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { code: Some(code), ..Self::json(status, json!({ "error": error })) }
    }

    /// The body in bytes with its type.
    pub(crate) fn content(&self) -> (Option<String>, Bytes) {
        match &self.body {
            Body::Empty => (None, Bytes::new()),
            Body::Json(value) => (Some(JSON.to_owned()), Bytes::from(value.to_string())),
            Body::Other(mime, bytes) => (Some(mime.clone()), bytes.clone()),
        }
    }

    /// Adds what stands on every answer of a real environment.
    pub(crate) fn stamp(&mut self, request: Uuid, left: Option<(u64, f64)>) {
        let activity = Uuid::new_v4();
        self.set("odata-version", "4.0");
        self.set("cache-control", "no-cache");
        self.set("expires", "-1");
        self.set("x-ms-service-request-id", &format!("{request},{activity}"));
        self.set("req_id", &format!("{request},{activity}"));
        self.set("authactivityid", &activity.to_string());
        self.set("strict-transport-security", "max-age=31536000; includeSubDomains");
        self.set("crm.serviceid", "CRMAppPool");
        self.set("x-ms-dop-hint", "4");
        for cookie in
            ["ARRAffinity=local; path=/; secure; HttpOnly", "ReqClientId=local; path=/; secure; HttpOnly"]
        {
            self.headers.append("set-cookie", HeaderValue::from_static(cookie));
        }
        if let Some((requests, seconds)) = left {
            self.set("x-ms-ratelimit-burst-remaining-xrm-requests", &requests.to_string());
            self.set("x-ms-ratelimit-time-remaining-xrm-requests", &with_comma(seconds));
        }
    }

    pub(crate) fn into_response(self, call: &Call) -> Response<Full<Bytes>> {
        let (mime, mut bytes) = self.content();
        let mut headers = self.headers;
        let gzip = call.header(ACCEPT_ENCODING.as_str()).is_some_and(|list| list.contains("gzip"));
        if gzip && !bytes.is_empty() {
            bytes = gzip::pack(&bytes).into();
            headers.insert("content-encoding", HeaderValue::from_static("gzip"));
            headers.insert("vary", HeaderValue::from_static("Accept-Encoding"));
        }
        if let Some(mime) = mime.and_then(|mime| HeaderValue::from_str(&mime).ok()) {
            headers.insert(CONTENT_TYPE, mime);
        }
        let mut response = Response::new(Full::new(bytes));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

/// Seconds with two decimals and a comma between thousands, which a plain parser of numbers trips over.
fn with_comma(seconds: f64) -> String {
    let text = format!("{:.2}", seconds.max(0.0));
    let (whole, rest) = text.split_once('.').unwrap_or((&text, "00"));
    let whole = whole.parse().map(super::json::grouped).unwrap_or_default();
    format!("{whole}.{rest}")
}

#[cfg(test)]
mod tests {
    use super::with_comma;

    #[test]
    fn thousands_of_seconds_have_a_comma() {
        for (seconds, text) in [(1200.0, "1,200.00"), (999.999, "1,000.00"), (0.5, "0.50"), (-1.0, "0.00")] {
            assert_eq!(with_comma(seconds), text);
        }
    }
}
