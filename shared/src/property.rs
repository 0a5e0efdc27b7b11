//! The properties of a Graph user that a mapping may write, and what Graph demands of each.
//!
//! Source: Microsoft's "Update user" and "Azure AD B2C user profile attributes" pages. A value that breaks a
//! rule here would make Graph refuse the whole PATCH, so it is found before the call. All lengths are in UTF-16
//! units, as Graph counts.

use std::{fmt, sync::Arc};

/// A writable property of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Property(Name);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    /// Index into [`CATALOGUE`].
    Known(u8),
    /// A directory extension, `extension_{app id}_{name}`.
    Extension(Arc<str>),
}

/// What Graph accepts for a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Kind of value.
    pub kind: PropertyKind,
    /// Whether Graph lets it be emptied (null for a scalar, an empty list for a collection).
    pub clearable: bool,
}

/// Kind of value a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyKind {
    /// Text of at most `max` characters.
    Text {
        /// Longest text.
        max: usize,
    },
    /// An SMTP address without accented characters, at most `max` characters.
    Address {
        /// Longest address.
        max: usize,
    },
    /// A list of at most `most` texts of at most `max` characters, one of which is the contact's.
    List {
        /// Longest element.
        max: usize,
        /// Most elements.
        most: usize,
        /// Whether the elements are SMTP addresses.
        addresses: bool,
    },
    /// Text of at most `max` characters without `<` and `>`, which B2C refuses.
    DisplayName {
        /// Longest text.
        max: usize,
    },
    /// The address with which a local user signs in: not a property of its own, but one element of `identities`.
    SignIn,
    /// The address for password reset: not a property of the user, but his authentication method by e-mail, which is
    /// written by a call of its own.
    Reset,
    /// Two upper-case letters of ISO 3166.
    Country,
    /// A culture code such as `en-US`.
    Culture,
    /// Yes or no.
    Bool,
    /// A whole number of 32 bits with its sign.
    Integer,
}

/// Type of a directory extension. Whoever registers the extension chooses it, and its name does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionType {
    /// Text, which most of them are.
    String,
    /// Yes or no.
    Boolean,
    /// A whole number of 32 bits; Graph calls the type `Integer`, and B2C `Int`.
    Integer,
}

impl ExtensionType {
    /// All of them with their names in the settings.
    pub const NAMES: [(&'static str, Self); 3] =
        [("string", Self::String), ("boolean", Self::Boolean), ("integer", Self::Integer)];

    /// Kind of value of an extension of this type.
    #[must_use]
    pub const fn kind(self) -> PropertyKind {
        match self {
            Self::String => EXTENSION.kind,
            Self::Boolean => PropertyKind::Bool,
            Self::Integer => PropertyKind::Integer,
        }
    }
}

const fn text(max: usize) -> Rules {
    Rules { kind: PropertyKind::Text { max }, clearable: true }
}

/// Every property that can be mapped, but for extensions.
const CATALOGUE: [(&str, Rules); 37] = [
    ("accountEnabled", Rules { kind: PropertyKind::Bool, clearable: false }),
    (
        "businessPhones",
        Rules { kind: PropertyKind::List { max: 64, most: 1, addresses: false }, clearable: true },
    ),
    ("city", text(128)),
    ("companyName", text(64)),
    ("country", text(128)),
    ("department", text(64)),
    ("displayName", Rules { kind: PropertyKind::DisplayName { max: 256 }, clearable: false }),
    ("employeeId", text(16)),
    ("extensionAttribute1", text(1024)),
    ("extensionAttribute10", text(1024)),
    ("extensionAttribute11", text(1024)),
    ("extensionAttribute12", text(1024)),
    ("extensionAttribute13", text(1024)),
    ("extensionAttribute14", text(1024)),
    ("extensionAttribute15", text(1024)),
    ("extensionAttribute2", text(1024)),
    ("extensionAttribute3", text(1024)),
    ("extensionAttribute4", text(1024)),
    ("extensionAttribute5", text(1024)),
    ("extensionAttribute6", text(1024)),
    ("extensionAttribute7", text(1024)),
    ("extensionAttribute8", text(1024)),
    ("extensionAttribute9", text(1024)),
    ("givenName", text(64)),
    ("jobTitle", text(128)),
    // Also updates `proxyAddresses`; a B2C account takes ten distinct values in its life.
    ("mail", Rules { kind: PropertyKind::Address { max: 254 }, clearable: false }),
    ("mobilePhone", text(64)),
    ("officeLocation", text(128)),
    (
        "otherMails",
        Rules { kind: PropertyKind::List { max: 250, most: 250, addresses: true }, clearable: true },
    ),
    ("postalCode", text(40)),
    ("preferredLanguage", Rules { kind: PropertyKind::Culture, clearable: true }),
    (Property::RESET, Rules { kind: PropertyKind::Reset, clearable: false }),
    (Property::SIGN_IN, Rules { kind: PropertyKind::SignIn, clearable: false }),
    ("state", text(128)),
    ("streetAddress", text(1024)),
    ("surname", text(64)),
    ("usageLocation", Rules { kind: PropertyKind::Country, clearable: false }),
];

/// What the b2c-extensions-app allows for a directory extension.
const EXTENSION: Rules = text(256);

/// Longest `issuerAssignedId` of an identity.
pub const LONGEST_SIGN_IN: usize = 64;

/// Longest address for password reset. Microsoft's pages give none; no address is longer than this by RFC 5321.
pub const LONGEST_RESET: usize = 254;

impl Property {
    /// Our name for the sign-in address, which Graph keeps inside `identities`.
    pub const SIGN_IN: &'static str = "signInEmail";

    /// Our name for the address for password reset, which Graph keeps among the authentication methods of a user.
    pub const RESET: &'static str = "resetEmail";

    /// The property of that name, exactly as Graph spells it; `None` if it cannot be written by a mapping.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if let Ok(index) = CATALOGUE.binary_search_by(|(known, _)| (*known).cmp(name)) {
            return Some(Self(Name::Known(u8::try_from(index).ok()?)));
        }
        is_extension(name).then(|| Self(Name::Extension(name.into())))
    }

    /// The name as Graph spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.0 {
            Name::Known(index) => CATALOGUE[usize::from(*index)].0,
            Name::Extension(name) => name,
        }
    }

    /// Whether it is a directory extension.
    #[must_use]
    pub fn is_extension(&self) -> bool {
        matches!(self.0, Name::Extension(_))
    }

    /// What Graph accepts for it; a directory extension counts as text.
    #[must_use]
    pub fn rules(&self) -> Rules {
        match &self.0 {
            Name::Known(index) => CATALOGUE[usize::from(*index)].1,
            Name::Extension(_) => EXTENSION,
        }
    }

    /// Whether it holds e-mail addresses.
    #[must_use]
    pub fn holds_addresses(&self) -> bool {
        matches!(
            self.rules().kind,
            PropertyKind::SignIn
                | PropertyKind::Reset
                | PropertyKind::Address { .. }
                | PropertyKind::List { addresses: true, .. }
        )
    }

    /// Whether it is the address for password reset, which takes a call of its own.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.rules().kind == PropertyKind::Reset
    }

    /// Names of all properties that are not extensions, for help and suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CATALOGUE.iter().map(|(name, _)| *name)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `extension_{32 hex digits}_{name}`.
fn is_extension(name: &str) -> bool {
    let Some((app, rest)) = name.strip_prefix("extension_").and_then(|rest| rest.split_once('_')) else {
        return false;
    };
    app.len() == 32
        && app.bytes().all(|b| b.is_ascii_hexdigit())
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_so_that_every_property_is_found_by_name() {
        for name in Property::names() {
            assert_eq!(Property::named(name).as_ref().map(Property::name), Some(name));
        }
    }

    #[test]
    fn an_extension_is_known_by_its_shape() {
        let name = "extension_0123456789abcdef0123456789abcdef_loyaltyNumber";
        assert_eq!(Property::named(name).as_ref().map(Property::name), Some(name));
        for wrong in
            ["extension_1_x", "extension_0123456789abcdef0123456789abcdef_", "id", "Mail", "mail ", ""]
        {
            assert_eq!(Property::named(wrong), None, "{wrong}");
        }
    }
}
