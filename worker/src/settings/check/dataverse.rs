//! The address of Dataverse, as far as it can be judged without asking.

use reqwest::Url;

use super::{
    finding::{Finding, Severity},
    rule::Rule,
};
use crate::settings::{Environment, Parts, cloud_of};

pub(super) const RULES: [Rule; 4] = [
    |parts, _| unknown_suffix(parts),
    |parts, _| other_cloud(parts),
    |parts, _| plain_text(parts),
    |parts, _| reads_no_rows(parts),
];

const PUBLIC: &str = "login.microsoftonline.com";
const US_GOVERNMENT: &str = "login.microsoftonline.us";

/// What addresses end with outside of the public cloud, and the login host that belongs to it. GCC is part of the public one.
///
/// Source: Microsoft's "Data center regions" and "Dataverse endpoints of national clouds".
const SUFFIXES: [(&str, &str); 3] = [
    (".crm.microsoftdynamics.us", US_GOVERNMENT),
    (".crm.appsplatform.us", US_GOVERNMENT),
    (".crm.dynamics.cn", "login.chinacloudapi.cn"),
];

fn environment(parts: &Parts) -> Option<&Environment> {
    parts.dataverse.as_ref()?.environment.as_ref()
}

fn is_here(url: &Url) -> bool {
    url.scheme() == "http"
}

/// The login host that belongs to the address of an environment, if the address looks like one.
fn login_of(host: &str) -> Option<&'static str> {
    let is_known = |suffix: &str| host.strip_suffix(suffix).is_some_and(|name| !name.is_empty());
    if let Some((_, login)) = SUFFIXES.iter().find(|(suffix, _)| is_known(suffix)) {
        return Some(login);
    }
    // New regions get numbers of their own.
    let (name, region) = host.strip_suffix(".dynamics.com")?.rsplit_once('.')?;
    let number = region.strip_prefix("crm")?;
    (!name.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(PUBLIC)
}

fn unknown_suffix(parts: &Parts) -> Option<Finding> {
    let url = &environment(parts)?.url;
    let host = url.host_str()?;
    (!is_here(url) && login_of(host).is_none()).then(|| {
        Finding::new(
            Severity::Warning,
            "dataverse.url",
            format!(
                "{host} does not look like the address of an environment, such as contoso.crm4.dynamics.com"
            ),
            "copy it from the Power Platform admin center: the environment, Environment URL",
        )
    })
}

fn other_cloud(parts: &Parts) -> Option<Finding> {
    let environment = environment(parts)?;
    let (host, login) = (environment.url.host_str()?, environment.identity.authority.host_str()?);
    let expected = login_of(host)?;
    // A login host of one's own belongs to no cloud that is known.
    cloud_of(login)?;
    (login != expected).then(|| {
        Finding::new(
            Severity::Error,
            "dataverse.identity.authority",
            format!("{login} belongs to another cloud than {host}, and tokens do not cross clouds"),
            "leave dataverse.identity.authority empty and set cloud; if the users are in another cloud than Dataverse, set it to \
             the login host of Dataverse's",
        )
    })
}

fn plain_text(parts: &Parts) -> Option<Finding> {
    let environment = environment(parts)?;
    is_here(&environment.url).then(|| {
        Finding::new(
            Severity::Note,
            "dataverse.url",
            format!("{} is spoken to in plain text", environment.authority()),
            "use this for a local Dataverse only",
        )
    })
}

/// What becomes of messages that do not say enough.
fn reads_no_rows(parts: &Parts) -> Option<Finding> {
    (!environment(parts)?.read_back).then(|| {
        Finding::new(
            Severity::Note,
            "dataverse.read_back",
            "no rows are read, so messages that do not say enough become dead letters".to_owned(),
            "set it to true to have the row of the contact applied in their place",
        )
    })
}
