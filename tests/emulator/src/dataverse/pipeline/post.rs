//! One context on its way to the queue of its endpoint, and why it does not get there.

use serde_amqp::Value as Amqp;
use uuid::Uuid;

use super::{
    columns::{choice, text},
    context::strip,
    format::Format,
    node::Members,
};
use crate::{
    broker::{Message, data_section},
    dataverse::value::Row,
    poster::{self, Poster, Proof},
};

/// The largest context that is posted, in bytes.
pub const LARGEST: usize = 192 * 1024;

const CLAIMS: &str = "http://schemas.microsoft.com/xrm/2011/Claims";

/// Codes of system jobs that came to nothing.
pub mod code {
    /// The endpoint has no key.
    pub const CREDENTIALS_MISSING: u32 = 0x8008_1112;
    /// The queue did not take the message.
    pub const POST_FAILED: u32 = 0x8004_4175;
    /// The name or the value of the key is wrong.
    pub const NO_TOKEN: u32 = 0x8004_4178;
    /// The context is too large, even without what can be left out.
    pub const TOO_LARGE: u32 = 0x8005_0208;
    /// The endpoint is of a kind that is not served any more.
    pub const ACS_RETIRED: u32 = 0x8005_0209;
    /// Nobody answers.
    pub const NETWORK: u32 = 0x8004_4306;
    /// The service answers that it cannot now.
    pub const COMMUNICATION: u32 = 0x8004_4307;
    /// What was to be done is not there any more.
    pub const MISSING: u32 = 0x8004_0217;
}

/// Why a context was not posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u32,
    pub(super) message: String,
    /// Whether it is tried again later.
    pub(super) transient: bool,
}

impl Failure {
    pub(super) fn lasting(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), transient: false }
    }

    fn passing(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), transient: true }
    }
}

/// A context, and what its message says beside it.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) context: Members,
    pub(super) endpoint: Uuid,
    pub(super) host: String,
    pub(super) table: String,
    pub(super) request: &'static str,
    pub(super) user: Uuid,
    pub(super) user_agent: String,
    pub(super) correlation: Uuid,
}

/// Posts to the queue or topic of an endpoint.
pub(super) fn post(letter: &Letter, endpoint: &Row, buses: &[Poster]) -> Result<(), Failure> {
    if !matches!(choice(endpoint, "contract"), Some(5 | 6)) {
        let words = "The post failed: this environment posts to queues and topics only.";
        return Err(Failure::lasting(code::POST_FAILED, words));
    }
    let proof = proof(endpoint)?;
    let message = message(letter, endpoint)?;
    let address = text(endpoint, "namespaceaddress").unwrap_or_default();
    let path = text(endpoint, "path").unwrap_or_default();
    let bus = buses.iter().find(|bus| bus.is_at(address)).ok_or_else(|| {
        let words = format!("The Service Bus at '{address}' cannot be reached: connection refused.");
        Failure::passing(code::NETWORK, words)
    })?;
    bus.post(path, &proof, message).map_err(|error| failure(&error, path))
}

fn failure(error: &poster::Error, path: &str) -> Failure {
    match error {
        poster::Error::Network(words) => {
            Failure::passing(code::NETWORK, format!("The Service Bus post to '{path}' broke off. {words}"))
        }
        poster::Error::Busy(words) => Failure::passing(
            code::COMMUNICATION,
            format!("The Service Bus post to '{path}' was put off. {words}"),
        ),
        poster::Error::Unauthorized(words) => Failure::lasting(
            code::NO_TOKEN,
            format!("No token for the Service Bus post to '{path}'. {words}"),
        ),
        poster::Error::Refused(words) => {
            Failure::lasting(code::POST_FAILED, format!("The Service Bus post to '{path}' failed. {words}"))
        }
    }
}

/// By what the endpoint proves itself.
fn proof(endpoint: &Row) -> Result<Proof, Failure> {
    let missing = || {
        let words = "The credentials of the service endpoint are not configured.";
        Failure::lasting(code::CREDENTIALS_MISSING, words)
    };
    match choice(endpoint, "authtype") {
        Some(1) => {
            let words = "Service endpoints with the Access Control Service are no longer supported.";
            Err(Failure::lasting(code::ACS_RETIRED, words))
        }
        Some(3) => Ok(Proof::Token(text(endpoint, "sastoken").ok_or_else(missing)?.to_owned())),
        Some(9) => Ok(Proof::Trusted),
        _ => {
            let (name, key) = (text(endpoint, "saskeyname"), text(endpoint, "saskey"));
            let (name, key) = name.zip(key).ok_or_else(missing)?;
            Ok(Proof::Key { name: name.to_owned(), key: key.to_owned() })
        }
    }
}

/// The message for the queue, cut where it would be too long.
fn message(letter: &Letter, endpoint: &Row) -> Result<Message, Failure> {
    let format = Format::of(choice(endpoint, "messageformat"));
    let mut body = format.write(&letter.context);
    let cut = body.len() > LARGEST;
    if cut {
        let mut context = letter.context.clone();
        strip(&mut context);
        body = format.write(&context);
        if body.len() > LARGEST {
            let words = format!("The message has {} bytes, and {LARGEST} are allowed.", body.len());
            return Err(Failure::lasting(code::TOO_LARGE, words));
        }
    }
    let id = Uuid::new_v4().simple().to_string();
    let mut message = Message::of(&id, format.content_type(), data_section(&body));
    let correlation = Amqp::String(letter.correlation.to_string());
    message.properties.set_named("correlationid", correlation);
    for (name, value) in claims(letter, endpoint) {
        message.set_property(&format!("{CLAIMS}/{name}"), Amqp::String(value));
    }
    if cut {
        message.set_property("MessageMaxSizeExceeded", Amqp::Bool(true));
    }
    Ok(message)
}

fn claims(letter: &Letter, endpoint: &Row) -> Vec<(&'static str, String)> {
    let mut claims = vec![
        ("Organization", letter.host.clone()),
        ("EntityLogicalName", letter.table.clone()),
        ("RequestName", letter.request.to_owned()),
        ("InitiatingUserAgent", letter.user_agent.clone()),
    ];
    // `userclaim` 1 keeps the user out.
    if matches!(choice(endpoint, "userclaim"), Some(2 | 3)) {
        let user = letter.user.to_string();
        claims.extend([("User", user.clone()), ("InitiatingUser", user)]);
    }
    claims
}
