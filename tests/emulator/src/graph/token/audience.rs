//! What the resource is that a token is asked for.

use super::Audience;
use crate::graph::call::Call;

/// What a resource is: Graph in any cloud or at this very address, or Service Bus.
pub(super) fn audience(resource: &str, call: &Call) -> Option<Audience> {
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
    } else {
        None
    }
}
