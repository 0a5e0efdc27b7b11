//! The channels by which people are told.

use std::time::Duration;

use secrecy::ExposeSecret;
use shared::notices::{Topic, Urgency};

use super::{GOOD, check, no_file, parse_text};
use crate::settings::{ChannelWay, Notify, SmtpAuth, SmtpTls, check as judge, shown};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn read(text: &str, environment: &[(&str, &str)]) -> Notify {
    let settings = parse_text(&format!("{GOOD}{text}"), environment);
    settings.unwrap_or_else(|problems| panic!("{problems}")).notify
}

/// One channel with these keys.
fn channel(keys: &str) -> String {
    format!("[[notify.channel]]\nname = \"a\"\n{keys}\n")
}

#[test]
fn nobody_is_told_unless_somebody_says_so() {
    let notify = read("", &[]);
    assert!(notify.channels.is_empty() && notify.digest.is_none() && notify.state_file.is_none());
    assert_eq!(notify.timing, shared::notices::NoticeTiming::default(), "as Alertmanager has them");
    assert_eq!(notify.oldest_message, Duration::from_mins(30));
}

#[test]
fn channels_of_every_kind_are_read() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "https://flow.example/x?sig=s3cret\n").expect("written");
    let text = format!(
        r#"
[notify]
digest = "07:30"
[[notify.channel]]
name = "chat"
kind = "teams"
url_file = "{}"
only = ["work", "digest"]
min_severity = "critical"
[[notify.channel]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:9/x"
key = "{KEY} {KEY}"
[[notify.channel]]
name = "mail"
kind = "smtp"
host = "smtp.example"
user = "u"
password = "s3cret"
from = "a@b.example"
to = ["c@d.example"]
[[notify.channel]]
name = "token"
kind = "smtp"
host = "smtp.office365.com"
tls = "tls"
user = "a@b.example"
from = "a@b.example"
to = ["c@d.example", "e@f.example"]
[notify.identity]
kind = "managed"
"#,
        file.path().display()
    );
    let notify = read(&text, &[]);
    assert!(notify.digest.is_some() && notify.identity.is_some());
    let [chat, hook, mail, token] = &*notify.channels else { panic!("four channels") };
    assert_eq!(
        (chat.filter.only.as_deref(), chat.filter.least),
        (Some(&[Topic::Work][..]), Urgency::Critical)
    );
    assert!(chat.digest && hook.filter.only.is_none() && hook.digest);
    let ChannelWay::Teams(url) = &chat.way else { panic!("teams") };
    assert_eq!(
        (url.expose().query(), url.to_string().as_str()),
        (Some("sig=s3cret"), "https://flow.example")
    );
    let ChannelWay::Webhook { keys, .. } = &hook.way else { panic!("a webhook") };
    assert_eq!((keys.len(), keys[0].expose().len()), (2, 24));
    let ChannelWay::Smtp { server, .. } = &mail.way else { panic!("mail") };
    let SmtpAuth::Password(_, password) = &server.auth else { panic!("a password") };
    assert_eq!((server.port, server.tls, password.expose_secret()), (587, SmtpTls::StartTls, "s3cret"));
    let ChannelWay::Smtp { server, .. } = &token.way else { panic!("mail") };
    assert!(matches!(server.auth, SmtpAuth::Token(_)) && server.port == 465);
    let told = format!("{notify:?}");
    assert!(!told.contains("s3cret") && !told.contains("MfKQ9"), "{told}");
}

#[test]
fn a_variable_sets_a_key_of_the_channel_that_it_names() {
    let name = "CONTACTSYNC__NOTIFY__CHANNEL__THE_CHAT__URL";
    let text = "[[notify.channel]]\nname = \"the-chat\"\nkind = \"slack\"\n";
    let notify = read(text, &[(name, "https://hooks.example/services/s3cret")]);
    assert_eq!(notify.channels[0].way.to_string(), "slack at https://hooks.example");
    check(
        text,
        &[
            (name, "https://hooks.example/"),
            ("CONTACTSYNC__NOTIFY__CHANNEL__PAGER__URL", "https://x.example"),
        ],
        &["CONTACTSYNC__NOTIFY__CHANNEL__PAGER__URL: is for no channel: the settings file has the-chat"],
    );
}

#[test]
fn every_mistake_names_the_channel_and_what_to_do() {
    for (keys, expected) in [
        ("kind = \"pager\"", "kind must be \"smtp\", \"teams\", \"slack\", \"webhook\" or \"graph\""),
        ("kind = \"teams\"", "url is required, better as url_file: the address that the flow shows"),
        (
            "kind = \"slack\"\nurl = \"http://hooks.example/s3cret\"",
            "url must start with https://; plain http is accepted for this machine only",
        ),
        (
            "kind = \"teams\"\nurl = \"https://x.example\"\nchannel = \"general\"",
            "channel is unknown here; such a channel may have name, kind, only, min_severity, url, url_file",
        ),
        (
            "kind = \"teams\"\nurl = \"https://x.example\"\nurl_file = \"/s\"",
            "url cannot stand beside url_file; leave one of them out",
        ),
        (
            "kind = \"teams\"\nurl = \"https://x.example\"\nonly = [\"everything\"]",
            "only must be a list of some of work, writer, dead_letters, queue, warnings, digest",
        ),
        (
            "kind = \"smtp\"\nhost = \"mail.example\"\ntls = \"none\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]",
            "tls must be \"starttls\" or \"tls\"; plain text is accepted for this machine only",
        ),
        (
            "kind = \"smtp\"\nhost = \"mail.example\"\nfrom = \"a@b.example\\r\\nBcc: x@y.example\"\nto = [\"c@d.example\"]",
            "from must be an address such as contactsync@example.org",
        ),
        (
            "kind = \"smtp\"\nhost = \"mail.example\"\npassword = \"x\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]",
            "user is required beside a password",
        ),
    ] {
        check(&channel(keys), &[], &[&format!("notify.channel a: {expected}")]);
    }
    let wrong =
        check_texts(&channel("kind = \"webhook\"\nurl = \"https://x.example\"\nkey = \"whsec_s3cret\""));
    assert!(wrong.contains("key must be whsec_") && !wrong.contains("s3cret"), "{wrong}");
    let twice = format!("{0}{0}", channel("kind = \"teams\"\nurl = \"https://x.example\""));
    check(
        &twice,
        &[],
        &["notify.channel, entry 2: is called as another one; give each channel a name of its own: a"],
    );
    check(
        "[notify]\ndigest = \"7.30\"\n",
        &[],
        &["notify.digest: must be a time of the day in UTC such as \"07:30\", or empty for no digest"],
    );
    let graph = channel("kind = \"graph\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]");
    let missing = check_texts(&graph);
    assert!(missing.contains("notify.identity.tenant: is required"), "{missing}");
}

fn check_texts(text: &str) -> String {
    let problems = parse_text(&format!("{GOOD}{text}"), &[]).err().map(|problems| problems.to_string());
    problems.unwrap_or_default()
}

#[test]
fn what_opens_a_channel_is_never_shown() {
    let list = format!(
        "[{{ name = \"a\", kind = \"webhook\", url = \"https://x.example/s3cret\", key = \"{KEY}\", pasword = \"s3cret\" }}]"
    );
    let parts = no_file(vec![("CONTACTSYNC__NOTIFY__CHANNEL".to_owned(), list)]);
    let told = shown("notify.channel", &parts.entries["notify.channel"]);
    assert!(told.contains("webhook") && !told.contains("s3cret") && !told.contains("MfKQ9"), "{told}");
}

/// What is said about one channel, notes aside.
fn warned(keys: &str) -> String {
    let text = format!("{GOOD}{}", channel(keys));
    let parts = crate::settings::Parts::of(Some((std::path::Path::new("x.toml"), &text)), Vec::new());
    let parts = parts.unwrap_or_else(|problems| panic!("{problems}"));
    let found = judge::findings(&parts, judge::Surroundings::default());
    let found = found.into_iter().filter(|finding| finding.severity == judge::Severity::Warning);
    found.map(|finding| finding.to_string()).collect()
}

#[test]
fn what_microsoft_ends_is_warned_of() {
    for url in ["https://contoso.webhook.office.com/webhookb2/x", "https://outlook.office365.com/webhook/x"] {
        let told = warned(&format!("kind = \"teams\"\nurl = \"{url}\""));
        assert!(
            told.contains("withdraws") && told.contains("Workflows") && !told.contains("webhookb2"),
            "{told}"
        );
    }
    assert_eq!(warned("kind = \"teams\"\nurl = \"https://x.environment.api.powerplatform.com/y\""), "");
    let mail = "kind = \"smtp\"\nhost = \"smtp.office365.com\"\nuser = \"u\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]";
    assert!(warned(&format!("{mail}\npassword = \"x\"")).contains("ends signing in with a password"));
}

#[test]
fn the_end_of_a_secret_is_a_day_or_a_time() {
    let ends = |text: &str| {
        let settings = parse_text(&format!("{GOOD}client_secret_ends = \"{text}\"\n"), &[]);
        settings
            .map(|settings| settings.identity.ends().map(|end| end.to_string()))
            .map_err(|error| error.to_string())
    };
    assert_eq!(ends(""), Ok(None));
    assert_eq!(ends("2027-03-01"), Ok(Some("2027-03-01T00:00:00Z".to_owned())));
    assert_eq!(ends("2027-03-01T12:30:00Z"), Ok(Some("2027-03-01T12:30:00Z".to_owned())));
    for wrong in ["1.3.2027", "2027-02-30", "soon", "2027-03-01T12:30"] {
        let told = ends(wrong).expect_err(wrong);
        assert!(told.contains("must be a day such as \"2027-03-01\""), "{told}");
    }
}
