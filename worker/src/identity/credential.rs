//! Who the worker is: an app registration with one of several proofs, or a managed identity.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use reqwest::Url;
use secrecy::SecretString;

use super::{CertificateFiles, Error};
use crate::text_file;

/// Who the worker is, and where it proves it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Login host: `https://login.microsoftonline.com` or that of another cloud.
    pub authority: Url,
    /// The proof.
    pub credential: Credential,
    /// Host of the instance metadata service in place of 169.254.169.254, if the machine says so.
    pub metadata_host: Option<Url>,
    /// When the client secret ends, if somebody has said so.
    pub secret_ends: Option<Timestamp>,
}

impl Identity {
    /// When the proof ends: the secret's end as it was told, or the certificate's as it stands in its file now. `None` where
    /// that is not known, or there is nothing that ends.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        match &self.credential {
            Credential::Secret { .. } => self.secret_ends,
            // A file that cannot be read is told by the requests for tokens.
            Credential::Certificate { files, .. } => files.ends().ok().flatten(),
            Credential::Workload { .. } | Credential::Managed { .. } => None,
        }
    }
}

/// An app registration in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Id or domain of the tenant that issues the token.
    pub tenant: Box<str>,
    /// Application id.
    pub client_id: Box<str>,
}

/// By what the worker proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret {
        /// Whose.
        app: App,
        /// Its value, or where it stands.
        secret: SecretSource,
    },
    /// A certificate, with whose key assertions are signed.
    Certificate {
        /// Whose.
        app: App,
        /// Where it stands.
        files: CertificateFiles,
    },
    /// A token of an outside issuer, such as the cluster the worker runs in.
    Workload {
        /// Who trusts the issuer.
        app: App,
        /// Where the token stands. Whoever puts it there replaces it from time to time.
        token_file: PathBuf,
    },
    /// The identity of the machine.
    Managed {
        /// Which one.
        identity: ManagedIdentity,
        /// The app registration, possibly of another tenant, that trusts it; none if it acts for itself.
        app: Option<App>,
    },
}

/// Which of the identities of the machine is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedIdentity {
    /// The one that was made with the machine.
    System,
    /// A user-assigned one, by its client id.
    Client(Box<str>),
    /// A user-assigned one, by the object id of its service principal.
    Object(Box<str>),
    /// A user-assigned one, by its resource id.
    Resource(Box<str>),
}

/// A secret, or the file that holds it.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The secret itself.
    Value(SecretString),
    /// A file, read anew for each use.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now.
    pub(super) fn read(&self) -> Result<SecretString, Error> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => read_token(path, "the client secret").map(SecretString::from),
        }
    }
}

/// The value in a small file. Read on the spot: it is a few bytes, from memory as a rule, once an hour.
pub(super) fn read_token(path: &Path, what: &str) -> Result<String, Error> {
    text_file::read(path).map_err(|error| match error {
        text_file::Error::Unreadable(cause) => {
            Error::settings(format!("{what} cannot be read from {}", path.display()), Some(cause.into()))
        }
        error => Error::settings(format!("{what} in {} {error}", path.display()), None),
    })
}

impl Credential {
    /// The app registration, if there is one.
    #[must_use]
    pub fn app(&self) -> Option<&App> {
        match self {
            Self::Secret { app, .. } | Self::Certificate { app, .. } | Self::Workload { app, .. } => {
                Some(app)
            }
            Self::Managed { app, .. } => app.as_ref(),
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self {
            Self::Secret { .. } => "by client secret",
            Self::Certificate { .. } => "by certificate",
            Self::Workload { .. } => "by workload identity",
            Self::Managed { .. } => "by managed identity",
        };
        match self.app() {
            Some(App { tenant, client_id }) => write!(f, "app {client_id} in tenant {tenant} {how}"),
            None => write!(f, "the machine {how}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_in_a_file_is_read_anew_each_time() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let source = SecretSource::File(file.path().to_owned());
        for (text, secret) in [("first", "first"), ("\u{feff}second\r\n", "second")] {
            std::fs::write(file.path(), text).expect("written");
            assert_eq!(source.read().expect("readable").expose_secret(), secret);
        }
        std::fs::write(file.path(), "\n").expect("written");
        let error = source.read().expect_err("empty");
        assert_eq!(
            error.to_string(),
            format!("the client secret in {} is empty; write the value into it", file.path().display())
        );
        assert!(!format!("{source:?} {:?}", SecretSource::Value("s3cret".into())).contains("s3cret"));
    }
}
