//! The rows that every organization has before anybody does anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    access::Rights,
    options::{ADMINISTRATOR, ApplicationUser, Options, Role},
    store::Store,
    value::{Row, Tables, Value},
};

/// Messages that steps can be registered on.
const MESSAGES: [&str; 8] =
    ["Create", "Update", "Delete", "Assign", "SetState", "Merge", "Retrieve", "RetrieveMultiple"];

/// The user that the platform itself writes as.
pub(crate) fn system_user(organization: Uuid) -> Uuid {
    named(organization, "SYSTEM")
}

pub(crate) fn business_unit(organization: Uuid) -> Uuid {
    named(organization, "business unit")
}

/// An id that is the same in every run and another one in every organization.
pub(crate) fn named(organization: Uuid, name: &str) -> Uuid {
    Uuid::new_v5(&organization, name.as_bytes())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn lookup(table: &str, id: Uuid, name: Option<&str>) -> Value {
    Value::Lookup { table: table.to_owned(), id, name: name.map(str::to_owned) }
}

/// Fills an empty store.
pub(crate) fn lay(options: &Options, now: Timestamp) -> (Store, Rights) {
    let mut store = Store::new(Tables::new());
    let mut rights = Rights::default();
    let organization = options.organization;
    let mut put = |table: &str, id: Uuid, columns: Vec<(&str, Value)>| {
        let dates = [("createdon", Value::Moment(now)), ("modifiedon", Value::Moment(now))];
        let columns = columns.into_iter().chain(dates).chain([(key(table), Value::Guid(id))]);
        let row: Row = columns.map(|(name, value)| (name.to_owned(), value)).collect();
        store.put(table, id, row);
    };
    put(
        "organization",
        organization,
        vec![
            ("name", text(&options.friendly_name)),
            ("expirechangetrackingindays", Value::Int(7)),
            ("languagecode", Value::Int(1033)),
        ],
    );
    put(
        "systemuser",
        system_user(organization),
        vec![("fullname", text("SYSTEM")), ("isdisabled", Value::Bool(false))],
    );
    for name in MESSAGES {
        let id = named(organization, name);
        put("sdkmessage", id, vec![("name", text(name)), ("isactive", Value::Bool(true))]);
        for table in ["contact", "adx_externalidentity"] {
            put(
                "sdkmessagefilter",
                named(organization, &format!("{name} of {table}")),
                vec![
                    ("sdkmessageid", lookup("sdkmessage", id, Some(name))),
                    ("primaryobjecttypecode", text(table)),
                    ("secondaryobjecttypecode", text("none")),
                    ("iscustomprocessingstepallowed", Value::Bool(!name.starts_with("Retrieve"))),
                ],
            );
        }
    }
    let administrator = named(organization, ADMINISTRATOR);
    put("role", administrator, vec![("name", text(ADMINISTRATOR))]);
    for solution in &options.seed.solutions {
        put(
            "solution",
            named(organization, &format!("solution {solution}")),
            vec![
                ("uniquename", text(solution)),
                ("friendlyname", text(solution)),
                ("version", text("1.0.0.0")),
                ("ismanaged", Value::Bool(false)),
            ],
        );
    }
    rights.administrators.insert(administrator);
    for role in &options.seed.roles {
        add_role(&mut store, &mut rights, organization, role, now);
    }
    for user in &options.seed.application_users {
        add_user(&mut store, organization, user, now);
    }
    (store, rights)
}

fn key(table: &str) -> &'static str {
    super::schema::table(table).map_or("id", |table| table.key)
}

/// Adds a role, or gives one of that name other privileges.
pub(crate) fn add_role(
    store: &mut Store,
    rights: &mut Rights,
    organization: Uuid,
    role: &Role,
    now: Timestamp,
) {
    let id = named(organization, &role.name);
    if store.row("role", id).is_none() {
        let columns = [
            ("roleid", Value::Guid(id)),
            ("name", text(&role.name)),
            ("createdon", Value::Moment(now)),
            ("modifiedon", Value::Moment(now)),
        ];
        store.put("role", id, BTreeMap::from(columns.map(|(name, value)| (name.to_owned(), value))));
    }
    rights.roles.insert(id, role.privileges.clone());
}

/// Adds the user of an app, or replaces it.
pub(crate) fn add_user(
    store: &mut Store,
    organization: Uuid,
    user: &ApplicationUser,
    now: Timestamp,
) -> Uuid {
    let id = named(organization, &user.application_id.to_string());
    let unit = user.business_unit.unwrap_or_else(|| business_unit(organization));
    let columns = [
        ("systemuserid", Value::Guid(id)),
        ("fullname", text(&format!("# {}", user.application_id))),
        ("applicationid", Value::Guid(user.application_id)),
        ("isdisabled", Value::Bool(user.disabled)),
        ("accessmode", Value::Int(4)),
        ("businessunitid", lookup("businessunit", unit, None)),
        ("createdon", Value::Moment(now)),
        ("modifiedon", Value::Moment(now)),
    ];
    store.put("systemuser", id, BTreeMap::from(columns.map(|(name, value)| (name.to_owned(), value))));
    store.roles.retain(|(owner, _)| *owner != id);
    store.roles.extend(user.roles.iter().map(|role| (id, named(organization, role))));
    id
}
