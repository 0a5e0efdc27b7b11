//! What an access token says about itself. It is read for people only: what it opens, its resource decides.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// The claims that a check tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The app.
    #[serde(alias = "azp")]
    pub appid: Option<Box<str>>,
    /// The tenant that issued it.
    pub tid: Option<Box<str>>,
    /// Application permissions.
    pub roles: BTreeSet<Box<str>>,
}

impl Claims {
    /// Reads a token; `None` if it is not one that can be read, which is no fault.
    #[must_use]
    pub fn read(token: &str) -> Option<Self> {
        let body = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_who_it_is_for_and_what_it_may_do() {
        let body =
            URL_SAFE_NO_PAD.encode(r#"{"appid":"a","tid":"t","roles":["User.ReadWrite.All"],"exp":1}"#);
        let claims = Claims::read(&format!("e30.{body}.c2ln")).expect("claims");
        assert_eq!((claims.appid.as_deref(), claims.tid.as_deref()), (Some("a"), Some("t")));
        assert!(claims.roles.contains("User.ReadWrite.All"));
    }

    #[test]
    fn what_is_no_token_tells_nothing() {
        for text in ["", "a.b.c", "opaque", "e30.bnVsbA.x"] {
            assert_eq!(Claims::read(text), None, "{text}");
        }
        assert_eq!(Claims::read("e30.e30.x"), Some(Claims::default()));
    }
}
