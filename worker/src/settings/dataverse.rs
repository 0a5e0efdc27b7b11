//! The section `[dataverse]`: the environment that contactsync may ask, if there is one to ask.

use reqwest::Url;

use super::{
    cloud::Cloud,
    identity,
    problem::{SettingsProblem, SettingsProblems},
    reader::{Reader, Rule},
    source::Surroundings,
};
use crate::identity::Identity;

/// Dataverse. Without an environment nothing is asked, and everything works by the messages alone.
#[derive(Clone, Debug)]
pub struct Dataverse {
    /// The environment to ask.
    pub environment: Option<Environment>,
}

/// One environment, and who asks it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its address: the origin alone, such as `https://contoso.crm4.dynamics.com/`.
    pub url: Url,
    /// Who asks. The tenant is that of the environment, which that of B2C or external users is not.
    pub identity: Identity,
    /// What it has to be.
    pub purpose: Purpose,
    /// Whether `run` reads the row of a contact where a message does not say enough.
    pub read_back: bool,
}

/// What an environment has to be, so that a copy is not taken for its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anything.
    Any,
    /// Where customers work.
    Production,
    /// A sandbox, a trial or one for developers.
    Sandbox,
}

impl Dataverse {
    /// The environment, for what makes no sense without one.
    pub fn required(&self) -> Result<&Environment, SettingsProblems> {
        let text =
            "is required for this: the address of the environment, such as https://contoso.crm4.dynamics.com";
        self.environment.as_ref().ok_or_else(|| SettingsProblems(vec![SettingsProblem::new(URL, text)]))
    }
}

impl Environment {
    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whom tokens are for: the address without a slash at its end.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

const URL: &str = "dataverse.url";

pub(super) fn dataverse(r: &Reader<'_>, cloud: Option<&Cloud>, around: &Surroundings) -> Option<Dataverse> {
    r.rule(URL, Rule::Address);
    let purpose = r.section(|r| match r.choice("dataverse.environment", &["any", "production", "sandbox"]) {
        "production" => Purpose::Production,
        "sandbox" => Purpose::Sandbox,
        _ => Purpose::Any,
    });
    let read_back = r.flag("dataverse.read_back");
    if r.text(URL)?.is_empty() {
        // Somebody has meant to set it, so silence would be a surprise.
        let set = ["tenant", "client_id"].map(|key| r.optional(&format!("dataverse.identity.{key}")));
        return match set.iter().flatten().next() {
            None => purpose.map(|_| Dataverse { environment: None }),
            Some(_) => {
                r.wrong(URL, "is required: the address of the environment; without it dataverse is not asked")
            }
        };
    }
    let url = r.url_or(URL, "").and_then(|url| origin(r, url));
    let identity = identity::dataverse_identity(r, cloud, around);
    let environment = Environment { url: url?, identity: identity?, purpose: purpose?, read_back };
    Some(Dataverse { environment: Some(environment) })
}

/// The address, if it is that of the environment and nothing below it.
fn origin(r: &Reader<'_>, url: Url) -> Option<Url> {
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let text = "must be the address of the environment alone, such as https://contoso.crm4.dynamics.com; contactsync \
                    adds the path";
        return r.wrong(URL, text);
    }
    Some(url)
}
