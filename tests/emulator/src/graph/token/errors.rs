//! The errors of the token endpoint.

use hyper::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::{clock, graph::reply::Reply};

/// An `AADSTS` error with its status, its `error` and a sentence like Microsoft's.
struct Known {
    numbers: &'static [u32],
    status: u16,
    error: &'static str,
    says: &'static str,
}

const fn known(numbers: &'static [u32], status: u16, error: &'static str, says: &'static str) -> Known {
    Known { numbers, status, error, says }
}

/// Where only the number is documented, the pair is the nearest generic one.
const TABLE: [Known; 19] = [
    known(
        &[7_000_215],
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
    ),
    known(&[7_000_222], 401, "invalid_client", "The provided client secret keys are expired."),
    known(
        &[7_000_216, 7_000_218],
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    known(&[700_016], 400, "unauthorized_client", "Application was not found in the directory."),
    known(&[7_000_112], 400, "unauthorized_client", "Application is disabled."),
    known(
        &[700_025],
        401,
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    ),
    known(
        &[700_027, 700_030, 700_021, 700_023, 700_024, 50_027, 50_013],
        401,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered on application, or the assertion is not valid.",
    ),
    known(
        &[70_021, 700_213, 700_211, 700_212],
        401,
        "unauthorized_client",
        "No matching federated identity record found for presented assertion.",
    ),
    known(
        &[90_002],
        400,
        "invalid_request",
        "Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
    ),
    known(
        &[90_038, 900_382, 900_432],
        400,
        "invalid_request",
        "Confidential Client is not supported in Cross Cloud request.",
    ),
    known(&[50_001, 500_011], 400, "invalid_resource", "The resource principal was not found in the tenant."),
    known(
        &[70_011],
        400,
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid.",
    ),
    known(
        &[65_001, 650_056],
        400,
        "invalid_grant",
        "The administrator has not consented to use the application.",
    ),
    known(&[53_003], 400, "access_denied", "Access has been blocked by Conditional Access policies."),
    known(&[900_144], 400, "invalid_request", "The request body must contain all required parameters."),
    known(
        &[50_128, 50_059, 90_019],
        400,
        "invalid_request",
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
    ),
    known(
        &[50_034, 50_196],
        400,
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop, or the account does not exist.",
    ),
    known(&[70_003], 400, "unsupported_grant_type", "The app requested an unsupported grant type."),
    known(
        &[90_006, 90_012, 90_024, 90_033, 90_055, 90_090, 90_091, 50_033],
        400,
        "temporarily_unavailable",
        "A transient error has occurred. Please try again.",
    ),
];

/// The answer for an error number. An unknown number becomes a generic `invalid_request`.
pub(in crate::graph) fn refuse(number: u32) -> Reply {
    let found = TABLE.iter().find(|known| known.numbers.contains(&number));
    let (status, error, says) =
        found.map_or((400, "invalid_request", "The request failed."), |k| (k.status, k.error, k.says));
    let now = clock::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
    let description =
        format!("AADSTS{number}: {says} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}");
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = Reply::json(
        status,
        json!({
            "error": error,
            "error_description": description,
            "error_codes": [number],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        }),
    );
    reply.code = Some(error.to_owned());
    reply
}
