//! Applications and the credentials by which they prove themselves.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::{Uuid, uuid};

/// The application id of [`App::default`].
pub const DEFAULT_CLIENT_ID: Uuid = uuid!("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d");
/// The secret of [`App::default`].
pub const DEFAULT_SECRET: &str = "local-secret";

/// An application registered in the tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its application (client) id.
    pub id: Uuid,
    /// Its secrets; any one that has not expired opens the door.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Its certificates, in PEM.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Outside issuers whose tokens it may present.
    #[serde(default)]
    pub federated: Vec<FederatedCredential>,
    /// The managed identity that stands for it on this machine.
    #[serde(default)]
    pub managed: Option<ManagedIdentity>,
    /// Names of the application permissions that were consented.
    #[serde(default = "default_roles")]
    pub roles: BTreeSet<String>,
    /// Whether the service principal holds a directory role that lets it write to administrators.
    #[serde(default)]
    pub directory_role: bool,
    /// Whether the app has been switched off.
    #[serde(default)]
    pub disabled: bool,
}

/// A client secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The text that the client sends.
    pub value: String,
    /// Whether it is past its date.
    #[serde(default)]
    pub expired: bool,
}

/// An outside issuer, and which of its tokens are accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedCredential {
    /// The `iss` of the token.
    pub issuer: String,
    /// The `sub` of the token.
    pub subject: String,
    /// The `aud` of the token.
    #[serde(default = "default_audience")]
    pub audience: String,
    /// The issuer's keys as a JSON Web Key Set; RSA and P-256.
    pub keys: Value,
}

/// The audience that Microsoft recommends for federated credentials.
fn default_audience() -> String {
    "api://AzureADTokenExchange".to_owned()
}

impl FederatedCredential {
    /// A credential with the recommended audience.
    #[must_use]
    pub fn new(issuer: &str, subject: &str, keys: Value) -> Self {
        Self { issuer: issuer.to_owned(), subject: subject.to_owned(), audience: default_audience(), keys }
    }
}

/// How a managed identity is named. Its client id is the id of the app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManagedIdentity {
    /// Whether it is the one that the machine itself has, which is taken when none is named.
    pub system: bool,
    /// The object id of its service principal.
    pub object_id: Option<Uuid>,
    /// Its resource id in Azure.
    pub resource_id: Option<String>,
}

impl Secret {
    /// A secret that is good.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self { value: value.to_owned(), expired: false }
    }
}

fn default_roles() -> BTreeSet<String> {
    ["User.ReadWrite.All", "User.ManageIdentities.All"].map(str::to_owned).into()
}

impl App {
    /// An app with the usual permissions and no credential.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            secrets: Vec::new(),
            certificates: Vec::new(),
            federated: Vec::new(),
            managed: None,
            roles: default_roles(),
            directory_role: false,
            disabled: false,
        }
    }
}

/// An app with one secret, which is also this machine's managed identity.
impl Default for App {
    fn default() -> Self {
        Self {
            secrets: vec![Secret::new(DEFAULT_SECRET)],
            managed: Some(ManagedIdentity { system: true, ..ManagedIdentity::default() }),
            ..Self::new(DEFAULT_CLIENT_ID)
        }
    }
}
