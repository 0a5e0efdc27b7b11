//! A client for services on this machine, and what tests of the Service Bus client need beside it.

use anyhow::Result;
use servicebus::{DeadLettering, Settlement, tls};
use shared::reason::DeadLetter;

use crate::PATIENCE;

/// A client for services on this machine: the pages of workers, the management interface. It goes by no proxy.
pub fn http_client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls::trusting(None)?);
    Ok(builder.no_proxy().timeout(PATIENCE).build()?)
}

/// Makes a dead letter of a message, with a reason and description of ours.
#[must_use]
pub fn dead_lettered(letter: &DeadLetter) -> Settlement {
    Settlement::DeadLetter(DeadLettering {
        reason: letter.reason.as_str().into(),
        description: letter.description.as_str().into(),
        properties: Vec::new(),
    })
}
