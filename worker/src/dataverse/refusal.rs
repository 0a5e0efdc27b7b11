//! A refusal of Dataverse, reduced to what may be told.

use std::{fmt, time::Duration};

use serde::Deserialize;
use shared::{class::Class, shown::brief};

use super::code::{Code, Kind};

/// As much of Dataverse's words as is shown, in characters.
const LONGEST_WORDS: usize = 200;

/// What was answered in place of what was asked for. Annotations with traces and inner errors may hold data of people; they
/// are not asked for, and not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataverseRefusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// `error.code`, if it is one.
    pub(crate) code: Option<Code>,
    /// The privilege that the text says is missing, such as `prvReadContact`.
    pub(crate) privilege: Option<Box<str>>,
    /// How many privileges the text says the user has: it tells whether a change of the role counts already.
    pub(crate) held: Option<u32>,
    /// Dataverse's id of the request, for Microsoft's support.
    pub(crate) request_id: Option<Box<str>>,
    /// How long it asks to wait.
    pub(crate) retry_after: Option<Duration>,
    words: Box<str>,
}

/// What is told beside a body.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) request_id: Option<Box<str>>,
    pub(super) retry_after: Option<Duration>,
    pub(super) content_type: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Body {
    error: Inner,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl DataverseRefusal {
    /// Reads an answer that is no success; `None` if it does not come from Dataverse, which names an error in every refusal
    /// but those of tokens and those that its front door makes while it is busy.
    pub(super) fn read(head: &Head, body: &[u8]) -> Option<Self> {
        let inner = serde_json::from_slice::<Body>(body).ok().map(|body| body.error);
        let nameless = matches!(head.status, 401 | 408 | 429 | 500..=599);
        if inner.is_none() && !nameless {
            return None;
        }
        let (code, words) = inner.map_or((None, None), |inner| (inner.code, inner.message));
        let words = words.unwrap_or_default();
        Some(Self {
            status: head.status,
            code: code.as_deref().and_then(Code::parse),
            privilege: missing_privilege(&words).map(Into::into),
            held: number_after(&words, "privilegeCount="),
            request_id: head.request_id.clone(),
            retry_after: head.retry_after,
            words: words.into(),
        })
    }

    /// What it is about.
    #[must_use]
    pub(crate) fn kind(&self) -> Kind {
        if let Some((kind, _)) = self.code.and_then(Code::known) {
            return kind;
        }
        match self.status {
            401 => Kind::Account,
            429 => Kind::Throttled,
            408 | 500 | 502..=599 => Kind::Busy,
            _ if self.privilege.is_some() => Kind::Privilege,
            _ => Kind::Other,
        }
    }

    /// Whether waiting helps.
    #[must_use]
    pub(crate) fn class(&self) -> Class {
        let throttled = Class::Throttled { retry_after: self.retry_after };
        match self.kind() {
            Kind::Throttled => throttled,
            Kind::Busy if self.retry_after.is_some() => throttled,
            Kind::Busy => Class::Transient,
            Kind::Configuration | Kind::Account | Kind::Privilege | Kind::Closed => Class::Installation,
            Kind::Gone | Kind::Conflict | Kind::PlugIn | Kind::Request | Kind::Other => Class::Permanent,
        }
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn remedy(&self) -> &'static str {
        if let Some((_, remedy)) = self.code.and_then(Code::known) {
            return remedy;
        }
        match self.kind() {
            Kind::Account => "see that dataverse.url and dataverse.identity.tenant belong together",
            Kind::Throttled | Kind::Busy => "it passes; contactsync waits and tries again",
            Kind::Privilege => {
                "give the role of the application user the privilege, for the whole organization"
            }
            _ => "ask Microsoft's support with the id of the request, or report it as a fault in contactsync",
        }
    }

    /// Dataverse's own words on one line, cut. They may name what a plug-in of others wanted to say, so they are told only
    /// where they help and hold no data of people, as a rule.
    #[must_use]
    pub(crate) fn words(&self) -> Option<String> {
        (!self.words.is_empty()).then(|| brief(&self.words, LONGEST_WORDS).into_owned())
    }

    /// Whether the request may have been carried out although this was answered.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self.status, 408 | 500..=599) && self.kind() == Kind::Busy
    }
}

impl fmt::Display for DataverseRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)?;
        if let Some(code) = self.code {
            write!(f, " {code}")?;
        }
        match (self.kind(), &self.privilege) {
            (_, Some(privilege)) => {
                write!(f, ", the privilege {privilege} is missing")?;
                if let Some(held) = self.held {
                    write!(f, " (the user has {held})")?;
                }
            }
            (Kind::Configuration | Kind::Request | Kind::PlugIn, None) => {
                if let Some(words) = self.words() {
                    write!(f, " ({words})")?;
                }
            }
            _ => {}
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

/// `prvReadContact` of "... is missing prvReadContact privilege ...".
fn missing_privilege(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("is missing prv")?;
    let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let start = words.len() - rest.len() - "prv".len();
    let named = length > 0 && rest[length..].starts_with(" privilege");
    named.then(|| &words[start..start + "prv".len() + length])
}

fn number_after(words: &str, lead: &str) -> Option<u32> {
    let (_, rest) = words.split_once(lead)?;
    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..length].parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const MISSING: &str = "Principal user (Id=1, type=8, roleCount=1, privilegeCount=12, accessMode=4), is missing \
                           prvReadContact privilege (Id=2) on OTC=2 for entity 'contact'. context.Caller=3";

    fn read(status: u16, code: &str, message: &str) -> DataverseRefusal {
        let body = json!({"error": {"code": code, "message": message}}).to_string();
        let head = Head { status, request_id: Some("r-1".into()), ..Head::default() };
        DataverseRefusal::read(&head, body.as_bytes()).expect("Dataverse's")
    }

    #[test]
    fn the_missing_privilege_is_named_and_how_many_there_are() {
        let refusal = read(403, "0x80040220", MISSING);
        assert_eq!(
            refusal.to_string(),
            "403 0x80040220, the privilege prvReadContact is missing (the user has 12), request r-1"
        );
        assert_eq!((refusal.kind(), refusal.class()), (Kind::Privilege, Class::Installation));
        assert_eq!(read(403, "", MISSING).kind(), Kind::Privilege, "a code may be left out");
        for words in ["is missing prv privilege", "is missing prvReadContact", "is missing privilege", ""] {
            assert_eq!(missing_privilege(words), None, "{words}");
        }
    }

    #[test]
    fn a_code_decides_before_the_status_and_the_status_where_there_is_none() {
        for (status, code, kind, class) in [
            (404, "0x80040217", Kind::Gone, Class::Permanent),
            (404, "0x80060888", Kind::Configuration, Class::Installation),
            (400, "0x80060888", Kind::Configuration, Class::Installation),
            (403, "0x80072560", Kind::Account, Class::Installation),
            (403, "0x80040225", Kind::Account, Class::Installation),
            (403, "0x8004f504", Kind::Configuration, Class::Installation),
            (500, "0x80040265", Kind::PlugIn, Class::Permanent),
            (500, "0x80040216", Kind::Busy, Class::Transient),
            (400, "0x80044151", Kind::Busy, Class::Transient),
            (503, "0x8004a104", Kind::Closed, Class::Installation),
            (400, "0x80072322", Kind::Throttled, Class::Throttled { retry_after: None }),
            (429, "", Kind::Throttled, Class::Throttled { retry_after: None }),
            (412, "0x80060882", Kind::Conflict, Class::Permanent),
            (401, "", Kind::Account, Class::Installation),
            (503, "", Kind::Busy, Class::Transient),
            (501, "", Kind::Other, Class::Permanent),
            (418, "0x12345678", Kind::Other, Class::Permanent),
        ] {
            let refusal = read(status, code, "");
            assert_eq!((refusal.kind(), refusal.class()), (kind, class), "{status} {code}");
            assert!(!refusal.remedy().is_empty());
        }
    }

    #[test]
    fn words_are_told_only_where_they_help_and_never_whole() {
        let plug_in = read(400, "0x80040265", &format!("no\n{}", "x".repeat(500)));
        assert!(plug_in.to_string().starts_with("400 0x80040265 (no\\u{a}xxx"), "{plug_in}");
        assert!(plug_in.to_string().len() < 300, "{plug_in}");
        for code in ["0x80040217", "0x80040237", "0x99999999", ""] {
            assert!(!read(400, code, "ada@example.com").to_string().contains("ada"), "{code}");
        }
    }

    #[test]
    fn an_answer_without_an_error_is_somebody_elses_unless_the_front_door_makes_such() {
        let head = |status| Head { status, ..Head::default() };
        for status in [200, 302, 400, 403, 404, 405] {
            assert_eq!(DataverseRefusal::read(&head(status), b"<html>"), None, "{status}");
        }
        for status in [401, 408, 429, 500, 503] {
            assert!(DataverseRefusal::read(&head(status), b"").is_some(), "{status}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_answered_is_told_on_one_line(status in 400_u16..600, body in ".*", message in "(?s).*") {
            let head = Head { status, ..Head::default() };
            let _bytes = DataverseRefusal::read(&head, body.as_bytes());
            for code in ["0x80040265", "0x80060888", ""] {
                let told = read(status, code, &message).to_string();
                prop_assert!(!told.chars().any(shared::shown::is_hidden), "{told:?}");
                prop_assert!(told.chars().count() < 2_600);
            }
        }
    }
}
