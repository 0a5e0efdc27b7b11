//! Tokens of Microsoft Entra for one resource, by Microsoft's identity library.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    error::ErrorKind,
    http::{ClientOptions, RetryOptions, Transport as AzureTransport},
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{Bearer, Error, TokenProvider, TokenRefusal, transport::Transport};

/// An app registration with a client secret.
#[derive(Clone)]
pub struct ClientSecret {
    /// Login host: `https://login.microsoftonline.com` or that of another cloud.
    pub authority: Url,
    /// Id or domain of the tenant whose users are written.
    pub tenant: Box<str>,
    /// Application id.
    pub client_id: Box<str>,
    /// The secret's value.
    pub secret: SecretString,
}

/// A source of tokens for one scope.
pub struct EntraTokens {
    app: ClientSecret,
    http: reqwest::Client,
    scope: String,
    /// The library's credential with its cache, which renews five minutes early and lets one caller at a
    /// time ask. A refused token is forgotten by taking a new credential.
    current: Mutex<Current>,
}

struct Current {
    credential: Arc<dyn TokenCredential>,
}

impl EntraTokens {
    /// Tokens for `{resource}/.default`.
    pub fn new(app: ClientSecret, http: reqwest::Client, resource: &str) -> Result<Self, Error> {
        let current = Mutex::new(Current { credential: credential(&app, &http)? });
        Ok(Self { scope: format!("{}/.default", resource.trim_end_matches('/')), app, http, current })
    }

    async fn ask(&self, credential: &dyn TokenCredential) -> Result<Bearer, Error> {
        let token = credential.get_token(&[&self.scope], None).await.map_err(refused)?;
        Bearer::new(token.token.secret()).ok_or_else(|| Error::Settings {
            what: "the token endpoint sent a token that cannot travel in a header".into(),
            cause: None,
        })
    }
}

#[async_trait]
impl TokenProvider for EntraTokens {
    async fn token(&self) -> Result<Bearer, Error> {
        let credential = Arc::clone(&self.current.lock().await.credential);
        self.ask(&*credential).await
    }

    async fn renew(&self, refused: &Bearer) -> Result<Bearer, Error> {
        // The lock is held over the request, so that callers refused together cause one request.
        let mut current = self.current.lock().await;
        let cached = self.ask(&*current.credential).await?;
        if cached != *refused {
            return Ok(cached);
        }
        current.credential = credential(&self.app, &self.http)?;
        self.ask(&*current.credential).await
    }
}

impl fmt::Debug for EntraTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraTokens").field("scope", &self.scope).finish_non_exhaustive()
    }
}

fn credential(app: &ClientSecret, http: &reqwest::Client) -> Result<Arc<dyn TokenCredential>, Error> {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = app.authority.to_string();
    let client_options = ClientOptions {
        transport: Some(AzureTransport::new(Arc::new(Transport(http.clone())))),
        // The scheduler retries, with the gate and the breaker in view; two ladders would multiply.
        retry: RetryOptions::none(),
        cloud: Some(Arc::new(cloud.into())),
        ..ClientOptions::default()
    };
    let credential = ClientSecretCredential::new(
        &app.tenant,
        app.client_id.to_string(),
        Secret::new(app.secret.expose_secret().to_owned()),
        Some(ClientSecretCredentialOptions { client_options }),
    )
    .map_err(|cause| Error::Settings {
        what: "identity.tenant, identity.client_id or the credential is missing or malformed".into(),
        cause: Some(cause),
    })?;
    Ok(credential)
}

#[derive(Default, Deserialize)]
struct RefusalBody {
    error: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// The library keeps the raw answer in its error; what may be logged is taken from there.
fn refused(error: azure_core::Error) -> Error {
    let ErrorKind::HttpResponse { status, raw_response, .. } = error.kind() else {
        return Error::Unreachable(error);
    };
    let body = raw_response
        .as_ref()
        .and_then(|response| serde_json::from_slice::<RefusalBody>(response.body()).ok())
        .unwrap_or_default();
    let known = |text: &String| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    Error::Refused(TokenRefusal {
        status: u16::from(*status),
        error: body.error.filter(known).map(String::into_boxed_str),
        number: body.error_codes.first().copied(),
        retry_after: None,
    })
}
