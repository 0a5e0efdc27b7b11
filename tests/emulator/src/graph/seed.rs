//! Users, apps and extension properties from a JSON file.

use std::path::Path;

use serde::Deserialize;

use super::{token::App, user::User};
use crate::seed_file::{self, SeedError};

/// What a directory begins with, and goes back to when it is reset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// The users.
    pub users: Vec<User>,
    /// Apps beside those of the options.
    pub apps: Vec<App>,
    /// Extension properties beside those of the options.
    pub extensions: Vec<String>,
}

impl Seed {
    /// Reads a seed from a file.
    pub fn from_file(path: &Path) -> Result<Self, SeedError> {
        seed_file::read(path)
    }
}
