//! What token requests are made with.

use std::sync::Arc;

use servicebus::times::Times;

use crate::http_client;

/// The HTTP client for token requests, and what is known of those who answer.
#[derive(Clone, Debug)]
pub struct Clients {
    /// For the token endpoint; without any proxy for the endpoint of managed identities, which refuses what came through
    /// one.
    pub http: http_client::Client,
    /// What is known of the clocks of the services; answers add to it, and assertions are dated by it.
    pub times: Arc<Times>,
}

impl Clients {
    /// Clients of a process that has talked to nobody yet.
    #[must_use]
    pub fn new(http: http_client::Client) -> Self {
        Self { http, times: Arc::default() }
    }
}
