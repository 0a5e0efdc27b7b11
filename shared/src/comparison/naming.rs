//! By what a user names the contact that it belongs to. Object ids differ between two directories, so that two users are of
//! one contact only if both say the same of it.

use uuid::Uuid;

use crate::{
    admission::Terms,
    hash_key::HashKey,
    ids::{ContactId, UserId},
    patch::PropertyValue,
    plan::{IdentityIssuer, LinkQuery, LinkRule, Planner},
    property::Property,
    reconcile::Current,
};

/// A way in which users of a directory name their contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactNaming {
    /// This attribute of the user holds the contact's id.
    Attribute(Property),
    /// The user's object id stands in this column of the contact.
    ObjectId(Box<str>),
    /// The user has an identity of this issuer, and its id stands in this column of the contact.
    Identity {
        /// Who issued it.
        issuer: Box<str>,
        /// The column.
        column: Box<str>,
    },
}

/// What users of both directories have to agree in.
#[derive(PartialEq, Eq)]
enum Meant<'n> {
    /// The contact's id.
    Contact,
    /// What stands in this column of the contact.
    Column(&'n str),
}

/// What a user calls its contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContact {
    /// By its id.
    Contact(ContactId),
    /// By what stands in a column of it, which may be a person's and is kept for a moment only.
    Text(Box<str>),
}

/// The keyed hash of what a user calls its contact.
pub type ContactHash = [u8; 16];

impl ContactNaming {
    /// All ways of a directory, the one that decides first: the rules by which the worker finds the user, and then the
    /// attribute that binds a user to its contact.
    #[must_use]
    pub fn of(planner: &Planner, terms: &Terms) -> Vec<Self> {
        let by_column = || Self::ObjectId(planner.link_column.clone());
        let mut ways: Vec<_> = if planner.rules.is_empty() {
            vec![by_column()]
        } else {
            planner.rules.iter().filter_map(Self::of_rule).collect()
        };
        ways.extend(terms.owner.clone().map(Self::Attribute));
        ways
    }

    fn of_rule(rule: &LinkRule) -> Option<Self> {
        match rule {
            LinkRule::ObjectId(column) => Some(Self::ObjectId(column.clone())),
            LinkRule::Attribute(name) => Property::named(name).map(Self::Attribute),
            LinkRule::Identity { issuer: IdentityIssuer::Fixed(issuer), id } => {
                Some(Self::Identity { issuer: issuer.clone(), column: id.clone() })
            }
            // Which of the user's issuers the contact names, only the contact tells.
            LinkRule::Identity { issuer: IdentityIssuer::Column(_), .. } => None,
        }
    }

    /// The first way of the one for which the other has one that means the same; `None` if users of the two say nothing that
    /// could be held against each other.
    #[must_use]
    pub fn shared_by(one: &[Self], other: &[Self]) -> Option<[Self; 2]> {
        one.iter().find_map(|own| {
            let same = other.iter().find(|theirs| theirs.meant() == own.meant())?;
            Some([own.clone(), same.clone()])
        })
    }

    fn meant(&self) -> Meant<'_> {
        match self {
            Self::Attribute(_) => Meant::Contact,
            Self::ObjectId(column) | Self::Identity { column, .. } => Meant::Column(column),
        }
    }

    /// The attribute that has to be read for it.
    #[must_use]
    pub fn attribute(&self) -> Option<&Property> {
        match self {
            Self::Attribute(attribute) => Some(attribute),
            Self::ObjectId(_) | Self::Identity { .. } => None,
        }
    }

    /// Whether identities have to be read for it.
    #[must_use]
    pub fn needs_identities(&self) -> bool {
        matches!(self, Self::Identity { .. })
    }

    /// What a user calls its contact; `None` if it names none.
    #[must_use]
    pub fn read(&self, user: UserId, current: &Current) -> Option<NamedContact> {
        match self {
            Self::Attribute(attribute) => {
                let text = current.shown(attribute).and_then(PropertyValue::text)?;
                Uuid::try_parse(text.trim()).ok().map(|id| NamedContact::Contact(ContactId(id)))
            }
            Self::ObjectId(_) => Some(NamedContact::Text(user.to_string().into())),
            Self::Identity { issuer, .. } => {
                let mut own = current.person.identities.iter().flatten();
                let identity = own.find(|identity| identity.issuer.eq_ignore_ascii_case(issuer))?;
                let id = identity.issuer_assigned_id.trim();
                // A GUID is written in several ways, by portals and by Graph.
                let canonical = UserId::parse(id).map(|id| id.to_string().into());
                (!id.is_empty()).then(|| NamedContact::Text(canonical.unwrap_or_else(|| id.into())))
            }
        }
    }

    /// The question by which the user who calls its contact so is found; `Err` with the user itself where that is the id.
    pub fn question(&self, named: &NamedContact) -> Result<LinkQuery, Option<UserId>> {
        match (self, named) {
            (Self::Attribute(attribute), NamedContact::Contact(contact)) => {
                Ok(LinkQuery::Attribute { attribute: attribute.name().into(), contact: *contact })
            }
            (Self::Identity { issuer, .. }, NamedContact::Text(id)) => {
                Ok(LinkQuery::Identity { issuer: issuer.clone(), id: id.clone() })
            }
            (Self::ObjectId(_), NamedContact::Text(id)) => Err(UserId::parse(id)),
            (Self::Attribute(_), NamedContact::Text(_))
            | (Self::Identity { .. } | Self::ObjectId(_), NamedContact::Contact(_)) => Err(None),
        }
    }
}

impl NamedContact {
    /// What is kept of it.
    #[must_use]
    pub fn hash(&self, key: &HashKey) -> ContactHash {
        match self {
            Self::Contact(contact) => key.hash("contact", contact.0.as_bytes()),
            Self::Text(text) => key.hash("column", text.as_bytes()),
        }
    }
}
