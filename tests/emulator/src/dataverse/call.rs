//! One request, whether it came by itself or inside a batch, and what its URL points at.

use bytes::Bytes;
use hyper::{
    Method, Uri,
    header::{HOST, HeaderMap},
};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

/// A request, fully read.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it came over TLS.
    pub(crate) secure: bool,
    /// Whether it is part of a batch.
    pub(crate) is_item: bool,
}

/// One piece of a path: a name, and what stands in brackets behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) arguments: Option<String>,
}

/// What a request prefers, of the things that are honoured here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Preferences {
    pub(crate) page_size: Option<usize>,
    pub(crate) representation: bool,
    pub(crate) track_changes: bool,
    pub(crate) continue_on_error: bool,
    pub(crate) annotations: Option<String>,
}

impl Call {
    /// Scheme and host as the client used them, without a slash at the end.
    pub(crate) fn origin(&self) -> String {
        let host = self.header(HOST.as_str()).unwrap_or("localhost");
        format!("{}://{host}", if self.secure { "https" } else { "http" })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Version of the API and the rest of the path, if this is for the Web API.
    fn split(&self) -> Option<(&str, &str)> {
        let rest = self.uri.path().strip_prefix("/api/data/v")?;
        let (version, rest) = rest.split_once('/').unwrap_or((rest, ""));
        matches!(version, "9.0" | "9.1" | "9.2").then_some((version, rest))
    }

    /// The root of the Web API as the client addressed it.
    pub(crate) fn root(&self) -> String {
        let version = self.split().map_or("9.2", |(version, _)| version);
        format!("{}/api/data/v{version}", self.origin())
    }

    /// The path below the root, in pieces; none if it is elsewhere.
    pub(crate) fn segments(&self) -> Option<Vec<Segment>> {
        let (_, rest) = self.split()?;
        let path = percent_decode_str(rest).decode_utf8_lossy();
        Some(split_path(&path))
    }

    pub(crate) fn preferences(&self) -> Preferences {
        let mut preferences = Preferences::default();
        for value in self.headers.get_all("prefer") {
            for one in value.to_str().unwrap_or_default().split(',').map(str::trim) {
                let (name, value) = one.split_once('=').unwrap_or((one, ""));
                let value = value.trim().trim_matches('"');
                match name.trim() {
                    "odata.maxpagesize" => {
                        preferences.page_size = value.parse().ok().filter(|size| *size > 0)
                    }
                    "return" => preferences.representation = value == "representation",
                    "odata.track-changes" => preferences.track_changes = true,
                    "odata.continue-on-error" => preferences.continue_on_error = true,
                    "odata.include-annotations" => preferences.annotations = Some(value.to_owned()),
                    _ => {}
                }
            }
        }
        preferences
    }

    /// Whether the request asks that asynchronous custom logic be passed over.
    pub(crate) fn bypasses(&self) -> bool {
        let on = |text: &str| text.eq_ignore_ascii_case("true");
        self.header("mscrm.bypasscustompluginexecution").is_some_and(on)
            || self
                .header("mscrm.bypassbusinesslogicexecution")
                .is_some_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case("CustomAsync")))
    }
}

impl Preferences {
    /// Whether values may be told in the form for people.
    pub(crate) fn wants_formatted(&self) -> bool {
        self.wants("OData.Community.Display.V1.FormattedValue")
    }

    /// Whether this annotation was asked for, by its name or by a pattern.
    pub(crate) fn wants(&self, annotation: &str) -> bool {
        self.annotations.as_deref().is_some_and(|asked| match asked.strip_suffix('*') {
            Some(start) => annotation.starts_with(start),
            None => annotation == asked,
        })
    }
}

/// The pieces between slashes that stand outside brackets and quotes.
fn split_path(path: &str) -> Vec<Segment> {
    let (mut segments, mut depth, mut quoted, mut piece) = (Vec::new(), 0_u32, false, String::new());
    for character in path.chars() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            '/' if !quoted && depth == 0 => {
                segments.push(segment(&std::mem::take(&mut piece)));
                continue;
            }
            _ => {}
        }
        piece.push(character);
    }
    if !piece.is_empty() {
        segments.push(segment(&piece));
    }
    segments
}

fn segment(piece: &str) -> Segment {
    let inside = piece.strip_suffix(')').and_then(|rest| rest.split_once('('));
    match inside {
        Some((name, arguments)) => Segment { name: name.to_owned(), arguments: Some(arguments.to_owned()) },
        None => Segment { name: piece.to_owned(), arguments: None },
    }
}

impl Segment {
    /// The id in the brackets, if that is what stands there.
    pub(crate) fn id(&self) -> Option<Uuid> {
        self.arguments.as_deref().and_then(parse_id)
    }

    /// The text after `name=` in the brackets, without its quotes.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        let (found, value) = self.arguments.as_deref()?.split_once('=')?;
        (found.trim() == name).then(|| value.trim().trim_matches('\''))
    }
}

/// An id as URLs write it: bare, with hyphens.
pub(crate) fn parse_id(text: &str) -> Option<Uuid> {
    let text = text.trim().trim_matches('\'');
    (text.len() == 36).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(uri: &'static str) -> Call {
        Call {
            method: Method::GET,
            uri: Uri::from_static(uri),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            secure: false,
            is_item: false,
        }
    }

    #[test]
    fn a_path_is_split_outside_brackets_and_quotes() {
        let names = |uri| {
            let segments = call(uri).segments()?;
            Some(segments.into_iter().map(|one| (one.name, one.arguments)).collect::<Vec<_>>())
        };
        let pair = |name: &str, arguments: Option<&str>| (name.to_owned(), arguments.map(str::to_owned));
        for (uri, expected) in [
            ("/api/data/v9.2/", Some(vec![])),
            ("/api/data/v9.1/WhoAmI()", Some(vec![pair("WhoAmI", Some(""))])),
            (
                "/api/data/v9.0/contacts(a)/firstname",
                Some(vec![pair("contacts", Some("a")), pair("firstname", None)]),
            ),
            (
                "/api/data/v9.2/EntityDefinitions(LogicalName=%27a/b%27)/Attributes",
                Some(vec![pair("EntityDefinitions", Some("LogicalName='a/b'")), pair("Attributes", None)]),
            ),
            ("/api/data/v8.2/contacts", None),
            ("/contacts", None),
        ] {
            assert_eq!(names(uri), expected, "{uri}");
        }
    }

    #[test]
    fn preferences_may_be_joined_or_repeated() {
        let mut call = call("/");
        call.headers.append("prefer", "odata.maxpagesize=5,odata.include-annotations=\"*\"".parse().unwrap());
        call.headers.append("prefer", "odata.track-changes".parse().unwrap());
        let preferences = call.preferences();
        assert_eq!((preferences.page_size, preferences.track_changes), (Some(5), true));
        assert!(
            preferences.wants_formatted() && preferences.wants("Microsoft.Dynamics.CRM.lookuplogicalname")
        );
    }
}
