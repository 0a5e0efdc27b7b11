//! `[dataverse]`: what the settings take, and what they say about the rest.

use super::*;
use crate::identity::Credential;

const REST: &str = r#"
[service_bus]
namespace = "ns"
queue = "contacts"
[identity]
tenant = "users.onmicrosoft.com"
client_id = "graph-app"
client_secret = "secret-value"
"#;

const APP: &str = r#"
[dataverse]
url = "https://contoso.crm4.dynamics.com/"
[dataverse.identity]
tenant = "contoso.onmicrosoft.com"
client_id = "dataverse-app"
client_secret = "secret-value"
"#;

#[track_caller]
fn settings(text: &str) -> Settings {
    parse_text(&format!("{REST}{text}"), &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let Err(problems) = parse_text(&format!("{REST}{text}"), &[]) else { panic!("accepted: {text}") };
    let problems: Vec<_> = problems.0.iter().map(without_position).collect();
    assert_eq!(problems, expected, "{text}");
}

#[test]
fn without_the_section_nothing_is_asked_and_nothing_is_required() {
    let settings = settings("");
    assert!(settings.dataverse.environment.is_none());
    let problem = settings.dataverse.required().expect_err("nothing is set").to_string();
    assert!(problem.contains("dataverse.url: is required for this"), "{problem}");
}

#[test]
fn an_environment_has_an_identity_of_its_own_and_tokens_for_its_address() {
    let settings = settings(APP);
    let environment = settings.dataverse.required().expect("set");
    assert_eq!(environment.resource(), "https://contoso.crm4.dynamics.com");
    assert_eq!(environment.purpose, Purpose::Any);
    assert_eq!(environment.identity.authority.as_str(), "https://login.microsoftonline.com/");
    let app = environment.identity.credential.app().expect("an app");
    assert_eq!((&*app.tenant, &*app.client_id), ("contoso.onmicrosoft.com", "dataverse-app"));
}

#[test]
fn rows_are_read_where_there_is_an_environment_unless_that_is_switched_off() {
    let off = APP.replace("[dataverse]", "[dataverse]\nread_back = false");
    for (text, reads) in [("", false), (APP, true), (&*off, false)] {
        let settings = settings(text);
        assert_eq!((settings.planner.read_back, settings.engine.read_back), (reads, reads), "{text}");
    }
}

#[test]
fn every_credential_of_graph_serves_and_clouds_have_their_login_hosts() {
    let cloud = "[dataverse]\nurl = \"https://contoso.crm.dynamics.cn\"\nenvironment = \"production\"\n\
                 [dataverse.identity]\nkind = \"managed\"\nmanaged_identity = \"object:5531d753-95af-4711-a94e-000d3a11e605\"";
    let text = format!("cloud = \"china\"\n{REST}{cloud}");
    let settings = parse_text(&text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let environment = settings.dataverse.required().expect("set");
    assert_eq!(environment.identity.authority.as_str(), "https://login.chinacloudapi.cn/");
    assert!(matches!(environment.identity.credential, Credential::Managed { app: None, .. }));
    assert_eq!(environment.purpose, Purpose::Production);
    let webhook = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_FEDERATED_TOKEN_FILE", "/f")];
    let workload =
        "[dataverse]\nurl = \"https://contoso.crm4.dynamics.com\"\n[dataverse.identity]\nkind = \"workload\"";
    let settings =
        parse_text(&format!("{REST}{workload}"), &webhook).unwrap_or_else(|problems| panic!("{problems}"));
    let environment = settings.dataverse.required().expect("set");
    assert!(matches!(environment.identity.credential, Credential::Workload { .. }));
}

#[test]
fn an_address_is_that_of_the_environment_alone_and_secret_on_its_way() {
    const ALONE: &str = "dataverse.url: must be the address of the environment alone, such as \
                         https://contoso.crm4.dynamics.com; contactsync adds the path";
    for (url, expected) in [
        ("https://contoso.crm4.dynamics.com/api/data/v9.2", ALONE),
        ("https://contoso.crm4.dynamics.com/?a=b", ALONE),
        (
            "http://contoso.crm4.dynamics.com",
            "dataverse.url: must start with https://; plain http is accepted for this machine only",
        ),
        ("contoso.crm4.dynamics.com", "dataverse.url: must be an address that starts with https://"),
    ] {
        refused(&APP.replace("https://contoso.crm4.dynamics.com/", url), &[expected]);
    }
    settings(&APP.replace("https://contoso.crm4.dynamics.com/", "http://127.0.0.1:4000"));
}

#[test]
fn what_is_missing_or_set_in_vain_is_told() {
    refused(
        "[dataverse]\nurl = \"https://contoso.crm4.dynamics.com\"\nenvironment = \"test\"",
        &[
            "dataverse.environment: must be \"any\", \"production\" or \"sandbox\"",
            "dataverse.identity.tenant: is required: the id or domain of the tenant that issues the tokens",
            "dataverse.identity.client_id: is required: the application id of the app registration",
            "dataverse.identity.client_secret: is required: the value of the app's client secret; or set identity.kind to \
             another credential",
        ],
    );
    refused(
        "[dataverse.identity]\ntenant = \"t\"",
        &["dataverse.url: is required: the address of the environment; without it dataverse is not asked"],
    );
}
