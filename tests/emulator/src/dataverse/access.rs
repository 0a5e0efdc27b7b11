//! Who calls, and what that user may do. Rights are data: roles, privileges and depths.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    refusal::Refusal,
    schema::{Column, Table},
    store::Store,
    value::{Row, Value},
};

/// How far a privilege reaches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Depth {
    /// The user's own rows.
    Basic,
    /// Those of the user's business unit.
    Local,
    /// Those of that unit and of the units below it, of which there are none here.
    Deep,
    /// All rows.
    Global,
}

/// Privileges by name, such as `prvReadContact`, and how far each reaches.
pub type Privileges = BTreeMap<String, Depth>;

/// What is done to a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Read,
    Create,
    Write,
    Delete,
}

impl Verb {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Create, Self::Write, Self::Delete];

    fn word(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Create => "Create",
            Self::Write => "Write",
            Self::Delete => "Delete",
        }
    }
}

/// Name of the privilege to do this to a table.
pub(crate) fn privilege(verb: Verb, table: &Table) -> String {
    format!("prv{}{}", verb.word(), table.schema_name)
}

/// The id of a privilege, the same in every run.
pub(crate) fn privilege_id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// Rights as they are set, and as users see them when that lags behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    /// What each role gives.
    pub(crate) roles: BTreeMap<Uuid, Privileges>,
    /// Roles that may do everything, and see secured columns.
    pub(crate) administrators: BTreeSet<Uuid>,
    /// Secured columns, as table and column.
    pub(crate) secured: BTreeSet<(String, String)>,
    /// Users who see secured columns without being administrators.
    pub(crate) profiles: BTreeSet<Uuid>,
    /// What was in force before the last change of rights, and until when users still see it.
    stale: Option<(Instant, Box<Old>)>,
}

#[derive(Clone, Debug)]
struct Old {
    roles: BTreeMap<Uuid, Privileges>,
    assigned: BTreeSet<(Uuid, Uuid)>,
}

impl Rights {
    /// Keeps the present rights in force until then, whatever changes now.
    pub(crate) fn hold(&mut self, store: &Store, until: Instant) {
        let old = Old { roles: self.roles.clone(), assigned: store.roles.clone() };
        self.stale = Some((until, Box::new(old)));
    }

    /// The user that an app is, and what it may do.
    pub(crate) fn of_app(&self, store: &Store, app: Uuid, now: Instant) -> Result<Access, Refusal> {
        let is_app = |row: &Row| row.get("applicationid") == Some(&Value::Guid(app));
        let Some((id, user)) = store.rows("systemuser").find(|(_, row)| is_app(row)) else {
            return Err(Refusal::new(403, 0x8007_2560, "The user is not a member of the organization."));
        };
        if user.get("isdisabled") == Some(&Value::Bool(true)) {
            let message =
                format!("The specified user (Id = {id}) is disabled. Consult your system administrator.");
            return Err(Refusal::new(403, 0x8004_0225, message));
        }
        Ok(self.of_user(store, *id, user, now))
    }

    /// What a user may do now.
    pub(crate) fn of_user(&self, store: &Store, id: Uuid, user: &Row, now: Instant) -> Access {
        let (roles, assigned) = match &self.stale {
            Some((until, old)) if *until > now => (&old.roles, &old.assigned),
            _ => (&self.roles, &store.roles),
        };
        let mut access = Access {
            user: id,
            unit: match user.get("businessunitid") {
                Some(Value::Lookup { id, .. }) => Some(*id),
                _ => None,
            },
            privileges: Privileges::new(),
            roles: 0,
            administrator: false,
            hidden: BTreeSet::new(),
        };
        for (_, role) in assigned.iter().filter(|(user, _)| *user == id) {
            access.roles += 1;
            access.administrator |= self.administrators.contains(role);
            for (name, depth) in roles.get(role).into_iter().flatten() {
                let known = access.privileges.entry(name.clone()).or_insert(*depth);
                *known = (*known).max(*depth);
            }
        }
        if !access.administrator && !self.profiles.contains(&id) {
            access.hidden = self.secured.clone();
        }
        access
    }
}

/// A caller, as of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) user: Uuid,
    unit: Option<Uuid>,
    pub(crate) privileges: Privileges,
    roles: usize,
    pub(crate) administrator: bool,
    hidden: BTreeSet<(String, String)>,
}

impl Access {
    /// The platform itself, and whoever stands behind a test.
    pub(crate) fn system(user: Uuid) -> Self {
        Self {
            user,
            unit: None,
            privileges: Privileges::new(),
            roles: 1,
            administrator: true,
            hidden: BTreeSet::new(),
        }
    }

    /// How far the caller may do this to rows of a table, or the documented refusal.
    pub(crate) fn may(&self, verb: Verb, table: &Table) -> Result<Depth, Refusal> {
        if self.administrator {
            return Ok(Depth::Global);
        }
        let name = privilege(verb, table);
        self.privileges.get(&name).copied().ok_or_else(|| self.missing(&name, table))
    }

    /// The same where anything less than all rows will not do.
    pub(crate) fn may_everywhere(&self, verb: Verb, table: &Table) -> Result<(), Refusal> {
        if self.may(verb, table)? == Depth::Global {
            return Ok(());
        }
        Err(self.missing(&privilege(verb, table), table))
    }

    /// Metadata is open to whoever has any role at all.
    pub(crate) fn may_metadata(&self) -> Result<(), Refusal> {
        if self.administrator || self.roles > 0 {
            return Ok(());
        }
        let message = format!(
            "Principal user (Id={}, type=8, roleCount=0, privilegeCount=0, accessMode=4), is missing prvReadEntity \
             privilege (Id={}) on OTC=9800 for entity 'entity'. context.Caller={}.",
            self.user,
            privilege_id("prvReadEntity"),
            self.user,
        );
        Err(Refusal::new(403, 0x8004_0220, message))
    }

    fn missing(&self, name: &str, table: &Table) -> Refusal {
        let message = format!(
            "Principal user (Id={}, type=8, roleCount={}, privilegeCount={}, accessMode=4), is missing {name} \
             privilege (Id={}) on OTC={} for entity '{}'. context.Caller={}.",
            self.user,
            self.roles,
            self.privileges.len(),
            privilege_id(name),
            table.code,
            table.name,
            self.user,
        );
        Refusal::new(403, 0x8004_0220, message)
    }

    /// Whether a row is within reach.
    pub(crate) fn reaches(&self, depth: Depth, table: &Table, row: &Row, store: &Store) -> bool {
        if depth == Depth::Global || !table.owned {
            return true;
        }
        let Some(Value::Lookup { id: owner, .. }) = row.get("ownerid") else { return false };
        if *owner == self.user {
            return true;
        }
        let unit = store.row("systemuser", *owner).and_then(|user| user.get("businessunitid"));
        depth != Depth::Basic && matches!(unit, Some(Value::Lookup { id, .. }) if Some(*id) == self.unit)
    }

    /// Whether the caller lacks the column security profile for a column.
    pub(crate) fn is_hidden(&self, table: &str, column: &str) -> bool {
        !self.hidden.is_empty() && self.hidden.contains(&(table.to_owned(), column.to_owned()))
    }

    pub(crate) fn may_filter(&self, table: &str, column: &Column) -> Result<(), Refusal> {
        if self.is_hidden(table, column.name) {
            let message = "Caller does not have full permissions to the attribute(s) used in filter conditions of query.";
            return Err(Refusal::new(403, 0x8004_f506, message));
        }
        Ok(())
    }

    pub(crate) fn may_set(&self, table: &str, column: &str) -> Result<(), Refusal> {
        if self.is_hidden(table, column) {
            let message = format!(
                "Caller user with Id {} does not have update permissions to the '{column}' secured attribute on entity '{table}'.",
                self.user
            );
            return Err(Refusal::new(403, 0x8004_f507, message));
        }
        Ok(())
    }
}
