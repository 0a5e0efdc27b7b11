//! Answers of token endpoints from their bytes.

use std::sync::Arc;

use azure_core::{
    Result,
    credentials::Secret,
    http::{
        AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, StatusCode, Transport,
        headers::Headers,
    },
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use reqwest::header::HeaderMap;

use super::{Bearer, Error, TokenEndpoint, TokenRefusal, ask, transport};

/// Answers to every request alike.
#[derive(Debug)]
struct Fixed(u16, Vec<u8>);

#[async_trait::async_trait]
impl HttpClient for Fixed {
    async fn execute_request(&self, _: &Request) -> Result<AsyncRawResponse> {
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(self.0), Headers::new(), self.1.clone()))
    }
}

/// The token in an answer with this status.
pub async fn granted(status: u16, body: &[u8]) -> std::result::Result<Bearer, Error> {
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(Fixed(status, body.to_vec())))),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    let options = ClientSecretCredentialOptions { client_options };
    let made =
        ClientSecretCredential::new("tenant", "client".to_owned(), Secret::new("secret"), Some(options));
    let unread = || transport::unread(TokenEndpoint::Token);
    ask::token_of(made.map_err(|_| unread())?, TokenEndpoint::Token, "scope/.default", unread).await
}

/// What is kept of a refusal.
#[must_use]
pub fn refusal(status: u16, body: &[u8]) -> TokenRefusal {
    transport::refusal(TokenEndpoint::Token, status, &HeaderMap::new(), body)
}
