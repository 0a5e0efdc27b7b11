//! JSON as Graph speaks it: the body of a PATCH, a user, and the body of an error.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize, ser::SerializeMap};
use serde_json::{Value as Json, value::RawValue};
use shared::{
    admission::Person,
    identities::ObjectIdentity,
    ids::UserId,
    patch::{PropertyValue, UserWrite},
    plan::LinkAnswer,
    property::{Property, PropertyKind},
    reconcile::{Body, Current, ReadPolicy},
};

use super::answer::{GraphRefusal, ValueHolder};

/// The body of a PATCH in the form Graph takes.
pub(super) struct Patch<'a>(pub(super) &'a Body);

/// The fifteen attributes that Graph keeps inside an object of their own.
struct Nested<'a>(&'a [(Property, PropertyValue)]);

struct Value<'a>(&'a Property, &'a PropertyValue);

const NESTED: &str = "onPremisesExtensionAttributes";

fn is_nested(property: &Property) -> bool {
    property.name().starts_with("extensionAttribute")
}

impl Serialize for Patch<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let properties = &self.0.properties;
        let mut map = serializer.serialize_map(None)?;
        for (property, value) in properties.iter().filter(|(property, _)| !is_nested(property)) {
            map.serialize_entry(property.name(), &Value(property, value))?;
        }
        if properties.iter().any(|(property, _)| is_nested(property)) {
            map.serialize_entry(NESTED, &Nested(properties))?;
        }
        if let Some(identities) = &self.0.identities {
            let identities: Vec<_> = identities.iter().map(WireIdentity).collect();
            map.serialize_entry("identities", &identities)?;
        }
        map.end()
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nested = self.0.iter().filter(|(property, _)| is_nested(property));
        serializer.collect_map(nested.map(|(property, value)| (property.name(), Value(property, value))))
    }
}

/// An identity with whatever else was read of it.
struct WireIdentity<'a>(&'a ObjectIdentity);

const SIGN_IN_TYPE: &str = "signInType";
const ISSUER: &str = "issuer";
const ID: &str = "issuerAssignedId";

impl Serialize for WireIdentity<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;

        let Self(identity) = self;
        let Some(json) = &identity.json else {
            let own = [
                (SIGN_IN_TYPE, &identity.sign_in_type),
                (ISSUER, &identity.issuer),
                (ID, &identity.issuer_assigned_id),
            ];
            return serializer.collect_map(own);
        };
        let read: &RawValue = serde_json::from_str(json).map_err(S::Error::custom)?;
        if self::identity(read) == **identity {
            return read.serialize(serializer);
        }
        let id = serde_json::value::to_raw_value(&identity.issuer_assigned_id).map_err(S::Error::custom)?;
        let mut members: BTreeMap<Box<str>, &RawValue> =
            serde_json::from_str(json).map_err(S::Error::custom)?;
        members.insert(ID.into(), &id);
        members.serialize(serializer)
    }
}

/// An element of `identities` as far as it can be understood.
fn identity(read: &RawValue) -> ObjectIdentity {
    let members: BTreeMap<Box<str>, Json> = serde_json::from_str(read.get()).unwrap_or_default();
    let text = |name: &str| members.get(name).and_then(Json::as_str).unwrap_or_default();
    ObjectIdentity {
        json: Some(read.get().into()),
        ..ObjectIdentity::new(text(SIGN_IN_TYPE), text(ISSUER), text(ID))
    }
}

/// The `$select` for a look at a user before this write.
pub(super) fn selection(write: &UserWrite, reading: &ReadPolicy) -> String {
    let mut names = vec!["id"];
    let own = [&reading.guard, &reading.terms.owner];
    for property in write.entries.iter().map(|entry| &entry.property).chain(own.into_iter().flatten()) {
        match property.rules().kind {
            PropertyKind::SignIn => names.extend(["identities", "userPrincipalName", "userType"]),
            PropertyKind::Reset => {
                names.extend(["identities", "userType"]);
                names.extend(
                    reading
                        .reset_follows
                        .iter()
                        .map(Property::name)
                        .filter(|name| *name != Property::SIGN_IN),
                );
            }
            PropertyKind::List { .. } => names.push(property.name()),
            _ if is_nested(property) => names.push(NESTED),
            _ if reading.diff || own.iter().any(|own| own.as_ref() == Some(property)) => {
                names.push(property.name());
            }
            _ => {}
        }
    }
    names.extend(reading.terms.local_issuer.as_ref().map(|_| "identities"));
    names.extend(reading.terms.user_type.as_ref().map(|_| "userType"));
    let mut once = Vec::with_capacity(names.len());
    names.retain(|name| {
        let fresh = !once.contains(name);
        once.push(*name);
        fresh
    });
    names.join(",")
}

/// Reads a user. What is missing or of an unexpected kind counts as not known.
///
/// `None` if it is no user of Graph's: any JSON object will not do, because a portal may answer with one as well.
pub(super) fn current(body: &[u8], write: &UserWrite, reading: &ReadPolicy) -> Option<Current> {
    let user: serde_json::Map<String, Json> = serde_json::from_slice(body).ok()?;
    is_user(&user).then_some(())?;
    let find = |property: &Property| {
        let inner = is_nested(property).then(|| user.get(NESTED).and_then(Json::as_object));
        inner.unwrap_or(Some(&user)).and_then(|object| object.get(property.name()))
    };
    let values = write.entries.iter().map(|entry| &entry.property).chain(&reading.reset_follows);
    let text = |attribute: &Option<Property>| {
        attribute.as_ref().and_then(find).and_then(Json::as_str).map(Into::into)
    };
    Some(Current {
        person: Person {
            identities: identities(body),
            user_type: user.get("userType").and_then(Json::as_str).map(Into::into),
            owner: text(&reading.terms.owner),
        },
        principal_name: user.get("userPrincipalName").and_then(Json::as_str).map(Into::into),
        values: values.filter_map(|property| Some((property.clone(), known(find(property)?)?))).collect(),
        mark: text(&reading.guard),
    })
}

/// Reads the users that a filter has found. `None` if it is no list of users, or one of which a part is elsewhere: of
/// that nobody could tell whether there are more.
pub(super) fn found(body: &[u8]) -> Option<LinkAnswer> {
    let page: serde_json::Map<String, Json> = serde_json::from_slice(body).ok()?;
    let id = |user: &Json| UserId::parse(user.get("id")?.as_str()?);
    let mut users = page.get("value")?.as_array()?.iter().map(id).collect::<Option<Vec<_>>>()?;
    users.dedup();
    match users[..] {
        [one, other, ..] => Some(LinkAnswer::Several(one, other)),
        _ if page.contains_key("@odata.nextLink") => None,
        [one] => Some(LinkAnswer::User(one)),
        [] => Some(LinkAnswer::Nobody),
    }
}

/// Whether an object is a user, of whom `id` is always asked.
fn is_user(object: &serde_json::Map<String, Json>) -> bool {
    object.get("id").is_some_and(Json::is_string)
}

/// The list of a user, each element with all that is in it; `None` if there is no list.
fn identities(body: &[u8]) -> Option<Vec<ObjectIdentity>> {
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        identities: Vec<&'a RawValue>,
    }
    let Listed { identities } = serde_json::from_slice(body).ok()?;
    Some(identities.into_iter().map(identity).collect())
}

fn known(value: &Json) -> Option<PropertyValue> {
    match value {
        Json::Null => Some(PropertyValue::Clear),
        Json::Bool(yes) => Some(PropertyValue::Bool(*yes)),
        Json::String(text) => Some(PropertyValue::Text(text.as_str().into())),
        Json::Array(list) => {
            let texts: Option<Vec<Box<str>>> = list.iter().map(|text| Some(text.as_str()?.into())).collect();
            texts.map(|texts| PropertyValue::List(texts.into()))
        }
        Json::Number(number) => {
            number.as_i64().and_then(|number| i32::try_from(number).ok()).map(PropertyValue::Integer)
        }
        Json::Object(_) => None,
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.1, self.0.rules().kind) {
            // An empty string would be refused: null empties a scalar and an empty list a collection.
            (PropertyValue::Clear, PropertyKind::List { .. }) => serializer.collect_seq::<[&str; 0]>([]),
            (PropertyValue::Clear, _) => serializer.serialize_none(),
            (PropertyValue::Text(text), _) => serializer.serialize_str(text),
            (PropertyValue::List(texts), _) => serializer.collect_seq(texts.iter()),
            (PropertyValue::Bool(yes), _) => serializer.serialize_bool(*yes),
            (PropertyValue::Integer(number), _) => serializer.serialize_i32(*number),
            // Never written by themselves: they have become elements of a list by now.
            (value @ (PropertyValue::SignIn(_) | PropertyValue::Element(_)), _) => {
                value.text().serialize(serializer)
            }
        }
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorObject,
}

/// What the headers of an answer say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'h> {
    pub(super) status: u16,
    pub(super) content_type: Option<&'h str>,
    pub(super) request_id: Option<&'h str>,
    pub(super) retry_after: Option<Duration>,
}

#[derive(Default, Deserialize)]
struct ErrorObject {
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
    target: Option<String>,
}

/// Reads an error body leniently: gateways in front of Graph answer with HTML or with nothing.
pub(super) fn answer(head: Head<'_>, body: &[u8]) -> GraphRefusal {
    let Head { status, content_type, request_id, retry_after } = head;
    let error = serde_json::from_slice::<ErrorBody>(body).unwrap_or_default().error;
    let message = error.message.as_deref().unwrap_or_default();
    let conflicting =
        |detail: &Detail| matches!(detail.code.as_deref(), Some("ObjectConflict" | "ConflictingObjects"));
    GraphRefusal {
        status,
        is_graphs: error.code.as_deref().is_some_and(|code| !code.trim().is_empty()),
        content_type: content_type.and_then(media_type),
        conflict: error.details.iter().any(conflicting)
            || message.starts_with("Another object with the same value for property")
            || message.starts_with("A conflicting object with one or more of the specified property values"),
        overload: message.contains("Count of cacheOperations is over the limit"),
        // `ConflictingObjects` names the other object in its target, which is none of the log's business.
        target: error
            .details
            .iter()
            .filter(|detail| detail.code.as_deref() != Some("ConflictingObjects"))
            .find_map(|detail| detail.target.as_deref().and_then(name)),
        holder: error.details.iter().find_map(holder).map(ValueHolder::named),
        code: error.code.as_deref().and_then(name),
        request_id: request_id.and_then(name),
        retry_after,
    }
}

/// The user that a conflict is with: `User_` and his object id.
fn holder(detail: &Detail) -> Option<UserId> {
    let target = detail.target.as_deref().filter(|_| detail.code.as_deref() == Some("ConflictingObjects"))?;
    UserId::parse(target.strip_prefix("User_")?)
}

/// The users of a list, by their ids; `None` if it is no list of Graph's.
pub(super) fn user_ids(body: &[u8]) -> Option<Vec<UserId>> {
    #[derive(Deserialize)]
    struct List {
        value: Vec<One>,
    }
    let List { value } = serde_json::from_slice(body).ok()?;
    Some(value.iter().filter_map(|one| UserId::parse(&one.id)).collect())
}

/// The address for password reset in the list of a user's authentication methods by e-mail, of which he has one at most;
/// `None` if it is no such list.
pub(super) fn reset_addresses(body: &[u8]) -> Option<Vec<Box<str>>> {
    #[derive(Deserialize)]
    struct List {
        value: Vec<Method>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Method {
        id: Box<str>,
        email_address: Option<Box<str>>,
    }
    let List { value } = serde_json::from_slice(body).ok()?;
    let methods = value.into_iter().filter(|method| method.id.eq_ignore_ascii_case(RESET_METHOD));
    Some(methods.filter_map(|method| method.email_address).collect())
}

/// The id of the one authentication method by e-mail that a user may have; it is the same for everybody.
pub(super) const RESET_METHOD: &str = "3ddfcfc8-9383-446f-83cc-3ab9be4be18f";

/// The id of one object; `None` if it is no object of Graph's.
pub(super) fn object_id(body: &[u8]) -> Option<UserId> {
    serde_json::from_slice(body).ok().and_then(|one: One| UserId::parse(&one.id))
}

#[derive(Deserialize)]
struct One {
    id: Box<str>,
}

/// Type and subtype, without parameters.
fn media_type(text: &str) -> Option<Box<str>> {
    let bare = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = bare.split_once('/')?;
    Some(format!("{}/{}", name(kind)?, name(&subtype.replace('+', "-"))?).into())
}

/// Whether this is the answer to a successful write: Graph answers with 204, or with the user and a request-id.
pub(super) fn is_written(head: Head<'_>, body: &[u8]) -> bool {
    match head.status {
        204 => true,
        200 => {
            head.request_id.is_some() && serde_json::from_slice::<serde_json::Map<String, Json>>(body).is_ok()
        }
        _ => false,
    }
}

/// Only what looks like a name is kept, so that a gateway cannot put text of its own into our logs.
fn name(text: &str) -> Option<Box<str>> {
    let good = !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    good.then(|| text.into())
}
