//! Connection strings.

use worker::bus::ConnectionString;

use crate::{shown_run, texts, told};

/// Names that may be told, and the example of a host.
const KNOWN: [&str; 7] = [
    "contoso.servicebus.windows.net",
    "Endpoint",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "SharedAccessSignature",
    "EntityPath",
    "UseDevelopmentEmulator",
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
                assert!(key.len() < 8 || !shown.contains(key), "a key is shown");
            }
        }
        Err(error) => {
            let words = told(&error);
            let rest = KNOWN.iter().fold(words.clone(), |words, name| words.replace(name, ""));
            let shown = shown_run(&text, &rest, 20);
            assert!(shown.is_none(), "{shown:?} is shown by: {words}");
        }
    }
}

/// What the portal hands out, and what people make of it.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=worker;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0+/=;EntityPath=contacts",
        "Endpoint=sb://localhost;SharedAccessKeyName=Root;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;",
        "endpoint=sb://ns;sharedaccesssignature=SharedAccessSignature sr=a&sig=b&se=1&skn=c",
        "amqp://[::1]:1234",
        "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=",
    ])
}
