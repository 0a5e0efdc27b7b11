//! The key with which Dataverse sends to the queue.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use servicebus::{ConnectionString, NamespaceCredential};

use super::desired::{Desired, usual_authority};

/// Bytes of a key, which are 44 characters in base64.
const BYTES: usize = 32;

/// A shared access policy and its key, of which nobody but Dataverse is told.
#[derive(Clone, Debug)]
pub(crate) struct SendKey {
    pub name: Box<str>,
    pub key: SecretString,
}

/// Why a key cannot be used. Never holds a part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error(
        "the key is not one of 44 characters in base64, as the portal shows it; Dataverse takes no other"
    )]
    NoKey,
    #[error(
        "the name of the policy is missing: give the connection string of the policy, or its name with --key-name"
    )]
    NoName,
    #[error("the connection string holds a signature, and Dataverse needs the key of a policy")]
    Signature,
    #[error(
        "the connection string is for {theirs}, and Dataverse would post to {ours}; take that of this queue"
    )]
    Elsewhere { theirs: Box<str>, ours: Box<str> },
    #[error(transparent)]
    ConnectionString(#[from] servicebus::ConnectionStringError),
}

impl SendKey {
    /// A key that is shaped as Dataverse takes it.
    pub(crate) fn new(name: &str, key: &str) -> Result<Self, KeyProblem> {
        let fits = STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == BYTES);
        if !fits {
            return Err(KeyProblem::NoKey);
        }
        if name.is_empty() {
            return Err(KeyProblem::NoName);
        }
        Ok(Self { name: name.into(), key: SecretString::from(key.to_owned()) })
    }

    /// Reads what a file or variable holds: the connection string of a policy, or a key whose policy is named beside it.
    pub(crate) fn parse(text: &str, name: Option<&str>, desired: &Desired) -> Result<Self, KeyProblem> {
        let text = text.trim();
        if !text.contains(';') {
            return Self::new(name.unwrap_or_default(), text);
        }
        let parsed = ConnectionString::parse(text)?;
        let theirs = parsed.endpoint.authority();
        if !usual_authority(&theirs).eq_ignore_ascii_case(&desired.authority) {
            return Err(KeyProblem::Elsewhere { theirs: theirs.into(), ours: (*desired.authority).into() });
        }
        match parsed.entity_path {
            Some(path) if !path.eq_ignore_ascii_case(&desired.destination.entity) => {
                Err(KeyProblem::Elsewhere { theirs: path, ours: desired.destination.entity.clone() })
            }
            _ => match parsed.credential {
                NamespaceCredential::Key(key) => Self::new(&key.name, key.key.expose_secret()),
                NamespaceCredential::Signature(_) => Err(KeyProblem::Signature),
            },
        }
    }

    /// The key that the worker itself uses, if it uses one.
    pub(crate) fn of(credential: &NamespaceCredential) -> Result<Self, KeyProblem> {
        match credential {
            // It opens this queue, whatever it looks like.
            NamespaceCredential::Key(key) => Ok(Self { name: key.name.clone(), key: key.key.clone() }),
            NamespaceCredential::Signature(_) => Err(KeyProblem::Signature),
        }
    }
}

impl PartialEq for SendKey {
    /// By the name: keys are not compared, and nothing hangs on it.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SendKey {}

impl fmt::Display for SendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key of the policy {}", self.name)
    }
}
