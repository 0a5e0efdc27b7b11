//! One entry `[[notify.channel]]`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use shared::{
    notices::{NoticeFilter, Topic, Urgency},
    target::TargetName,
};
use toml::Value;

use super::{fields::Fields, secret_url::SecretUrl};
use crate::http_client::is_on_this_machine;

/// The kinds of channels.
pub(in crate::settings) const KINDS: [&str; 5] = ["smtp", "teams", "slack", "webhook", "graph"];
/// Keys that hold secrets.
pub(in crate::settings) const SECRETS: [&str; 3] = ["url", "password", "key"];
/// All keys that an entry may have.
pub(in crate::settings) const KEYS: [&str; 17] = [
    "name",
    "kind",
    "only",
    "min_severity",
    "url",
    "url_file",
    "key",
    "key_file",
    "host",
    "port",
    "tls",
    "user",
    "password",
    "password_file",
    "from",
    "to",
    "root",
];
/// How urgent something must be.
pub(in crate::settings) const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];
/// What a channel can be for.
pub(in crate::settings) const WANTED: [&str; 6] =
    ["work", "writer", "dead_letters", "queue", "warnings", "digest"];
/// How a connection to an SMTP server is kept from being read.
pub(in crate::settings) const TLS: [&str; 3] = ["starttls", "tls", "none"];

const COMMON: [&str; 4] = ["name", "kind", "only", "min_severity"];

/// A way to tell somebody.
#[derive(Clone, Debug)]
pub struct NotifyChannel {
    /// Its name, in logs and commands.
    pub name: TargetName,
    /// What it is to be told.
    pub filter: NoticeFilter,
    /// Whether it gets the daily digest.
    pub digest: bool,
    /// How.
    pub way: ChannelWay,
}

/// How somebody is told.
#[derive(Clone, Debug)]
pub enum ChannelWay {
    /// E-mail by a server.
    Smtp {
        /// The server.
        server: SmtpServer,
        /// From whom to whom.
        mail: Mailing,
    },
    /// A Workflows flow of Microsoft Teams.
    Teams(SecretUrl),
    /// An incoming webhook of Slack, or of what understands the same.
    Slack(SecretUrl),
    /// Anything that takes a signed `CloudEvent`.
    Webhook {
        /// Where it listens.
        url: SecretUrl,
        /// Keys of signatures; several while one takes another's place, none not to sign.
        keys: Vec<WebhookKey>,
    },
    /// E-mail by Microsoft Graph, from a mailbox of Exchange Online.
    Graph {
        /// From whom to whom.
        mail: Mailing,
        /// Root of Graph; `None` for that of the settings.
        root: Option<Url>,
    },
}

/// An SMTP server.
#[derive(Clone, Debug)]
pub struct SmtpServer {
    /// Its name.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// How the worker signs in.
    pub auth: SmtpAuth,
}

/// How a connection to an SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Begun in the open, and gone on with only if TLS comes about.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all, on this machine only.
    None,
}

/// How the worker signs in at an SMTP server.
#[derive(Clone, Debug)]
pub enum SmtpAuth {
    /// Not at all.
    None,
    /// By user name and password (PLAIN or LOGIN).
    Password(Box<str>, SecretString),
    /// By a token of `[notify.identity]` for this mailbox (XOAUTH2).
    Token(Box<str>),
}

/// From whom and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailing {
    /// The sender.
    pub from: Box<str>,
    /// Those who are told.
    pub to: Vec<Box<str>>,
}

/// A key by which webhooks are signed, as Standard Webhooks has it.
#[derive(Clone, Debug)]
pub struct WebhookKey(SecretBox<[u8]>);

impl WebhookKey {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Self(SecretBox::new(bytes.into_boxed_slice())))
    }

    /// The bytes, for the signature and nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl NotifyChannel {
    /// Whether it asks for tokens of `[notify.identity]`.
    #[must_use]
    pub fn needs_tokens(&self) -> bool {
        match &self.way {
            ChannelWay::Graph { .. } => true,
            ChannelWay::Smtp { server, .. } => matches!(server.auth, SmtpAuth::Token(_)),
            ChannelWay::Teams(_) | ChannelWay::Slack(_) | ChannelWay::Webhook { .. } => false,
        }
    }
}

impl ChannelWay {
    /// Its kind, as it stands in the settings.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Smtp { .. } => "smtp",
            Self::Teams(_) => "teams",
            Self::Slack(_) => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Graph { .. } => "graph",
        }
    }
}

/// Where it leads, without anything secret and without names of mailboxes.
impl fmt::Display for ChannelWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |mail: &Mailing| match mail.to.len() {
            1 => "1 recipient".to_owned(),
            count => format!("{count} recipients"),
        };
        match self {
            Self::Smtp { server: SmtpServer { host, port, .. }, mail } => {
                write!(f, "smtp by {host}:{port} to {}", several(mail))
            }
            Self::Teams(url) => write!(f, "teams at {url}"),
            Self::Slack(url) => write!(f, "slack at {url}"),
            Self::Webhook { url, keys } if keys.is_empty() => write!(f, "unsigned webhook at {url}"),
            Self::Webhook { url, .. } => write!(f, "webhook at {url}"),
            Self::Graph { mail, .. } => write!(f, "mail by graph to {}", several(mail)),
        }
    }
}

/// Reads an entry; or tells its name, as far as it has one, and everything that is wrong.
pub(super) fn read(entry: &Value) -> Result<NotifyChannel, (Option<TargetName>, Vec<String>)> {
    let Value::Table(table) = entry else {
        return Err((None, vec!["must be a section [[notify.channel]]".to_owned()]));
    };
    let fields = Fields::new(table);
    let named = fields.required("name", "what the channel is called, such as name = \"operators\"");
    let name = named.and_then(|text| {
        let rule = "must be of lower-case letters, digits and single hyphens";
        TargetName::parse(text).or_else(|| fields.wrong("name", rule))
    });
    let (filter, digest) = wanted(&fields);
    let kind = fields.required("kind", "one of smtp, teams, slack, webhook and graph");
    let way = kind.and_then(|kind| way(&fields, kind));
    let mistakes = fields.into_mistakes();
    match (name.clone(), way) {
        (Some(name), Some(way)) if mistakes.is_empty() => Ok(NotifyChannel { name, filter, digest, way }),
        _ => Err((name, mistakes)),
    }
}

/// What the channel is to be told, and whether the digest is part of it.
fn wanted(fields: &Fields<'_>) -> (NoticeFilter, bool) {
    let least = fields.choice("min_severity", &SEVERITIES).unwrap_or_default();
    let least = Urgency::ALL.into_iter().find(|urgency| urgency.as_str() == least).unwrap_or(Urgency::Info);
    let only = fields.texts("only");
    if only.iter().any(|name| !WANTED.contains(name)) {
        fields.wrong::<()>("only", &format!("must be a list of some of {}", WANTED.join(", ")));
    }
    let topics: Vec<_> = Topic::ALL.into_iter().filter(|topic| only.contains(&topic.as_str())).collect();
    let (all, digest) = (only.is_empty(), only.is_empty() || only.contains(&"digest"));
    (NoticeFilter { only: (!all).then_some(topics), least }, digest)
}

fn way(fields: &Fields<'_>, kind: &str) -> Option<ChannelWay> {
    let known = |own: &[&'static str]| fields.only(&[&COMMON, own].concat());
    match kind {
        "teams" => {
            known(&["url", "url_file"]);
            url(fields, "the address that the flow shows").map(ChannelWay::Teams)
        }
        "slack" => {
            known(&["url", "url_file"]);
            url(fields, "the address of the incoming webhook").map(ChannelWay::Slack)
        }
        "webhook" => {
            known(&["url", "url_file", "key", "key_file"]);
            let (url, keys) = (url(fields, "where the receiver listens"), keys(fields));
            Some(ChannelWay::Webhook { url: url?, keys: keys? })
        }
        "smtp" => {
            known(&["host", "port", "tls", "user", "password", "password_file", "from", "to"]);
            let (server, mail) = (server(fields), mailing(fields));
            Some(ChannelWay::Smtp { server: server?, mail: mail? })
        }
        "graph" => {
            known(&["from", "to", "root"]);
            let (mail, root) = (mailing(fields), root(fields));
            Some(ChannelWay::Graph { mail: mail?, root: root? })
        }
        _ => fields.wrong("kind", "must be \"smtp\", \"teams\", \"slack\", \"webhook\" or \"graph\""),
    }
}

fn url(fields: &Fields<'_>, what: &str) -> Option<SecretUrl> {
    let text = fields.required_secret("url", what)?;
    match SecretUrl::parse(text.expose_secret()) {
        Ok(url) => Some(url),
        Err(rule) => fields.wrong("url", rule),
    }
}

fn keys(fields: &Fields<'_>) -> Option<Vec<WebhookKey>> {
    let Some(text) = fields.secret("key") else { return Some(Vec::new()) };
    let parts =
        text.expose_secret().split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
    let keys: Option<Vec<_>> = parts.map(WebhookKey::parse).collect();
    keys.filter(|keys| !keys.is_empty()).or_else(|| {
        let rule = "must be whsec_ and base64 of 24 to 64 bytes; several, while the receiver changes its own, with blanks \
                    between them. Make one with: echo whsec_$(openssl rand -base64 32)";
        fields.wrong("key", rule)
    })
}

#[expect(clippy::option_option, reason = "the outer one says that all is well, as everywhere here")]
fn root(fields: &Fields<'_>) -> Option<Option<Url>> {
    let Some(text) = fields.text("root") else { return Some(None) };
    match SecretUrl::parse(text) {
        Ok(url) => Some(Some(url.expose().clone())),
        Err(rule) => fields.wrong("root", rule),
    }
}

fn server(fields: &Fields<'_>) -> Option<SmtpServer> {
    let host = fields.required("host", "the name of the mail server, such as smtp.office365.com");
    let host = host.and_then(|host| {
        let fits = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        let fits = fits && !host.contains("//");
        fits.then_some(host)
            .or_else(|| fields.wrong("host", "must be the name of a server, without port and scheme"))
    });
    let tls = match fields.choice("tls", &TLS)? {
        "none" if host.is_some_and(|host| !is_on_this_machine(host)) => fields
            .wrong("tls", "must be \"starttls\" or \"tls\"; plain text is accepted for this machine only"),
        "none" => Some(SmtpTls::None),
        "tls" => Some(SmtpTls::Tls),
        _ => Some(SmtpTls::StartTls),
    };
    let port = match tls {
        Some(SmtpTls::Tls) => 465,
        Some(SmtpTls::None) => 25,
        Some(SmtpTls::StartTls) | None => 587,
    };
    let (port, auth) = (fields.port("port", port), auth(fields));
    Some(SmtpServer { host: host?.into(), port: port?, tls: tls?, auth: auth? })
}

/// With a password by it, with a user alone by a token.
fn auth(fields: &Fields<'_>) -> Option<SmtpAuth> {
    let (user, password) = (fields.text("user"), fields.secret("password"));
    match (user, password) {
        (None, None) => Some(SmtpAuth::None),
        (Some(user), Some(password)) => Some(SmtpAuth::Password(user.into(), password)),
        (Some(user), None) => Some(SmtpAuth::Token(user.into())),
        (None, Some(_)) => fields.wrong("user", "is required beside a password"),
    }
}

fn mailing(fields: &Fields<'_>) -> Option<Mailing> {
    const RULE: &str = "must be an address such as contactsync@example.org";
    let from = fields.required("from", "the address that messages come from");
    let from = from.and_then(|from| is_address(from).then_some(from).or_else(|| fields.wrong("from", RULE)));
    let to = fields.texts("to");
    if to.is_empty() {
        fields.wrong::<()>("to", "is required: the addresses of those who are told, as a list in brackets");
    }
    if to.len() > 50 {
        fields.wrong::<()>("to", "must not have more than 50 addresses; name a mailing list");
    }
    if to.iter().any(|to| !is_address(to)) {
        fields.wrong::<()>("to", RULE);
    }
    Some(Mailing { from: from?.into(), to: to.into_iter().map(Into::into).collect() })
}

/// Whether it is a plain address of one mailbox, which cannot begin another header or command.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom = |part: &str, also: &[u8]| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || also.contains(&b);
        !part.is_empty()
            && part.bytes().all(fits)
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.contains("..")
    };
    text.len() <= 254 && atom(local, b".!#$%&'*+/=?^_`{|}~-") && local.len() <= 64 && atom(domain, b".-")
}
