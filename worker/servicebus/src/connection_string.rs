//! Connection strings, as the portal hands them out.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use secrecy::SecretString;

use super::{
    sas::SasKey,
    token::{FixedToken, TokenSource},
};

/// Port of AMQP inside TLS.
const TLS_PORT: u16 = 5671;
/// Port of a web socket inside TLS.
const WEB_SOCKET_PORT: u16 = 443;
/// Port of AMQP without TLS, which only a local emulator speaks.
const PLAIN_PORT: u16 = 5672;

/// Where a namespace lives and whether the way there is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceEndpoint {
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// Whether TLS is used. Plain text is allowed to this machine only; the parser sees to it.
    pub tls: bool,
}

impl NamespaceEndpoint {
    /// `host:port`, for messages.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = &*self.host;
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The same for AMQP inside a WebSocket, whose usual port is that of https.
    #[must_use]
    pub fn for_web_socket(self) -> Self {
        let port = if self.tls && self.port == TLS_PORT { WEB_SOCKET_PORT } else { self.port };
        Self { port, ..self }
    }

    /// Reads a host name or URL: `name.servicebus.windows.net`, `sb://…`, `amqps://…`, or `amqp://…` for plain
    /// text to this machine.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("sb", text));
        match scheme.to_ascii_lowercase().as_str() {
            "sb" | "amqps" => Self::read(rest, true),
            "amqp" => Self::read(rest, false),
            _ if text.contains(';') => Err(ConnectionStringError::Misplaced),
            _ => Err(ConnectionStringError::Scheme),
        }
    }

    /// Reads the endpoint of an emulator: whatever its scheme, it speaks plain text.
    fn parse_emulator(text: &str) -> Result<Self, ConnectionStringError> {
        Self::parse(text)?;
        Self::read(text.split_once("://").map_or(text, |(_, rest)| rest), false)
    }

    fn read(rest: &str, tls: bool) -> Result<Self, ConnectionStringError> {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(if tls { TLS_PORT } else { PLAIN_PORT });
        let endpoint = Self { host: host.into(), port, tls };
        if !tls && !endpoint.is_loopback() {
            return Err(ConnectionStringError::PlainTextToRemoteHost);
        }
        Ok(endpoint)
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), ConnectionStringError> {
    let bad_host = || ConnectionStringError::Endpoint;
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad_host)?;
        host.parse::<Ipv6Addr>().map_err(|_| bad_host())?;
        (host, rest.strip_prefix(':'))
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if !is_host(host) {
        return Err(bad_host());
    }
    let port = match port {
        None => None,
        Some(digits) => Some(digits.parse().map_err(|_| bad_host())?),
    };
    Ok((host, port))
}

/// Whether a text is a name or an address. The host is told in errors and logs, so nothing else passes for one: a key
/// that was pasted in its place is base64 as a rule, which has signs that no host has.
fn is_host(host: &str) -> bool {
    let part = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    (name.len() <= 253 && name.split('.').all(part)) || host.parse::<Ipv6Addr>().is_ok()
}

/// How we prove who we are.
#[derive(Clone, Debug)]
pub enum NamespaceCredential {
    /// A shared access rule with its key.
    Key(SasKey),
    /// A signature made by somebody else.
    Signature(SecretString),
}

impl NamespaceCredential {
    /// The tokens it gives.
    #[must_use]
    pub fn source(&self) -> Arc<dyn TokenSource> {
        match self {
            Self::Key(key) => Arc::new(key.clone()),
            Self::Signature(signature) => Arc::new(FixedToken::new(signature.clone())),
        }
    }
}

/// A parsed connection string.
#[derive(Clone, Debug)]
pub struct ConnectionString {
    /// Where to connect to.
    pub endpoint: NamespaceEndpoint,
    /// What to prove ourselves with.
    pub credential: NamespaceCredential,
    /// The queue, if the string is for one.
    pub entity_path: Option<Box<str>>,
    /// Whether the string names the local emulator.
    pub emulator: bool,
}

/// The names that a part may have.
const NAMES: [&str; 6] = [
    "Endpoint",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "SharedAccessSignature",
    "EntityPath",
    "UseDevelopmentEmulator",
];

/// What is wrong with a connection string. Never holds a part of it: any of them may be a key that was pasted in the
/// place of something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// It is one word, and none of the names.
    #[error(
        "that is no connection string; a key alone says neither where to go nor whose it is: copy the connection string \
         of the rule, which begins with Endpoint="
    )]
    KeyAlone,
    /// A part has no `=`.
    #[error("part {0} of the connection string is not of the form Name=Value")]
    Part(usize),
    /// A name that we do not know, and a known one that is like it.
    #[error("part {part} of the connection string has an unknown name{}; known are {}", Meant(*near), NAMES.join(", "))]
    Unknown {
        /// Which part.
        part: usize,
        /// What may be meant.
        near: Option<&'static str>,
    },
    /// A name that stands twice.
    #[error("the connection string names {0} twice")]
    Twice(&'static str),
    /// A part that must be there.
    #[error("the connection string has no {0}")]
    Missing(&'static str),
    /// Key and signature at once.
    #[error("the connection string has both a SharedAccessKey and a SharedAccessSignature; leave one")]
    TwoCredentials,
    /// The endpoint is no host.
    #[error("the endpoint is not a host name with an optional port, such as contoso.servicebus.windows.net")]
    Endpoint,
    /// The endpoint has a scheme of something else.
    #[error("the endpoint has another scheme; use sb://, or amqp:// for an emulator on this machine")]
    Scheme,
    /// A whole connection string where a host is wanted.
    #[error("that is a connection string, not a host name")]
    Misplaced,
    /// Plain text would leave this machine.
    #[error("the endpoint would be reached without tls; plain text is allowed to this machine only")]
    PlainTextToRemoteHost,
}

/// What may be meant.
struct Meant(Option<&'static str>);

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, " (did you mean {name}?)"))
    }
}

/// The known name that is most like this one.
fn near(name: &str) -> Option<&'static str> {
    let likeness =
        |known: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), &known.to_ascii_lowercase());
    // No slip of a pen makes a name that long; what is longer is something else, and looking at it would take long.
    let close = NAMES.into_iter().filter(|known| name.len() <= 48 && likeness(known) > 0.8);
    close.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// The parts, before they are put together.
#[derive(Default)]
struct Parts<'a> {
    endpoint: Option<&'a str>,
    key_name: Option<&'a str>,
    key: Option<&'a str>,
    signature: Option<&'a str>,
    entity_path: Option<&'a str>,
    emulator: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, ConnectionStringError> {
        let mut parts = Self::default();
        let pieces: Vec<_> = text.split(';').map(str::trim).filter(|piece| !piece.is_empty()).collect();
        let alone = pieces.len() == 1;
        for (index, piece) in pieces.into_iter().enumerate() {
            // Only the first `=` parts name and value: keys and signatures end in some of their own.
            let part = index + 1;
            let Some((name, value)) = piece.split_once('=') else {
                return Err(if alone {
                    ConnectionStringError::KeyAlone
                } else {
                    ConnectionStringError::Part(part)
                });
            };
            let (slot, name) = match name.trim().to_ascii_lowercase().as_str() {
                "endpoint" => (&mut parts.endpoint, "Endpoint"),
                "sharedaccesskeyname" => (&mut parts.key_name, "SharedAccessKeyName"),
                "sharedaccesskey" => (&mut parts.key, "SharedAccessKey"),
                "sharedaccesssignature" => (&mut parts.signature, "SharedAccessSignature"),
                "entitypath" => (&mut parts.entity_path, "EntityPath"),
                "usedevelopmentemulator" => (&mut parts.emulator, "UseDevelopmentEmulator"),
                name => {
                    let near = near(name);
                    let is_key = alone && near.is_none();
                    let unknown = ConnectionStringError::Unknown { part, near };
                    return Err(if is_key { ConnectionStringError::KeyAlone } else { unknown });
                }
            };
            if slot.replace(value.trim()).is_some() {
                return Err(ConnectionStringError::Twice(name));
            }
        }
        Ok(parts)
    }

    fn credential(&self) -> Result<NamespaceCredential, ConnectionStringError> {
        match (self.key, self.signature) {
            (Some(_), Some(_)) => Err(ConnectionStringError::TwoCredentials),
            (None, Some(signature)) => Ok(NamespaceCredential::Signature(SecretString::from(signature))),
            (None, None) => Err(ConnectionStringError::Missing("SharedAccessKey")),
            (Some(key), None) => {
                let name = self.key_name.ok_or(ConnectionStringError::Missing("SharedAccessKeyName"))?;
                Ok(NamespaceCredential::Key(SasKey { name: name.into(), key: SecretString::from(key) }))
            }
        }
    }
}

impl ConnectionString {
    /// Takes a connection string apart. Names may be written in any case; an empty part at the end is forgiven.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let parts = Parts::read(text)?;
        let url = parts.endpoint.ok_or(ConnectionStringError::Missing("Endpoint"))?;
        let emulator = parts.emulator.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint =
            if emulator { NamespaceEndpoint::parse_emulator(url)? } else { NamespaceEndpoint::parse(url)? };
        let entity_path = parts
            .entity_path
            .map(|path| path.trim_matches('/'))
            .filter(|path| !path.is_empty())
            .map(Into::into);
        Ok(Self { endpoint, credential: parts.credential()?, entity_path, emulator })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn check_endpoint(text: &str, host: &str, port: u16, tls: bool) {
        let parsed =
            ConnectionString::parse(&format!("Endpoint={text};SharedAccessKeyName=n;SharedAccessKey=k"));
        assert_eq!(parsed.expect(text).endpoint, NamespaceEndpoint { host: host.into(), port, tls });
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = ConnectionString::parse(text).expect_err(text);
        assert_eq!(error.to_string(), expected);
        assert!(!error.to_string().contains("s3cret"), "no secret in {error}");
    }

    #[test]
    fn the_string_of_the_portal_is_taken_apart() {
        let parsed = ConnectionString::parse(
            "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=worker;\
             SharedAccessKey=c2VjcmV0+/=;EntityPath=contact-changes",
        )
        .expect("parses");
        assert_eq!(parsed.endpoint.authority(), "contoso.servicebus.windows.net:5671");
        assert!(parsed.endpoint.tls);
        assert_eq!(parsed.entity_path.as_deref(), Some("contact-changes"));
        assert!(!parsed.emulator);
        let NamespaceCredential::Key(key) = parsed.credential else { panic!("a key was given") };
        assert_eq!((&*key.name, key.key.expose_secret()), ("worker", "c2VjcmV0+/="));
    }

    #[test]
    fn the_string_of_the_emulator_means_plain_text_to_this_machine() {
        let text = "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;\
                    SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;";
        let parsed = ConnectionString::parse(text).expect("parses");
        assert!(parsed.emulator);
        assert_eq!(parsed.endpoint, NamespaceEndpoint { host: "localhost".into(), port: 5672, tls: false });
        let parsed = ConnectionString::parse(&text.replace("localhost", "127.0.0.1:7777")).expect("parses");
        assert_eq!(parsed.endpoint, NamespaceEndpoint { host: "127.0.0.1".into(), port: 7777, tls: false });
    }

    #[test]
    fn endpoints_may_carry_a_port_and_other_schemes() {
        check_endpoint("sb://ns.example/", "ns.example", 5671, true);
        check_endpoint("ns.example", "ns.example", 5671, true);
        check_endpoint("AMQPS://ns.example:9999/path?query", "ns.example", 9999, true);
        check_endpoint("amqp://localhost", "localhost", 5672, false);
        check_endpoint("amqp://[::1]:1234", "::1", 1234, false);
        check_endpoint("amqp://127.0.0.9", "127.0.0.9", 5672, false);
    }

    #[test]
    fn a_signature_may_stand_in_place_of_a_key() {
        let parsed = ConnectionString::parse(
            "endpoint=sb://ns;sharedaccesssignature=SharedAccessSignature sr=a&sig=b",
        )
        .expect("parses");
        let NamespaceCredential::Signature(signature) = parsed.credential else {
            panic!("a signature was given")
        };
        assert_eq!(signature.expose_secret(), "SharedAccessSignature sr=a&sig=b");
    }

    #[test]
    fn a_secret_does_not_show_when_printed() {
        let text = "Endpoint=sb://ns;SharedAccessKeyName=n;SharedAccessKey=s3cret";
        assert!(!format!("{:?}", ConnectionString::parse(text)).contains("s3cret"));
    }

    #[test]
    fn mistakes_are_named() {
        let key = "SharedAccessKeyName=n;SharedAccessKey=s3cret";
        check_error(key, "the connection string has no Endpoint");
        check_error(
            "Endpoint=sb://ns;SharedAccessKey=s3cret",
            "the connection string has no SharedAccessKeyName",
        );
        check_error("Endpoint=sb://ns", "the connection string has no SharedAccessKey");
        check_error(
            "Endpoint=sb://ns;s3cret",
            "part 2 of the connection string is not of the form Name=Value",
        );
        check_error(
            &format!("Endpoint=sb://ns;{key};{key}"),
            "the connection string names SharedAccessKeyName twice",
        );
        check_error(
            &format!("Endpoint=sb://ns;{key};Key=s3cret"),
            "part 4 of the connection string has an unknown name; known are Endpoint, SharedAccessKeyName, \
             SharedAccessKey, SharedAccessSignature, EntityPath, UseDevelopmentEmulator",
        );
        check_error(
            "Endpoint=sb://ns;SharedAccesKeyName=n;SharedAccessKey s3cret=",
            "part 2 of the connection string has an unknown name (did you mean SharedAccessKeyName?); known are \
             Endpoint, SharedAccessKeyName, SharedAccessKey, SharedAccessSignature, EntityPath, \
             UseDevelopmentEmulator",
        );
        for key in ["s3cret", "s3cret=", "s3cret+/s3cret==;", "sb://ns/s3cret="] {
            check_error(key, &ConnectionStringError::KeyAlone.to_string());
        }
        check_error(
            &format!("Endpoint=sb://ns;{key};SharedAccessSignature=s3cret"),
            "the connection string has both a SharedAccessKey and a SharedAccessSignature; leave one",
        );
        check_error(
            &format!("Endpoint=https://ns;{key}"),
            "the endpoint has another scheme; use sb://, or amqp:// for an emulator on this machine",
        );
        for endpoint in ["sb://ns:port", "s3cret+/x=", "sb://me:s3cret@ns", "sb://s3cret=", "sb://[s3cret]"] {
            check_error(&format!("Endpoint={endpoint};{key}"), &ConnectionStringError::Endpoint.to_string());
        }
        for endpoint in ["sb://ns.example;UseDevelopmentEmulator=true", "amqp://ns.example"] {
            check_error(
                &format!("Endpoint={endpoint};{key}"),
                "the endpoint would be reached without tls; plain text is allowed to this machine only",
            );
        }
    }

    #[test]
    fn a_connection_string_in_the_place_of_a_namespace_is_not_repeated() {
        let text = "Endpoint=sb://ns.example/;SharedAccessKeyName=n;SharedAccessKey=s3cret=";
        assert_eq!(NamespaceEndpoint::parse(text), Err(ConnectionStringError::Misplaced));
    }

    /// Pieces of connection strings as people mix them up, and keys among them.
    fn anything() -> impl Strategy<Value = String> {
        let key = "[A-Za-z0-9+/]{12,60}={0,2}";
        let word = prop_oneof![
            key.boxed(),
            "(Endpoint|SharedAccessKeyName|sharedAccesskey|SharedAccessSignature|EntityPath|Shared)[= ]?"
                .boxed(),
            "(sb|amqp|amqps|https)://".boxed(),
            "[=;:/@ \\[\\].\n]".boxed(),
            any::<String>().boxed(),
        ];
        prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn no_error_shows_a_part_of_what_was_pasted(text in anything()) {
            let errors = [ConnectionString::parse(&text).err(), NamespaceEndpoint::parse(&text).err()];
            for told in errors.into_iter().flatten().map(|error| format!("{error} {error:?}")) {
                // What is ours to say may be in the text as well.
                let told = NAMES.iter().fold(told, |told, name| told.replace(name, ""));
                let pasted: Vec<_> = text.chars().collect();
                for run in pasted.windows(12).map(|run| run.iter().collect::<String>()) {
                    prop_assert!(!told.contains(&run), "{run:?} is in {told:?}");
                }
            }
        }
    }
}
