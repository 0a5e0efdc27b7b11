//! What the resource is that a token is asked for.

use std::collections::BTreeSet;

use super::Audience;
use crate::graph::call::Call;

/// Ends of the hosts of Dataverse environments, in Microsoft's clouds.
const DATAVERSE: [&str; 4] = [".dynamics.com", ".microsoftdynamics.us", ".appsplatform.us", ".dynamics.cn"];

/// What a resource is: Graph in any cloud or at this very address, Service Bus, an environment of Dataverse, or the
/// mail of Exchange Online.
pub(super) fn audience(resource: &str, call: &Call, environments: &BTreeSet<String>) -> Option<Audience> {
    const GRAPH: [&str; 4] = [
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
    ];
    const BUS: [&str; 3] =
        ["servicebus.azure.net", "servicebus.usgovcloudapi.net", "servicebus.chinacloudapi.cn"];
    if resource.eq_ignore_ascii_case("00000003-0000-0000-c000-000000000000") {
        return Some(Audience::Graph);
    }
    if environments.contains(resource.trim_end_matches('/')) {
        return Some(Audience::Dataverse);
    }
    let url = url::Url::parse(resource).ok()?;
    let host = url.host_str()?;
    let asked =
        call.header("host").and_then(|text| text.rsplit_once(':').map_or(Some(text), |(host, _)| Some(host)));
    if GRAPH.contains(&host) || Some(host) == asked || ["localhost", "127.0.0.1", "[::1]"].contains(&host) {
        Some(Audience::Graph)
    } else if BUS.iter().any(|bus| host == *bus || host.ends_with(&format!(".{bus}")))
        || host.ends_with(".servicebus.windows.net")
    {
        Some(Audience::ServiceBus)
    } else if DATAVERSE.iter().any(|end| host.ends_with(end)) {
        Some(Audience::Dataverse)
    } else if host == "outlook.office365.com" {
        Some(Audience::Mail)
    } else {
        None
    }
}
