//! The national clouds: hosts that belong together.

use super::reader::Reader;

/// The hosts of one cloud.
pub(super) struct Cloud {
    /// Login host.
    pub(super) authority: &'static str,
    /// Root of Graph.
    pub(super) graph: &'static str,
    /// What the name of a Service Bus namespace ends with.
    pub(super) suffix: &'static str,
    /// Whom tokens for Service Bus are for.
    pub(super) audience: &'static str,
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
    let name = r.text("cloud")?;
    match CLOUDS.iter().find(|(known, _)| *known == name) {
        Some((_, cloud)) => Some(cloud),
        None => r.wrong("cloud", "must be \"public\", \"usgov\", \"dod\" or \"china\""),
    }
}
