//! Connection strings, as the portal hands them out.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;

use super::sas::SasKey;
use super::stored::StoredCredential;
use super::token::{FixedToken, TokenSource};

/// Port of AMQP inside TLS.
const TLS_PORT: u16 = 5671;
/// Port of a web socket inside TLS.
const WEB_SOCKET_PORT: u16 = 443;
/// Port of AMQP without TLS, which only a local emulator speaks.
const PLAIN_PORT: u16 = 5672;

/// Where a namespace lives and whether the way there is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// Whether TLS is used. Plain text is allowed to this machine only; the parser sees to it.
    pub tls: bool,
}

impl Endpoint {
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
            other => Err(ConnectionStringError::Scheme(other.into())),
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
            return Err(ConnectionStringError::PlainTextToRemoteHost(endpoint.host));
        }
        Ok(endpoint)
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), ConnectionStringError> {
    let bad_host = || ConnectionStringError::Endpoint(authority.into());
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad_host)?;
        (host, rest.strip_prefix(':'))
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() || host.contains(['@', ' ']) {
        return Err(bad_host());
    }
    let port = match port {
        None => None,
        Some(digits) => Some(digits.parse().map_err(|_| bad_host())?),
    };
    Ok((host, port))
}

/// How we prove who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A shared access rule with its key.
    Key(SasKey),
    /// A signature made by somebody else.
    Signature(SecretString),
    /// Either of them, in a file that may be replaced.
    Stored(StoredCredential),
}

impl Credential {
    /// The credential itself, as it was read first if it stands in a file.
    #[must_use]
    pub fn first(&self) -> &Self {
        match self {
            Self::Stored(stored) => stored.first(),
            Self::Key(_) | Self::Signature(_) => self,
        }
    }

    /// The tokens it gives.
    #[must_use]
    pub fn source(&self) -> Arc<dyn TokenSource> {
        match self {
            Self::Key(key) => Arc::new(key.clone()),
            Self::Signature(signature) => Arc::new(FixedToken::new(signature.clone())),
            Self::Stored(stored) => Arc::new(stored.clone()),
        }
    }
}

/// A parsed connection string.
#[derive(Clone, Debug)]
pub struct ConnectionString {
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What to prove ourselves with.
    pub credential: Credential,
    /// The queue, if the string is for one.
    pub entity_path: Option<Box<str>>,
    /// Whether the string names the local emulator.
    pub emulator: bool,
}

/// What is wrong with a connection string. Never holds a part of it that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// A part has no `=`.
    #[error("part {0} of the connection string is not of the form Name=Value")]
    Part(usize),
    /// A name that we do not know.
    #[error(
        "the connection string has an unknown part {0:?}; known are Endpoint, SharedAccessKeyName, SharedAccessKey, \
         SharedAccessSignature, EntityPath and UseDevelopmentEmulator"
    )]
    Unknown(Box<str>),
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
    #[error("the endpoint {0:?} is not a host name with an optional port")]
    Endpoint(Box<str>),
    /// The endpoint has a scheme of something else.
    #[error("the endpoint has scheme {0:?}; use sb://, or amqp:// for an emulator on this machine")]
    Scheme(Box<str>),
    /// Plain text would leave this machine.
    #[error("{0} would be reached without tls; plain text is allowed to this machine only")]
    PlainTextToRemoteHost(Box<str>),
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
        let pieces = text.split(';').map(str::trim).filter(|piece| !piece.is_empty());
        for (index, piece) in pieces.enumerate() {
            // Only the first `=` parts name and value: keys and signatures end in some of their own.
            let (name, value) = piece.split_once('=').ok_or(ConnectionStringError::Part(index + 1))?;
            let (slot, name) = match name.trim().to_ascii_lowercase().as_str() {
                "endpoint" => (&mut parts.endpoint, "Endpoint"),
                "sharedaccesskeyname" => (&mut parts.key_name, "SharedAccessKeyName"),
                "sharedaccesskey" => (&mut parts.key, "SharedAccessKey"),
                "sharedaccesssignature" => (&mut parts.signature, "SharedAccessSignature"),
                "entitypath" => (&mut parts.entity_path, "EntityPath"),
                "usedevelopmentemulator" => (&mut parts.emulator, "UseDevelopmentEmulator"),
                _ => return Err(ConnectionStringError::Unknown(name.trim().into())),
            };
            if slot.replace(value.trim()).is_some() {
                return Err(ConnectionStringError::Twice(name));
            }
        }
        Ok(parts)
    }

    fn credential(&self) -> Result<Credential, ConnectionStringError> {
        match (self.key, self.signature) {
            (Some(_), Some(_)) => Err(ConnectionStringError::TwoCredentials),
            (None, Some(signature)) => Ok(Credential::Signature(SecretString::from(signature))),
            (None, None) => Err(ConnectionStringError::Missing("SharedAccessKey")),
            (Some(key), None) => {
                let name = self.key_name.ok_or(ConnectionStringError::Missing("SharedAccessKeyName"))?;
                Ok(Credential::Key(SasKey { name: name.into(), key: SecretString::from(key) }))
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
        let endpoint = if emulator { Endpoint::parse_emulator(url)? } else { Endpoint::parse(url)? };
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
    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn check_endpoint(text: &str, host: &str, port: u16, tls: bool) {
        let parsed =
            ConnectionString::parse(&format!("Endpoint={text};SharedAccessKeyName=n;SharedAccessKey=k"));
        assert_eq!(parsed.expect(text).endpoint, Endpoint { host: host.into(), port, tls });
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
        let Credential::Key(key) = parsed.credential else { panic!("a key was given") };
        assert_eq!((&*key.name, key.key.expose_secret()), ("worker", "c2VjcmV0+/="));
    }

    #[test]
    fn the_string_of_the_emulator_means_plain_text_to_this_machine() {
        let text = "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;\
                    SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;";
        let parsed = ConnectionString::parse(text).expect("parses");
        assert!(parsed.emulator);
        assert_eq!(parsed.endpoint, Endpoint { host: "localhost".into(), port: 5672, tls: false });
        let parsed = ConnectionString::parse(&text.replace("localhost", "127.0.0.1:7777")).expect("parses");
        assert_eq!(parsed.endpoint, Endpoint { host: "127.0.0.1".into(), port: 7777, tls: false });
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
        let Credential::Signature(signature) = parsed.credential else { panic!("a signature was given") };
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
            "the connection string has an unknown part \"Key\"; known are Endpoint, SharedAccessKeyName, \
             SharedAccessKey, SharedAccessSignature, EntityPath and UseDevelopmentEmulator",
        );
        check_error(
            &format!("Endpoint=sb://ns;{key};SharedAccessSignature=s3cret"),
            "the connection string has both a SharedAccessKey and a SharedAccessSignature; leave one",
        );
        check_error(
            &format!("Endpoint=https://ns;{key}"),
            "the endpoint has scheme \"https\"; use sb://, or amqp:// for an emulator on this machine",
        );
        check_error(
            &format!("Endpoint=sb://ns:port;{key}"),
            "the endpoint \"ns:port\" is not a host name with an optional port",
        );
        for endpoint in ["sb://ns.example;UseDevelopmentEmulator=true", "amqp://ns.example"] {
            check_error(
                &format!("Endpoint={endpoint};{key}"),
                "ns.example would be reached without tls; plain text is allowed to this machine only",
            );
        }
    }
}
