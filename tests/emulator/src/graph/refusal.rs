//! A request that Graph refuses, in the shape that Graph gives to its errors.

use hyper::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::reply::{Ids, Reply};

/// One line of `error.details`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    pub(super) code: &'static str,
    pub(super) target: String,
    pub(super) message: String,
}

/// An error answer before it is given its request ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) details: Vec<Detail>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    pub(super) fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn forbidden() -> Self {
        let message = "Insufficient privileges to complete the operation.";
        Self::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message)
    }

    pub(super) fn not_found(key: &str) -> Self {
        let message = format!(
            "Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    /// A value of `property` that the directory does not take.
    pub(super) fn invalid_value(property: &str) -> Self {
        Self::about(
            property,
            format!("Invalid value specified for property '{property}' of resource 'User'."),
        )
    }

    /// A property that nobody declared.
    pub(super) fn unknown_property(property: &str) -> Self {
        let message =
            format!("Property '{property}' does not exist as a declared property or extension property.");
        Self::about(property, message)
    }

    /// A property that only the service itself writes.
    pub(super) fn read_only(property: &str) -> Self {
        Self::about(property, format!("Property '{property}' is read-only and cannot be set."))
    }

    /// A fault of one property, said in other words than the usual ones.
    pub(super) fn about(property: &str, message: String) -> Self {
        Self::bad_request(message).about_property(property)
    }

    /// The same, as the fault of one property.
    pub(super) fn about_property(mut self, property: &str) -> Self {
        let (target, message) = (property.to_owned(), self.message.clone());
        self.details.push(Detail { code: "InvalidValue", target, message });
        self
    }

    /// A value that belongs to the object `other` already.
    pub(super) fn conflict(property: &str, other: uuid::Uuid) -> Self {
        let message = format!("Another object with the same value for property {property} already exists.");
        let of = |code, target: String| Detail { code, target, message: message.clone() };
        let details = vec![
            of("ObjectConflict", property.to_owned()),
            of("ConflictingObjects", format!("User_{other}")),
        ];
        Self { details, ..Self::bad_request(message) }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Adds what another refusal of the same request has to say.
    pub(super) fn and(mut self, mut other: Self) -> Self {
        self.details.append(&mut other.details);
        self
    }

    pub(super) fn into_reply(self, ids: &Ids) -> Reply {
        let mut error =
            json!({ "code": self.code, "message": self.message, "innerError": ids.inner_error() });
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            error["innerError"]["code"] = json!("429");
            error["innerError"]["message"] = json!(self.message);
            error["innerError"]["status"] = json!(429);
        }
        if !self.details.is_empty() {
            let line = |d: &Detail| json!({ "code": d.code, "target": d.target, "message": d.message });
            error["details"] = self.details.iter().map(line).collect::<Value>();
        }
        let mut reply = Reply::json(self.status, json!({ "error": error }));
        reply.code = Some(self.code);
        reply.headers.extend(self.headers);
        reply
    }
}
