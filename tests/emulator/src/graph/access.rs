//! Which permissions a call needs.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{refusal::Refusal, token::Grant, user::User};

const READ_AND_WRITE: [&str; 2] = ["User.ReadWrite.All", "Directory.ReadWrite.All"];
const READ: [&str; 3] = ["User.Read.All", "User.ReadUpdate.All", "Directory.Read.All"];

/// Properties that need more than the ordinary permission when the user is an administrator.
const SENSITIVE: [&str; 7] = [
    "accountEnabled",
    "businessPhones",
    "mobilePhone",
    "otherMails",
    "onPremisesImmutableId",
    "passwordProfile",
    "userPrincipalName",
];

/// Whether the grant opens users for reading.
pub(super) fn may_read(grant: &Grant) -> Result<(), Refusal> {
    let open = has(&grant.roles, &READ_AND_WRITE) || has(&grant.roles, &READ);
    open.then_some(()).ok_or_else(Refusal::forbidden)
}

/// Whether the grant opens every one of the properties of this user for writing.
pub(super) fn may_write(grant: &Grant, user: &User, body: &Map<String, Value>) -> Result<(), Refusal> {
    let sensitive = |name: &String| SENSITIVE.contains(&name.as_str());
    if user.admin && !grant.directory_role && body.keys().any(sensitive) {
        return Err(Refusal::forbidden());
    }
    let open = body.keys().filter(|name| !name.contains('@')).all(|name| covers(&grant.roles, name));
    open.then_some(()).ok_or_else(Refusal::forbidden)
}

/// Whether the grant opens the authentication methods by e-mail, for reading or for writing; and those of an administrator
/// only to an app with a directory role.
pub(super) fn may_use_methods(grant: &Grant, user: &User, writes: bool) -> Result<(), Refusal> {
    let write = ["UserAuthenticationMethod.ReadWrite.All", "UserAuthMethod-Email.ReadWrite.All"];
    let read = ["UserAuthenticationMethod.Read.All", "UserAuthMethod-Email.Read.All"];
    let open = has(&grant.roles, &write) || (!writes && has(&grant.roles, &read));
    let protected = writes && user.admin && !grant.directory_role;
    (open && !protected).then_some(()).ok_or_else(Refusal::forbidden)
}

/// Whether the grant opens who holds a directory role.
pub(super) fn may_read_roles(grant: &Grant) -> Result<(), Refusal> {
    let any = [
        "RoleManagement.Read.Directory",
        "RoleManagement.ReadWrite.Directory",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ];
    has(&grant.roles, &any).then_some(()).ok_or_else(Refusal::forbidden)
}

/// Whether the grant may create and delete users.
pub(super) fn may_manage(grant: &Grant) -> Result<(), Refusal> {
    has(&grant.roles, &READ_AND_WRITE).then_some(()).ok_or_else(Refusal::forbidden)
}

fn covers(roles: &BTreeSet<String>, property: &str) -> bool {
    let special = match property {
        "identities" => return has(roles, &["User.ManageIdentities.All"]),
        "otherMails" => "User-Mail.ReadWrite.All",
        "businessPhones" | "mobilePhone" => "User-Phone.ReadWrite.All",
        "accountEnabled" => "User.EnableDisableAccount.All",
        _ => "User.ReadUpdate.All",
    };
    has(roles, &READ_AND_WRITE) || has(roles, &[special])
}

fn has(roles: &BTreeSet<String>, any: &[&str]) -> bool {
    any.iter().any(|role| roles.contains(*role))
}
