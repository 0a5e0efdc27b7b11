//! Connection strings.

use servicebus::{ConnectionString, ConnectionStringError};

use crate::{shown_runs, texts, told};

/// Names that may be told, and the example of a host. None is the beginning of one behind it.
const NAMES: [&str; 7] = [
    "contoso.servicebus.windows.net",
    "SharedAccessKeyName",
    "SharedAccessSignature",
    "UseDevelopmentEmulator",
    "SharedAccessKey",
    "EntityPath",
    "Endpoint",
];

/// Each error there is. Its words are ours, and a connection string may hold the same.
const ERRORS: [ConnectionStringError; 11] = [
    ConnectionStringError::KeyAlone,
    ConnectionStringError::Part(1),
    ConnectionStringError::Unknown { part: 1, near: None },
    ConnectionStringError::Unknown { part: 1, near: Some("EntityPath") },
    ConnectionStringError::Twice("EntityPath"),
    ConnectionStringError::Missing("EntityPath"),
    ConnectionStringError::TwoCredentials,
    ConnectionStringError::Endpoint,
    ConnectionStringError::Scheme,
    ConnectionStringError::Misplaced,
    ConnectionStringError::PlainTextToRemoteHost,
];

/// Whatever is wrong with it, nothing of it is shown; and no key is, where nothing is wrong.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match ConnectionString::parse(&text) {
        Ok(parsed) => {
            let endpoint = &parsed.endpoint;
            assert!(endpoint.tls || endpoint.is_loopback(), "plain text to somebody else's machine");
            assert!(!endpoint.host.is_empty());
            let shown = format!("{:?}", parsed.credential);
            for piece in
                text.split(';').filter(|piece| piece.to_ascii_lowercase().contains("sharedaccesskey="))
            {
                let key = piece.split_once('=').map_or("", |(_, key)| key).trim();
                // A name may be shown, and can be made of the key.
                let only = key.len() >= 8 && text.matches(key).count() == 1;
                assert!(!only || !shown.contains(key), "a key is shown");
            }
        }
        Err(error) => {
            let words = words(&error);
            let shown = shown_runs(&text, &words, 20).find(|run| !is_ours(run));
            assert!(shown.is_none(), "{shown:?} is shown by: {words}");
        }
    }
}

/// What an error tells, without the names in it and without the number of the part.
fn words(error: &ConnectionStringError) -> String {
    let told = NAMES.iter().fold(told(error), |words, name| words.replace(name, "\0"));
    match error {
        ConnectionStringError::Part(part) | ConnectionStringError::Unknown { part, .. } => {
            told.replace(&format!("part {part} "), "part \0 ")
        }
        _ => told,
    }
}

fn is_ours(run: &str) -> bool {
    ERRORS.iter().any(|error| words(error).contains(run))
}

/// What the portal hands out, and what people make of it.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=worker;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0+/=;EntityPath=contacts",
        "Endpoint=sb://localhost;SharedAccessKeyName=Root;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;",
        "endpoint=sb://ns;sharedaccesssignature=SharedAccessSignature sr=a&sig=b&se=1&skn=c",
        "amqp://[::1]:1234",
        "Endpoint=sb://ns;SharedAccessKeyName=the connection string has no SharedAccessKey",
        "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=",
        "Endpoint=sb://ns;part 2 of the connection string is not of the form",
    ])
}
