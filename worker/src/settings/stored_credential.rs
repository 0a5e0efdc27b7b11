//! A connection string in a file that may be replaced while the worker runs: read anew for every token.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use servicebus::{
    Cause, ConnectionString, Error, NamespaceCredential, NamespaceEndpoint, Token, TokenSource,
};

use crate::text_file;

/// The credential of a connection string, and the file in which the next one will stand.
#[derive(Clone, Debug)]
pub struct StoredCredential {
    file: PathBuf,
    endpoint: NamespaceEndpoint,
    first: Box<NamespaceCredential>,
}

impl StoredCredential {
    /// The credential that was read from `file` first, for the namespace at `endpoint`.
    #[must_use]
    pub fn new(file: &Path, endpoint: NamespaceEndpoint, first: NamespaceCredential) -> Self {
        Self { file: file.to_owned(), endpoint, first: Box::new(first) }
    }

    /// The credential as it was read first.
    #[must_use]
    pub fn first(&self) -> &NamespaceCredential {
        &self.first
    }

    /// The credential as it stands in the file now. Read on the spot: it is a few bytes, once for a token.
    fn read(&self) -> Result<NamespaceCredential, Error> {
        let unusable = |what: &str, cause: Option<Cause>| Error::Settings {
            what: format!("the connection string in {} {what}", self.file.display()).into(),
            cause,
        };
        let text = text_file::read(&self.file).map_err(|error| match error {
            text_file::Error::Unreadable(cause) => unusable("cannot be read", Some(cause.into())),
            error => unusable(&error.to_string(), None),
        })?;
        let parsed =
            ConnectionString::parse(&text).map_err(|cause| unusable("cannot be used", Some(cause.into())))?;
        if parsed.endpoint != self.endpoint {
            return Err(unusable("is for another namespace now; restart contactsync to go there", None));
        }
        Ok(parsed.credential)
    }
}

#[async_trait]
impl TokenSource for StoredCredential {
    async fn token(&self, resource: &str, now: Timestamp) -> Result<Token, Error> {
        self.read()?.source().token(resource, now).await
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const FIRST: &str = "Endpoint=sb://ns.example;SharedAccessKeyName=worker;SharedAccessKey=s3cret";

    async fn token_of(text: &str) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let parsed = ConnectionString::parse(FIRST).expect("parses");
        let stored = StoredCredential::new(file.path(), parsed.endpoint, parsed.credential);
        let told = stored.token("sb://ns.example/q", Timestamp::UNIX_EPOCH).await;
        let path = file.path().display().to_string();
        told.map(|token| token.secret.expose_secret().to_owned())
            .map_err(|error| shared::reason::chain(&error).replace(&path, "FILE"))
    }

    #[tokio::test]
    async fn every_token_is_signed_with_the_key_that_stands_in_the_file_then() {
        let first = token_of(&format!("{FIRST}\n")).await.expect("a token");
        let second = token_of(&FIRST.replace("s3cret", "next")).await.expect("a token");
        let marked = token_of(&format!("\u{feff} {FIRST}\r\n")).await.expect("a token");
        assert_eq!(first, marked, "what an editor adds is no part of the key");
        assert_ne!(first, second);
        assert!(first.contains("skn=worker"), "{first}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_told_without_its_text() {
        for (text, expected) in [
            ("\u{feff}\r\n", "the connection string in FILE is empty; write the value into it"),
            (
                "Endpoint=sb://ns.example;s3cret",
                "the connection string in FILE cannot be used: part 2 of the connection string is not of the form \
                 Name=Value",
            ),
            (
                "Endpoint=sb://other.example;SharedAccessKeyName=worker;SharedAccessKey=s3cret",
                "the connection string in FILE is for another namespace now; restart contactsync to go there",
            ),
        ] {
            assert_eq!(token_of(text).await, Err(expected.to_owned()));
        }
    }
}
