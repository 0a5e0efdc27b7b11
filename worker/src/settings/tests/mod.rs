//! Bad settings and what is said about them; the defaults and what they must be.

mod conversions;
mod dataverse;
mod identity;
mod link;
mod notify;
mod positions;
mod reset;
mod targets;

use std::path::Path;

use shared::{
    change::Operation,
    engine,
    mapping::{Convert, Mapping},
    plan::{ChangeFilter, OnForeign, Planner, Requirement},
};

use super::*;

const GOOD: &str = r#"
[service_bus]
connection_string = "Endpoint=sb://localhost:5672;SharedAccessKeyName=k;SharedAccessKey=secret-key;UseDevelopmentEmulator=true"
queue = "contacts"
[identity]
tenant = "contoso.onmicrosoft.com"
client_id = "app"
client_secret = "secret-value"
"#;

fn parse_text(text: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsProblems> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(Some((Path::new("contactsync.toml"), text)), environment)
}

/// What is told of a problem, wherever it was set.
fn without_position(problem: &SettingsProblem) -> String {
    format!("{}: {}", problem.place, problem.text)
}

fn no_file(environment: Vec<(String, String)>) -> Parts {
    Parts::of(None, environment).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn check(extra: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let problems = match parse_text(&format!("{GOOD}{extra}"), environment) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(without_position).collect(),
    };
    assert_eq!(problems, expected);
}

#[test]
fn the_defaults_need_only_what_nobody_can_know() {
    check("", &[], &[]);
    let Err(problems) = parse(None, Vec::new()) else { panic!("settings without a queue") };
    let missing: Vec<_> = problems.0.iter().map(|problem| &*problem.place).collect();
    assert_eq!(
        missing,
        ["service_bus.connection_string", "identity.tenant", "identity.client_id", "identity.client_secret"]
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_what_to_do() {
    check(
        r#"
[pool]
concurrency = 0
grace = "soon"
[retry]
first_delay = "10s"
longest_delay = "1s"
[graph]
root = "http://graph.example"
[mapping]
presett = "default"
"#,
        &[("CONTACTSYNC__POOL__MEGABYTES", "many")],
        &[
            "mapping.presett: there is no such setting; did you mean mapping.preset?",
            "CONTACTSYNC__POOL__MEGABYTES: must be a whole number",
            "graph.root: must start with https://; plain http is accepted for this machine only",
            "pool.grace: must be a duration such as 500ms, 30s, 5m or 2h",
            "pool.concurrency: must be from 1 to 1000, and is 0",
            "retry.first_delay: must not be longer than retry.longest_delay",
        ],
    );
}

#[test]
fn a_mapping_that_cannot_work_is_told_row_by_row() {
    let rows = r#"
[mapping]
preset = "custom"
rows = [
  { column = "jobtitle", property = "jobtitle" },
  { column = "emailaddress1", property = "mail", on_null = "erase" },
  { column = "x" },
  { property = "city", column = "a", columns = ["b"] },
  { property = "displayName", template = "{firstname", on_null = "keep" },
  { property = "state", column = "a", convert = ["shout"] },
  { property = "country", column = "a", on_null = "keep", default = "x" },
  { property = "jobTitle", columm = "a" },
]
"#;
    let conversions = Convert::NAMES.map(|(name, _)| name).join(", ");
    check(
        rows,
        &[],
        &[
            "mapping.rows, entry 1: jobtitle is not a property that can be written; did you mean jobTitle?",
            "mapping.rows, entry 2: on_null must be \"clear\", \"keep\" or \"default\"",
            "mapping.rows, entry 3: needs a property",
            "mapping.rows, entry 4: needs one of column, columns, template and value",
            "mapping.rows, entry 5: template: a brace at character 1 has no partner; write a column as {firstname}",
            &format!("mapping.rows, entry 6: convert must be a list of {conversions}"),
            "mapping.rows, entry 7: default needs on_null = \"default\"",
            "mapping.rows, entry 8: columm is unknown; an entry may have column, columns, template, property, convert, on_null, default, on_invalid, require, value, choices, type",
        ],
    );
    check(
        "[mapping]\npreset = \"custom\"\nrows = [{ column = \"emailaddress1\", property = \"mail\" }]\n",
        &[],
        &[
            "mapping.rows: mail cannot be emptied in Graph; give the row of emailaddress1 on_null = \"keep\" or a default",
        ],
    );
}

#[test]
fn the_environment_wins_and_files_can_hold_secrets() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from-file\n").expect("written");
    let path = file.path().display().to_string();
    let settings = parse_text(
        GOOD,
        &[
            ("CONTACTSYNC__POOL__CONCURRENCY", "3"),
            ("CONTACTSYNC__THROTTLE__WRITES_PER_SECOND", "7"),
            ("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", &path),
            ("CONTACTSYNC__FILTER__ORGANIZATIONS", "11111111-2222-4333-8444-aaaaaaaaaaaa"),
        ],
    );
    let Ok(settings) = settings else { panic!("refused") };
    assert_eq!(settings.engine.lanes.concurrency, 3);
    assert!((settings.engine.pace.rate() - 7.0).abs() < f64::EPSILON);
    assert_eq!(settings.planner.organizations.len(), 1);
    assert_eq!(settings.entries["identity.client_secret"].value.as_str(), Some("from-file"));
    assert_eq!(
        settings.entries["pool.concurrency"].origin,
        SettingOrigin::Environment("CONTACTSYNC__POOL__CONCURRENCY".into())
    );
}

#[test]
fn a_file_with_a_secret_is_read_as_its_editor_meant_it_or_refused_in_words() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().display().to_string();
    let read = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).expect("written");
        let settings = parse_text(GOOD, &[("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", &path)]);
        match settings {
            Ok(settings) => settings.entries["identity.client_secret"].value.to_string(),
            Err(problems) => problems.to_string(),
        }
    };
    for bytes in [&b"s3cret"[..], b"\xef\xbb\xbfs3cret\r\n", b" s3cret \n"] {
        assert_eq!(read(bytes), "\"s3cret\"");
    }
    let utf16: Vec<u8> = "\u{feff}s3cret\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, told) in [
        (
            &utf16[..],
            "CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE: the file it names is saved as UTF-16; save it as UTF-8",
        ),
        (
            b"s\xe9cret",
            "CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE: the file it names holds bytes that are not UTF-8",
        ),
        (b"\n", "CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE: the file it names is empty"),
    ] {
        let text = read(bytes);
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line_without_its_text() {
    let Err(problems) = parse_text("[identity]\nclient_secret = top-secret\n", &[]) else {
        panic!("accepted")
    };
    // Nothing follows of what is missing for that reason alone.
    let [only] = &*problems.0 else { panic!("{problems}") };
    assert!(only.to_string().starts_with("contactsync.toml:2:17: is not valid TOML"), "{only}");
    assert!(!problems.to_string().contains("top-secret"), "{problems}");
}

/// Secrets where people put them by mistake; each holds the word that is looked for.
const PASTED: [&str; 7] = [
    "Zk9sWORDJr7bAHNSq2U8Zk9sQJr7bAHNSq2U8Zk9sQJr=",
    "ZJr/AHNSWORD+b2U8ZJr/AHNSWORD+b2U8ZJr/AHNSb2U8=",
    "Endpoint=sb://ns.example/;SharedAccessKeyName=n;SharedAccessKey=WORDWORDWORD=",
    "SharedAccessKey WORDWORDWORDWORDWORDWORDWORD=",
    "https://me:WORD@proxy.example:8080/",
    "SharedAccessSignature sr=sb%3a%2f%2fns&sig=WORD&se=1",
    "authorization=Basic WORD",
];

/// Everything that is told of settings.
fn told(text: &str, environment: Vec<(String, String)>) -> String {
    let parts = Parts::of(Some((Path::new("contactsync.toml"), text)), environment);
    parts.map_or_else(|problems| problems.to_string(), |parts| SettingsProblems(parts.problems).to_string())
}

#[test]
fn a_secret_is_in_no_message_wherever_it_was_put() {
    let keys: Vec<_> = no_file(Vec::new()).entries.into_keys().collect();
    for secret in PASTED {
        for key in &keys {
            let variable = format!("CONTACTSYNC__{}", key.replace('.', "__").to_uppercase());
            let told = told(
                GOOD,
                vec![(variable, secret.to_owned()), ("HTTPS_PROXY".to_owned(), secret.to_owned())],
            );
            assert!(!told.contains("WORD"), "{key}: {told}");
        }
        // As a line, as a name, and as a value without its quotes.
        for text in [
            secret.to_owned(),
            format!("[identity]\n{secret}\n"),
            format!("[identity]\n\"{secret}\" = 1\n"),
            format!("[identity]\nclient_secret = {secret}\n"),
            format!("[\"{secret}\"]\na = 1\n[\"{secret}\"]\na = 1\n"),
        ] {
            let told = told(&text, Vec::new());
            assert!(!told.contains("WORD"), "{text}: {told}");
        }
        let variable = format!("CONTACTSYNC__IDENTITY__{secret}");
        let parts = no_file(vec![(variable, "1".to_owned())]);
        assert!(!SettingsProblems(parts.problems).to_string().contains("WORD"));
    }
}

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    check(
        "[graph]\nroot = \"https://me:word@graph.example\"\n",
        &[],
        &["graph.root: must hold no user name and no password: nobody asks for them there"],
    );
    check(
        "",
        &[("CONTACTSYNC__SERVICE_BUS__QUEUE", "Endpoint=sb://ns;SharedAccessKey=word")],
        &["service_bus.queue: must be a name: letters, digits, hyphens, dots, underscores and slashes"],
    );
    for (key, variable) in [
        ("CERTIFICATE_FILE", "CONTACTSYNC__IDENTITY__CERTIFICATE_FILE"),
        ("CA_FILE", "CONTACTSYNC__CONNECTION__CA_FILE"),
        ("CA_FILE", "CONTACTSYNC__GRAPH__CA_FILE"),
    ] {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIword\n-----END RSA PRIVATE KEY-----\n";
        let kind = ("CONTACTSYNC__IDENTITY__KIND", if key == "CA_FILE" { "secret" } else { "certificate" });
        let settings = parse_text(GOOD, &[kind, (variable, pem)]);
        let Err(problems) = settings else { panic!("accepted") };
        let told = problems.to_string();
        assert!(told.contains("must be the path of a file") && !told.contains("word"), "{told}");
    }
}

#[test]
fn words_of_files_and_names_take_one_line_and_command_nothing() {
    let Err(problems) = parse(Some((Path::new("a\x1b[2J\n.toml"), "pool.megabytes = 0")), Vec::new()) else {
        panic!("accepted")
    };
    assert!(problems.to_string().lines().all(|line| !line.contains('\x1b')), "{problems}");
    let named = SettingsProblem::new("a\x1b[2J\nb.toml", "c\u{202e}").to_string();
    assert_eq!(named, r"a\u{1b}[2J\u{a}b.toml: c\u{202e}");
}

#[test]
fn what_is_wrong_with_telemetry_is_told_without_its_key() {
    check(
        "[http]\nlisten = \"9464\"\n[telemetry]\notlp_endpoint = \"localhost:4318\"\ntrace_ratio = 1.5\n",
        &[("CONTACTSYNC__TELEMETRY__OTLP_HEADERS", "top-secret")],
        &[
            "http.listen: must be an address and a port such as 127.0.0.1:9464 or 0.0.0.0:9464, or empty for none",
            "telemetry.otlp_headers: must be name=value, several with commas between them, special signs as %20",
            "telemetry.trace_ratio: must be from 0 to 1, and is 1.5",
            "telemetry.otlp_endpoint: must be an address such as http://localhost:4318",
        ],
    );
    check(
        "[telemetry]\notlp_endpoint = \"http://collector:4318\"\notlp_headers = \"api-key=k\"\n",
        &[],
        &[
            "telemetry.otlp_endpoint: must start with https://, because telemetry.otlp_headers would travel in the open",
        ],
    );
    let plain = "[telemetry]\notlp_endpoint = \"http://collector:4318\"\n";
    check(plain, &[], &[]);
    let interval = "OTEL_METRIC_EXPORT_INTERVAL";
    for wrong in ["30s", "0", "-1", "3600001"] {
        let told = "OTEL_METRIC_EXPORT_INTERVAL: must be a number of milliseconds from 1000 to 3600000";
        check(plain, &[(interval, wrong)], &[told]);
        check("", &[(interval, wrong)], &[]);
    }
}

#[test]
fn metrics_are_exported_as_often_as_opentelemetry_has_it() {
    let text = format!("{GOOD}[telemetry]\notlp_endpoint = \"http://localhost:4318\"\n");
    for (variables, seconds) in [(&[][..], 30), (&[("OTEL_METRIC_EXPORT_INTERVAL", "5000")], 5)] {
        let settings = parse_text(&text, variables).expect("good settings");
        let interval = settings.telemetry.otlp.expect("an endpoint").interval;
        assert_eq!(interval, std::time::Duration::from_secs(seconds));
    }
}

#[test]
fn headers_for_telemetry_are_read_and_hidden() {
    let settings = parse_text(
        &format!("{GOOD}[telemetry]\notlp_endpoint = \"https://otlp.example/otlp\"\n"),
        &[("CONTACTSYNC__TELEMETRY__OTLP_HEADERS", "authorization=Basic%20top-secret, x-scope=a=b")],
    );
    let Ok(settings) = settings else { panic!("refused") };
    let otlp = settings.telemetry.otlp.expect("an endpoint");
    assert_eq!(otlp.headers["authorization"], "Basic top-secret");
    assert_eq!(otlp.headers["x-scope"], "a=b");
    assert!(!format!("{otlp:?}").contains("top-secret"));
}

#[test]
fn the_engine_by_default_is_what_the_file_of_defaults_says() {
    let settings = parse_text(GOOD, &[]).expect("good settings");
    assert_eq!(settings.engine, engine::EnginePolicy::default());
}

#[test]
fn the_filter_and_the_link_by_default_are_what_planning_has_as_usual() {
    let settings = parse_text(GOOD, &[]).expect("good settings");
    assert_eq!(settings.planner, Planner::new(Mapping::preset_default()));
}

#[test]
fn the_filter_is_read_and_what_is_wrong_with_it_is_told() {
    let text = "[filter]\ninitiating_users = [\"{11111111-2222-4333-8444-AAAAAAAAAAAA}\"]\nmax_depth = 3\n\
                operations = [\"update\"]\n[link]\non_foreign = \"ignore\"\n";
    let require = ("CONTACTSYNC__FILTER__REQUIRE", "statecode = 0, new_portal = true");
    let planner = parse_text(&format!("{GOOD}{text}"), &[require]).expect("good settings").planner;
    assert_eq!(planner.on_foreign, OnForeign::Ignore);
    let expected = ChangeFilter {
        operations: vec![Operation::Update],
        initiating_users: vec!["11111111-2222-4333-8444-aaaaaaaaaaaa".parse().expect("a GUID")],
        max_depth: 3,
        require: ["statecode = 0", "new_portal = true"]
            .map(|text| Requirement::parse(text).expect("a requirement"))
            .to_vec(),
    };
    assert_eq!(planner.filter, expected);
    check(
        "[filter]\ninitiating_users = [\"me\"]\nmax_depth = -1\noperations = [\"delete\"]\nrequire = [\"statecode\"]\n\
         [link]\non_foreign = \"drop\"\n",
        &[],
        &[
            "link.on_foreign: must be \"dead-letter\" or \"ignore\"",
            "filter.operations: must be a list of \"create\", \"update\" or \"merge\"",
            "filter.initiating_users: must be a list of ids of Dataverse users (GUIDs in quotes)",
            "filter.require: must be a list of conditions such as \"statecode = 0\" or \"new_kind = 1 | 2\"",
            "filter.max_depth: must be from 0 to 1000, and is -1",
        ],
    );
    check(
        "[filter]\noperations = []\n",
        &[],
        &["filter.operations: names none, so nothing would ever be written"],
    );
}

/// What is said about names of the last release.
#[track_caller]
fn check_outdated(extra: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let settings = parse_text(&format!("{GOOD}{extra}"), environment);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    let said: Vec<_> = settings.outdated.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}

#[test]
fn an_old_name_sets_what_it_always_set_and_is_told() {
    const NOW: &str = "graph.request_timeout is now connection.request_timeout; the next release does not know the old \
                       name";
    let seconds = |extra: &str, environment: &[(&str, &str)]| {
        let Ok(settings) = parse_text(&format!("{GOOD}{extra}"), environment) else { panic!("refused") };
        settings.connection.request_timeout.as_secs()
    };
    let (old, new) = ("[graph]\nrequest_timeout = \"7s\"\n", "[connection]\nrequest_timeout = \"7s\"\n");
    let variable = ("CONTACTSYNC__GRAPH__REQUEST_TIMEOUT", "8s");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "9s\n").expect("written");
    let path = file.path().display().to_string();
    let in_file = ("CONTACTSYNC__GRAPH__REQUEST_TIMEOUT_FILE", &*path);
    assert_eq!((seconds(old, &[]), seconds(new, &[])), (7, 7));
    assert_eq!((seconds(old, &[variable]), seconds("", &[in_file])), (8, 9), "the environment wins");
    check_outdated(new, &[], &[]);
    check_outdated(old, &[], &[&format!("contactsync.toml: {NOW}")]);
    check_outdated(old, &[variable], &[&format!("{}: {NOW}", variable.0)]);
    check_outdated("", &[in_file], &[&format!("{}: {NOW}", in_file.0)]);
    check(
        "[graph]\nrequest_timeout = 7\nca_file = \"-----BEGIN PRIVATE KEY-----\"",
        &[],
        &[
            "graph.ca_file: must be the path of a file; what stands in such a file stands there",
            "graph.request_timeout: must be a text in quotes, and is a whole number",
        ],
    );
}

#[test]
fn an_old_name_beside_the_new_one_is_a_mistake_whichever_comes_first() {
    const TWICE: &str = "connection.ca_file: cannot be used together with graph.ca_file, its old name; leave the old one \
                         out";
    let (old, new) = (("CONTACTSYNC__GRAPH__CA_FILE", "/a"), ("CONTACTSYNC__CONNECTION__CA_FILE", "/b"));
    check("", &[old, new], &[TWICE]);
    check("", &[new, old], &[TWICE]);
    check("[graph]\nca_file = \"/a\"\n", &[new], &[TWICE]);
    check("[connection]\nca_file = \"/a\"\n[graph]\nca_file = \"/a\"\n", &[], &[TWICE]);
}

#[test]
fn what_is_no_setting_any_more_is_told_with_what_happens_instead() {
    check_outdated(
        "[pool]\nremembered_users = 5\nmax_lock_hold = \"never\"\n",
        &[
            ("CONTACTSYNC__POOL__REMEMBERED_USERS", "7"),
            ("CONTACTSYNC__SERVICE_BUS__AUDIENCE_FILE", "/nowhere"),
        ],
        &[
            "contactsync.toml: pool.max_lock_hold is no longer a setting: a message is kept under lock for 10 minutes; \
             remove it",
            "CONTACTSYNC__POOL__REMEMBERED_USERS: pool.remembered_users is no longer a setting: the worker remembers \
             20,000 users; remove it",
            "CONTACTSYNC__SERVICE_BUS__AUDIENCE_FILE: service_bus.audience is no longer a setting: tokens for Service \
             Bus are for whom the cloud has them; remove it",
        ],
    );
}

#[test]
fn old_names_are_no_settings_and_new_ones_are() {
    let settings = no_file(Vec::new()).entries;
    for (old, new) in names::RENAMED {
        assert!(!settings.contains_key(old) && settings.contains_key(new), "{old} is now {new}");
    }
    for (old, _) in names::REMOVED {
        assert!(!settings.contains_key(old), "{old}");
    }
    let engine::EnginePolicy { lanes, gate, max_lock_hold, .. } = engine::EnginePolicy::default();
    assert_eq!(
        (lanes.remembered_users.get(), gate.breaker_users),
        (20_000, 10),
        "what is said instead is so"
    );
    assert_eq!([gate.longest_wait, max_lock_hold], [std::time::Duration::from_mins(10); 2]);
}
