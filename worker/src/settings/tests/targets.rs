//! Several targets in one file: each gets a complete set of settings, and every mistake is told with its target.

use std::path::Path;

use shared::target::TargetName;

use crate::settings::{
    Settings, Targets,
    check::{Surroundings, findings},
};

const COMMON: &str = r#"
[service_bus]
connection_string = "Endpoint=sb://localhost:5672;SharedAccessKeyName=k;SharedAccessKey=secret-key;UseDevelopmentEmulator=true"
topic = "contacts"
[identity]
client_id = "app"
client_secret = "secret-value"
[guard]
attribute = "extensionAttribute15"
"#;

const TWO: &str = r#"
[[target]]
name = "b2c"
service_bus.subscription = "b2c"
identity.tenant = "old.onmicrosoft.com"
mapping.preset = "b2c"
[[target]]
name = "external-id"
service_bus.subscription = "external-id"
[target.identity]
tenant = "new.onmicrosoft.com"
client_secret = "other-value"
"#;

fn targets(text: &str, environment: &[(&str, &str)]) -> Targets {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let targets = Targets::of(Some((Path::new("contactsync.toml"), text)), environment);
    targets.unwrap_or_else(|problems| panic!("{problems}"))
}

fn good(text: &str, environment: &[(&str, &str)]) -> Vec<Settings> {
    targets(text, environment).finish().unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is told of two targets with this at the end of the last one.
#[track_caller]
fn check(extra: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let told = targets(&format!("{COMMON}{TWO}{extra}"), environment).take_problems();
    let told: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told, expected);
}

fn value(settings: &Settings, key: &str) -> (String, String) {
    let entry = &settings.entries[key];
    (entry.value.as_str().unwrap_or_default().to_owned(), entry.origin.to_string())
}

#[test]
fn each_target_has_its_own_over_what_counts_for_all() {
    let all = good(&format!("{COMMON}{TWO}"), &[]);
    let names: Vec<_> = all.iter().map(|settings| settings.target.as_ref().map(TargetName::as_str)).collect();
    assert_eq!(names, [Some("b2c"), Some("external-id")]);
    let of = |place: usize, key: &str| value(&all[place], key);
    let told = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(of(0, "mapping.preset"), told("b2c", "target b2c in contactsync.toml"));
    assert_eq!(of(1, "mapping.preset"), told("default", "default"));
    assert_eq!(of(0, "identity.client_secret"), told("secret-value", "contactsync.toml"));
    assert_eq!(
        of(1, "identity.client_secret"),
        told("other-value", "target external-id in contactsync.toml")
    );
    assert_eq!(&*all[1].bus.source.address(), "contacts/Subscriptions/external-id");
    let addressee = all[1].planner.addressee.as_ref().expect("copies come by a topic");
    assert_eq!(addressee.own.as_str(), "external-id");
    assert_eq!(addressee.others.iter().map(TargetName::as_str).collect::<Vec<_>>(), ["b2c"]);
    assert_ne!(all[0].fingerprint(), all[1].fingerprint());
}

#[test]
fn a_file_without_targets_is_one_target_without_a_name() {
    let text = COMMON.replace("topic =", "subscription = \"portal\"\ntopic =");
    let text = text.replace("client_id =", "tenant = \"t\"\nclient_id =");
    let all = good(&text, &[]);
    let [one] = &*all else { panic!("one target") };
    assert_eq!((&one.target, &one.planner.addressee), (&None, &None));
    assert!(targets(&text, &[]).only(None).is_ok());
}

#[test]
fn copies_in_a_queue_of_their_own_are_not_addressed() {
    let text = COMMON.replace("topic = \"contacts\"", "");
    let two = TWO.replace("service_bus.subscription", "service_bus.queue");
    let all = good(&format!("{text}{two}"), &[]);
    assert!(all.iter().all(|settings| settings.planner.addressee.is_none()));
}

#[test]
fn the_environment_of_a_target_wins_over_its_entry_and_both_over_what_counts_for_all() {
    let environment = [
        ("CONTACTSYNC__IDENTITY__TENANT", "common.example"),
        ("CONTACTSYNC__POOL__CONCURRENCY", "3"),
        ("CONTACTSYNC__TARGET__EXTERNAL_ID__IDENTITY__TENANT", "newest.example"),
    ];
    let all = good(&format!("{COMMON}{TWO}"), &environment);
    assert_eq!(value(&all[0], "identity.tenant").0, "old.onmicrosoft.com");
    let variable = "CONTACTSYNC__TARGET__EXTERNAL_ID__IDENTITY__TENANT";
    assert_eq!(value(&all[1], "identity.tenant"), ("newest.example".to_owned(), variable.to_owned()));
    assert!(all.iter().all(|settings| settings.engine.lanes.concurrency == 3));
}

#[test]
fn a_secret_of_a_target_can_stand_in_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from-file\n").expect("written");
    let path = file.path().to_str().expect("a path");
    let all =
        good(&format!("{COMMON}{TWO}"), &[("CONTACTSYNC__TARGET__B2C__IDENTITY__CLIENT_SECRET_FILE", path)]);
    assert_eq!(value(&all[0], "identity.client_secret").0, "from-file");
    assert_eq!(all[0].entries["identity.client_secret"].file.as_deref(), Some(file.path()));
    assert_eq!(value(&all[1], "identity.client_secret").0, "other-value");
}

#[test]
fn mistakes_are_told_with_the_target_and_those_of_all_once() {
    check("", &[], &[]);
    check(
        "[target.graph]\nroott = \"x\"\n[target.pool]\nconcurrency = 0",
        &[("CONTACTSYNC__RETRY__TRIES", "0")],
        &[
            "retry.tries (CONTACTSYNC__RETRY__TRIES): must be from 1 to 100, and is 0",
            "graph.roott (target external-id in contactsync.toml:23): there is no such setting; did you mean graph.root?",
            "pool.concurrency (target external-id in contactsync.toml:25): must be from 1 to 1000, and is 0",
        ],
    );
}

#[test]
fn entries_that_cannot_be_used_are_told() {
    check(
        "[[target]]\nname = \"b2c\"\n[[target]]\n[[target]]\nname = \"B2C\"",
        &[],
        &[
            "target in contactsync.toml: entry 3 is also called b2c; give each target a name of its own",
            "target in contactsync.toml: entry 4 must have a name of lower-case letters, digits and single hyphens, such as \
             name = \"b2c\"",
            "target in contactsync.toml: entry 5 must have a name of lower-case letters, digits and single hyphens, such as \
             name = \"b2c\"",
        ],
    );
    let told = targets("[target]\nname = \"b2c\"", &[]).take_problems();
    assert_eq!(
        told[0].to_string(),
        "target in contactsync.toml: must be written as [[target]], with two brackets, once for each target"
    );
}

#[test]
fn what_is_of_the_process_or_of_nobody_is_told() {
    check(
        "[target.http]\nlisten = \"\"",
        &[
            ("CONTACTSYNC__TARGET__B2C__TELEMETRY__LOG_LEVEL", "debug"),
            ("CONTACTSYNC__TARGET__B3C__IDENTITY__CLIENT_SECRET", "hidden-value"),
        ],
        &[
            "target in contactsync.toml: http of target external-id counts for the whole process; set it above all targets",
            "CONTACTSYNC__TARGET__B2C__TELEMETRY__LOG_LEVEL: counts for the whole process; leave TARGET and the name out",
            "a variable that begins with CONTACTSYNC__TARGET__: is for no target: the settings file has b2c, external-id",
        ],
    );
}

#[test]
fn two_targets_share_neither_messages_nor_quota() {
    let same = TWO.replace("subscription = \"external-id\"", "subscription = \"B2C\"");
    let same = same.replace("new.onmicrosoft.com", "OLD.onmicrosoft.com");
    let told = targets(&format!("{COMMON}{same}"), &[]).take_problems();
    let told: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "service_bus.subscription of target external-id: is also that of target b2c, so each change would reach only one of \
             the two; make a subscription for each",
            "identity.client_id of target external-id: is in the same tenant as that of target b2c, so both would write to one \
             directory by one quota without knowing of each other; name the app and tenant of the other directory",
        ]
    );
}

#[test]
fn the_lease_of_one_is_not_where_another_takes_messages_from() {
    let text = COMMON.replace("topic = \"contacts\"", "");
    let two = TWO.replace("service_bus.subscription", "service_bus.queue");
    let two = two.replace("mapping.preset", "replicas.lease_queue = \"external-id\"\nmapping.preset");
    let told = targets(&format!("{text}{two}"), &[]).take_problems();
    assert_eq!(
        told.iter().map(|problem| &*problem.place).collect::<Vec<_>>(),
        ["replicas.lease_queue of target external-id"]
    );
}

#[test]
fn which_target_is_meant_has_to_be_said_where_there_are_several() {
    let error =
        |text: &str, name: Option<&str>| targets(text, &[]).only(name).err().map(|error| error.to_string());
    let two = format!("{COMMON}{TWO}");
    let open = "the settings have several targets: b2c, external-id; say which one is meant by --target NAME";
    assert_eq!(error(&two, None).as_deref(), Some(open));
    let unknown = "there is no target b3c; the settings have b2c, external-id";
    assert_eq!(error(&two, Some("b3c")).as_deref(), Some(unknown));
    let none = "the settings have no [[target]] to choose from; leave --target out";
    assert_eq!(error(COMMON, Some("b2c")).as_deref(), Some(none));
    let chosen = targets(&two, &[]).only(Some("external-id")).expect("known");
    assert_eq!(chosen.each[0].target.as_ref().map(TargetName::as_str), Some("external-id"));
}

#[test]
fn no_target_is_advised_to_keep_out_the_copies_of_another() {
    let all = targets(&format!("{COMMON}{TWO}"), &[]);
    for (parts, name) in all.each.iter().zip(["b2c", "external-id"]) {
        let found = findings(parts, Surroundings { replicas: None });
        let told =
            found.iter().find(|finding| &*finding.place == "service_bus.topic").expect("a word on copies");
        let rule = format!(
            "give {name} the filter NOT EXISTS([contactsync-for-target]) OR [contactsync-for-target] = '{name}', and"
        );
        assert!(told.remedy.as_deref().is_some_and(|remedy| remedy.starts_with(&rule)), "{told:?}");
    }
}
