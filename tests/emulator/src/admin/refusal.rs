//! Why a request to the HTTP interface is refused, as a status and the body that goes with it.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::broker;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    pub(super) detail: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl From<broker::Error> for Refusal {
    fn from(error: broker::Error) -> Self {
        let status = match &error {
            broker::Error::NotFound(_) | broker::Error::RuleNotFound(_) => StatusCode::NOT_FOUND,
            broker::Error::AlreadyExists(_) => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let detail = quick_xml::escape::escape(&self.detail);
        let code = self.status.as_u16();
        let body = format!("<Error><Code>{code}</Code><Detail>{detail}</Detail></Error>");
        (self.status, [(header::CONTENT_TYPE, "application/xml; charset=utf-8")], body).into_response()
    }
}
