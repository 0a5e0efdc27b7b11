//! One request, whether it came by itself or inside a batch.

use bytes::Bytes;
use hyper::{
    Method, Uri,
    header::{CONTENT_TYPE, HOST, HeaderMap},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A request, fully read.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether it came over TLS.
    pub(super) secure: bool,
    /// The item's id, if this is part of a batch.
    pub(super) item: Option<String>,
}

/// What a Graph URL points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    User(String),
    /// The authentication methods by e-mail of a user; one of them, if the second part is there.
    EmailMethods(String, Option<String>),
    Users,
    Delta,
    ByIds,
    Batch,
    RoleAssignments,
    DeletedUsers,
    DeletedUser(String),
    Nowhere,
}

impl Call {
    /// The scheme and host that the client used, without a slash at the end.
    pub(super) fn origin(&self) -> String {
        let host = self.header(HOST.as_str()).unwrap_or("localhost");
        format!("{}://{host}", if self.secure { "https" } else { "http" })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the client asks to be throttled before others.
    pub(super) fn is_low_priority(&self) -> bool {
        self.header("x-ms-throttle-priority").is_some_and(|value| value.eq_ignore_ascii_case("low"))
    }

    /// Whether the body claims to be JSON.
    pub(super) fn is_json(&self) -> bool {
        self.header(CONTENT_TYPE.as_str()).is_some_and(|mime| {
            mime.get(..16).is_some_and(|start| start.eq_ignore_ascii_case("application/json"))
        })
    }

    /// The body of a write, which must be a JSON object that says that it is one.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Refusal> {
        if !self.is_json() {
            return Err(Refusal::unreadable("Entity only allows writes with a JSON Content-Type header."));
        }
        serde_json::from_slice(&self.body).map_err(|_| {
        Refusal::unreadable(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of \
             valid JSON format.",
        )
    })
    }

    /// A query option by its name, decoded; `$` may be left out, as Graph allows.
    pub(super) fn option(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key.trim_start_matches('$').eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    /// Where in Graph the URL points, if it is one of Graph's.
    pub(super) fn place(&self) -> Option<Place> {
        let path = self.uri.path();
        let rest = path.strip_prefix("/v1.0/").or_else(|| path.strip_prefix("/beta/"))?;
        if rest == "roleManagement/directory/roleAssignments" {
            return Some(Place::RoleAssignments);
        }
        if let Some(methods) = email_methods(rest) {
            return Some(methods);
        }
        let mut segments = rest.split('/');
        let place = match (segments.next(), segments.next(), segments.next()) {
            (Some("users"), None | Some(""), None) => Place::Users,
            (Some("users"), Some("delta" | "delta()" | "microsoft.graph.delta()"), None) => Place::Delta,
            (Some("users"), Some(key), None) => Place::User(decoded(key)),
            (Some("directoryObjects"), Some("getByIds" | "microsoft.graph.getByIds"), None) => Place::ByIds,
            (Some("$batch"), None, None) => Place::Batch,
            (Some("directory"), Some("deletedItems"), Some("microsoft.graph.user")) => Place::DeletedUsers,
            (Some("directory"), Some("deletedItems"), Some(key)) => Place::DeletedUser(key.to_owned()),
            _ => Place::Nowhere,
        };
        Some(place)
    }
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// `users/{key}/authentication/emailMethods`, with or without the id of a method.
fn email_methods(path: &str) -> Option<Place> {
    let (user, rest) = path.strip_prefix("users/")?.split_once("/authentication/emailMethods")?;
    let method = match rest.strip_prefix('/') {
        Some(id) => Some(decoded(id)),
        None => rest.is_empty().then_some(None)?,
    };
    Some(Place::EmailMethods(decoded(user), method))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &'static str) -> Call {
        Call {
            method: Method::GET,
            uri: Uri::from_static(uri),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            secure: false,
            item: None,
        }
    }

    #[test]
    fn urls_point_at_users_lists_and_batches() {
        for (uri, place) in [
            (
                "/v1.0/users/ada%40contoso.onmicrosoft.com",
                Some(Place::User("ada@contoso.onmicrosoft.com".into())),
            ),
            ("/v1.0/users/x/authentication/emailMethods", Some(Place::EmailMethods("x".into(), None))),
            (
                "/v1.0/users/x/authentication/emailMethods/7",
                Some(Place::EmailMethods("x".into(), Some("7".into()))),
            ),
            ("/v1.0/users/x/authentication/emailMethodsX", Some(Place::Nowhere)),
            ("/v1.0/users", Some(Place::Users)),
            ("/v1.0/users/delta?$select=id", Some(Place::Delta)),
            ("/beta/users/x", Some(Place::User("x".into()))),
            ("/v1.0/directoryObjects/getByIds", Some(Place::ByIds)),
            ("/v1.0/$batch", Some(Place::Batch)),
            (
                "/v1.0/roleManagement/directory/roleAssignments?$select=principalId",
                Some(Place::RoleAssignments),
            ),
            ("/v1.0/directory/deletedItems/microsoft.graph.user", Some(Place::DeletedUsers)),
            ("/v1.0/directory/deletedItems/x", Some(Place::DeletedUser("x".into()))),
            ("/v1.0/groups", Some(Place::Nowhere)),
            ("/v1.0/users/x/manager", Some(Place::Nowhere)),
            ("/contoso/oauth2/v2.0/token", None),
        ] {
            assert_eq!(get(uri).place(), place, "{uri}");
        }
    }

    #[test]
    fn options_are_found_with_and_without_their_dollar() {
        assert_eq!(get("/v1.0/users?$select=id,mail").option("select").as_deref(), Some("id,mail"));
        assert_eq!(get("/v1.0/users?%24filter=a%20eq%20b").option("filter").as_deref(), Some("a eq b"));
        assert_eq!(get("/v1.0/users?top=3").option("top").as_deref(), Some("3"));
        assert_eq!(get("/v1.0/users").option("top"), None);
    }
}
