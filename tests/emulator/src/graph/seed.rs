//! Users, apps and extension properties from a JSON file.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::{token::App, user::User};

/// Why a seed could not be read.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The file is not there, or not ours to read.
    #[error("read the seed {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no JSON, or not of the form that README.md describes.
    #[error("understand the seed {path}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

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
        let read = |source| SeedError::Read { path: path.to_owned(), source };
        let parse = |source| SeedError::Parse { path: path.to_owned(), source };
        serde_json::from_str(&std::fs::read_to_string(path).map_err(read)?).map_err(parse)
    }
}
