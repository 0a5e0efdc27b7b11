//! The token endpoint and the metadata that Microsoft's libraries ask for before it.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Tokens, app::App, assertion, audience::audience, errors::refuse, managed};
use crate::{
    clock,
    graph::{
        call::Call,
        options::{Clocks, Tenant},
        reply::{Body, Reply},
    },
};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Answers a call to the authority; none if the path is not one of the authority's.
pub(in crate::graph) fn answer(
    tokens: &mut Tokens,
    tenant: &Tenant,
    clocks: Clocks,
    call: &Call,
    now: Instant,
) -> Option<(Reply, Option<Uuid>)> {
    let path = call.uri.path();
    if path == "/common/discovery/instance" {
        return Some((instances(call), None));
    }
    if managed::is_managed(call) {
        return Some(managed::answer(tokens, tenant, call, now));
    }
    let (name, rest) = path.strip_prefix('/')?.split_once('/')?;
    let reply = match rest {
        "v2.0/.well-known/openid-configuration" => (metadata(tenant, call, name), None),
        "discovery/v2.0/keys" => (Reply::json(StatusCode::OK, json!({ "keys": [] })), None),
        "oauth2/v2.0/token" if call.method == Method::POST => {
            match redeem(tokens, tenant, clocks, call, name, now) {
                Ok((reply, app)) => (reply, Some(app)),
                Err(number) => (refuse(number), None),
            }
        }
        _ => return None,
    };
    Some(reply)
}

fn instances(call: &Call) -> Reply {
    let host = call.header("host").unwrap_or("localhost");
    let endpoint = format!("{}/common/v2.0/.well-known/openid-configuration", call.origin());
    let aliases = json!([{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }]);
    let body = json!({ "tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": aliases });
    Reply::json(StatusCode::OK, body)
}

fn metadata(tenant: &Tenant, call: &Call, name: &str) -> Reply {
    if let Err(number) = check_tenant(tenant, name) {
        return refuse(number);
    }
    let base = format!("{}/{}", call.origin(), tenant.id);
    Reply::json(
        StatusCode::OK,
        json!({
            "issuer": format!("{base}/v2.0"),
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported":
                ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": null,
        }),
    )
}

/// Names of several tenants at once have no directory behind them that an app could sign in to.
fn check_tenant(tenant: &Tenant, name: &str) -> Result<(), u32> {
    match name {
        "common" | "organizations" | "consumers" => Err(50_059),
        _ if tenant.is_named(name) => Ok(()),
        _ => Err(90_002),
    }
}

/// Turns a credential into a token, or says which error it is.
fn redeem(
    tokens: &mut Tokens,
    tenant: &Tenant,
    clocks: Clocks,
    call: &Call,
    name: &str,
    now: Instant,
) -> Result<(Reply, Uuid), u32> {
    check_tenant(tenant, name)?;
    let form: HashMap<String, String> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let grant_type = field("grant_type").ok_or(900_144_u32)?;
    let basic = basic_credentials(call);
    let client = field("client_id").or(basic.as_ref().map(|(id, _)| id.as_str())).ok_or(900_144_u32)?;
    let scope = field("scope").ok_or(900_144_u32)?;
    if grant_type != "client_credentials" {
        return Err(70_003);
    }
    let id = client.parse::<Uuid>().map_err(|_| 700_016_u32)?;
    let app = tokens.apps.get(&id).cloned().ok_or(700_016_u32)?;
    if app.disabled {
        return Err(7_000_112);
    }
    let secret = field("client_secret").or(basic.as_ref().map(|(_, secret)| secret.as_str()));
    match (field("client_assertion_type"), field("client_assertion"), secret) {
        (Some(ASSERTION), Some(signed), _) => {
            let ahead = SignedDuration::from_secs(clocks.authority_s);
            let seconds = clock::now().duration_since(Timestamp::UNIX_EPOCH) + ahead;
            assertion::verify(&app, tenant, signed, seconds.as_secs_f64())?;
        }
        (None, None, Some(secret)) => check_secret(&app, secret)?,
        (None, None, None) => return Err(7_000_216),
        _ => return Err(900_144),
    }
    let resource = scope.strip_suffix("/.default").filter(|one| !one.contains(' ')).ok_or(70_011_u32)?;
    let audience = audience(resource, call, &tokens.environments).ok_or(500_011_u32)?;
    let life = tokens.lifetime.as_secs();
    let token = tokens.issue(&app, audience, resource, tenant, now);
    let mut reply = Reply::json(
        StatusCode::OK,
        json!({ "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token }),
    );
    if let (Some(hint), Body::Json(body)) = (tokens.refresh_in, &mut reply.body) {
        body["refresh_in"] = json!(hint.as_secs());
    }
    reply.set("cache-control", "no-store, no-cache");
    Ok((reply, id))
}

/// Client id and secret from a Basic header; both are URL-encoded inside it.
fn basic_credentials(call: &Call) -> Option<(String, String)> {
    let (scheme, rest) = call.header("authorization")?.split_once(' ')?;
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    scheme.eq_ignore_ascii_case("basic").then(|| (decode(id), decode(secret)))
}

fn check_secret(app: &App, sent: &str) -> Result<(), u32> {
    let same = app.secrets.iter().find(|secret| secret.value == sent).ok_or(7_000_215_u32)?;
    if same.expired { Err(7_000_222) } else { Ok(()) }
}
