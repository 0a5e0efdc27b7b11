//! What an environment tells somebody without a token: to which tenant it belongs.

/// The challenge of a 401: `Bearer authorization_uri=https://LOGIN/TENANT/oauth2/authorize, resource_id=https://ORG`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// The tenant, by id or by name.
    pub(crate) tenant: Option<Box<str>>,
    /// The login host.
    pub(crate) login: Option<Box<str>>,
    /// The `Date` of the answer.
    pub(crate) date: Option<Box<str>>,
}

impl Challenge {
    /// Reads the header. Parts that are not there, or written in another way, stay unknown.
    pub(super) fn read(header: &str) -> Self {
        let parameters = header.trim().strip_prefix("Bearer").unwrap_or_default();
        let address = parameters.split(',').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("authorization_uri").then(|| value.trim().trim_matches('"'))
        });
        let Some(url) = address.and_then(|address| url::Url::parse(address).ok()) else {
            return Self::default();
        };
        let tenant = url.path_segments().and_then(|mut path| path.next()).filter(|part| !part.is_empty());
        let plain = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        Self {
            tenant: tenant.filter(plain).map(Into::into),
            login: url.host_str().map(Into::into),
            date: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, tenant: Option<&str>, login: Option<&str>) {
        let read = Challenge::read(header);
        assert_eq!((read.tenant.as_deref(), read.login.as_deref()), (tenant, login), "{header}");
    }

    #[test]
    fn the_tenant_is_read_off_the_challenge_however_it_is_quoted() {
        let (tenant, login) = (Some("0f0e"), Some("login.microsoftonline.com"));
        check(
            "Bearer authorization_uri=https://login.microsoftonline.com/0f0e/oauth2/authorize, \
             resource_id=https://o.crm4.dynamics.com/",
            tenant,
            login,
        );
        check(
            "Bearer resource_id=\"x\",Authorization_URI=\"https://login.microsoftonline.com/0f0e/oauth2/authorize\"",
            tenant,
            login,
        );
        check("Bearer authorization_uri=https://login.microsoftonline.com/", None, login);
        check("Bearer authorization_uri=https://l.example/a%1bb/oauth2", None, Some("l.example"));
        for header in ["", "Bearer", "Basic realm=x", "Bearer authorization_uri=x", "Bearer a=b"] {
            check(header, None, None);
        }
    }
}
