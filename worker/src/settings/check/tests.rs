//! Every finding, by its exact text.

use std::path::Path;

use super::*;

const GOOD: &str = r#"
cloud = "public"
[service_bus]
namespace = "contoso"
queue = "contacts"
[identity]
kind = "managed"
[filter]
organizations = ["11111111-2222-4333-8444-aaaaaaaaaaaa"]
[guard]
attribute = "extensionAttribute15"
verify_after = "10s"
[mapping]
preset = "custom"
rows = [{ column = "firstname", property = "givenName" }]
"#;

/// The usual settings with `layer` over them.
fn parts(layer: &str) -> Parts {
    let mut settings: toml::Table = GOOD.parse().expect("toml");
    for (section, value) in layer.parse::<toml::Table>().expect("toml") {
        match (settings.get_mut(&section), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => under.extend(over),
            (_, value) => drop(settings.insert(section, value)),
        }
    }
    let text = toml::to_string(&settings).expect("toml");
    Parts::of(Some((Path::new("contactsync.toml"), &text)), Vec::new()).expect("TOML")
}

#[track_caller]
fn check_with(replicas: Option<u32>, layer: &str, expected: &[&str]) {
    let found = findings(&parts(layer), Surroundings { replicas });
    // The text is made of the layers, so that its lines say nothing.
    let found = found.into_iter().map(|finding| Finding { position: None, ..finding }.to_string());
    let found: Vec<_> = found.collect();
    assert_eq!(found, expected, "{layer}");
}

#[track_caller]
fn check(layer: &str, expected: &str) {
    check_with(None, layer, &[expected]);
}

#[test]
fn settings_that_fit_together_leave_nothing_to_say() {
    check_with(None, "", &[]);
    check_with(Some(1), "", &[]);
    check_with(Some(3), LEASED, &[]);
}

#[test]
fn mistakes_come_first_and_hide_no_other_finding() {
    check_with(
        None,
        "[pool]\nconcurrency = 0\ngrace = \"2s\"\n[guard]\nattribute = \"\"\nverify_after = \"0s\"",
        &[
            "error    pool.concurrency: must be from 1 to 1000, and is 0",
            "warning  pool.grace: 2s leaves little time to writes that are under way; they are repeated after a stop; \
             set it to 25s, or as much as the pod or service grants less 5s",
            "note     guard.attribute: without a guard, an old message that arrives after a restart, by another \
             replica or from the dead-letter queue can overwrite a newer value; name an attribute of the user that \
             nothing else writes, such as extensionAttribute15",
        ],
    );
}

/// Settings of several replicas.
const LEASED: &str = "[replicas]\nlease_queue = \"contacts-lease\"\n[guard]\nverify_after = \"0s\"";

#[test]
fn several_replicas_need_a_lease() {
    let alone = "error    replicas.lease_queue: 2 replicas would write to the same users and share a quota without knowing of \
                 each other; make a queue with sessions in the same namespace and name it here, or run one replica";
    check_with(Some(2), "", &[alone]);
    check_with(Some(1), "", &[]);
    check_with(Some(2), LEASED, &[]);
    let needless = "note     guard.verify_after: with replicas.lease_queue one replica writes, and what a predecessor may \
                    still have under way is looked at anyway; a second look at every write costs a read and keeps its \
                    message; set it to 0s";
    check_with(Some(2), &LEASED.replace("0s", "10s"), &[needless]);
    let unguarded = |severity| {
        format!(
            "{severity}  guard.attribute: without a guard, an old message that arrives after a restart, by another replica \
             or from the dead-letter queue can overwrite a newer value; name an attribute of the user that nothing else \
             writes, such as extensionAttribute15"
        )
    };
    let layer = LEASED.replace("[guard]", "[guard]\nattribute = \"\"");
    check_with(None, &layer, &[&unguarded("warning")]);
    check_with(None, "[guard]\nattribute = \"\"\nverify_after = \"0s\"", &[&unguarded("note   ")]);
}

#[test]
fn the_queue_of_the_lease_is_no_other() {
    for queue in ["contacts", "CONTACTS", "contacts/$DeadLetterQueue"] {
        let layer = format!("[replicas]\nlease_queue = \"{queue}\"\n[guard]\nverify_after = \"0s\"");
        check(
            &layer,
            "error    replicas.lease_queue: is the queue that messages come from; make another one, with sessions",
        );
    }
    check(
        "[replicas]\nlease_queue = \"a b\"\n[guard]\nverify_after = \"0s\"",
        "error    replicas.lease_queue: must be a name: letters, digits, hyphens, dots, underscores and slashes",
    );
}

#[test]
fn a_second_look_needs_its_time() {
    check(
        "[guard]\nverify_after = \"2s\"",
        "warning  guard.verify_after: 2s is less than a look and a write of another replica can take together; set \
         it to 10s",
    );
}

#[test]
fn comparing_with_what_was_read_needs_a_guard() {
    check_with(Some(1), "[graph]\ndiff = \"read\"", &[]);
    let unguarded = "[guard]\nattribute = \"\"\nverify_after = \"0s\"\n[graph]\ndiff = \"read\"";
    let found = findings(&parts(unguarded), Surroundings { replicas: Some(1) });
    assert_eq!(
        found[0].to_string(),
        "warning  graph.diff: \"read\" compares with values that can lag behind writes by seconds, so a change that goes \
         back to an earlier value can look needless and be lost; set guard.attribute, or set it to \"nothing\""
    );
}

#[test]
fn times_have_to_fit_into_one_another() {
    check(
        "[retry]\ntries = 9",
        "warning  retry.tries: 9 tries can take 10m 11s 500ms when calls time out, but a message is handed back after 10m, so the \
         last of them never happen; lower it, retry.longest_delay or connection.request_timeout",
    );
    check(
        "[retry]\nmax_age = \"10m\"",
        "note     retry.longest_return: 30m is never waited for, because a message that fails is dead-lettered \
         after retry.max_age (10m); choose a small part of retry.max_age",
    );
    check_with(
        None,
        "[retry]\nmax_age = \"30s\"",
        &[
            "warning  retry.max_age: a message that fails is dead-lettered after 30s, before it is tried again for \
             the first time (retry.first_return, 1m); raise it, to 24h as a rule",
            "warning  retry.not_found_grace: an unknown user is waited for 2m, but the message is dead-lettered \
             after retry.max_age (30s), with a reason that does not name the user; choose much less than \
             retry.max_age",
        ],
    );
}

#[test]
fn the_grace_has_to_fit_into_that_of_the_pod() {
    check(
        "[pool]\ngrace = \"2s\"",
        "warning  pool.grace: 2s leaves little time to writes that are under way; they are repeated after a stop; \
         set it to 25s, or as much as the pod or service grants less 5s",
    );
    check(
        "[pool]\ngrace = \"1m\"",
        "note     pool.grace: 1m is more than fits into the 30s that a pod is granted as a rule; set \
         terminationGracePeriodSeconds of the pod to at least 65",
    );
}

#[test]
fn the_budget_is_held_against_the_quota() {
    check(
        "[throttle]\nwrites_per_second = 30.0",
        "warning  throttle.writes_per_second: 30 is above the 20 writes a second that Graph allows to one app in \
         one tenant; what is above is answered with 429; set it to 20 or less",
    );
    check(
        "[pool]\nconcurrency = 5",
        "note     pool.concurrency: 5 writes at once, of half a second each, make 10 a second, less than \
         throttle.writes_per_second allows (20); raise it to 10 or more",
    );
}

#[test]
fn a_local_graph_has_the_quota_it_was_started_with() {
    let local = "[graph]\nroot = \"http://127.0.0.1:5080\"\n[throttle]\nwrites_per_second = 5000.0";
    check_with(Some(1), local, &[]);
}

#[test]
fn clouds_are_not_mixed() {
    check(
        "[identity]\nauthority = \"https://login.microsoftonline.us\"",
        "error    identity.authority: login.microsoftonline.us belongs to another cloud than graph.microsoft.com, \
         and tokens do not cross clouds; set cloud, and leave identity.authority and graph.root empty",
    );
    check(
        "[service_bus]\nnamespace = \"contoso.servicebus.chinacloudapi.cn\"",
        "error    service_bus.namespace: contoso.servicebus.chinacloudapi.cn belongs to another cloud than its \
         tokens, which are for https://servicebus.azure.net; set cloud to that of the namespace",
    );
    check_with(None, "cloud = \"dod\"", &[]);
}

/// A connection string in place of the namespace.
fn by_string(text: &str) -> String {
    format!("[service_bus]\nnamespace = \"\"\nconnection_string = \"{text}\"")
}

const IN_THE_FILE: &str = "note     service_bus.connection_string: the secret stands in the settings file, and can be \
                           replaced only by a restart; put it into a file of its own and name that file in \
                           CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING_FILE";

#[test]
fn a_secret_has_a_better_place_than_the_settings() {
    let text = by_string(
        "Endpoint=sb://contoso.servicebus.windows.net;SharedAccessKeyName=worker;SharedAccessKey=k",
    );
    check(&text, IN_THE_FILE);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "s3cret").expect("written");
    let told = |variable: &str, value: &str| {
        let app = "[identity]\nkind = \"secret\"\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"app\"";
        let text = format!("{}{app}", GOOD.replace("[identity]\nkind = \"managed\"", ""));
        let environment = vec![(variable.to_owned(), value.to_owned())];
        let parts = Parts::of(Some((Path::new("contactsync.toml"), &text)), environment).expect("TOML");
        let found = findings(&parts, Surroundings::default());
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let path = file.path().display().to_string();
    assert_eq!(told("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", &path), Vec::<String>::new());
    assert_eq!(
        told("CONTACTSYNC__IDENTITY__CLIENT_SECRET", "s3cret"),
        [
            "note     identity.client_secret: the secret stands in the environment, which child processes and crash \
          reports carry along, and can be replaced only by a restart; put it into a file of its own and name that \
          file in CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE"
        ]
    );
}

#[test]
fn keys_that_open_too_much_or_end_by_themselves_are_told() {
    let host = "Endpoint=sb://contoso.servicebus.windows.net";
    check_with(
        None,
        &by_string(&format!("{host};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=k")),
        &[
            "warning  service_bus.connection_string: RootManageSharedAccessKey may change and delete everything in \
             the namespace; make a rule of the queue with the rights Listen and Send, and use its connection string",
            IN_THE_FILE,
        ],
    );
    check_with(
        None,
        &by_string(&format!("{host};SharedAccessSignature=SharedAccessSignature sr=a&sig=b")),
        &[
            "warning  service_bus.connection_string: a SharedAccessSignature ends by itself, and the worker cannot \
             renew it; use the key of a rule, or set service_bus.namespace to sign in with Entra",
            IN_THE_FILE,
        ],
    );
}

#[test]
fn a_connection_string_of_another_queue_is_told() {
    let string = |entity: &str| {
        let host =
            "Endpoint=sb://contoso.servicebus.windows.net;SharedAccessKeyName=worker;SharedAccessKey=k";
        by_string(&format!("{host};EntityPath={entity}"))
    };
    check_with(None, &string("Contacts"), &[IN_THE_FILE]);
    check_with(
        None,
        &string("orders"),
        &[
            "warning  service_bus.connection_string: the connection string is for orders (its EntityPath), and messages \
             are taken from contacts; if orders is meant, name it in the settings; if not, use the connection string \
             of a rule of contacts",
            IN_THE_FILE,
        ],
    );
    let topic =
        format!("{}\nqueue = \"\"\ntopic = \"changes\"\nsubscription = \"portal\"", string("changes"));
    assert!(!findings(&parts(&topic), Surroundings::default()).iter().any(|f| f.what.contains("EntityPath")));
}

#[test]
fn plain_text_is_told() {
    check(
        "[service_bus]\nnamespace = \"amqp://localhost:5672\"",
        "note     service_bus: localhost:5672 is spoken to in plain text; use this for a local Service Bus only",
    );
}

#[test]
fn whose_messages_count_is_the_operators_to_say() {
    check(
        "[filter]\norganizations = []",
        "note     filter.organizations: messages of every Dataverse organization are accepted; list the id of yours, \
         so that nobody posts changes of another environment by mistake",
    );
    check(
        "[service_bus]\nqueue = \"\"\ntopic = \"changes\"\nsubscription = \"portal\"",
        "note     service_bus.topic: what has to come back later is sent to changes again, where other subscriptions \
         see it; give all but portal the filter NOT EXISTS([contactsync-attempt])",
    );
}

#[test]
fn what_is_passed_over_on_purpose_is_told() {
    check(
        "[link]\non_foreign = \"ignore\"",
        "note     link.on_foreign: contacts whose adx_identity_username is a text without a GUID are completed and never \
         written; see that this is the link column, because a wrong one would look like that; contactsync check --online \
         looks at what waits",
    );
    check(
        "[filter]\norganizations = [\"11111111-2222-4333-8444-aaaaaaaaaaaa\"]\nrequire = [\"statecode = 0\"]",
        "note     filter.require: a message that shows statecode nowhere becomes a dead letter; register it in the post \
         image and in the pre image of the step",
    );
}

#[test]
fn the_address_goes_where_the_directory_wants_it() {
    check(
        "[mapping]\npreset = \"default\"\nrows = []",
        "note     mapping: emailaddress1 goes to mail, of which Azure AD B2C takes ten values in the life of an \
         account and never lets go; for a B2C tenant choose preset = \"b2c\"; for External ID this is right (preset = \"external_id\")",
    );
    check(
        "[mapping]\npreset = \"b2c\"\nrows = []",
        "note     mapping: emailaddress1 goes to the sign-in address; of a user who has several, only the contact's \
         address before tells which one to change; register a pre image with that column on the step",
    );
}

#[test]
fn where_health_is_shown_is_the_operators_to_say() {
    check(
        "[http]\nlisten = \"\"",
        "note     http.listen: nothing answers questions for health and metrics; set it to 127.0.0.1:9464, or in a pod \
         or container to 0.0.0.0:9464",
    );
    check(
        "[http]\nlisten = \"0.0.0.0:9464\"",
        "note     http.listen: health, metrics and status are shown to everybody who reaches 0.0.0.0:9464; let the \
         probes and the collector of metrics reach it, and nobody else",
    );
}

#[test]
fn an_address_for_password_reset_wants_a_pre_image() {
    check(
        "[mapping]\nreset_email = true\nrows = [{ column = \"emailaddress1\", property = \"otherMails\", on_null = \"keep\" }]",
        "note     mapping.reset_email: the address for password reset follows otherMails by a second write, from an address that \
         the contact had before; register a pre image with the e-mail column on the step, so that also a worker that starts \
         anew knows which that is",
    );
}

/// An environment of Dataverse in the settings.
fn environment(url: &str, more: &str) -> String {
    format!("[dataverse]\nurl = \"{url}\"\n[dataverse.identity]\nkind = \"managed\"\n{more}")
}

#[test]
fn an_address_that_is_none_of_dataverse_is_a_warning_and_another_cloud_an_error() {
    for host in [
        "contoso.crm.dynamics.com",
        "contoso.crm4.dynamics.com",
        "contoso.api.crm17.dynamics.com",
        "contoso.crm9.dynamics.com",
        "contoso.crm99.dynamics.com",
    ] {
        check_with(None, &environment(&format!("https://{host}"), ""), &[]);
    }
    for host in
        ["make.powerapps.com", "contoso.dynamics.com", "crm4.dynamics.com", "contoso.crmx.dynamics.com"]
    {
        check(
            &environment(&format!("https://{host}"), ""),
            &format!(
                "warning  dataverse.url: {host} does not look like the address of an environment, such as \
                 contoso.crm4.dynamics.com; copy it from the Power Platform admin center: the environment, Environment URL"
            ),
        );
    }
    for (host, authority) in [
        ("contoso.crm.microsoftdynamics.us", "login.microsoftonline.com"),
        ("contoso.crm4.dynamics.com", "login.microsoftonline.us"),
        ("contoso.crm.dynamics.cn", "login.microsoftonline.com"),
    ] {
        check(
            &environment(&format!("https://{host}"), &format!("authority = \"https://{authority}\"")),
            &format!(
                "error    dataverse.identity.authority: {authority} belongs to another cloud than {host}, and tokens do not \
                 cross clouds; leave dataverse.identity.authority empty and set cloud; if the users are in another cloud than \
                 Dataverse, set it to the login host of Dataverse's"
            ),
        );
    }
    check(
        &environment("http://localhost:4000", ""),
        "note     dataverse.url: localhost:4000 is spoken to in plain text; use this for a local Dataverse only",
    );
    check(
        &environment("https://contoso.crm4.dynamics.com", "")
            .replace("[dataverse]", "[dataverse]\nread_back = false"),
        "note     dataverse.read_back: no rows are read, so messages that do not say enough become dead letters; set it to true \
         to have the row of the contact applied in their place",
    );
}
