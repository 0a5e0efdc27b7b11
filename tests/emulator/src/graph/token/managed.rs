//! The token endpoints of managed identities: IMDS on a virtual machine, and the one of App Service.

use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Tokens, app::App, audience::audience};
use crate::{
    clock,
    graph::{call::Call, options::Tenant, reply::Reply},
};

/// What App Service puts into `IDENTITY_HEADER`, and expects back.
pub const IDENTITY_HEADER: &str = "local-identity-header";
const IMDS: &str = "/metadata/identity/oauth2/token";
const APP_SERVICE: &str = "/msi/token";

/// Whether a call asks for the token of a managed identity.
pub(in crate::graph) fn is_managed(call: &Call) -> bool {
    matches!(call.uri.path(), IMDS | APP_SERVICE)
}

pub(super) fn answer(
    tokens: &mut Tokens,
    tenant: &Tenant,
    call: &Call,
    now: Instant,
) -> (Reply, Option<Uuid>) {
    match token(tokens, tenant, call, now) {
        Ok((reply, app)) => (reply, Some(app)),
        Err(description) => {
            let body = json!({ "error": "invalid_request", "error_description": description });
            let mut reply = Reply::json(StatusCode::BAD_REQUEST, body);
            reply.code = Some("invalid_request".to_owned());
            (reply, None)
        }
    }
}

fn token(
    tokens: &mut Tokens,
    tenant: &Tenant,
    call: &Call,
    now: Instant,
) -> Result<(Reply, Uuid), &'static str> {
    check_headers(call)?;
    let resource = call.option("resource").ok_or("Required query variable 'resource' is missing")?;
    let version = call.option("api-version").ok_or("Required query variable 'api-version' is missing")?;
    let known = if call.uri.path() == IMDS { "2018-02-01" } else { "2019-08-01" };
    if version.as_str() < known {
        return Err("The requested version is not supported");
    }
    let opens = audience(&resource, call, &tokens.environments)
        .ok_or("The resource principal was not found in the tenant")?;
    let app = tokens.apps.values().find(|app| is_meant(app, call)).cloned().ok_or("Identity not found")?;
    let life = tokens.lifetime.as_secs();
    let at = clock::now().as_second();
    let until = at.saturating_add(i64::try_from(life).unwrap_or(i64::MAX));
    let token = tokens.issue(&app, opens, &resource, tenant, now);
    // All numbers are strings here, unlike at the ordinary endpoint.
    let body = json!({
        "access_token": token,
        "client_id": app.id,
        "expires_in": life.to_string(),
        "ext_expires_in": life.to_string(),
        "expires_on": until.to_string(),
        "not_before": at.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    Ok((Reply::json(StatusCode::OK, body), app.id))
}

fn check_headers(call: &Call) -> Result<(), &'static str> {
    if call.method != Method::GET {
        return Err("Only GET is supported");
    }
    if call.header("x-forwarded-for").is_some() {
        return Err("The request must not pass through a proxy");
    }
    let (name, value) =
        if call.uri.path() == IMDS { ("metadata", "true") } else { ("x-identity-header", IDENTITY_HEADER) };
    let sent = call.header(name).is_some_and(|sent| sent.eq_ignore_ascii_case(value));
    sent.then_some(()).ok_or("Required metadata header not specified")
}

/// Whether the query names this app's identity, or none and this is the machine's own.
fn is_meant(app: &App, call: &Call) -> bool {
    let Some(identity) = &app.managed else { return false };
    let first = |names: &[&str]| names.iter().find_map(|name| call.option(name));
    if let Some(id) = call.option("client_id") {
        id.parse() == Ok(app.id)
    } else if let Some(id) = first(&["object_id", "principal_id"]) {
        id.parse().ok().is_some_and(|id| identity.object_id == Some(id))
    } else if let Some(id) = first(&["msi_res_id", "mi_res_id"]) {
        identity.resource_id.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(&id))
    } else {
        identity.system
    }
}
