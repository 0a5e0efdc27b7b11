//! The users of the tenant: who there is, what a write does to them, what a read shows.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    identities,
    options::{Profile, Tenant},
    property,
    refusal::Refusal,
    user::{Identity, User},
};
use crate::clock;

/// The most extension values that B2C keeps for one user.
const MOST_EXTENSIONS: usize = 100;
/// The most values of `mail` over the life of a B2C account.
const MOST_MAILS: usize = 10;

/// Why a user cannot be added.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddError {
    /// A name that must be unique belongs to somebody else.
    #[error("add user {id}: {name} belongs to user {owner} already")]
    Taken {
        /// The user to be added.
        id: Uuid,
        /// The property at fault.
        name: &'static str,
        /// Who has the name.
        owner: Uuid,
    },
}

/// One property before and after a write.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its name in Graph.
    pub property: String,
    /// What stood there.
    pub before: Value,
    /// What stands there now.
    pub after: Value,
}

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) tenant: Tenant,
    pub(super) profile: Profile,
    pub(super) extensions: Vec<String>,
    /// How long a read may show the past.
    pub(super) lag: Duration,
    records: HashMap<Uuid, Record>,
    /// Ids in the order of their arrival, for lists.
    order: Vec<Uuid>,
    owners: HashMap<Name, Uuid>,
}

#[derive(Debug)]
struct Record {
    user: User,
    visible_from: Instant,
    /// Earlier states, each with the moment until which reads may show it.
    past: VecDeque<(Instant, User)>,
}

/// A name that only one user of the tenant can have; lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Principal(String),
    Address(String),
    Identity(String, String),
}

impl Name {
    fn property(&self) -> &'static str {
        match self {
            Self::Principal(_) => "userPrincipalName",
            Self::Address(_) => "proxyAddresses",
            Self::Identity(..) => "identities",
        }
    }
}

impl Directory {
    pub(super) fn new(tenant: Tenant, profile: Profile, extensions: Vec<String>) -> Self {
        Self {
            tenant,
            profile,
            extensions,
            lag: Duration::ZERO,
            records: HashMap::new(),
            order: Vec::new(),
            owners: HashMap::new(),
        }
    }

    /// Adds a user, or replaces the one of the same id.
    pub(super) fn add(&mut self, user: User, visible_from: Instant) -> Result<(), AddError> {
        let user = self.complete(user);
        let names = names(&user);
        let id = user.id;
        if let Some((name, owner)) = self.taken(id, &names) {
            return Err(AddError::Taken { id, name: name.property(), owner });
        }
        if let Some(old) = self.records.insert(id, Record { user, visible_from, past: VecDeque::new() }) {
            self.release(&old.user);
        } else {
            self.order.push(id);
        }
        self.owners.extend(names.into_iter().map(|name| (name, id)));
        Ok(())
    }

    /// What every user of a directory has, even if the seed does not say so.
    fn complete(&self, mut user: User) -> User {
        let domain = &self.tenant.domain;
        let id = user.id;
        let defaults = [
            ("accountEnabled", json!(true)),
            ("displayName", json!(format!("User {id}"))),
            ("userPrincipalName", json!(format!("{id}@{domain}"))),
            ("createdDateTime", json!(clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
        ];
        let upn = user.identities.iter().find(|one| one.is_upn()).map(|one| one.issuer_assigned_id.clone());
        if let Some(upn) = upn {
            user.properties.insert("userPrincipalName".to_owned(), json!(upn));
        }
        for (name, value) in defaults {
            user.properties.entry(name).or_insert(value);
        }
        if let Some(mail) = user.text("mail").map(str::to_owned) {
            user.properties.entry("proxyAddresses").or_insert_with(|| json!([format!("SMTP:{mail}")]));
        }
        for identity in &mut user.identities {
            if identity.issuer.is_empty() {
                identity.issuer.clone_from(domain);
            }
        }
        if !user.identities.iter().any(Identity::is_upn) {
            let upn = user.text("userPrincipalName").unwrap_or_default().to_owned();
            user.identities.push(Identity::new("userPrincipalName", domain, &upn));
        }
        user
    }

    /// The id that a URL means: an object id or a principal name.
    pub(super) fn resolve(&self, key: &str) -> Option<Uuid> {
        match key.parse() {
            Ok(id) => self.records.contains_key(&id).then_some(id),
            Err(_) => self.owners.get(&Name::Principal(key.to_lowercase())).copied(),
        }
    }

    /// A user as it is now, deleted or not.
    pub(super) fn get(&self, id: Uuid) -> Option<&User> {
        self.records.get(&id).map(|record| &record.user)
    }

    /// All users, deleted ones included, in the order of their arrival.
    pub(super) fn all(&self) -> impl Iterator<Item = &User> {
        self.order.iter().filter_map(|id| self.get(*id))
    }

    /// What a reader sees at `now`: nothing while the user is too new, and perhaps the past.
    pub(super) fn seen(&self, id: Uuid, now: Instant) -> Option<&User> {
        let record = self.records.get(&id).filter(|record| record.visible_from <= now)?;
        let past = record.past.iter().find(|(until, _)| *until > now).map(|(_, user)| user);
        Some(past.unwrap_or(&record.user)).filter(|user| !user.deleted)
    }

    /// Every user that a reader sees.
    pub(super) fn all_seen(&self, now: Instant) -> impl Iterator<Item = &User> {
        self.order.iter().filter_map(move |id| self.seen(*id, now))
    }

    /// The user that a write is meant for; a write needs no replica to have caught up, but a new user is unknown.
    pub(super) fn target(&self, key: &str, now: Instant) -> Result<&User, Refusal> {
        let found = self.resolve(key).and_then(|id| self.records.get(&id));
        found
            .filter(|record| record.visible_from <= now && !record.user.deleted)
            .map(|record| &record.user)
            .ok_or_else(|| Refusal::not_found(key))
    }

    /// Checks a whole PATCH and applies it, or applies nothing.
    pub(super) fn patch(
        &mut self,
        id: Uuid,
        wanted: Map<String, Value>,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let record = self.records.get(&id).ok_or_else(|| Refusal::not_found(&id.to_string()))?;
        let mut next = record.user.clone();
        let mut faults = Vec::new();
        let mut changes = Vec::with_capacity(wanted.len());
        for (name, value) in wanted.into_iter().filter(|(name, _)| !name.contains('@')) {
            let before = next.get(&name);
            match self.set(&mut next, &name, value) {
                Ok(()) => {
                    let after = next.get(&name);
                    if before != after {
                        changes.push(Change { property: name, before, after });
                    }
                }
                Err(refusal) => faults.push(refusal),
            }
        }
        faults.extend(self.too_many_extensions(&next, &changes));
        if let Some(all) = faults.into_iter().reduce(Refusal::and) {
            return Err(all);
        }
        self.commit(next, now)?;
        Ok(changes)
    }

    /// Replaces a user's authentication method by e-mail.
    pub(super) fn set_reset(
        &mut self,
        id: Uuid,
        address: Option<String>,
        now: Instant,
    ) -> Result<Change, Refusal> {
        let record = self.records.get(&id).ok_or_else(|| Refusal::not_found(&id.to_string()))?;
        let next = User { reset_email: address, ..record.user.clone() };
        let told = |user: &User| json!(user.reset_email);
        let change =
            Change { property: "emailMethods".to_owned(), before: told(&record.user), after: told(&next) };
        self.commit(next, now)?;
        Ok(change)
    }

    /// Only the whole write shows how many values a user ends up with: some are removed as others are added.
    fn too_many_extensions(&self, next: &User, changes: &[Change]) -> Option<Refusal> {
        let is_extension = |name: &str| name.starts_with("extension_");
        let added =
            changes.iter().rev().find(|change| is_extension(&change.property) && !change.after.is_null())?;
        let count = next.properties.keys().filter(|name| is_extension(name)).count();
        let full = self.profile == Profile::B2c && count > MOST_EXTENSIONS;
        full.then(|| Refusal::invalid_value(&added.property))
    }

    /// Replaces a user's state, which must not take another user's names.
    fn commit(&mut self, next: User, now: Instant) -> Result<(), Refusal> {
        let id = next.id;
        let before = self.records.get(&id).map(|record| names(&record.user)).unwrap_or_default();
        let after = names(&next);
        if before != after {
            if let Some((name, owner)) = self.taken(id, &after) {
                return Err(Refusal::conflict(name.property(), owner));
            }
            for name in before {
                self.owners.remove(&name);
            }
            self.owners.extend(after.into_iter().map(|name| (name, id)));
        }
        let lag = self.lag;
        if let Some(record) = self.records.get_mut(&id) {
            let old = std::mem::replace(&mut record.user, next);
            record.past.retain(|(until, _)| *until > now);
            if !lag.is_zero() {
                record.past.push_back((now + lag, old));
            }
        }
        Ok(())
    }

    fn set(&self, user: &mut User, name: &str, value: Value) -> Result<(), Refusal> {
        use property::Rule;
        let rule = property::rule(name, &self.extensions).ok_or_else(|| Refusal::unknown_property(name))?;
        property::check(name, rule, &value, self.profile)?;
        match rule {
            Rule::Identities => {
                user.identities = identities::replacement(&value, &user.identities, &self.tenant.domain)?;
                if let Some(upn) = user.identities.iter().find(|one| one.is_upn()) {
                    let upn = json!(upn.issuer_assigned_id);
                    user.properties.insert("userPrincipalName".to_owned(), upn);
                }
                return Ok(());
            }
            Rule::Upn => self.set_principal(user, &value)?,
            Rule::Mail => self.remember_address(user, value.as_str().unwrap_or_default())?,
            Rule::NumberedTexts => return set_numbered_texts(user, name, value),
            _ => {}
        }
        put(user, name, value);
        Ok(())
    }

    /// The identity of the same name follows, and the domain must be ours.
    fn set_principal(&self, user: &mut User, value: &Value) -> Result<(), Refusal> {
        let upn = value.as_str().unwrap_or_default();
        let ours =
            upn.rsplit_once('@').is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(&self.tenant.domain));
        if !ours {
            let message = "The domain portion of the userPrincipalName property is invalid. You must use one of \
                           the verified domain names in your organization.";
            return Err(Refusal::about("userPrincipalName", message.to_owned()));
        }
        for identity in user.identities.iter_mut().filter(|one| one.is_upn()) {
            upn.clone_into(&mut identity.issuer_assigned_id);
        }
        Ok(())
    }

    /// `mail` becomes the primary of `proxyAddresses`; what was there stays as a secondary one. That is how B2C
    /// runs into its limit of ten values.
    fn remember_address(&self, user: &mut User, mail: &str) -> Result<(), Refusal> {
        let mut known: Vec<String> = user.proxy_addresses().map(str::to_owned).collect();
        known.retain(|address| !address.eq_ignore_ascii_case(mail));
        if self.profile == Profile::B2c && known.len() >= MOST_MAILS {
            let message = "Encountered an internal server error.";
            let status = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Refusal::new(status, "Service_InternalServerError", message));
        }
        let secondary = known.into_iter().map(|address| format!("smtp:{address}"));
        let addresses: Value = std::iter::once(format!("SMTP:{mail}")).chain(secondary).collect();
        user.properties.insert("proxyAddresses".to_owned(), addresses);
        Ok(())
    }

    /// Creates a user from the body of a POST. A password is accepted and forgotten.
    pub(super) fn create(
        &mut self,
        body: Map<String, Value>,
        visible_from: Instant,
    ) -> Result<Uuid, Refusal> {
        let mut user = User::new(Uuid::new_v4());
        for (name, value) in body.into_iter().filter(|(name, _)| !name.contains('@')) {
            match name.as_str() {
                "passwordProfile" | "passwordPolicies" => {}
                "identities" => user.identities = identities::first(&value, &self.tenant.domain)?,
                _ => self.set(&mut user, &name, value)?,
            }
        }
        let id = user.id;
        let added = self.add(user, visible_from);
        added.map(|()| id).map_err(|AddError::Taken { name, owner, .. }| Refusal::conflict(name, owner))
    }

    /// Puts a user into the bin.
    pub(super) fn delete(&mut self, id: Uuid) -> bool {
        match self.records.get_mut(&id) {
            Some(record) => !std::mem::replace(&mut record.user.deleted, true),
            None => false,
        }
    }

    /// Removes a user and gives its names back.
    pub(super) fn purge(&mut self, id: Uuid) -> bool {
        let Some(record) = self.records.remove(&id) else { return false };
        self.release(&record.user);
        self.order.retain(|one| *one != id);
        true
    }

    /// Finds users by a sign-in name, without regard to case.
    pub(super) fn by_identity(&self, issuer: &str, assigned: &str) -> Option<Uuid> {
        self.owners.get(&Name::Identity(issuer.to_lowercase(), assigned.to_lowercase())).copied()
    }

    fn release(&mut self, user: &User) {
        let id = user.id;
        for name in names(user) {
            if self.owners.get(&name) == Some(&id) {
                self.owners.remove(&name);
            }
        }
    }

    fn taken<'a>(&self, id: Uuid, names: &'a [Name]) -> Option<(&'a Name, Uuid)> {
        names.iter().find_map(|name| {
            let owner = self.owners.get(name).copied().filter(|owner| *owner != id)?;
            Some((name, owner))
        })
    }
}

/// The names that a user occupies.
fn names(user: &User) -> Vec<Name> {
    let principal = user.text("userPrincipalName").map(|upn| Name::Principal(upn.to_lowercase()));
    let addresses = user.proxy_addresses().map(|address| Name::Address(address.to_lowercase()));
    let identities = user
        .identities
        .iter()
        .filter(|one| !one.is_upn())
        .map(|one| Name::Identity(one.issuer.to_lowercase(), one.issuer_assigned_id.to_lowercase()));
    principal.into_iter().chain(addresses).chain(identities).collect()
}

fn put(user: &mut User, name: &str, value: Value) {
    if value.is_null() {
        user.properties.remove(name);
    } else {
        user.properties.insert(name.to_owned(), value);
    }
}

/// Only the numbers that were sent change; users that come from an on-premises directory keep theirs.
fn set_numbered_texts(user: &mut User, name: &str, value: Value) -> Result<(), Refusal> {
    if user.get("onPremisesSyncEnabled") == json!(true) {
        let message = "Unable to update the specified properties for on-premises mastered Directory Sync objects \
                       or objects currently undergoing migration.";
        return Err(Refusal::about(name, message.to_owned()));
    }
    let Value::Object(sent) = value else { return Err(Refusal::invalid_value(name)) };
    let entry = user.properties.entry(name).or_insert_with(|| json!({}));
    if let Some(texts) = entry.as_object_mut() {
        texts.extend(sent.into_iter().filter(|(name, _)| !name.contains('@')));
        texts.retain(|_, value| !value.is_null());
    }
    Ok(())
}
