//! What a local Dataverse is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use uuid::{Uuid, uuid};

use super::{access::Privileges, limits::Limits, pipeline};
use crate::{
    graph::DEFAULT_CLIENT_ID,
    seed_file::{self, SeedError},
};

/// The name of the role that may do everything.
pub const ADMINISTRATOR: &str = "System Administrator";

/// Everything that can be chosen before the start; most of it can also be changed while running.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen for plain HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where to listen for HTTPS; port 0 takes a free one.
    pub https: SocketAddr,
    /// Further names the server certificate vouches for, and by which tokens may call this organization.
    pub names: Vec<String>,
    /// Its id.
    pub organization: Uuid,
    /// Its unique name.
    pub unique_name: String,
    /// Its name for people.
    pub friendly_name: String,
    /// `Customer` for production, `CustomerTest` for a sandbox, and so on.
    pub kind: String,
    /// Rows, roles and users to begin with.
    pub seed: Seed,
    /// Service protection.
    pub limits: Limits,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// Its host as messages name it.
    pub host: String,
    /// Where messages are posted, and how often that is tried.
    pub pipeline: pipeline::Options,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: loopback,
            https: loopback,
            names: Vec::new(),
            organization: uuid!("6d7ae5bc-1b0e-4d2c-9f3a-2f5d0c1e7a01"),
            unique_name: "unq6d7ae5bc1b0e4d2c9f3a2f5d0c1e7".to_owned(),
            friendly_name: "Contoso".to_owned(),
            kind: "Customer".to_owned(),
            seed: Seed::default(),
            limits: Limits::default(),
            latency: Duration::ZERO,
            host: "contoso.crm4.dynamics.com".to_owned(),
            pipeline: pipeline::Options::default(),
        }
    }
}

/// What an organization begins with.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Roles beside `System Administrator`.
    pub roles: Vec<Role>,
    /// The apps that have a user here.
    pub application_users: Vec<ApplicationUser>,
    /// Unique names of unmanaged solutions.
    pub solutions: Vec<String>,
    /// Contacts, in the form in which the Web API takes them.
    pub contacts: Vec<Map<String, Json>>,
    /// External identities, likewise.
    pub external_identities: Vec<Map<String, Json>>,
}

impl Default for Seed {
    /// No rows, and the app that the local authority knows by default as an administrator.
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            application_users: vec![ApplicationUser {
                application_id: DEFAULT_CLIENT_ID,
                roles: vec![ADMINISTRATOR.to_owned()],
                disabled: false,
                business_unit: None,
            }],
            solutions: vec!["contactsync".to_owned()],
            contacts: Vec::new(),
            external_identities: Vec::new(),
        }
    }
}

/// A role and what it gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name, by which users are given it.
    pub name: String,
    /// Its privileges.
    pub privileges: Privileges,
}

/// A user that is an app.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationUser {
    /// The client id.
    pub application_id: Uuid,
    /// Names of its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether it is disabled.
    #[serde(default)]
    pub disabled: bool,
    /// Its business unit; none means that of the organization.
    #[serde(default)]
    pub business_unit: Option<Uuid>,
}

impl ApplicationUser {
    /// An enabled user of the organization's own business unit with these roles.
    #[must_use]
    pub fn new(application_id: Uuid, roles: &[&str]) -> Self {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Self { application_id, roles, disabled: false, business_unit: None }
    }
}

impl Seed {
    /// Reads a seed from a file.
    pub fn from_file(path: &Path) -> Result<Self, SeedError> {
        seed_file::read(path)
    }
}
