//! An answer before it is bytes, what may come instead, and the ids that every answer carries.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock;

/// The ids of one request, which support asks for.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    pub(super) request: String,
    pub(super) client: String,
}

impl Ids {
    /// A fresh request id, and the client's own one if it sent any.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let request = Uuid::new_v4().to_string();
        let echo = headers.get("client-request-id").and_then(|value| value.to_str().ok());
        let client = echo.map_or_else(|| request.clone(), str::to_owned);
        Self { request, client }
    }

    /// The innermost part of an error body. The date has no zone and means UTC.
    pub(super) fn inner_error(&self) -> Value {
        json!({
            "date": clock::now().strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            "request-id": self.request,
            "client-request-id": self.client,
        })
    }
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Other(&'static str, Bytes),
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// The error code in the body, for the journal.
    pub(super) code: Option<String>,
}

impl Reply {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Body::Empty, code: None }
    }

    pub(super) fn json(status: StatusCode, body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::empty(status) }
    }

    pub(super) fn text(status: StatusCode, mime: &'static str, text: impl Into<Bytes>) -> Self {
        Self { body: Body::Other(mime, text.into()), ..Self::empty(status) }
    }

    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    /// Adds the headers that Graph puts on every answer; hyper adds `Date`.
    pub(super) fn stamp(mut self, ids: &Ids) -> Self {
        const DIAGNOSTIC: &str = r#"{"ServerInfo":{"DataCenter":"Local","Slice":"E","Ring":"5","ScaleUnit":"000","RoleInstance":"EMULATOR"}}"#;
        self.set("request-id", &ids.request);
        self.set("client-request-id", &ids.client);
        self.headers
            .insert(HeaderName::from_static("x-ms-ags-diagnostic"), HeaderValue::from_static(DIAGNOSTIC));
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let (mime, bytes) = match self.body {
            Body::Empty => (None, Bytes::new()),
            Body::Json(value) => (Some("application/json"), Bytes::from(value.to_string())),
            Body::Other(mime, bytes) => (Some(mime), bytes),
        };
        let mut response = Response::new(Full::new(bytes));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(mime) = mime {
            response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(mime));
        }
        response
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    Reply(Reply),
    /// The connection ends with a reset.
    Reset,
    /// There is no answer, ever.
    Hang,
}

/// An envelope of Graph around a list.
pub(super) fn collection(origin: &str, context: &str, values: Vec<Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), json!(format!("{origin}/v1.0/$metadata#{context}")));
    body.insert("value".to_owned(), Value::Array(values));
    body
}
