//! The rules of `identities`, the list of names a user signs in with.

use serde_json::Value;

use super::{property::is_address, refusal::Refusal, user::Identity};

const PROPERTY: &str = "identities";
const MOST: usize = 10;
const LONGEST_ISSUER: usize = 512;
const LONGEST_ID: usize = 64;

/// Reads the new list out of a request and holds it against the list that it replaces.
///
/// Uniqueness in the tenant is left to the directory.
pub(super) fn replacement(
    value: &Value,
    present: &[Identity],
    domain: &str,
) -> Result<Vec<Identity>, Refusal> {
    let wanted = first(value, domain)?;
    check_whole(&wanted, present)?;
    Ok(wanted)
}

/// Reads the list of a user that is about to be created.
pub(super) fn first(value: &Value, domain: &str) -> Result<Vec<Identity>, Refusal> {
    let elements = value.as_array().ok_or_else(|| Refusal::invalid_value(PROPERTY))?;
    if elements.len() > MOST {
        let message = format!("The number of values for property '{PROPERTY}' exceeds the limit of {MOST}.");
        return Err(Refusal::about(PROPERTY, message));
    }
    elements.iter().map(|element| read(element, domain)).collect()
}

fn read(element: &Value, domain: &str) -> Result<Identity, Refusal> {
    let mut fields = element.as_object().cloned().ok_or_else(|| Refusal::invalid_value(PROPERTY))?;
    // Microsoft's Python SDK sends `@odata.type` in every element.
    fields.retain(|name, _| !name.contains('@'));
    let identity: Identity =
        serde_json::from_value(Value::Object(fields)).map_err(|_| Refusal::invalid_value(PROPERTY))?;
    if fits(&identity, domain) { Ok(identity) } else { Err(Refusal::invalid_value(PROPERTY)) }
}

fn fits(identity: &Identity, domain: &str) -> bool {
    let Identity { sign_in_type, issuer, issuer_assigned_id: id } = identity;
    let lengths =
        (1..=LONGEST_ISSUER).contains(&issuer.len()) && (1..=LONGEST_ID).contains(&id.encode_utf16().count());
    let local = issuer.eq_ignore_ascii_case(domain);
    let shape = match sign_in_type.as_str() {
        "" => false,
        // Who signs in with a code that is sent by e-mail.
        "federated" if issuer == "mail" => is_address(id),
        "federated" => true,
        "userPrincipalName" => local && id.contains('@'),
        name if name.starts_with("emailAddress") => local && is_address(id),
        _ => local && is_user_name(id),
    };
    // A principal name is longer than the limit when it is a GUID in a long domain; its own rule bounds it.
    shape && (lengths || identity.is_upn())
}

fn is_user_name(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn check_whole(wanted: &[Identity], present: &[Identity]) -> Result<(), Refusal> {
    if present.iter().any(Identity::is_upn) && wanted.iter().filter(|one| one.is_upn()).count() != 1 {
        let message = "The userPrincipalName identity must be present exactly once in property 'identities'.";
        return Err(Refusal::about(PROPERTY, message.to_owned()));
    }
    let key = |one: &Identity| (one.issuer.to_lowercase(), one.issuer_assigned_id.to_lowercase());
    let twice = |(at, one): (usize, &Identity)| {
        // A principal name may equal a local sign-in name of the same user.
        wanted[..at].iter().any(|other| key(other) == key(one) && other.is_upn() == one.is_upn())
    };
    if wanted.iter().enumerate().any(twice) {
        return Err(Refusal::invalid_value(PROPERTY));
    }
    let is_local = |one: &Identity| !one.is_upn() && !one.is_federated();
    let social_only = present.iter().any(Identity::is_federated) && !present.iter().any(is_local);
    if (present.is_empty() || social_only) && wanted.iter().any(is_local) {
        let message = "Adding a non-federated user signInType is not permitted if the user only has \
                       social/federated identities or no identities";
        return Err(Refusal::about(PROPERTY, message.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DOMAIN: &str = "contoso.onmicrosoft.com";

    fn upn() -> Value {
        json!({"signInType": "userPrincipalName", "issuer": DOMAIN, "issuerAssignedId": "ada@contoso.onmicrosoft.com"})
    }

    fn email(address: &str) -> Value {
        json!({"signInType": "emailAddress", "issuer": DOMAIN, "issuerAssignedId": address})
    }

    fn social() -> Value {
        json!({"signInType": "federated", "issuer": "google.com", "issuerAssignedId": "118"})
    }

    fn list(elements: &[Value]) -> Vec<Identity> {
        elements.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect()
    }

    fn check(present: &[Value], wanted: &[Value], message: Option<&str>) {
        let refused = replacement(&json!(wanted), &list(present), DOMAIN).err();
        let text = refused.as_ref().map(|refusal| refusal.message.as_str());
        match (text, message) {
            (Some(text), Some(part)) => assert!(text.contains(part), "{text}"),
            (text, message) => assert_eq!(text, message, "{wanted:?}"),
        }
    }

    #[test]
    fn an_email_is_changed_by_sending_the_whole_list() {
        check(&[upn(), email("a@b.test")], &[upn(), email("c@d.test")], None);
        check(&[upn(), email("a@b.test"), social()], &[upn()], None);
    }

    #[test]
    fn the_principal_name_must_stay_in_the_list() {
        check(&[upn(), email("a@b.test")], &[email("c@d.test")], Some("userPrincipalName identity must be"));
        check(&[upn()], &[upn(), upn()], Some("exactly once"));
        check(&[email("a@b.test")], &[email("c@d.test")], None);
    }

    #[test]
    fn a_social_only_user_gets_no_local_identity() {
        check(&[upn(), social()], &[upn(), social(), email("a@b.test")], Some("Adding a non-federated user"));
        check(&[], &[email("a@b.test")], Some("Adding a non-federated user"));
        check(&[upn()], &[upn(), email("a@b.test")], None);
        check(&[upn(), social()], &[upn()], None);
    }

    #[test]
    fn at_most_ten_identities_are_taken() {
        let many = |n: usize| -> Vec<Value> {
            std::iter::once(upn()).chain((1..n).map(|i| email(&format!("a{i}@b.test")))).collect()
        };
        check(&[upn()], &many(10), None);
        check(&[upn()], &many(11), Some("exceeds the limit of 10"));
    }

    #[test]
    fn elements_are_checked_one_by_one() {
        let invalid = Some("Invalid value specified for property 'identities'");
        let other_issuer =
            json!({"signInType": "emailAddress", "issuer": "fabrikam.test", "issuerAssignedId": "a@b.test"});
        let extra =
            json!({"signInType": "federated", "issuer": "x", "issuerAssignedId": "1", "colour": "red"});
        let typed = json!({"@odata.type": "#microsoft.graph.objectIdentity", "signInType": "federated", "issuer": "x", "issuerAssignedId": "1"});
        let code = |id: &str| json!({"signInType": "federated", "issuer": "mail", "issuerAssignedId": id});
        let name = |id: &str| json!({"signInType": "userName", "issuer": DOMAIN, "issuerAssignedId": id});
        for (element, message) in [
            (email("not an address"), invalid),
            (email(&format!("{}@b.test", "x".repeat(57))), None),
            (email(&format!("{}@b.test", "x".repeat(58))), invalid),
            (other_issuer, invalid),
            (extra, invalid),
            (typed, None),
            (code("a@b.test"), None),
            (code("118"), invalid),
            (name("ada_1-x"), None),
            (name("_ada"), invalid),
            (name("ada.x"), invalid),
            (json!({"signInType": "federated", "issuerAssignedId": "1"}), invalid),
            (json!("text"), invalid),
        ] {
            check(&[upn()], &[upn(), element], message);
        }
    }

    #[test]
    fn the_same_name_twice_is_refused() {
        check(&[upn()], &[upn(), email("a@b.test"), email("A@B.test")], Some("Invalid value"));
    }
}
