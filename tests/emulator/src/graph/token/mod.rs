//! Who may ask for a token, and which tokens are good.

mod app;
mod assertion;
mod audience;
mod endpoint;
mod errors;
mod issuer;
mod managed;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{call::Call, options::Tenant, refusal::Refusal};
use crate::clock;

pub use app::{App, DEFAULT_CLIENT_ID, DEFAULT_SECRET, FederatedCredential, ManagedIdentity, Secret};
pub use issuer::{Issuer, IssuerError};
pub use managed::IDENTITY_HEADER;

pub(super) use endpoint::answer;
pub(super) use errors::refuse;
pub(super) use managed::is_managed;

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Microsoft Graph, in any of its clouds or here.
    Graph,
    /// Azure Service Bus.
    ServiceBus,
    /// An environment of Dataverse; which one, [`Grant::resource`] says.
    Dataverse,
    /// Mail over SMTP with Exchange Online, which is not imitated here.
    Mail,
}

/// What stands behind an access token. Permissions are those of the moment it was issued.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The app it was issued to.
    pub app: Uuid,
    /// What it opens.
    pub audience: Audience,
    /// The resource as it was asked for, which is the `aud` of the token.
    pub resource: String,
    /// Until when it is good.
    pub expires: Instant,
    /// The app's permissions.
    pub roles: BTreeSet<String>,
    /// Whether the app may write to administrators.
    pub directory_role: bool,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Revoked,
    /// Revoked by continuous access evaluation, which says so in a challenge.
    Challenged,
}

/// The apps, and every token that was issued.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) apps: HashMap<Uuid, App>,
    pub(super) lifetime: Duration,
    /// The hint in `refresh_in`, if one is given.
    pub(super) refresh_in: Option<Duration>,
    /// Origins of Dataverse environments on this machine, without a slash at the end.
    pub(super) environments: BTreeSet<String>,
    grants: HashMap<String, Arc<Grant>>,
}

impl Tokens {
    pub(super) fn new(apps: Vec<App>, lifetime: Duration) -> Self {
        let apps = apps.into_iter().map(|app| (app.id, app)).collect();
        Self { apps, lifetime, refresh_in: None, environments: BTreeSet::new(), grants: HashMap::new() }
    }

    /// Issues a token to an app that has proved itself.
    fn issue(
        &mut self,
        app: &App,
        audience: Audience,
        resource: &str,
        tenant: &Tenant,
        now: Instant,
    ) -> String {
        let at = clock::now().as_second();
        let life = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let header = json!({ "typ": "JWT", "alg": "RS256" });
        let claims = json!({
            "aud": resource, "iss": format!("https://sts.windows.net/{}/", tenant.id), "tid": tenant.id,
            "iat": at, "nbf": at, "exp": at.saturating_add(life), "appid": app.id, "roles": app.roles,
        });
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        // Clients must treat a token as opaque; the last part is a random handle, not a signature.
        let handle = URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes());
        let token = format!("{}.{}.{handle}", part(header.to_string()), part(claims.to_string()));
        let grant = Grant {
            app: app.id,
            audience,
            resource: resource.to_owned(),
            expires: now + self.lifetime,
            roles: app.roles.clone(),
            directory_role: app.directory_role,
            standing: Standing::Good,
        };
        self.grants.insert(token.clone(), Arc::new(grant));
        token
    }

    /// Takes over the tokens that somebody else has issued, and the environments that they may be for.
    pub(super) fn adopt(&mut self, other: &mut Self) {
        self.grants.extend(other.grants.drain());
        self.environments.append(&mut other.environments);
    }

    /// What stands behind a token that is good at `now`.
    pub(super) fn look_up(&self, token: &str, now: Instant) -> Option<Arc<Grant>> {
        let grant = self.grants.get(token)?;
        (grant.standing == Standing::Good && grant.expires > now).then(|| Arc::clone(grant))
    }

    /// Admits a call to Graph, or says why not.
    pub(super) fn admit(&self, call: &Call, now: Instant) -> Result<Arc<Grant>, Refusal> {
        let invalid = |message: &str| {
            let origin = call.origin();
            let challenge = format!(
                "Bearer realm=\"\", authorization_uri=\"{origin}/common/oauth2/authorize\", \
                 client_id=\"00000003-0000-0000-c000-000000000000\""
            );
            Refusal::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
                .with_header("www-authenticate", &challenge)
        };
        let header = call.header("authorization").unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(invalid("Access token is empty."));
        }
        let Some(grant) = self.grants.get(token) else {
            return Err(invalid("CompactToken parsing failed with error code: 80049217"));
        };
        if grant.audience != Audience::Graph {
            return Err(invalid("Access token validation failure. Invalid audience."));
        }
        if grant.expires <= now {
            return Err(invalid("Lifetime validation failed, the token is expired."));
        }
        match grant.standing {
            Standing::Good => Ok(Arc::clone(grant)),
            Standing::Revoked => Err(invalid("Access token has been revoked.")),
            Standing::Challenged => Err(Self::challenge(invalid(
                "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
                 TokenIssuedBeforeRevocationTimestamp",
            ))),
        }
    }

    fn challenge(mut refusal: Refusal) -> Refusal {
        let at = clock::now().as_second();
        let claims = json!({ "access_token": { "nbf": { "essential": true, "value": at.to_string() } } });
        let claims = base64::engine::general_purpose::STANDARD.encode(claims.to_string());
        refusal.headers.clear();
        refusal.with_header(
            "www-authenticate",
            &format!("Bearer realm=\"\", error=\"insufficient_claims\", claims=\"{claims}\""),
        )
    }

    /// Makes every token issued so far worthless, without a reason that a client could read.
    pub(super) fn revoke(&mut self) {
        self.set_standing(Standing::Revoked);
    }

    /// Makes every token issued so far worthless; the 401 carries a claims challenge.
    pub(super) fn revoke_with_challenge(&mut self) {
        self.set_standing(Standing::Challenged);
    }

    fn set_standing(&mut self, standing: Standing) {
        for grant in self.grants.values_mut() {
            Arc::make_mut(grant).standing = standing;
        }
    }
}
