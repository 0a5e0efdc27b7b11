//! The table of user properties: which there are, what they take, who may write them.

use serde_json::Value;

use super::{options::Profile, refusal::Refusal};

/// What a property takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Text of at most this many UTF-16 units.
    Text(usize, Clearing),
    /// A display name; B2C refuses angle brackets in it.
    DisplayName,
    /// An SMTP address, unique in the tenant through `proxyAddresses`.
    Mail,
    /// A list of addresses.
    OtherMails,
    /// A list of one number.
    BusinessPhones,
    /// A two-letter country code.
    UsageLocation,
    /// A culture such as `en-US`.
    Language,
    /// The user principal name.
    Upn,
    /// True or false.
    Switch,
    /// Fifteen numbered texts.
    NumberedTexts,
    /// An extension property of an app.
    Extension(ExtensionType),
    /// The list of sign-in names.
    Identities,
    /// A password, which an app needs a permission of its own for.
    Password,
    /// Kept in another store; an app alone cannot write it.
    Elsewhere,
    /// Written by the service only.
    ReadOnly,
}

/// What an extension property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtensionType {
    String,
    Boolean,
    Integer,
}

/// Whether null removes the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clearing {
    ByNull,
    Impossible,
}

/// The properties of a `GET` without `$select`.
pub(super) const DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];

/// The rule of a property; none means that there is no such property.
pub(super) fn rule(name: &str, extensions: &[String]) -> Option<Rule> {
    use Clearing::{ByNull, Impossible};
    Some(match name {
        "givenName" | "surname" | "department" | "companyName" | "mobilePhone" | "faxNumber" => {
            Rule::Text(64, ByNull)
        }
        "jobTitle" | "officeLocation" | "city" | "state" | "country" | "employeeType" => {
            Rule::Text(128, ByNull)
        }
        "streetAddress" => Rule::Text(1024, ByNull),
        "postalCode" => Rule::Text(40, ByNull),
        "employeeId" => Rule::Text(16, ByNull),
        "mailNickname" => Rule::Text(64, Impossible),
        "displayName" => Rule::DisplayName,
        "mail" => Rule::Mail,
        "otherMails" => Rule::OtherMails,
        "businessPhones" => Rule::BusinessPhones,
        "usageLocation" => Rule::UsageLocation,
        "preferredLanguage" => Rule::Language,
        "userPrincipalName" => Rule::Upn,
        "accountEnabled" => Rule::Switch,
        "onPremisesExtensionAttributes" => Rule::NumberedTexts,
        "identities" => Rule::Identities,
        "passwordProfile" => Rule::Password,
        "aboutMe" | "birthday" | "employeeHireDate" | "interests" | "mySite" | "pastProjects"
        | "responsibilities" | "schools" | "skills" => Rule::Elsewhere,
        "id"
        | "createdDateTime"
        | "deletedDateTime"
        | "proxyAddresses"
        | "imAddresses"
        | "creationType"
        | "onPremisesSyncEnabled"
        | "lastPasswordChangeDateTime"
        | "userType" => Rule::ReadOnly,
        _ => return extensions.iter().find_map(|defined| extension(defined, name)).map(Rule::Extension),
    })
}

/// The type of a definition, if it is one of this name: `name`, or `name:Boolean`, or `name:Integer`.
fn extension(defined: &str, name: &str) -> Option<ExtensionType> {
    match defined.strip_prefix(name)? {
        "" | ":String" => Some(ExtensionType::String),
        ":Boolean" => Some(ExtensionType::Boolean),
        ":Integer" => Some(ExtensionType::Integer),
        _ => None,
    }
}

/// Checks one value by itself; what concerns other users or the user's past is checked by the directory.
pub(super) fn check(name: &str, rule: Rule, value: &Value, profile: Profile) -> Result<(), Refusal> {
    let fits = match rule {
        Rule::Text(max, clearing) => value.is_null() && clearing == Clearing::ByNull || is_text(value, max),
        Rule::DisplayName => {
            let brackets = value.as_str().is_some_and(|text| text.contains(['<', '>']));
            is_text(value, 256) && !(brackets && profile == Profile::B2c)
        }
        Rule::Mail => value.as_str().is_some_and(|text| text.len() <= 256 && is_address(text)),
        Rule::OtherMails => is_list(value, 250, |text| text.len() <= 250 && is_address(text)),
        Rule::BusinessPhones => is_list(value, 1, |text| fits_in(text, 64)),
        Rule::UsageLocation => value
            .as_str()
            .is_some_and(|text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic())),
        Rule::Language => value.is_null() || value.as_str().is_some_and(is_culture),
        Rule::Upn => value.as_str().is_some_and(is_upn),
        Rule::Switch => value.is_boolean(),
        Rule::NumberedTexts => are_numbered_texts(value),
        Rule::Extension(kind) => {
            value.is_null()
                || match kind {
                    ExtensionType::String => is_text(value, 256),
                    ExtensionType::Boolean => value.is_boolean(),
                    ExtensionType::Integer => {
                        value.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
                    }
                }
        }
        Rule::Identities => true,
        Rule::Password | Rule::Elsewhere => return Err(Refusal::forbidden()),
        Rule::ReadOnly => return Err(Refusal::read_only(name)),
    };
    if fits { Ok(()) } else { Err(Refusal::invalid_value(name)) }
}

/// An address of the form that the directory accepts: ASCII, one `@`, a domain of at least two labels.
pub(super) fn is_address(text: &str) -> bool {
    let printable =
        text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b',' | b';' | b'"'));
    let Some((local, domain)) = text.split_once('@') else { return false };
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
    };
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    printable && !local.is_empty() && dots && domain.contains('.') && domain.split('.').all(label)
}

/// Letters, digits and `' . - _ ! # ^ ~` before the `@`.
fn is_upn(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'.-_!#^~".contains(&b);
    !local.is_empty() && local.len() <= 64 && local.bytes().all(allowed) && domain.contains('.')
}

fn is_culture(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts
        .next()
        .is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic()));
    language
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The directory counts UTF-16 units, as .NET does.
fn fits_in(text: &str, max: usize) -> bool {
    !text.is_empty() && (text.len() <= max || text.encode_utf16().count() <= max)
}

fn is_text(value: &Value, max: usize) -> bool {
    value.as_str().is_some_and(|text| fits_in(text, max))
}

fn is_list(value: &Value, most: usize, element: impl Fn(&str) -> bool) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.len() <= most && list.iter().all(|one| one.as_str().is_some_and(&element)))
}

fn are_numbered_texts(value: &Value) -> bool {
    let number =
        |name: &str| name.strip_prefix("extensionAttribute").and_then(|rest| rest.parse::<u8>().ok());
    value.as_object().is_some_and(|object| {
        object.iter().filter(|(name, _)| !name.contains('@')).all(|(name, value)| {
            number(name).is_some_and(|n| (1..=15).contains(&n)) && (value.is_null() || is_text(value, 1024))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_all(profile: Profile, table: &[(&str, Value, bool)]) {
        let extensions = ["mark", "known:Boolean", "points:Integer"]
            .map(|name| format!("extension_0123456789abcdef0123456789abcdef_{name}"));
        for (name, value, fits) in table {
            let verdict = rule(name, &extensions).map(|rule| check(name, rule, value, profile));
            assert_eq!(verdict.is_some_and(|v| v.is_ok()), *fits, "{name}: {value}");
        }
    }

    #[test]
    fn text_is_bounded_never_empty_and_cleared_by_null() {
        check_all(
            Profile::B2c,
            &[
                ("givenName", json!("x".repeat(64)), true),
                ("givenName", json!("x".repeat(65)), false),
                ("givenName", json!(""), false),
                ("givenName", json!(null), true),
                ("givenName", json!(7), false),
                ("surname", json!("ß".repeat(64)), true),
                ("surname", json!("😀".repeat(32)), true),
                ("surname", json!("😀".repeat(33)), false),
                ("department", json!("x".repeat(65)), false),
                ("jobTitle", json!("x".repeat(128)), true),
                ("jobTitle", json!("x".repeat(129)), false),
                ("streetAddress", json!("x".repeat(1024)), true),
                ("streetAddress", json!("x".repeat(1025)), false),
                ("postalCode", json!("x".repeat(41)), false),
                ("employeeId", json!("x".repeat(17)), false),
                ("mobilePhone", json!("+45 1"), true),
                ("mobilePhone", json!("1".repeat(65)), false),
                ("mailNickname", json!(""), false),
                ("mailNickname", json!("ada"), true),
            ],
        );
    }

    #[test]
    fn some_properties_cannot_be_null() {
        check_all(
            Profile::ExternalId,
            &[
                ("displayName", json!(null), false),
                ("mail", json!(null), false),
                ("usageLocation", json!(null), false),
                ("userPrincipalName", json!(null), false),
                ("businessPhones", json!(null), false),
                ("otherMails", json!(null), false),
                ("accountEnabled", json!(null), false),
                ("preferredLanguage", json!(null), true),
                ("usageLocation", json!("DK"), true),
                ("usageLocation", json!("DNK"), false),
                ("preferredLanguage", json!("en-US"), true),
                ("preferredLanguage", json!("zh-Hant-TW"), true),
                ("preferredLanguage", json!("english"), false),
            ],
        );
    }

    #[test]
    fn angle_brackets_in_a_display_name_are_refused_by_b2c_only() {
        check_all(Profile::B2c, &[("displayName", json!("a <b>"), false), ("displayName", json!("a"), true)]);
        check_all(Profile::ExternalId, &[("displayName", json!("a <b>"), true)]);
    }

    #[test]
    fn collections_are_bounded_and_cleared_by_an_empty_list() {
        let many: Vec<String> = (0..251).map(|n| format!("a{n}@b.test")).collect();
        check_all(
            Profile::B2c,
            &[
                ("businessPhones", json!([]), true),
                ("businessPhones", json!(["1"]), true),
                ("businessPhones", json!(["1", "2"]), false),
                ("businessPhones", json!([""]), false),
                ("otherMails", json!([]), true),
                ("otherMails", json!(&many[..250]), true),
                ("otherMails", json!(many), false),
                ("otherMails", json!(["no address"]), false),
                ("otherMails", json!([format!("a@{}.test", "b".repeat(250))]), false),
            ],
        );
    }

    #[test]
    fn addresses_are_ascii_with_one_at_and_a_dotted_domain() {
        for (text, good) in [
            ("ada@example.test", true),
            ("o'neill+x@example.co.uk", true),
            ("ada@example", false),
            ("ada", false),
            ("ada@@example.test", false),
            ("ád@example.test", false),
            ("a da@example.test", false),
            ("@example.test", false),
            (".ada@example.test", false),
            ("ada@-x.test", false),
        ] {
            assert_eq!(is_address(text), good, "{text}");
        }
    }

    #[test]
    fn read_only_unknown_and_foreign_properties_are_refused() {
        check_all(
            Profile::B2c,
            &[
                ("id", json!("x"), false),
                ("proxyAddresses", json!(["SMTP:a@b.test"]), false),
                ("createdDateTime", json!("2026-01-01T00:00:00Z"), false),
                ("favouriteColour", json!("red"), false),
                ("aboutMe", json!("x"), false),
                ("passwordProfile", json!({}), false),
                ("extension_0123456789abcdef0123456789abcdef_mark", json!("v1"), true),
                ("extension_0123456789abcdef0123456789abcdef_mark", json!("x".repeat(257)), false),
                ("extension_0123456789abcdef0123456789abcdef_other", json!("v1"), false),
                ("extension_0123456789abcdef0123456789abcdef_mark", json!(true), false),
                ("extension_0123456789abcdef0123456789abcdef_known", json!(true), true),
                ("extension_0123456789abcdef0123456789abcdef_known", json!(null), true),
                ("extension_0123456789abcdef0123456789abcdef_known", json!("true"), false),
                ("extension_0123456789abcdef0123456789abcdef_points", json!(-7), true),
                ("extension_0123456789abcdef0123456789abcdef_points", json!(2_147_483_648_i64), false),
                ("extension_0123456789abcdef0123456789abcdef_points", json!("7"), false),
                ("onPremisesExtensionAttributes", json!({"extensionAttribute15": "x"}), true),
                ("onPremisesExtensionAttributes", json!({"extensionAttribute1": null}), true),
                ("onPremisesExtensionAttributes", json!({"extensionAttribute16": "x"}), false),
                ("onPremisesExtensionAttributes", json!({"extensionAttribute1": "x".repeat(1025)}), false),
            ],
        );
    }
}
