//! What somebody may do, and on which rows.
//!
//! Source: Microsoft's page of `RetrieveUserPrivileges`. Privileges of a team are told with the depth `Basic`, whatever they are,
//! so only `Global` is proof. Whether the answer has the names of privileges is not confirmed, so ids count, too.

use super::metadata::{HeldPrivilege, Table};

/// The privilege to read contacts.
pub(crate) const READ_CONTACT: &str = "prvReadContact";

/// On which rows a privilege counts, from few to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PrivilegeDepth {
    /// Those of the user.
    Basic,
    /// Those of the business unit.
    Local,
    /// Those of the business units below it, too.
    Deep,
    /// All of the organization.
    Global,
}

/// The privileges of a user, and the table that they are asked about.
pub(crate) struct HeldRights<'h> {
    /// What Dataverse tells.
    pub(crate) held: &'h [HeldPrivilege],
    /// Which ids the privileges of the table have. It helps where privileges come without their names.
    pub(crate) table: Option<&'h Table>,
}

impl PrivilegeDepth {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "Basic" | "0" => Self::Basic,
            "Local" | "1" => Self::Local,
            "Deep" | "2" => Self::Deep,
            "Global" | "3" => Self::Global,
            _ => return None,
        })
    }
}

impl HeldRights<'_> {
    /// On which rows the user has the privilege; the widest of several roles counts.
    pub(crate) fn depth(&self, name: &str) -> Option<PrivilegeDepth> {
        let named = self.table.into_iter().flat_map(|table| &table.privileges);
        let id =
            named.filter(|privilege| &*privilege.name == name).map(|privilege| privilege.privilege_id).next();
        let is_meant = |held: &&HeldPrivilege| {
            let by_name = held.privilege_name.as_deref().is_some_and(|held| held.eq_ignore_ascii_case(name));
            by_name || (id.is_some() && held.privilege_id == id)
        };
        self.held.iter().filter(is_meant).filter_map(|held| PrivilegeDepth::of(&held.depth)).max()
    }

    /// Whether names come along, without which nothing can be said of other tables.
    pub(crate) fn names(&self) -> bool {
        self.held.iter().any(|held| held.privilege_name.is_some())
    }
}
