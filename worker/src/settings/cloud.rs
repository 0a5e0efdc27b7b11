//! The national clouds: hosts that belong together.

use super::reader::Reader;

/// The hosts of one cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// Login host.
    pub authority: &'static str,
    /// Root of Graph.
    pub graph: &'static str,
    /// What the name of a Service Bus namespace ends with.
    pub suffix: &'static str,
    /// Whom tokens for Service Bus are for.
    pub audience: &'static str,
}

const CLOUDS: [(&str, Cloud); 4] = [
    (
        "public",
        Cloud {
            authority: "https://login.microsoftonline.com",
            graph: "https://graph.microsoft.com",
            suffix: "servicebus.windows.net",
            audience: "https://servicebus.azure.net",
        },
    ),
    ("usgov", us_government("https://graph.microsoft.us")),
    ("dod", us_government("https://dod-graph.microsoft.us")),
    (
        "china",
        Cloud {
            authority: "https://login.chinacloudapi.cn",
            graph: "https://microsoftgraph.chinacloudapi.cn",
            suffix: "servicebus.chinacloudapi.cn",
            audience: "https://servicebus.chinacloudapi.cn",
        },
    ),
];

const fn us_government(graph: &'static str) -> Cloud {
    Cloud {
        authority: "https://login.microsoftonline.us",
        graph,
        suffix: "servicebus.usgovcloudapi.net",
        audience: "https://servicebus.usgovcloudapi.net",
    }
}

/// The cloud of the settings.
pub(super) fn cloud(r: &Reader<'_>) -> Option<&'static Cloud> {
    let name = r.section(|r| r.choice("cloud", &CLOUDS.map(|(name, _)| name)))?;
    CLOUDS.iter().find(|(known, _)| *known == name).map(|(_, cloud)| cloud)
}

/// The cloud to which a host belongs: of login, of Graph, a namespace or the audience of its tokens. Two clouds
/// of the government share all but Graph; the first is named.
#[must_use]
pub fn cloud_of(host: &str) -> Option<&'static Cloud> {
    let named = |address: &str| address.strip_prefix("https://") == Some(host);
    let is_of = |cloud: &Cloud| {
        [cloud.authority, cloud.graph, cloud.audience].into_iter().any(named)
            || host.strip_suffix(cloud.suffix).is_some_and(|name| name.ends_with('.'))
    };
    CLOUDS.iter().map(|(_, cloud)| cloud).find(|cloud| is_of(cloud))
}
