//! What commands have to be given, and what is no matter to them.

use super::*;

const QUEUE: &str = "[service_bus]\nconnection_string = \"Endpoint=sb://localhost:5672;SharedAccessKeyName=k;\
                     SharedAccessKey=x;UseDevelopmentEmulator=true\"\nqueue = \"contacts\"\n";
const APP: &str =
    "[identity]\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"app\"\nclient_secret = \"s\"\n";

/// The keys of what a command with these needs complains about.
fn complaints<N: Needs>(text: &str) -> Vec<String> {
    let targets = Targets::of(Some((Path::new("contactsync.toml"), text)), Vec::new());
    match targets.unwrap_or_else(|problems| panic!("{problems}")).needed::<N>() {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(|problem| problem.place.to_string()).collect(),
    }
}

#[track_caller]
fn check<N: Needs>(text: &str, expected: &[&str]) {
    assert_eq!(complaints::<N>(text), expected, "{text}");
}

#[test]
fn nobody_is_asked_for_what_a_command_does_not_use() {
    let missing = ["identity.tenant", "identity.client_id", "identity.client_secret"];
    check::<QueueAlone>(QUEUE, &[]);
    check::<GraphAlone>(APP, &[]);
    check::<DataverseAlone>("", &[]);
    check::<Everything>(QUEUE, &missing);
    check::<QueueAndGraph>(QUEUE, &missing);
    check::<QueueAndDataverse>(QUEUE, &[]);
    check::<QueueAlone>(APP, &["service_bus.connection_string"]);
    check::<GraphAlone>(QUEUE, &missing);
}

#[test]
fn a_mistake_matters_where_it_is_used_and_a_wrong_name_everywhere() {
    let kind = format!("{QUEUE}[identity]\nkind = \"word\"\n");
    check::<QueueAlone>(&kind, &[]);
    check::<QueueAndGraph>(&kind, &["identity.kind"]);
    let dataverse = format!("{QUEUE}{APP}[dataverse]\nurl = \"https://contoso.crm4.dynamics.com/api\"\n");
    check::<QueueAndGraph>(&dataverse, &[]);
    assert!(complaints::<QueueAndDataverse>(&dataverse).contains(&"dataverse.url".to_owned()));
    check::<QueueAlone>(&format!("{QUEUE}[identity]\ntennant = \"t\"\n"), &["identity.tennant"]);
    check::<QueueAlone>(&format!("{QUEUE}[graph]\ndiff = \"all\"\n"), &["graph.diff"]);
}

#[test]
fn an_identity_that_the_queue_shares_with_graph_is_asked_for() {
    let shared = "[service_bus]\nnamespace = \"contoso\"\nqueue = \"contacts\"\n";
    let missing = ["identity.tenant", "identity.client_id", "identity.client_secret"];
    check::<QueueAlone>(shared, &missing);
    let own = format!("{shared}[service_bus.identity]\nkind = \"managed\"\n");
    check::<QueueAlone>(&own, &[]);
    check::<Everything>(&own, &missing);
}
