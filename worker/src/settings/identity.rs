//! The sections `[identity]`, `[service_bus.identity]`, `[dataverse.identity]` and `[notify.identity]`: who the worker is, towards
//! Graph, Service Bus, Dataverse and the service that sends mail.

use std::path::PathBuf;

use jiff::{Timestamp, civil::Date, tz::Offset};
use reqwest::Url;
use secrecy::SecretString;
use shared::reason::chain;
use uuid::Uuid;

use super::{
    cloud::Cloud,
    reader::{Reader, Rule, one_of},
    source::Surroundings,
};
use crate::identity::{App, CertificateFiles, Credential, Identity, ManagedIdentity, SecretSource};

/// Names that stand for several tenants at once; no app can sign in to them by itself.
const NO_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

/// Who the worker is towards Graph.
pub(super) fn identity(r: &Reader<'_>, cloud: Option<&Cloud>, around: &Surroundings) -> Option<Identity> {
    let authority = cloud.and_then(|cloud| r.url_or("identity.authority", cloud.authority));
    let keys = Keys { r, section: "identity", base: None };
    finish(&keys, authority, around)
}

/// Who the worker is towards Service Bus, where that is another: its namespace belongs to the tenant of a
/// subscription, the users to a tenant that has none.
pub(super) fn bus_identity(r: &Reader<'_>, cloud: Option<&Cloud>, around: &Surroundings) -> Option<Identity> {
    let authority = cloud.and_then(|cloud| r.url_or("identity.authority", cloud.authority));
    let own_kind = !r.text("service_bus.identity.kind")?.is_empty();
    let base = (!own_kind).then_some("identity");
    let keys = Keys { r, section: "service_bus.identity", base };
    finish(&keys, authority, around)
}

/// Who the worker is towards Dataverse. Its environment belongs to a workforce tenant, so nothing is taken from elsewhere: the
/// login host of a tenant of customers would be the wrong one.
pub(super) fn dataverse_identity(
    r: &Reader<'_>,
    cloud: Option<&Cloud>,
    around: &Surroundings,
) -> Option<Identity> {
    let authority = cloud.and_then(|cloud| r.url_or("dataverse.identity.authority", cloud.authority));
    let keys = Keys { r, section: "dataverse.identity", base: None };
    finish(&keys, authority, around)
}

/// Who the worker is towards the service that sends mail. Mailboxes belong to a workforce tenant, so nothing is taken from
/// elsewhere.
pub(super) fn notify_identity(
    r: &Reader<'_>,
    cloud: Option<&Cloud>,
    around: &Surroundings,
) -> Option<Identity> {
    let authority = cloud.and_then(|cloud| r.url_or("notify.identity.authority", cloud.authority));
    let keys = Keys { r, section: "notify.identity", base: None };
    finish(&keys, authority, around)
}

fn finish(keys: &Keys<'_>, authority: Option<Url>, around: &Surroundings) -> Option<Identity> {
    const METADATA: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    let (credential, secret_ends) = (credential(keys), keys.secret_ends());
    let metadata_host = match around.get(METADATA) {
        Some(text) => match Url::parse(text) {
            Ok(url) if url.has_host() => Some(Some(url)),
            _ => keys.r.wrong(METADATA, "must be an address such as http://169.254.169.254"),
        },
        None => Some(None),
    };
    Some(Identity {
        authority: authority?,
        credential: credential?,
        metadata_host: metadata_host?,
        secret_ends: secret_ends?,
    })
}

/// The ways to prove who one is.
const KINDS: [&str; 4] = ["secret", "certificate", "workload", "managed"];

fn credential(keys: &Keys<'_>) -> Option<Credential> {
    let none = if keys.base.is_some() { &[""][..] } else { &[] };
    let known = [none, &KINDS].concat();
    keys.r.rule(&format!("{}.kind", keys.section), Rule::OneOf(known));
    match keys.optional("kind").unwrap_or_default() {
        "secret" => {
            let (app, secret) = (keys.app(), keys.secret());
            Some(Credential::Secret { app: app?, secret: secret? })
        }
        "certificate" => {
            let (app, files) = (keys.app(), keys.certificate());
            Some(Credential::Certificate { app: app?, files: files? })
        }
        "workload" => {
            let app = keys.app();
            let what = "the file with the token of the outside issuer (AZURE_FEDERATED_TOKEN_FILE)";
            let token_file = keys.required("token_file", what);
            Some(Credential::Workload { app: app?, token_file: PathBuf::from(token_file?) })
        }
        "managed" => {
            let (identity, app) = (keys.managed(), keys.trusting_app());
            Some(Credential::Managed { identity: identity?, app: app? })
        }
        _ => keys.wrong("kind", one_of(&KINDS)),
    }
}

/// The keys of one section; those left empty may come from another.
struct Keys<'a> {
    r: &'a Reader<'a>,
    section: &'static str,
    base: Option<&'static str>,
}

impl<'a> Keys<'a> {
    /// The full name under which the key is set, if it is.
    fn place(&self, key: &str) -> Option<String> {
        let sections = [Some(self.section), self.base];
        sections
            .into_iter()
            .flatten()
            .map(|section| format!("{section}.{key}"))
            .find(|key| self.r.optional(key).is_some())
    }

    fn optional(&self, key: &str) -> Option<&'a str> {
        self.r.optional(&self.place(key)?)
    }

    /// Notes a mistake at the place where the key is set. What comes from the other section is told there.
    fn wrong<T>(&self, key: &str, text: impl std::fmt::Display) -> Option<T> {
        let own = format!("{}.{key}", self.section);
        match self.place(key) {
            Some(place) if place != own => None,
            None if self.base.is_some() => None,
            _ => self.r.wrong(&own, text),
        }
    }

    fn required(&self, key: &str, what: &str) -> Option<&'a str> {
        let own = format!("{}.{key}", self.section);
        let is_told = self.r.is_told(&own);
        self.optional(key)
            .or_else(|| if is_told { None } else { self.wrong(key, format!("is required: {what}")) })
    }

    fn app(&self) -> Option<App> {
        let tenant = self.required("tenant", "the id or domain of the tenant that issues the tokens");
        let client_id = self.required("client_id", "the application id of the app registration");
        let tenant = self.tenant(tenant?);
        Some(App { tenant: tenant?, client_id: client_id?.into() })
    }

    fn tenant(&self, text: &str) -> Option<Box<str>> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if !text.chars().all(allowed) || NO_TENANTS.contains(&text) {
            return self.wrong("tenant", "must be the id or a domain of one tenant");
        }
        Some(text.into())
    }

    fn secret(&self) -> Option<SecretSource> {
        let value = self.required(
            "client_secret",
            "the value of the app's client secret; or set identity.kind to another credential",
        )?;
        let file = self.place("client_secret").and_then(|key| self.r.file(&key));
        Some(match file {
            Some(path) => SecretSource::File(path.to_owned()),
            None => SecretSource::Value(SecretString::from(value)),
        })
    }

    /// When the client secret ends, as far as somebody has said so: the app itself may not read that.
    #[expect(clippy::option_option, reason = "the outer one says that all is well, as everywhere here")]
    fn secret_ends(&self) -> Option<Option<Timestamp>> {
        const KEY: &str = "client_secret_ends";
        let Some(text) = self.optional(KEY) else { return Some(None) };
        let ends = text.parse::<Timestamp>().ok().or_else(|| {
            let day = text.parse::<Date>().ok().filter(|_| !text.contains(['T', ' ']))?;
            Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
        });
        match ends {
            Some(ends) => Some(Some(ends)),
            None => {
                self.wrong(KEY, "must be a day such as \"2027-03-01\", as Entra shows it beside the secret")
            }
        }
    }

    fn certificate(&self) -> Option<CertificateFiles> {
        let certificate = self.required("certificate_file", "a PEM file with the certificate and its key")?;
        let files = CertificateFiles {
            certificate: certificate.into(),
            key: self.optional("private_key_file").map(PathBuf::from),
        };
        match files.check() {
            Ok(()) => Some(files),
            Err(error) => self.wrong("certificate_file", chain(&error)),
        }
    }

    fn managed(&self) -> Option<ManagedIdentity> {
        let id = |text: &str| Uuid::try_parse(text).ok().map(|id| id.to_string().into_boxed_str());
        match self.optional("managed_identity") {
            None => Some(ManagedIdentity::System),
            Some(text) if text.starts_with("/subscriptions/") => Some(ManagedIdentity::Resource(text.into())),
            Some(text) => match (id(text), text.strip_prefix("object:").and_then(id)) {
                (Some(client), _) => Some(ManagedIdentity::Client(client)),
                (_, Some(object)) => Some(ManagedIdentity::Object(object)),
                (None, None) => self.wrong(
                    "managed_identity",
                    "must be a client id, object:<object id> or a resource id that starts with /subscriptions/",
                ),
            },
        }
    }

    /// The app that trusts the managed identity, or none.
    #[expect(clippy::option_option, reason = "the outer one says that all is well, as everywhere here")]
    fn trusting_app(&self) -> Option<Option<App>> {
        const BOTH: &str = "is required with the other: tenant and client_id are those of an app that trusts the \
                            managed identity; leave both out if the identity itself calls, and name a \
                            user-assigned one in managed_identity";
        match (self.optional("tenant"), self.optional("client_id")) {
            (None, None) => Some(None),
            (Some(_), Some(_)) => self.app().map(Some),
            (None, Some(_)) => self.wrong("tenant", BOTH),
            (Some(_), None) => self.wrong("client_id", BOTH),
        }
    }
}
