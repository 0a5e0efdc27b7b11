//! The authentication methods by e-mail of a user.
//!
//! Source: Microsoft's "emailAuthenticationMethod resource type" (one a user at most, always with the same id) and its pages
//! on list, get, add, update and delete. What is answered for a method that is not there, and for a second one, is not told
//! there and not verified.

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{access, call::Call, directory::Directory, refusal::Refusal, state::Handled, token::Grant};

/// The id of every method by e-mail.
const ID: &str = "3ddfcfc8-9383-446f-83cc-3ab9be4be18f";

/// A call about the methods of this user, or about the one of this id.
pub(super) fn call(
    directory: &mut Directory,
    call: &Call,
    (key, method): (&str, Option<&str>),
    verb: &Method,
    grant: &Grant,
    now: Instant,
) -> Result<Handled, Refusal> {
    let user = directory.target(key, now)?;
    access::may_use_methods(grant, user, *verb != Method::GET)?;
    let (id, has) = (user.id, user.reset_email.clone());
    if method.is_some_and(|method| method != ID || has.is_none()) {
        return Err(Refusal::not_found(method.unwrap_or_default()));
    }
    let set = |directory: &mut Directory, address: Option<String>| {
        directory.set_reset(id, address, now).map(|change| vec![change])
    };
    match (method, verb) {
        (_, &Method::GET) => {
            let seen = directory.seen(id, now).and_then(|user| user.reset_email.as_deref()).map(shown);
            let body = match method {
                None => json!({ "value": seen.into_iter().collect::<Vec<_>>() }),
                Some(_) => seen.unwrap_or_default(),
            };
            Ok(Handled { user: Some(id), ..Handled::answered(StatusCode::OK, body) })
        }
        (None, &Method::POST) => {
            let address = address(&call.object()?)?;
            if has.is_some() {
                let message = "The user has an email method already.";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "badRequest", message));
            }
            let changes = set(directory, Some(address.clone()))?;
            let created = Handled::answered(StatusCode::CREATED, shown(&address));
            Ok(Handled { user: Some(id), applied: true, changes, ..created })
        }
        (Some(_), &Method::PATCH) => {
            let changes = set(directory, Some(address(&call.object()?)?))?;
            Ok(Handled { changes, ..Handled::written(id) })
        }
        (Some(_), &Method::DELETE) => Ok(Handled { changes: set(directory, None)?, ..Handled::written(id) }),
        _ => {
            let message = "The HTTP method is not supported for this resource.";
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message))
        }
    }
}

fn shown(address: &str) -> Value {
    json!({ "id": ID, "emailAddress": address })
}

fn address(body: &Map<String, Value>) -> Result<String, Refusal> {
    let address = body.get("emailAddress").and_then(Value::as_str).filter(|text| text.contains('@'));
    address.map(str::to_owned).ok_or_else(|| Refusal::invalid_value("emailAddress"))
}
