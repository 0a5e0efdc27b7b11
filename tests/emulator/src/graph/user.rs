//! A user as the directory keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One way of signing in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// `emailAddress`, `userName`, `federated`, `userPrincipalName` or a custom name.
    pub sign_in_type: String,
    /// The tenant's domain or the outside provider. Left empty in a seed, the tenant's domain is filled in.
    #[serde(default)]
    pub issuer: String,
    /// The name that the user has there.
    pub issuer_assigned_id: String,
}

impl Identity {
    /// A local sign-in by e-mail address.
    #[must_use]
    pub fn email(address: &str) -> Self {
        Self::new("emailAddress", "", address)
    }

    /// A social account.
    #[must_use]
    pub fn federated(issuer: &str, id: &str) -> Self {
        Self::new("federated", issuer, id)
    }

    /// A sign-in with a code that is sent to an address.
    #[must_use]
    pub fn code(address: &str) -> Self {
        Self::federated("mail", address)
    }

    pub(super) fn new(sign_in_type: &str, issuer: &str, id: &str) -> Self {
        Self {
            sign_in_type: sign_in_type.to_owned(),
            issuer: issuer.to_owned(),
            issuer_assigned_id: id.to_owned(),
        }
    }

    pub(super) fn is_upn(&self) -> bool {
        self.sign_in_type == "userPrincipalName"
    }

    pub(super) fn is_federated(&self) -> bool {
        self.sign_in_type == "federated"
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "signInType": self.sign_in_type,
            "issuer": self.issuer,
            "issuerAssignedId": self.issuer_assigned_id,
        })
    }
}

/// A user: what a test adds, and what it reads back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The object id.
    pub id: Uuid,
    /// Every property that has a value, by its name in Graph; `id` and `identities` are not among them.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// All identities. The `userPrincipalName` element is added by the directory if it is missing.
    #[serde(default)]
    pub identities: Vec<Identity>,
    /// The authentication method by e-mail, for password reset, if there is one.
    #[serde(default)]
    pub reset_email: Option<String>,
    /// Whether the user holds an administrator's role, which makes some properties unwritable for an app.
    #[serde(default)]
    pub admin: bool,
    /// Whether the user sits in the bin: unknown to every call, but still in possession of its addresses.
    #[serde(default)]
    pub deleted: bool,
}

impl User {
    /// A user with nothing but an id; the directory gives it a `userPrincipalName`.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            properties: Map::new(),
            identities: Vec::new(),
            reset_email: None,
            admin: false,
            deleted: false,
        }
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, property: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(property.to_owned(), value.into());
        self
    }

    /// Adds an identity.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Gives the user an authentication method by e-mail.
    #[must_use]
    pub fn with_reset_email(mut self, address: &str) -> Self {
        self.reset_email = Some(address.to_owned());
        self
    }

    /// Makes the user an administrator.
    #[must_use]
    pub fn administrator(mut self) -> Self {
        self.admin = true;
        self
    }

    /// The value of a property as Graph would show it when selected.
    #[must_use]
    pub fn get(&self, property: &str) -> Value {
        match property {
            "id" => json!(self.id),
            "identities" => self.identities.iter().map(Identity::to_json).collect(),
            _ => self.properties.get(property).cloned().unwrap_or_else(|| empty(property)),
        }
    }

    /// The text of a property, if it has one.
    #[must_use]
    pub fn text(&self, property: &str) -> Option<&str> {
        self.properties.get(property).and_then(Value::as_str)
    }

    /// The addresses the user signs in with.
    pub fn sign_in_addresses(&self) -> impl Iterator<Item = &str> {
        self.identities
            .iter()
            .filter(|identity| identity.sign_in_type.starts_with("emailAddress"))
            .map(|identity| identity.issuer_assigned_id.as_str())
    }

    /// The values of `proxyAddresses` without their `SMTP:` or `smtp:`.
    pub(super) fn proxy_addresses(&self) -> impl Iterator<Item = &str> {
        self.properties
            .get("proxyAddresses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|address| address.get(5..).unwrap_or_default())
    }
}

/// What a property without a value looks like: null, or an empty list for a collection.
fn empty(property: &str) -> Value {
    match property {
        "businessPhones" | "otherMails" | "proxyAddresses" | "imAddresses" => json!([]),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_without_a_value_is_null_or_an_empty_list() {
        let user = User::new(Uuid::nil());
        assert_eq!(user.get("givenName"), Value::Null);
        assert_eq!(user.get("businessPhones"), json!([]));
        assert_eq!(user.get("identities"), json!([]));
    }
}
