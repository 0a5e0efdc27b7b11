//! One request for a token, by Microsoft's identity library.
//!
//! The library's credential is made anew for each request: that reads the secret, the certificate or the
//! outside token as it is now. Its own cache would answer a failed early renewal with an error although the
//! old token is still good, so ours takes its place.

use std::{fmt, sync::Arc, time::Duration};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{AccessToken, Secret, TokenCredential},
    http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport as AzureTransport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use jiff::Timestamp;
use reqwest::Url;
use secrecy::ExposeSecret;
use servicebus::times::ClockReading;
use tokio::time::timeout;

use super::{
    App, Bearer, Clients, Credential, Error, Identity, ManagedIdentity, TokenEndpoint,
    credential::read_token,
    transport::{Detour, Transport},
};

/// The audience that an app expects in the token of a managed identity it trusts.
const EXCHANGE: &str = "api://AzureADTokenExchange/.default";
/// Where the library looks for the instance metadata service.
const METADATA: &str = "http://169.254.169.254/";

/// Asks for a token.
pub(super) async fn ask(identity: &Identity, clients: &Clients, scope: &str) -> Result<Bearer, Error> {
    match &identity.credential {
        Credential::Secret { app, secret } => {
            let transport = token_endpoint(identity, clients);
            let options = ClientSecretCredentialOptions { client_options: options(identity, &transport) };
            let secret = Secret::new(secret.read()?.expose_secret().to_owned());
            let made =
                ClientSecretCredential::new(&app.tenant, app.client_id.to_string(), secret, Some(options));
            get(made.map_err(unusable)?, &transport, scope).await
        }
        Credential::Certificate { app, files } => {
            let certificate = files
                .load()
                .map_err(|cause| Error::settings("the certificate cannot be used", Some(cause.into())))?;
            let endpoint = identity.token_endpoint(&app.tenant);
            let assertion = certificate
                .assertion(&app.client_id, &endpoint, clients.times.at_reference(ClockReading::now()))
                .map_err(|_| Error::settings("the key of the certificate cannot sign", None))?;
            by_assertion(identity, clients, app, assertion, scope).await
        }
        Credential::Workload { app, token_file } => {
            let assertion = read_token(token_file, "the token of the outside issuer")?;
            by_assertion(identity, clients, app, assertion, scope).await
        }
        Credential::Cli { tenant } => by_cli(tenant.as_deref(), scope).await,
        Credential::Managed { identity: which, app: None } => managed(identity, clients, which, scope).await,
        Credential::Managed { identity: which, app: Some(app) } => {
            let own = managed(identity, clients, which, EXCHANGE).await?;
            by_assertion(identity, clients, app, own.text().to_owned(), scope).await
        }
    }
}

/// Asks the Azure CLI. It may have to ask the login host itself, and a window of it may stand open.
async fn by_cli(tenant: Option<&str>, scope: &str) -> Result<Bearer, Error> {
    const PATIENCE: Duration = Duration::from_mins(1);
    const REMEDY: &str = "az gave no token; sign in with az login (and --tenant, if the tenant is another), and see that az \
                          is in PATH";
    let options = AzureCliCredentialOptions { tenant_id: tenant.map(str::to_owned), ..Default::default() };
    let made = AzureCliCredential::new(Some(options)).map_err(unusable)?;
    let refused = |cause: azure_core::Error| Error::settings(REMEDY, Some(cause.into()));
    let scopes = [scope];
    let token = timeout(PATIENCE, made.get_token(&scopes, None)).await;
    let token =
        token.map_err(|_| Error::settings("az did not answer within a minute; try az account show", None))?;
    bearer(&token.map_err(refused)?, TokenEndpoint::Token)
}

async fn by_assertion(
    identity: &Identity,
    clients: &Clients,
    app: &App,
    assertion: String,
    scope: &str,
) -> Result<Bearer, Error> {
    let transport = token_endpoint(identity, clients);
    let options = ClientAssertionCredentialOptions { client_options: options(identity, &transport) };
    let (tenant, client_id) = (app.tenant.to_string(), app.client_id.to_string());
    let made = ClientAssertionCredential::new(tenant, client_id, Assertion(assertion), Some(options));
    get(made.map_err(unusable)?, &transport, scope).await
}

async fn managed(
    identity: &Identity,
    clients: &Clients,
    which: &ManagedIdentity,
    scope: &str,
) -> Result<Bearer, Error> {
    let detour =
        identity.metadata_host.as_ref().and_then(|host| Detour::new(&Url::parse(METADATA).ok()?, host));
    let transport = Transport::new(clients, TokenEndpoint::ManagedIdentity, detour);
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: match which {
            ManagedIdentity::System => None,
            ManagedIdentity::Client(id) => Some(UserAssignedId::ClientId(id.to_string())),
            ManagedIdentity::Object(id) => Some(UserAssignedId::ObjectId(id.to_string())),
            ManagedIdentity::Resource(id) => Some(UserAssignedId::ResourceId(id.to_string())),
        },
        client_options: options(identity, &transport),
    };
    get(ManagedIdentityCredential::new(Some(options)).map_err(unusable)?, &transport, scope).await
}

/// Asks once. What went wrong is read off the wire, not out of the library's words.
async fn get(
    credential: Arc<dyn TokenCredential>,
    transport: &Transport,
    scope: &str,
) -> Result<Bearer, Error> {
    token_of(credential, transport.endpoint(), scope, || transport.failure()).await
}

/// The same, whatever the transport.
pub(super) async fn token_of(
    credential: Arc<dyn TokenCredential>,
    endpoint: TokenEndpoint,
    scope: &str,
    failure: impl Fn() -> Error,
) -> Result<Bearer, Error> {
    bearer(&credential.get_token(&[scope], None).await.map_err(|_| failure())?, endpoint)
}

fn bearer(token: &AccessToken, endpoint: TokenEndpoint) -> Result<Bearer, Error> {
    let expires = Timestamp::from_second(token.expires_on.unix_timestamp()).unwrap_or(Timestamp::MAX);
    Bearer::new(token.token.secret(), expires).ok_or_else(|| Error::Senseless {
        endpoint,
        cause: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from("it cannot travel in a header")),
    })
}

fn token_endpoint(identity: &Identity, clients: &Clients) -> Transport {
    let detour = identity.is_plain().then(|| Detour::new(&identity.secure_authority(), &identity.authority));
    Transport::new(clients, TokenEndpoint::Token, detour.flatten())
}

fn options(identity: &Identity, transport: &Transport) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = identity.secure_authority().to_string();
    ClientOptions {
        transport: Some(AzureTransport::new(Arc::new(transport.clone()))),
        // The scheduler retries, with the gate and the breaker in view; two ladders would multiply. For the
        // metadata service the library puts the ladder in place that Microsoft prescribes.
        retry: RetryOptions::none(),
        cloud: Some(Arc::new(cloud.into())),
        ..ClientOptions::default()
    }
}

fn unusable(cause: azure_core::Error) -> Error {
    Error::settings(
        "tenant, client_id or the credential of [identity] is missing or malformed",
        Some(cause.into()),
    )
}

impl Identity {
    fn is_plain(&self) -> bool {
        self.authority.scheme() == "http"
    }

    /// The login host as the library insists on it. Plain http, which the settings allow to this machine only,
    /// is brought back by a detour.
    fn secure_authority(&self) -> Url {
        let mut authority = self.authority.clone();
        if self.is_plain() {
            let port = authority.port_or_known_default();
            // Cannot fail: both are special schemes, and a URL with a host takes a port.
            let (_scheme, _port) = (authority.set_scheme("https"), authority.set_port(port));
        }
        authority
    }

    fn token_endpoint(&self, tenant: &str) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.authority.as_str().trim_end_matches('/'))
    }
}

/// A signed assertion, for the library.
struct Assertion(String);

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion(hidden)")
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.clone())
    }
}
