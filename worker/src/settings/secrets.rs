//! Which settings hold secrets, and how a value is told to a person. The one list: what shows settings, what describes
//! them to editors and what finds fault with them ask here.

use std::borrow::Cow;

use toml::Value;

use super::{
    entry::SourcedValue,
    notify::{
        channel::{KEYS, SECRETS as OF_CHANNELS},
        variables::CHANNEL,
    },
};

/// A setting that is a secret from end to end.
pub(super) struct Secret {
    pub(super) key: &'static str,
    /// Whether a file that holds it is read anew while the worker runs, so that the secret can be replaced there.
    pub(super) read_anew: bool,
}

/// All of them.
pub(super) const SECRETS: [Secret; 6] = [
    Secret { key: "service_bus.connection_string", read_anew: true },
    Secret { key: "identity.client_secret", read_anew: true },
    Secret { key: "service_bus.identity.client_secret", read_anew: true },
    Secret { key: "dataverse.identity.client_secret", read_anew: true },
    Secret { key: "notify.identity.client_secret", read_anew: true },
    Secret { key: "telemetry.otlp_headers", read_anew: false },
];

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// Whether the whole value of a setting is a secret.
#[must_use]
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|secret| secret.key == key)
}

impl SourcedValue {
    /// The value as it may be told; `None` if nothing of it may. An empty one hides nothing.
    #[must_use]
    pub fn told(&self, key: &str) -> Option<Cow<'_, Value>> {
        if key == CHANNEL {
            return Some(Cow::Owned(channels(&self.value)));
        }
        let Some(text) = self.value.as_str() else { return Some(Cow::Borrowed(&self.value)) };
        if !text.is_empty() && (is_secret(key) || has_key(text)) {
            return None;
        }
        Some(match without_credentials(text) {
            Cow::Borrowed(_) => Cow::Borrowed(&self.value),
            Cow::Owned(text) => Cow::Owned(Value::String(text)),
        })
    }
}

/// The channels of `[notify]` without what opens them. What is no key of a channel may be a secret in the wrong place.
fn channels(list: &Value) -> Value {
    let mut list = list.clone();
    let tables = list.as_array_mut().into_iter().flatten().filter_map(Value::as_table_mut);
    for (key, value) in tables.flat_map(|table| table.iter_mut()) {
        let is_open = KEYS.contains(&key.as_str()) && !OF_CHANNELS.contains(&key.as_str());
        if !is_open || value.as_str().is_some_and(has_key) {
            *value = Value::String(HIDDEN.to_owned());
        }
    }
    list
}

/// Whether a text is a secret by its form, wherever it was put.
pub(super) fn has_key(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["sharedaccesskey=", "sharedaccesssignature", "private key-----"].iter().any(|mark| text.contains(mark))
}

/// An address without what stands there for a password, and without its query, which is where others put keys.
#[must_use]
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    // The last sign counts: what cannot be taken apart may have some inside of its password.
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    if user.is_none() && query.is_none() {
        return text.into();
    }
    let (user, query) = (user.map_or("", |_| "(hidden)@"), query.map_or("", |_| "?(hidden)"));
    format!("{scheme}://{user}{rest}{query}").into()
}

/// The same as text, as it stands in a file of settings.
#[must_use]
pub fn shown(key: &str, entry: &SourcedValue) -> String {
    entry.told(key).map_or_else(|| HIDDEN.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Parts, SettingOrigin};

    /// Words by which a name says that it is of a secret.
    const WORDS: [&str; 10] = [
        "secret",
        "password",
        "passphrase",
        "key",
        "header",
        "token",
        "connection_string",
        "credential",
        "signature",
        "sas",
    ];

    #[test]
    fn every_setting_that_sounds_like_a_secret_is_one_or_names_a_file() {
        let keys: Vec<_> = Parts::of(None, Vec::new()).expect("defaults").entries.into_keys().collect();
        for key in &keys {
            let name = key.rsplit('.').next().unwrap_or(key);
            let sounds = WORDS.iter().any(|word| name.contains(word));
            // When a secret ends is none.
            let tells = ["_file", "_ends"].iter().any(|end| name.ends_with(end));
            assert_eq!(sounds && !tells, is_secret(key), "{key}");
        }
        assert!(
            SECRETS.iter().all(|secret| keys.iter().any(|key| key == secret.key)),
            "the list names settings"
        );
    }

    #[test]
    fn a_value_is_told_without_what_proves_who_one_is() {
        let told = |key: &str, text: &str| {
            let (value, origin) = (text.into(), SettingOrigin::Default);
            shown(key, &SourcedValue { value, origin, file: None, line: None, old_name: None })
        };
        for (text, expected) in [
            ("https://graph.microsoft.com", "\"https://graph.microsoft.com\""),
            ("https://me:word@graph.example/a", "\"https://(hidden)@graph.example/a\""),
            ("https://me@graph.example", "\"https://(hidden)@graph.example\""),
            ("https://me:wo@r/d@graph.example", "\"https://(hidden)@graph.example\""),
            ("https://otlp.example/v1?api-key=word#x", "\"https://otlp.example/v1?(hidden)\""),
            ("Endpoint=sb://ns;SharedAccessKeyName=n;SharedAccessKey=word", HIDDEN),
            ("SharedAccessSignature sr=a&sig=word", HIDDEN),
            ("", "\"\""),
        ] {
            assert_eq!(told("graph.root", text), expected);
        }
        assert_eq!(told("identity.client_secret", "word"), HIDDEN);
        assert_eq!(told("identity.client_secret", ""), "\"\"");
    }
}
