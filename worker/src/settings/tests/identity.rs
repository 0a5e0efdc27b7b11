//! Who the worker is and which way it goes: what the settings take, and what they say about the rest.

use std::path::PathBuf;

use servicebus::Transport;

use super::*;
use crate::identity::{App, Credential, ManagedIdentity, SecretSource};

const CONNECTION: &str = r#"
[service_bus]
connection_string = "Endpoint=sb://localhost:5672;SharedAccessKeyName=k;SharedAccessKey=secret-key;UseDevelopmentEmulator=true"
queue = "contacts"
"#;

const APP: &str = r#"
[identity]
tenant = "contoso.onmicrosoft.com"
client_id = "app"
client_secret = "secret-value"
"#;

fn fixture(name: &str) -> String {
    format!("{}/../tests/fixtures/identity/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn settings(text: &str, environment: &[(&str, &str)]) -> Settings {
    parse_text(text, environment).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn namespace(settings: &Settings) -> &Namespace {
    settings.bus.service_bus().expect("messages come from Service Bus")
}

#[track_caller]
fn refused(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let Err(problems) = parse_text(text, environment) else { panic!("accepted: {text}") };
    let problems: Vec<_> = problems.0.iter().map(without_position).collect();
    assert_eq!(problems, expected, "{text}");
    assert!(!problems.concat().contains("secret-"), "{problems:?}");
}

#[track_caller]
fn identity_refused(section: &str, expected: &[&str]) {
    refused(&format!("{CONNECTION}[identity]\n{section}"), &[], expected);
}

#[track_caller]
fn bus_refused(section: &str, expected: &[&str]) {
    refused(&format!("{APP}[service_bus]\n{section}"), &[], expected);
}

fn app(tenant: &str, client_id: &str) -> App {
    App { tenant: tenant.into(), client_id: client_id.into() }
}

#[test]
fn whoever_is_signed_in_to_the_azure_cli_needs_nothing_else() {
    let at_desk =
        |section: &str| settings(&format!("{CONNECTION}[identity]\nkind = \"cli\"\n{section}"), &[]);
    assert!(matches!(at_desk("").identity.credential, Credential::Cli { tenant: None }));
    let told = at_desk("tenant = \"contoso.onmicrosoft.com\"").identity.credential;
    assert!(
        matches!(&told, Credential::Cli { tenant: Some(tenant) } if &**tenant == "contoso.onmicrosoft.com")
    );
    assert_eq!((told.app(), told.to_string().as_str()), (None, "whoever is signed in by az login"));
    identity_refused(
        "kind = \"cli\"\ntenant = \"common\"",
        &["identity.tenant: must be the id or a domain of one tenant"],
    );
}

#[test]
fn each_credential_asks_for_what_it_needs_and_for_no_more() {
    identity_refused(
        "",
        &[
            "identity.tenant: is required: the id or domain of the tenant that issues the tokens",
            "identity.client_id: is required: the application id of the app registration",
            "identity.client_secret: is required: the value of the app's client secret; or set identity.kind to \
             another credential",
        ],
    );
    identity_refused(
        "kind = \"certificate\"\ntenant = \"t\"\nclient_id = \"c\"\n",
        &["identity.certificate_file: is required: a PEM file with the certificate and its key"],
    );
    identity_refused(
        "kind = \"workload\"\ntenant = \"t\"\nclient_id = \"c\"\n",
        &["identity.token_file: is required: the file with the token of the outside issuer \
           (AZURE_FEDERATED_TOKEN_FILE)"],
    );
    identity_refused(
        "kind = \"password\"\n",
        &["identity.kind: must be \"secret\", \"certificate\", \"workload\", \"managed\" or \"cli\""],
    );
    let managed = settings(&format!("{CONNECTION}[identity]\nkind = \"managed\"\n"), &[]).identity.credential;
    assert_eq!(managed.to_string(), "the machine by managed identity");
}

#[test]
fn a_tenant_is_one_tenant() {
    for tenant in ["common", "organizations", "a/b", "contoso onmicrosoft.com"] {
        identity_refused(
            &format!("tenant = \"{tenant}\"\nclient_id = \"c\"\nclient_secret = \"secret-value\"\n"),
            &["identity.tenant: must be the id or a domain of one tenant"],
        );
    }
}

#[test]
fn a_certificate_is_looked_at_before_the_first_request() {
    let section = |certificate: &str, key: &str| {
        format!(
            "kind = \"certificate\"\ntenant = \"t\"\nclient_id = \"c\"\ncertificate_file = '{}'\nprivate_key_file = '{}'\n",
            fixture(certificate),
            fixture(key)
        )
    };
    let good = format!("{CONNECTION}[identity]\n{}", section("certificate.pem", "key.pem"));
    let Credential::Certificate { app, files } = settings(&good, &[]).identity.credential else {
        panic!("a certificate was given")
    };
    assert_eq!((&*app.tenant, files.key), ("t", Some(PathBuf::from(fixture("key.pem")))));
    let (certificate, key) = (fixture("certificate.pem"), fixture("next-key.pem"));
    identity_refused(
        &section("certificate.pem", "next-key.pem"),
        &[&format!(
            "identity.certificate_file: the private key in {key} belongs to no certificate in {certificate}"
        )],
    );
}

#[test]
fn a_secret_in_a_file_is_kept_as_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "secret-from-file\n").expect("written");
    let path = file.path().display().to_string();
    let text = format!("{CONNECTION}{}", APP.replace("client_secret = \"secret-value\"", ""));
    let read = settings(&text, &[("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", &path)]);
    let Credential::Secret { secret: SecretSource::File(kept), .. } = read.identity.credential else {
        panic!("not a file")
    };
    assert_eq!(kept, file.path());
}

#[test]
fn workload_identity_takes_what_the_webhook_sets_where_nothing_else_is_said() {
    let webhook = [
        ("AZURE_TENANT_ID", "tenant-of-cluster"),
        ("AZURE_CLIENT_ID", "client-of-cluster"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/token"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
    ];
    let text = format!("{CONNECTION}[identity]\nkind = \"workload\"\ntenant = \"tenant-of-users\"\n");
    let read = settings(&text, &webhook);
    assert_eq!(read.identity.authority.as_str(), "https://login.microsoftonline.us/");
    assert_eq!(
        read.entries["identity.client_id"].origin,
        SettingOrigin::Environment("AZURE_CLIENT_ID".into()),
        "check --list tells where it came from"
    );
    let Credential::Workload { app: found, token_file } = read.identity.credential else {
        panic!("not workload identity")
    };
    assert_eq!(found, app("tenant-of-users", "client-of-cluster"));
    assert_eq!(token_file, PathBuf::from("/var/run/secrets/token"));

    let named = settings(&format!("cloud = \"china\"\n{text}"), &webhook);
    assert_eq!(named.identity.authority.as_str(), "https://login.chinacloudapi.cn/");
    let secret = settings(&format!("{CONNECTION}{APP}"), &webhook);
    assert_eq!(secret.identity.credential.app(), Some(&app("contoso.onmicrosoft.com", "app")));
    assert_eq!(secret.identity.authority.as_str(), "https://login.microsoftonline.com/");
}

#[test]
fn a_managed_identity_is_named_in_one_of_three_ways_or_not_at_all() {
    let id = "33333333-aaaa-4bbb-8ccc-000000000000";
    let resource = "/subscriptions/s/resourcegroups/g/x";
    for (text, expected) in [
        (String::new(), ManagedIdentity::System),
        (id.to_uppercase(), ManagedIdentity::Client(id.into())),
        (format!("object:{id}"), ManagedIdentity::Object(id.into())),
        (resource.to_owned(), ManagedIdentity::Resource(resource.into())),
    ] {
        let text = format!("{CONNECTION}[identity]\nkind = \"managed\"\nmanaged_identity = \"{text}\"\n");
        let Credential::Managed { identity, app: None } = settings(&text, &[]).identity.credential else {
            panic!("not a managed identity by itself")
        };
        assert_eq!(identity, expected);
    }
    identity_refused(
        "kind = \"managed\"\nmanaged_identity = \"worker\"\n",
        &[
            "identity.managed_identity: must be a client id, object:<object id> or a resource id that starts with \
           /subscriptions/",
        ],
    );
    identity_refused(
        "kind = \"managed\"\nclient_id = \"c\"\n",
        &[
            "identity.tenant: is required with the other: tenant and client_id are those of an app that trusts the \
           managed identity; leave both out if the identity itself calls, and name a user-assigned one in \
           managed_identity",
        ],
    );
}

#[test]
fn a_cloud_names_the_hosts_and_each_can_be_set_by_itself() {
    let text =
        |cloud: &str| format!("cloud = \"{cloud}\"\n{APP}[service_bus]\nnamespace = \"ns\"\nqueue = \"q\"\n");
    for (cloud, login, graph, host, audience) in [
        (
            "public",
            "https://login.microsoftonline.com/",
            "https://graph.microsoft.com/",
            "ns.servicebus.windows.net",
            "https://servicebus.azure.net",
        ),
        (
            "usgov",
            "https://login.microsoftonline.us/",
            "https://graph.microsoft.us/",
            "ns.servicebus.usgovcloudapi.net",
            "https://servicebus.usgovcloudapi.net",
        ),
        (
            "dod",
            "https://login.microsoftonline.us/",
            "https://dod-graph.microsoft.us/",
            "ns.servicebus.usgovcloudapi.net",
            "https://servicebus.usgovcloudapi.net",
        ),
        (
            "china",
            "https://login.chinacloudapi.cn/",
            "https://microsoftgraph.chinacloudapi.cn/",
            "ns.servicebus.chinacloudapi.cn",
            "https://servicebus.chinacloudapi.cn",
        ),
    ] {
        let read = settings(&text(cloud), &[]);
        assert_eq!((read.identity.authority.as_str(), read.graph.root.as_str()), (login, graph));
        let Namespace { endpoint, access, .. } = namespace(&read);
        assert_eq!((&*endpoint.host, endpoint.port), (host, 5671));
        let Access::Entra { audience: found, .. } = access else { panic!("a key") };
        assert_eq!(*found, audience);
    }
    let own = [
        ("CONTACTSYNC__IDENTITY__AUTHORITY", "https://login.example"),
        ("CONTACTSYNC__GRAPH__ROOT", "https://graph.example"),
        ("CONTACTSYNC__SERVICE_BUS__NAMESPACE", "bus.example"),
    ];
    let read = settings(&text("china"), &own);
    assert_eq!(read.identity.authority.as_str(), "https://login.example/");
    assert_eq!(
        (read.graph.root.as_str(), &*namespace(&read).endpoint.host),
        ("https://graph.example/", "bus.example")
    );
    refused(
        &format!("{CONNECTION}{APP}cloud = \"china\"\n"),
        &[],
        &["identity.cloud: there is no such setting; cloud stands above all sections"],
    );
    refused(&text("german"), &[], &["cloud: must be \"public\", \"usgov\", \"dod\" or \"china\""]);
}

#[test]
fn service_bus_knows_the_worker_by_the_same_identity_or_by_one_of_its_own() {
    let credential = |section: &str| {
        let text = format!(
            "{APP}[service_bus]\nnamespace = \"ns\"\nqueue = \"q\"\n[service_bus.identity]\n{section}"
        );
        match &namespace(&settings(&text, &[])).access {
            Access::Entra { identity, .. } => identity.credential.to_string(),
            Access::Shared(_) | Access::Stored(_) => panic!("a key"),
        }
    };
    assert_eq!(credential(""), "app app in tenant contoso.onmicrosoft.com by client secret");
    assert_eq!(credential("tenant = \"other\"\n"), "app app in tenant other by client secret");
    assert_eq!(credential("kind = \"managed\"\n"), "the machine by managed identity");
    bus_refused(
        "namespace = \"ns\"\nqueue = \"q\"\n[service_bus.identity]\nkind = \"secret\"\ntenant = \"other\"\n",
        &[
            "service_bus.identity.client_id: is required: the application id of the app registration",
            "service_bus.identity.client_secret: is required: the value of the app's client secret; or set \
             identity.kind to another credential",
        ],
    );
    // What is missing in [identity] is told once.
    refused(
        "[service_bus]\nnamespace = \"ns\"\nqueue = \"q\"\n[identity]\ntenant = \"t\"\nclient_id = \"c\"\n",
        &[],
        &[
            "identity.client_secret: is required: the value of the app's client secret; or set identity.kind to \
           another credential",
        ],
    );
}

#[test]
fn the_way_in_is_a_key_or_an_identity_and_the_source_a_queue_or_a_subscription() {
    bus_refused(
        "queue = \"q\"\n",
        &[
            "service_bus.connection_string: is required: the connection string of a rule with the rights Listen \
           and Send; or set service_bus.namespace to sign in with Entra",
        ],
    );
    refused(
        &format!("{APP}{CONNECTION}namespace = \"ns\"\n"),
        &[],
        &["service_bus.namespace: cannot be used together with service_bus.connection_string; leave one out"],
    );
    bus_refused(
        "namespace = \"amqp://bus.example\"\nqueue = \"q\"\n",
        &[
            "service_bus.namespace: the endpoint would be reached without tls; plain text is allowed to this machine \
           only",
        ],
    );
    bus_refused(
        "namespace = \"ns\"\n",
        &["service_bus.queue: is required: the name of the queue that Dataverse posts to; or set \
           service_bus.topic and service_bus.subscription"],
    );
    bus_refused(
        "namespace = \"ns\"\nqueue = \"q\"\ntopic = \"t\"\nsubscription = \"s\"\n",
        &[
            "service_bus.queue: cannot be used together with service_bus.topic and service_bus.subscription; leave \
           one out",
        ],
    );
    bus_refused(
        "namespace = \"ns\"\ntopic = \"t\"\n",
        &["service_bus.subscription: is required with service_bus.topic: the subscription's name"],
    );
    bus_refused(
        "namespace = \"ns\"\nsubscription = \"s\"\n",
        &["service_bus.topic: is required with service_bus.subscription: the topic's name"],
    );
    let source = settings(
        &format!("{APP}[service_bus]\nnamespace = \"ns\"\ntopic = \"t\"\nsubscription = \"s\"\n"),
        &[],
    )
    .bus
    .source;
    assert_eq!((&*source.address(), source.target()), ("t/Subscriptions/s", "t"));
    assert_eq!(source.to_string(), "subscription s of topic t");
}

#[test]
fn a_websocket_goes_to_port_443_and_through_the_proxy_of_the_environment() {
    let text = |name: &str| {
        format!("{APP}[service_bus]\nnamespace = \"{name}\"\nqueue = \"q\"\ntransport = \"websocket\"\n")
    };
    let way = |name: &str, environment: &[(&str, &str)]| {
        let read = settings(&text(name), environment);
        let Namespace { endpoint, way, .. } = namespace(&read);
        let Transport::WebSocket { proxy } = way else { panic!("no websocket") };
        let proxy =
            proxy.as_ref().map(|proxy| (proxy.host.to_string(), proxy.port, proxy.authorization.is_some()));
        (endpoint.port, proxy)
    };
    assert_eq!(way("ns", &[]), (443, None));
    assert_eq!(way("ns.example:8443", &[]), (8443, None));
    let through = ("HTTPS_PROXY", "http://user:word@proxy.example:3128");
    let proxy = Some(("proxy.example".to_owned(), 3128, true));
    assert_eq!(way("ns", &[through]), (443, proxy));
    assert_eq!(way("ns", &[("all_proxy", "http://[::1]")]), (443, Some(("::1".to_owned(), 80, false))));
    assert_eq!(way("ns", &[through, ("NO_PROXY", ".windows.net")]), (443, None));
    assert_eq!(way("amqp://localhost:5672", &[through]), (5672, None));
    for here in ["localhost", "ns.localhost", "127.0.0.2", "[::1]"] {
        assert_eq!(way(&format!("sb://{here}:7443"), &[through]), (7443, None), "{here}");
    }
    refused(
        &text("ns"),
        &[("HTTPS_PROXY", "socks5://proxy.example:1080")],
        &[
            "HTTPS_PROXY: must start with http:// to carry Service Bus over a WebSocket; or exempt the namespace in \
           NO_PROXY",
        ],
    );
    bus_refused(
        "namespace = \"ns\"\nqueue = \"q\"\ntransport = \"quic\"\n",
        &["service_bus.transport: must be \"amqp\" or \"websocket\""],
    );
}
